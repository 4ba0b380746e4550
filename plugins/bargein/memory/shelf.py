"""Who goes on with what was left unsaid, when several calls and workers could?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeAlias
from uuid import uuid4

from bargein.core.unfinished import Unfinished

from .records import Records
from .writer import PATIENCE_S, Report, Writer

Recalled: TypeAlias = Callable[[Unfinished, int], None]
_SURE = 0.8
"""The share of a lease on which its holder relies: clocks differ, and requests take time."""


class Shelf:
    """Keeps a caller's unfinished messages, and lends each to one call at a time.

    A loan is a lease in the store, prolonged while its call lives. A worker that dies in between
    keeps the message from nobody for longer than that, and says nothing any more itself.
    """

    def __init__(
        self,
        records: Records,
        *,
        ttl_s: float,
        recalled: Recalled,
        lost: Callable[[str], None],
        writer: Writer,
        report: Report,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the shelf of a call.

        Args:
            records: the caller's.
            ttl_s: how long an unfinished message is worth going on with.
            recalled: told of a message from an earlier call, and how old it is in ms; it is
                this call's from then on.
            lost: told of one that is somebody else's now, by its id.
            writer: writes in the background.
            report: told of a failing store.
            now: the time of day.
            clock: seconds, for leases.
        """
        self._records = records
        self._ttl_s = ttl_s
        self._recalled = recalled
        self._lost = lost
        self._writer = writer
        self._report = report
        self._now = now
        self._clock = clock
        self._holder = uuid4().hex
        self._known: dict[str, Unfinished | None] = {}
        """As it is stored; None where it has only just been recalled."""
        self._held: dict[str, float] = {}
        """Until when each is surely ours."""
        self._lent: set[str] = set()
        """Those of earlier calls; those of this one are ours until we hear otherwise."""
        self._look_again = False
        self._closed = False
        self._tending: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Look for what earlier calls left unsaid."""
        await self._look()
        self._tend()

    def changed(self, kept: Iterable[Unfinished], now_ms: int) -> None:
        """This is what the call would leave unsaid if it broke off now."""
        entries = {entry.message_id: entry for entry in kept}
        for message_id in [known for known in self._known if known not in entries]:
            del self._known[message_id]
            self._writer.write(f"unfinished:{message_id}", partial(self._drop, message_id))
        for message_id, entry in entries.items():
            known = self._known.get(message_id, entry)
            if message_id in self._known and (known is None or known == entry):
                self._known[message_id] = entry
                continue
            self._known[message_id] = entry
            cut_at = self._now() - timedelta(milliseconds=now_ms - entry.cut_at_ms)
            self._writer.write(f"unfinished:{message_id}", partial(self._keep, entry, cut_at))

    def lapsed(self) -> list[str]:
        """What may have become somebody else's in the meantime; asked before anything is said."""
        now = self._clock()
        over = [one for one in self._lent if self._held.get(one, now) <= now]
        for message_id in over:
            self._forget(message_id)
        return over

    async def close(self) -> None:
        """The call is over: others may go on with what is left."""
        self._closed = True
        tending, self._tending = self._tending, None
        if tending is not None:
            tending.cancel()
            await asyncio.gather(tending, return_exceptions=True)
        for message_id in self._known:
            self._writer.write(
                f"claim:{message_id}", partial(self._records.release, message_id, self._holder)
            )

    # --- the store ---

    async def _keep(self, entry: Unfinished, cut_at: datetime) -> None:
        message_id = entry.message_id
        if message_id not in self._held and not await self._claim(message_id, held=False):
            return
        age_s = (self._now() - cut_at).total_seconds()
        if age_s < self._ttl_s:
            await self._records.put_unfinished(entry, cut_at, ttl_s=self._ttl_s - age_s)
        self._tend()

    async def _drop(self, message_id: str) -> None:
        self._held.pop(message_id, None)
        self._lent.discard(message_id)
        await self._records.drop_unfinished(message_id)
        await self._records.release(message_id, self._holder)

    async def _claim(self, message_id: str, *, held: bool) -> bool:
        asked = self._clock()
        got = await self._records.claim(message_id, self._holder, held=held)
        if got:
            self._held[message_id] = asked + self._records.lease_s * _SURE
        return got

    async def _look(self) -> None:
        """Claim what is free; what is not may be, once its holder has died."""
        broken: list[Exception] = []
        try:
            async with asyncio.timeout(PATIENCE_S):
                self._look_again = False
                for entry, cut_at in await self._records.unfinished(broken.append):
                    age_s = (self._now() - cut_at).total_seconds()
                    if entry.message_id in self._known or age_s >= self._ttl_s:
                        continue
                    if not await self._claim(entry.message_id, held=False):
                        self._look_again = True
                    elif self._closed:
                        await self._records.release(entry.message_id, self._holder)
                    else:
                        self._known[entry.message_id] = None
                        self._lent.add(entry.message_id)
                        self._recalled(entry, max(0, round(age_s * 1000)))
        except Exception as error:
            self._look_again = True
            self._report("store", error)
        if broken:
            self._report("store: a record", broken[0])

    def _tend(self) -> None:
        if not self._closed and self._tending is None and (self._held or self._look_again):
            self._tending = asyncio.get_running_loop().create_task(self._tends())

    async def _tends(self) -> None:
        """Prolong what is ours, and look for what has come free."""
        while not self._closed:
            await asyncio.sleep(self._records.lease_s / 3)
            for message_id in tuple(self._held):
                self._give_up()
                try:
                    async with asyncio.timeout(PATIENCE_S):
                        await self._prolong(message_id)
                except Exception as error:
                    self._report("store", error)
            self._give_up()
            if self._look_again and not self._closed:
                await self._look()

    async def _prolong(self, message_id: str) -> None:
        if message_id not in self._held or await self._claim(message_id, held=True):
            return
        # Of an earlier call's, another worker may have taken, said and released it by now.
        if message_id in self._lent or not await self._claim(message_id, held=False):
            self._forget(message_id)
            self._lost(message_id)

    def _give_up(self) -> None:
        for message_id in self.lapsed():
            self._lost(message_id)

    def _forget(self, message_id: str) -> None:
        self._held.pop(message_id, None)
        self._lent.discard(message_id)
        self._known.pop(message_id, None)
        self._look_again = True

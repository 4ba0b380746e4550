"""How do receipts get into the store without a call ever waiting for it?"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeAlias

from bargein.core.decisions import Decision, Delivery, FileReceipt
from bargein.core.events import Event, MessageLocked, OnCut, PlayoutStarted

from .receipt import Receipt, Undelivered
from .records import Records
from .store import Store

PATIENCE_S = 2.0
"""How long one attempt at the store may take, and how long a call's end waits for what is left."""
RETRY_S = (0.2, 1.0, 5.0, 15.0)
"""Pauses between attempts; the last one repeats."""
ATTEMPTS = 3
"""How often a receipt is tried that fails for another cause than the store's being down."""
QUEUE = 256
"""Receipts that wait for a store that is down; beyond that the oldest are given up."""

Told: TypeAlias = Callable[[Receipt], None]
Report: TypeAlias = Callable[[str, Exception], None]


@dataclass(slots=True)
class _Filed:
    receipt: Receipt
    undelivered: Undelivered | None
    failures: int = 0
    """Those that more time will not mend."""


class Archive:
    """Makes the receipts of one call and stores them in the background.

    A store that is down, slow or full costs a call nothing: the receipt says that it is not
    stored, and is tried again until the call is over.
    """

    def __init__(
        self,
        records: Records | None,
        *,
        filed: Told,
        stored: Told,
        report: Report,
        measured: Callable[[str], tuple[float, float | None]] = lambda _: (0.0, None),
        owned: Store | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Make the archive of a call.

        Args:
            records: where receipts go; None where nothing is stored.
            filed: told of every receipt, at once.
            stored: told again when the store has it.
            report: told of a failing store, by where and what.
            measured: how much of a message was played and how long all of it is, in ms, where the
                host knows that better than the clock does.
            owned: a store to close with the call.
            now: the time of day.
        """
        self._records = records
        self._filed, self._stored, self._report = filed, stored, report
        self._measured = measured
        self._owned = owned
        self._now = now
        self._messages: dict[str, MessageLocked] = {}
        self._began: dict[str, datetime] = {}
        self._queue: deque[_Filed] = deque()
        self._more = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._writing: asyncio.Task[None] | None = None
        self.receipts: dict[str, Receipt] = {}
        """The newest of each message of this call."""

    async def undelivered(self) -> list[Undelivered]:
        """What this caller still has to hear from earlier calls; nothing if the store is down."""
        if self._records is None:
            return []
        broken: list[Exception] = []
        try:
            found = await asyncio.wait_for(self._records.undelivered(broken.append), PATIENCE_S)
        except Exception as error:
            self._report("store", error)
            return []
        if broken:
            self._report("store: a record", broken[0])
        return found

    def happened(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, MessageLocked):
            self._messages[event.message_id] = event
        elif isinstance(event, PlayoutStarted) and event.message_id in self._messages:
            self._began[event.message_id] = self._now()

    def decided(self, decision: Decision) -> None:
        """Make and store the receipt that a decision asks for."""
        if not isinstance(decision, FileReceipt):
            return
        played_ms, length_ms = self._measured(decision.message_id)
        receipt = Receipt(
            message_id=decision.message_id,
            state=decision.state,
            heard=decision.heard,
            played_ms=round(played_ms) or decision.played_ms,
            total_ms=decision.total_ms if length_ms is None else round(length_ms),
            began_at=self._began.pop(decision.message_id, None),
            ended_at=self._now(),
            attempts=decision.attempts,
            reason=decision.reason,
            pending=decision.pending,
        )
        self.receipts[receipt.message_id] = receipt
        self._filed(receipt)
        if self._records is None:
            return
        self._queue.append(_Filed(receipt, self._left(decision)))
        while len(self._queue) > QUEUE:
            self._queue.popleft()
        self._empty.clear()
        self._more.set()
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def close(self) -> None:
        """The call is over: give the store a last moment."""
        writing, self._writing = self._writing, None
        if writing is not None:
            try:
                await asyncio.wait_for(self._empty.wait(), PATIENCE_S)
            except TimeoutError as error:
                self._report("store: receipts were not stored", error)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        if self._owned is not None:
            try:
                await asyncio.wait_for(self._owned.close(), PATIENCE_S)
            except Exception as error:
                self._report("store", error)

    def _left(self, decision: FileReceipt) -> Undelivered | None:
        """The message as it waits for its next attempt; None if there will be none."""
        message = self._messages.get(decision.message_id)
        if not decision.pending or message is None or decision.state is Delivery.DELIVERED:
            return None
        return Undelivered(
            message_id=message.message_id,
            text=message.text,
            on_cut=message.on_cut,
            broken_by=message.broken_by,
            attempts=decision.attempts,
            heard=decision.heard if message.on_cut is OnCut.RESUME else "",
        )

    async def _write(self) -> None:
        failures = 0
        while True:
            if not self._queue:
                self._empty.set()
                self._more.clear()
                await self._more.wait()
            entry = self._queue.popleft()
            try:
                await asyncio.wait_for(self._put(entry), PATIENCE_S)
            except Exception as error:
                self._put_off(entry, error)
                await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])
                failures += 1
                continue
            failures = 0
            stored = replace(entry.receipt, stored=True)
            if self.receipts.get(stored.message_id) is entry.receipt:
                self.receipts[stored.message_id] = stored
            self._stored(stored)

    def _put_off(self, entry: _Filed, error: Exception) -> None:
        """Behind the others; a newer receipt of the same message replaces it."""
        self._report("store", error)
        # A backend has connection errors of its own; these here are never one of them.
        entry.failures += isinstance(error, TypeError | ValueError)
        if entry.failures >= ATTEMPTS:
            self._report("store: a receipt was given up", error)
        elif all(one.receipt.message_id != entry.receipt.message_id for one in self._queue):
            self._queue.append(entry)

    async def _put(self, entry: _Filed) -> None:
        assert self._records is not None
        # The message first: should the store fail in between, it is rather said twice than never.
        done: Awaitable[None]
        if entry.undelivered is not None:
            done = self._records.put_undelivered(entry.undelivered)
        else:
            done = self._records.drop_undelivered(entry.receipt.message_id)
        await done
        await self._records.put_receipt(entry.receipt)

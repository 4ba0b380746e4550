"""What became of the messages of a call that had to be heard, and where is it kept?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeAlias

from bargein.core.decisions import Decision, Delivery, FileReceipt
from bargein.core.events import Event, MessageLocked, OnCut, PlayoutStarted

from .receipt import Receipt, Undelivered
from .records import Records
from .writer import PATIENCE_S, Report, Writer

Told: TypeAlias = Callable[[Receipt], None]


class Archive:
    """Makes the receipts of one call, and has them stored.

    A store that is down, slow or full costs a call nothing: the receipt says that it is not
    stored, and is tried again until the call is over.
    """

    def __init__(
        self,
        records: Records | None,
        *,
        filed: Told,
        stored: Told,
        acknowledged: Told = lambda _: None,
        writer: Writer,
        report: Report,
        measured: Callable[[str], tuple[float, float | None]] = lambda _: (0.0, None),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Make the archive of a call.

        Args:
            records: where receipts go; None where nothing is stored.
            filed: told of every receipt, at once.
            stored: told again when the store has it.
            acknowledged: told again when the far end says that it has played all of it.
            writer: does so.
            report: told of a failing store, by where and what.
            measured: how much of a message was played and how long all of it is, in ms, where the
                host knows that better than the clock does.
            now: the time of day.
        """
        self._records = records
        self._filed, self._stored, self._report = filed, stored, report
        self._acknowledged = acknowledged
        self._measured = measured
        self._now = now
        self._messages: dict[str, MessageLocked] = {}
        self._began: dict[str, datetime] = {}
        self._early: dict[str, datetime] = {}  # acknowledged before there is a receipt
        self._writer = writer
        self.receipts: dict[str, Receipt] = {}
        """The newest of each message of this call."""

    async def undelivered(self) -> list[Undelivered]:
        """What this caller still has to hear from earlier calls; nothing if the store is down."""
        if self._records is None:
            return []
        broken: list[Exception] = []
        try:
            async with asyncio.timeout(PATIENCE_S):
                found = await self._records.undelivered(broken.append)
        except Exception as error:
            self._report("store", error)
            return []
        if broken:
            self._report("store: a record", broken[0])
        return [one for one in found if one.message_id not in self._messages]  # not this call's own

    def happened(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, MessageLocked):
            self._messages[event.message_id] = event
            self._keep(event)
        elif isinstance(event, PlayoutStarted) and event.message_id in self._messages:
            self._began[event.message_id] = self._now()
            self._early.pop(event.message_id, None)

    def decided(self, decision: Decision) -> None:
        """Make and store the receipt that a decision asks for."""
        if not isinstance(decision, FileReceipt):
            return
        played_ms, length_ms = self._measured(decision.message_id)
        total_ms = decision.total_ms if length_ms is None else round(length_ms)
        if decision.state is not Delivery.DELIVERED and total_ms == round(played_ms):
            total_ms = None  # a voice that failed: nobody knows how long all of it would have been
        acknowledged_at = self._early.pop(decision.message_id, None)
        if decision.state is not Delivery.DELIVERED:
            acknowledged_at = None
        receipt = Receipt(
            message_id=decision.message_id,
            state=decision.state,
            heard=decision.heard,
            played_ms=round(played_ms) or decision.played_ms,
            total_ms=total_ms,
            began_at=self._began.pop(decision.message_id, None),
            ended_at=self._now(),
            attempts=decision.attempts,
            reason=decision.reason,
            pending=decision.pending,
            acknowledged_at=acknowledged_at,
        )
        self.receipts[receipt.message_id] = receipt
        self._filed(receipt)
        self._write(receipt, self._left(decision))
        if acknowledged_at is not None:
            self._acknowledged(receipt)

    def acknowledged(self, message_id: str) -> None:
        """The far end says that it has played all that it got of a message.

        That proves nothing where we sent only a part of it: such a receipt stays as it is.
        """
        if message_id in self._began:
            self._early[message_id] = self._now()
            return
        receipt = self.receipts.get(message_id)
        if receipt is None or receipt.state is not Delivery.DELIVERED or receipt.acknowledged_at:
            return
        receipt = replace(receipt, acknowledged_at=self._now(), stored=False)
        self.receipts[message_id] = receipt
        self._write(receipt, None)
        self._acknowledged(receipt)

    def _keep(self, message: MessageLocked) -> None:
        """Until there is a receipt: a process that is killed makes none."""
        if self._records is not None and message.on_cut is not OnCut.REPORT:
            left = Undelivered(
                message_id=message.message_id,
                text=message.text,
                on_cut=message.on_cut,
                broken_by=message.broken_by,
                attempts=message.attempts + 1,
                heard=message.heard,
            )
            put = partial(self._records.put_undelivered, left)
            self._writer.write(f"receipt:{message.message_id}", put)

    def _write(self, receipt: Receipt, left: Undelivered | None) -> None:
        if self._records is not None:
            self._writer.write(
                f"receipt:{receipt.message_id}",
                partial(_put, self._records, receipt, left),
                partial(self._is_stored, receipt),
            )

    def _is_stored(self, receipt: Receipt) -> None:
        stored = replace(receipt, stored=True)
        if self.receipts.get(stored.message_id) is receipt:
            self.receipts[stored.message_id] = stored
        self._stored(stored)

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


async def _put(records: Records, receipt: Receipt, left: Undelivered | None) -> None:
    # The message first: should the store fail in between, it is rather said twice than never.
    if left is not None:
        await records.put_undelivered(left)
    else:
        await records.drop_undelivered(receipt.message_id)
    await records.put_receipt(receipt)

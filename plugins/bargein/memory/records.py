"""How is a record written, and whose is it?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from bargein.core.decisions import Delivery, Kind, Reason
from bargein.core.events import OnCut
from bargein.core.fields import misfit
from bargein.core.unfinished import Tool, Unfinished

from .receipt import Receipt, Undelivered
from .store import Store

VERSION = 1
"""Of the JSON in a record. One that is newer than this is left alone."""
DAY_S = 24 * 60 * 60
LONGEST_BYTES = 1_000_000
"""Of a record: no agent says more in one go, and reading more would hold up every call."""

T = TypeVar("T")
Cipher: TypeAlias = Callable[[bytes], bytes]
Unread: TypeAlias = Callable[[Exception], None]


class StoreError(ValueError):
    """Records that are set up in a way that cannot work, or one that cannot be written."""


class Records:
    """One caller's receipts and unfinished messages.

    A record is JSON with a version. Its owner is a hash of the caller, never the number itself.
    """

    def __init__(
        self,
        store: Store,
        caller: str,
        *,
        pepper: str = "",
        encrypt: Cipher | None = None,
        decrypt: Cipher | None = None,
        keep_days: float = 30,
        lease_s: float = 20.0,
    ) -> None:
        """Open the records of a caller.

        Args:
            store: where they live.
            caller: who calls: a number, an account, anything that is the same in the next call.
            pepper: a secret of yours that goes into the hash. Without one, whoever reads the store
                can try all telephone numbers.
            encrypt: what a record's JSON goes through on its way into the store, as bytes.
            decrypt: the way back.
            keep_days: how long a record is kept.
            lease_s: for how long a worker that has died keeps others from going on with what it
                was about to say.

        Raises:
            StoreError: no caller, half a cipher, or no time to keep anything.
        """
        if not isinstance(caller, str) or not caller.strip():
            raise StoreError(
                f"caller must say who calls, as in caller='+4930901820', not {caller!r}"
            )
        if (encrypt is None) != (decrypt is None):
            raise StoreError("encrypt and decrypt go together: give both or neither")
        if not keep_days > 0:
            raise StoreError(f"keep_days must be more than 0, not {keep_days!r}")
        if not lease_s > 0:
            raise StoreError(f"lease_s must be more than 0, not {lease_s!r}")
        self._store = store
        self._encrypt = encrypt
        self._decrypt = decrypt
        self._ttl_s = keep_days * DAY_S
        self.lease_s = lease_s
        self.owner = owner_of(caller, pepper)

    async def put_receipt(self, receipt: Receipt) -> None:
        """Keep a receipt; the newest of a message counts."""
        await self._put(
            f"receipt:{receipt.message_id}",
            {
                "message_id": receipt.message_id,
                "state": receipt.state.value,
                "heard": receipt.heard,
                "played_ms": receipt.played_ms,
                "total_ms": receipt.total_ms,
                "began_at": _written(receipt.began_at),
                "ended_at": receipt.ended_at.isoformat(),
                "attempts": receipt.attempts,
                "reason": receipt.reason.value,
                "pending": receipt.pending,
                "acknowledged_at": _written(receipt.acknowledged_at),
            },
        )

    async def put_undelivered(self, message: Undelivered) -> None:
        """Keep a message for the next call."""
        await self._put(
            f"message:{message.message_id}",
            {
                "message_id": message.message_id,
                "text": message.text,
                "on_cut": message.on_cut.value,
                "broken_by": list(message.broken_by),
                "attempts": message.attempts,
                "heard": message.heard,
            },
        )

    async def drop_undelivered(self, message_id: str) -> None:
        """That message has been heard, or is given up."""
        await self._store.delete(self.owner, f"message:{message_id}")

    async def receipts(self, unread: Unread = lambda _: None) -> list[Receipt]:
        """Receipts of this caller's messages, the oldest first.

        A record that cannot be read is left out, and ``unread`` is told why.
        """
        return await self._all("receipt:", _receipt, unread)

    async def undelivered(self, unread: Unread = lambda _: None) -> list[Undelivered]:
        """Messages that still have to be heard, the oldest first; ``unread`` as above."""
        return await self._all("message:", _undelivered, unread)

    # --- what was left unsaid ---

    async def put_unfinished(self, left: Unfinished, cut_at: datetime, *, ttl_s: float) -> None:
        """Keep what was left unsaid, for as long as it is worth going on with."""
        await self._put(
            f"unfinished:{left.message_id}",
            {
                "message_id": left.message_id,
                "text": left.text,
                "heard": left.heard,
                "kind": left.kind.value if left.kind else None,
                "cut_at": cut_at.isoformat(),
                "caller_words": left.caller_words,
                "topic": left.topic,
                "task": left.task,
                "progress": left.progress,
                "context_note": left.context_note,
                "tools": [[tool.name, tool.result] for tool in left.tools if tool.result],
                "offered": left.offered,
            },
            ttl_s=ttl_s,
        )

    async def drop_unfinished(self, message_id: str) -> None:
        """It has been said, or nobody wants to hear it."""
        await self._store.delete(self.owner, f"unfinished:{message_id}")

    async def unfinished(
        self, unread: Unread = lambda _: None
    ) -> list[tuple[Unfinished, datetime]]:
        """What was left unsaid, and when; the oldest first. ``unread`` as above."""
        return await self._all("unfinished:", _unfinished, unread)

    async def claim(self, message_id: str, holder: str, *, held: bool) -> bool:
        """Keep others from going on with it for ``lease_s`` seconds.

        Args:
            message_id: what was left unsaid.
            holder: who wants it; no two workers have the same name.
            held: True to prolong a claim that this one has, and only that.

        Returns:
            False where it is, or has become, somebody else's.
        """
        key, name = f"claim:{message_id}", holder.encode()
        if not held and await self._store.swap(self.owner, key, None, name, ttl_s=self.lease_s):
            return True
        # An answer that came too late for us may have given it to us all the same.
        return await self._store.swap(self.owner, key, name, name, ttl_s=self.lease_s)

    async def release(self, message_id: str, holder: str) -> None:
        """Let others go on with it."""
        key = f"claim:{message_id}"
        await self._store.swap(self.owner, key, holder.encode(), None, ttl_s=self.lease_s)

    # --- reading and writing ---

    async def _put(self, key: str, value: dict[str, Any], *, ttl_s: float | None = None) -> None:
        try:
            text = json.dumps({"v": VERSION, **value}, ensure_ascii=False).encode(errors="replace")
            if self._encrypt is not None:
                text = self._encrypt(text)
        except Exception as error:
            # Without the original, which may hold the text.
            raise StoreError(f"a record cannot be written: {type(error).__name__}") from None
        if len(text) > LONGEST_BYTES:
            raise StoreError(f"a record of {len(text)} bytes is longer than {LONGEST_BYTES}")
        await self._store.put(self.owner, key, text, ttl_s=self._ttl_s if ttl_s is None else ttl_s)

    async def _all(self, kind: str, read: Callable[[dict[str, Any]], T], unread: Unread) -> list[T]:
        found: list[T] = []
        for key, value in (await self._store.get(self.owner)).items():
            if not key.startswith(kind):
                continue
            try:
                if len(value) > LONGEST_BYTES:
                    raise StoreError(f"a record of {len(value)} bytes is none of ours")
                record = json.loads(self._decrypt(value) if self._decrypt else value)
                if record["v"] <= VERSION:
                    if key != f"{kind}{record['message_id']}":
                        # Who deals with the message would never get rid of the record.
                        raise StoreError("a record is kept under another message's name")
                    if not key.isprintable():
                        raise StoreError("a message's name would not be one line in a log")
                    found.append(read(record))
            except Exception as error:
                unread(error)
        return found


def _written(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None


def _instant(written: str | None) -> datetime | None:
    return _sure(written) if written else None


def _sure(written: str) -> datetime:
    """An instant that can be compared with ours."""
    instant = datetime.fromisoformat(written)
    if instant.tzinfo is None:
        raise StoreError("a record whose instant names no time zone")
    return instant


def _receipt(found: dict[str, Any]) -> Receipt:
    return _fit(
        Receipt(
            message_id=found["message_id"],
            state=Delivery(found["state"]),
            heard=found["heard"],
            played_ms=found["played_ms"],
            total_ms=found["total_ms"],
            began_at=_instant(found["began_at"]),
            ended_at=_sure(found["ended_at"]),
            attempts=found["attempts"],
            reason=Reason(found["reason"]),
            pending=found["pending"],
            acknowledged_at=_instant(found.get("acknowledged_at")),  # not in older records
            stored=True,
        )
    )


def _undelivered(found: dict[str, Any]) -> Undelivered:
    if not isinstance(found["broken_by"], list):
        raise StoreError("a record whose broken_by does not fit")
    return _fit(
        Undelivered(
            message_id=found["message_id"],
            text=found["text"],
            on_cut=OnCut(found["on_cut"]),
            broken_by=tuple(found["broken_by"]),
            attempts=found["attempts"],
            heard=found["heard"],
        )
    )


def _unfinished(found: dict[str, Any]) -> tuple[Unfinished, datetime]:
    left = _fit(
        Unfinished(
            message_id=found["message_id"],
            text=found["text"],
            heard=found["heard"],
            kind=Kind(found["kind"]) if found["kind"] else None,
            cut_at_ms=0,
            caller_words=found["caller_words"],
            topic=found["topic"],
            task=found["task"],
            progress=found["progress"],
            context_note=found["context_note"],
            tools=tuple(_fit(Tool(name=name, result=result)) for name, result in found["tools"]),
            offered=found["offered"],
            recalled=True,
        )
    )
    if not left.text.startswith(left.heard):
        raise StoreError("what was heard is not the beginning of what was said")
    return left, _sure(found["cut_at"])


def _fit(record: T) -> T:
    """A record whose values are of the kinds that ours are."""
    kind: Any = type(record)
    if wrong := misfit(kind, {one.name: getattr(record, one.name) for one in fields(kind)}):
        raise StoreError(f"a record whose {wrong} does not fit")
    return record


def owner_of(caller: str, pepper: str = "") -> str:
    """The hash under which a caller's records are kept."""
    key = hashlib.blake2b(pepper.encode(), digest_size=32).digest()
    # A number comes from the far end of a line: half a character in it is no reason to hang up.
    name = caller.strip().encode(errors="surrogatepass")
    return hashlib.blake2b(name, digest_size=16, key=key).hexdigest()

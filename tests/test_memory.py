"""Every store keeps the same promises, and no store can hurt a call."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bargein import Delivery, FileReceipt, MessageLocked, OnCut, PlayoutStarted, Reason
from bargein.memory import (
    Archive,
    MemoryStore,
    Receipt,
    Records,
    SqliteStore,
    Store,
    StoreError,
    Undelivered,
    Writer,
    open_store,
)

CODE = "Your code is 4 2 7 1."
NUMBER = "+49 30 901820"


def receipt(message_id: str = "m", **changes: Any) -> Receipt:
    values: dict[str, Any] = {
        "message_id": message_id,
        "state": Delivery.CUT,
        "heard": "Your code is",
        "played_ms": 900,
        "total_ms": 2100,
        "began_at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "ended_at": datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC),
        "attempts": 1,
        "reason": Reason.CALL_ENDED,
        "pending": True,
    }
    return Receipt(**values | changes)


def undelivered(message_id: str = "m") -> Undelivered:
    return Undelivered(message_id=message_id, text=CODE, on_cut=OnCut.REPEAT, attempts=1)


# --- what every store does ---


async def test_a_record_is_what_was_put_and_keeps_its_place(store: Store) -> None:
    await store.put("o", "b", b"1", ttl_s=60)
    await store.put("o", "a", "\x00é".encode(), ttl_s=60)
    await store.put("o", "b", b"2", ttl_s=60)
    await store.put("other", "c", b"3", ttl_s=60)
    assert list((await store.get("o")).items()) == [("b", b"2"), ("a", "\x00é".encode())]
    assert await store.get("nobody") == {}


async def test_what_is_deleted_is_gone_and_may_be_deleted_again(store: Store) -> None:
    await store.put("o", "a", b"1", ttl_s=60)
    await store.delete("o", "a")
    await store.delete("o", "a")
    await store.delete("nobody", "a")
    assert await store.get("o") == {}


async def test_a_record_expires_and_its_neighbours_stay(store: Store) -> None:
    await store.put("o", "short", b"1", ttl_s=0.05)
    await store.put("o", "long", b"2", ttl_s=600)
    async with asyncio.timeout(10):
        while "short" in await store.get("o"):
            await asyncio.sleep(0.02)
    assert await store.get("o") == {"long": b"2"}


async def test_many_at_once_all_arrive(store: Store) -> None:
    await asyncio.gather(*(store.put("o", f"k{n}", b"%d" % n, ttl_s=60) for n in range(50)))
    assert await store.get("o") == {f"k{n}": b"%d" % n for n in range(50)}


async def test_a_closed_store_opens_again(store: Store) -> None:
    await store.put("o", "a", b"1", ttl_s=60)
    await store.close()
    assert await store.get("o") == {"a": b"1"}


# --- what is written, and under whose name ---


async def test_records_read_back_as_they_were(store: Store) -> None:
    records = Records(store, NUMBER)
    await records.put_receipt(receipt())
    await records.put_receipt(receipt("n", state=Delivery.UNDELIVERED, began_at=None))
    await records.put_undelivered(undelivered())
    again = Records(store, f" {NUMBER} ")
    assert await again.receipts() == [
        receipt(stored=True),
        receipt("n", state=Delivery.UNDELIVERED, began_at=None, stored=True),
    ]
    assert await again.undelivered() == [undelivered()]
    await again.drop_undelivered("m")
    assert await records.undelivered() == []
    assert await Records(store, "somebody else").receipts() == []


async def test_the_store_never_sees_the_number_nor_an_encrypted_text() -> None:
    store = MemoryStore()
    mask = bytes(range(7, 256)) + bytes(range(7))
    unmask = bytes(mask.index(byte) for byte in range(256))
    records = Records(
        store,
        NUMBER,
        pepper="secret",
        encrypt=lambda text: text.translate(mask),
        decrypt=lambda text: text.translate(unmask),
    )
    await records.put_undelivered(undelivered())
    kept = repr(vars(store))
    assert NUMBER not in kept
    assert "4 2 7 1" not in kept
    assert await records.undelivered() == [undelivered()]
    assert Records(store, NUMBER).owner != records.owner


async def test_a_record_of_a_newer_version_is_left_alone() -> None:
    store = MemoryStore()
    records = Records(store, NUMBER)
    await records.put_undelivered(undelivered())
    await store.put(records.owner, "message:new", json.dumps({"v": 99}).encode(), ttl_s=60)
    assert await records.undelivered() == [undelivered()]


def test_a_text_that_must_be_heard_is_in_no_repr() -> None:
    assert CODE not in repr(undelivered())
    assert "Your code" not in repr(receipt())


@pytest.mark.parametrize(
    "options",
    [
        {"caller": ""},
        {"caller": 7},
        {"caller": "x", "keep_days": 0},
        {"caller": "x", "encrypt": id},
    ],
)
def test_records_that_cannot_work_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(StoreError):
        Records(MemoryStore(), **options)


@pytest.mark.parametrize("where", ["", "mysql://host/db"])
def test_an_address_without_a_store_is_refused(where: str) -> None:
    with pytest.raises(ValueError, match="no store for"):
        open_store(where)


def test_a_path_is_a_file_and_a_store_is_itself(tmp_path: Path) -> None:
    store = MemoryStore()
    assert open_store(store) is store
    assert isinstance(open_store(tmp_path / "x.db"), SqliteStore)


# --- a store that fails ---


class Broken(MemoryStore):
    """Fails so many times, then works."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    async def put(self, owner: str, key: str, value: bytes, *, ttl_s: float) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError("no space left on device")
        await super().put(owner, key, value, ttl_s=ttl_s)

    async def get(self, owner: str) -> dict[str, bytes]:
        if self.failures:
            raise ConnectionError("refused")
        return await super().get(owner)


class Hanging(MemoryStore):
    """Never answers."""

    async def put(self, *_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    async def get(self, owner: str) -> dict[str, bytes]:
        await asyncio.Event().wait()
        return await super().get(owner)


class Desk:
    """An archive, and what it told."""

    def __init__(self, store: Store, **options: Any) -> None:
        self.filed: list[Receipt] = []
        self.stored: list[Receipt] = []
        self.reports: list[str] = []
        self.records = Records(store, NUMBER, **options)
        self.writer = Writer(self.report)
        self.archive = Archive(
            self.records,
            filed=self.filed.append,
            stored=self.stored.append,
            writer=self.writer,
            report=self.report,
        )

    def report(self, where: str, error: Exception) -> None:
        self.reports.append(f"{where}: {type(error).__name__}")

    def cut(self, message_id: str = "m", text: str = CODE, **changes: Any) -> None:
        locked = MessageLocked(at_ms=0, message_id=message_id, text=text, on_cut=OnCut.REPEAT)
        self.archive.happened(locked)
        self.archive.happened(PlayoutStarted(at_ms=9, message_id=message_id, must_hear=True))
        values: dict[str, Any] = {"state": Delivery.CUT, "pending": True} | changes
        self.archive.decided(
            FileReceipt(
                at_ms=900,
                reason=Reason.CALL_ENDED,
                message_id=message_id,
                heard="Your code is",
                unheard=" 4 2 7 1.",
                **values,
            )
        )


async def test_a_receipt_is_told_at_once_and_again_when_it_is_stored() -> None:
    desk = Desk(MemoryStore())
    desk.cut()
    assert [one.stored for one in desk.filed] == [False]
    await desk.writer.close()
    assert [one.stored for one in desk.stored] == [True]
    assert desk.archive.receipts["m"].stored
    assert [one.message_id for one in await desk.records.undelivered()] == ["m"]
    assert desk.filed[0].began_at is not None


async def test_a_store_that_fails_for_a_while_gets_the_receipt_later() -> None:
    desk = Desk(Broken(2))
    assert await desk.archive.undelivered() == []
    desk.cut()
    async with asyncio.timeout(20):
        while not desk.stored:
            await asyncio.sleep(0.02)
    await desk.writer.close()
    assert await desk.records.receipts() == desk.stored
    assert "store: OSError" in desk.reports


async def test_a_store_that_never_answers_does_not_hold_up_the_end_of_a_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bargein.memory.writer.PATIENCE_S", 0.05)
    monkeypatch.setattr("bargein.memory.archive.PATIENCE_S", 0.05)
    desk = Desk(Hanging())
    assert await desk.archive.undelivered() == []
    desk.cut()
    async with asyncio.timeout(10):
        await desk.writer.close()
    assert not desk.archive.receipts["m"].stored
    assert "store: not everything was stored: TimeoutError" in desk.reports


async def test_without_a_store_there_are_receipts_all_the_same() -> None:
    told: list[Receipt] = []
    writer = Writer(lambda *_: None)
    archive = Archive(
        None, filed=told.append, stored=told.append, writer=writer, report=lambda *_: None
    )
    assert await archive.undelivered() == []
    archive.happened(MessageLocked(at_ms=0, message_id="m", text=CODE))
    archive.decided(
        FileReceipt(
            at_ms=1,
            reason=Reason.AGENT_FINISHED,
            message_id="m",
            state=Delivery.DELIVERED,
            heard=CODE,
            unheard="",
        )
    )
    await writer.close()
    assert [one.state for one in told] == [Delivery.DELIVERED]


async def test_a_record_that_cannot_be_read_hides_no_other() -> None:
    desk = Desk(MemoryStore())
    store = desk.records._store
    await desk.records.put_receipt(receipt())
    await desk.records.put_undelivered(undelivered("z"))
    later = (await store.get(desk.records.owner))["message:z"].replace(b"repeat", b"later")
    for key, value in (("z", later), ("y", b"\x80"), ("x", b"[]")):
        await store.put(desk.records.owner, f"message:{key}", value, ttl_s=60)
    await desk.records.put_undelivered(undelivered())
    assert await desk.archive.undelivered() == [undelivered()]
    assert desk.reports == ["store: a record: ValueError"]
    await store.put(desk.records.owner, "receipt:x", b"{", ttl_s=60)
    assert await desk.records.receipts() == [receipt(stored=True)]


async def test_a_text_that_is_no_unicode_is_stored_all_the_same() -> None:
    desk = Desk(MemoryStore())
    desk.cut(text="smile \ud83d 1")
    await desk.writer.close()
    assert [one.text for one in await desk.records.undelivered()] == ["smile ? 1"]


async def test_a_receipt_that_cannot_be_stored_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bargein.memory.writer.RETRY_S", (0.01,))

    def encrypt(text: bytes) -> bytes:
        if b"bad" in text:
            raise RuntimeError(text)
        return text

    desk = Desk(MemoryStore(), encrypt=encrypt, decrypt=bytes)
    desk.cut("bad")
    desk.cut("good")
    await desk.writer.close()
    assert [one.message_id for one in desk.stored] == ["good"]
    assert desk.reports == [*["store: StoreError"] * 4, "store: a record was given up: StoreError"]


async def test_an_old_receipt_that_is_tried_again_never_replaces_a_newer_one() -> None:
    desk = Desk(Broken(2))  # neither the message nor its first receipt
    desk.cut()
    desk.cut(state=Delivery.DELIVERED, pending=False)
    await desk.writer.close()
    assert [one.state for one in desk.stored] == [Delivery.DELIVERED]
    assert [one.state for one in await desk.records.receipts()] == [Delivery.DELIVERED]
    assert await desk.records.undelivered() == []


async def test_a_memory_store_forgets_those_who_never_call_again() -> None:
    now = 0.0
    store = MemoryStore(clock=lambda: now)
    for n in range(255):
        await store.put(f"o{n}", "k", b"x", ttl_s=1)
    now = 2.0
    await store.put("o", "k", b"x", ttl_s=1)
    assert list(store._owners) == ["o"]
    await store.delete("o", "k")
    assert not store._owners

"""What can somebody do to a call who writes into its store?"""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from bargein.core.events import OnCut
from bargein.memory import Archive, MemoryStore, Records, Store, Undelivered, Writer
from bargein.memory.records import LONGEST_BYTES, StoreError, owner_of
from bargein.memory.redis import RedisStore
from either_host import CODE, HOSTS, EitherHost
from fuzz_seeds import MESSAGE, RECEIPT, UNFINISHED

CALLER = "+49 30 901820"
GOOD = Undelivered(message_id="good", text=CODE, on_cut=OnCut.REPEAT)
LONG = "x" * LONGEST_BYTES
WRONG: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    "message": (
        MESSAGE,
        {
            "v": ["1", [], None],
            "message_id": ["other", 7, ["m"], None],
            "text": [7, ["a"], None, LONG],
            "on_cut": ["later", [], 7],
            "broken_by": ["emergency", [7], {"a": 1}, None],
            "attempts": ["1", 1.5, True, None],
            "heard": [7, None],
        },
    ),
    "receipt": (
        RECEIPT,
        {
            "state": ["gone", {}],
            "heard": [7],
            "played_ms": ["9", 1.5],
            "began_at": [7, "soon", "2026-01-02T03:04:05"],
            "ended_at": [None, "2026-01-02T03:04:05"],
            "reason": ["", []],
            "pending": ["no", 1],
        },
    ),
    "unfinished": (
        UNFINISHED,
        {
            "text": [7, "Something else."],
            "heard": [7, "Something else"],
            "kind": ["whatever", [1]],
            "cut_at": [7, "soon", "2026-01-02T03:04:05", ""],
            "caller_words": [7, ["a"]],
            "topic": [7, None, ["a"]],
            "progress": ["a", float("nan"), None],
            "context_note": [7],
            "tools": [7, [7], [["a"]], [["a", 7]], {"a": "b"}],
            "offered": ["yes"],
        },
    ),
}
POISON = {
    f"{kind}:{name}={str(value)[:24]}": (kind, json.dumps({**whole, name: value}).encode())
    for kind, (whole, fields) in WRONG.items()
    for name, values in fields.items()
    for value in values
}
POISON |= {
    f"{kind}:{raw[:12]!r}": (kind, raw)
    for kind in WRONG
    for raw in (b"", b"\x00\xff", b"{}", b"[]", b"null", b"[" * 100_000, b"9" * 5_000)
}


@pytest.fixture(params=sorted(HOSTS))
def host(request: pytest.FixtureRequest) -> Any:
    pytest.importorskip({"pipecat": "pipecat", "livekit": "livekit.agents"}[request.param])
    return HOSTS[request.param]


async def readers(records: Records, unread: list[Exception]) -> list[Any]:
    """Everything that can be read."""
    found: list[Any] = []
    for read in (records.undelivered, records.receipts, records.unfinished):
        found += await read(unread.append)
    return found


@pytest.mark.parametrize("kind", WRONG)
async def test_what_is_as_it_should_be_is_read(kind: str) -> None:
    records = Records(MemoryStore(), CALLER)
    await records._store.put(
        records.owner, f"{kind}:m", json.dumps(WRONG[kind][0]).encode(), ttl_s=60
    )
    unread: list[Exception] = []
    assert len(await readers(records, unread)) == 1
    assert unread == []


@pytest.mark.parametrize("what", POISON)
async def test_a_record_that_nobody_of_us_wrote_is_left_out_and_hides_no_other(what: str) -> None:
    records = Records(MemoryStore(), CALLER)
    kind, value = POISON[what]
    await records._store.put(records.owner, f"{kind}:m", value, ttl_s=60)
    await records.put_undelivered(GOOD)
    unread: list[Exception] = []
    assert await readers(records, unread) == [GOOD]
    assert len(unread) == 1


async def test_a_call_with_all_of_them_in_its_store_goes_as_one_with_none(host: Any) -> None:
    store = MemoryStore()
    owner = owner_of(CALLER)
    for place, (kind, value) in enumerate(POISON.values()):
        await store.put(owner, f"{kind}:{place}", value.replace(b'"m"', b'"%d"' % place), ttl_s=600)
    await store.put(owner, "claim:m", b"\xff" * 9, ttl_s=600)
    await Records(store, CALLER).put_undelivered(GOOD)

    async def script(call: EitherHost) -> None:
        await call.heard("Hello again.")
        await call.quiet(2)
        await call.heard("How can I help you today?")
        await call.talks_over("no wait", after_s=0.3)
        await call.quiet()

    call = await host(store=store, caller=CALLER, replies=["Of course."]).run(script)
    said = call.said("assistant")
    assert said[:2] == ["Hello again.", CODE]
    assert said[-1] == "Of course."
    assert [one.message_id for one in call.receipts] == ["good"]
    # One for each of two readers, and none that quotes what it has read.
    assert len(call.complaints) <= 2
    assert all("store: a record failed" in one for one in call.complaints)


def as_text(path: Path) -> None:
    path.write_text("not a database, whatever its name says\n" * 100)


def as_folder(path: Path) -> None:
    path.mkdir()


def of_an_older_table(path: Path) -> None:
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE records (caller TEXT, record TEXT)")
    file.close()


@pytest.mark.parametrize("spoil", [as_text, as_folder, of_an_older_table])
async def test_a_file_that_is_no_store_of_ours_costs_the_call_nothing(
    host: Any, spoil: Any, tmp_path: Path
) -> None:
    spoil(tmp_path / "calls.db")

    async def script(call: EitherHost) -> None:
        await call.heard(CODE, must_hear=True)
        await call.quiet()
        await call.heard()
        await call.talks_over()
        await call.quiet()

    call = await host(store=str(tmp_path / "calls.db"), caller=CALLER, replies=["Of course."]).run(
        script
    )
    assert call.said("assistant")[0] == CODE
    assert call.said("assistant")[-1] == "Of course."
    call.told_the_truth()
    assert [one.stored for one in call.receipts] == [False]
    assert all("store" in one for one in call.complaints)
    assert CODE not in "".join(call.complaints)


async def found_in(store: Store) -> tuple[list[Undelivered], list[str]]:
    """What a call finds of its caller's messages, and what it reports."""
    reports: list[str] = []

    def report(where: str, error: Exception) -> None:
        reports.append(f"{where}: {type(error).__name__}")

    archive = Archive(
        Records(store, CALLER),
        filed=lambda _: None,
        stored=lambda _: None,
        writer=Writer(report),
        report=report,
    )
    return await archive.undelivered(), reports


async def test_rows_of_any_kind_in_sqlite_hide_no_other(tmp_path: Path) -> None:
    from bargein.memory import SqliteStore

    path, owner = tmp_path / "calls.db", owner_of(CALLER)
    store = SqliteStore(path)
    await Records(store, CALLER).put_undelivered(GOOD)
    with sqlite3.connect(path) as file:
        for key, value in {"message:1": 7, "message:2": 1.5, "message:3": "{", 4: b""}.items():
            file.execute(
                "INSERT INTO records (owner, key, value, until) VALUES (?, ?, ?, 9e9)",
                (owner, key, value),
            )
        file.execute(
            "INSERT INTO records (owner, key, value, until)"
            " VALUES (?, CAST(x'6d657373616765ff' AS TEXT), CAST(x'ff' AS TEXT), 9e9)",
            (owner,),
        )
    file.close()
    assert await found_in(store) == ([GOOD], ["store: a record: TypeError"])
    await store.close()


@pytest.mark.parametrize("kept_as", ["a list", "no text", "nothing"])
async def test_keys_of_any_kind_in_redis_hide_no_other(redis_url: str, kept_as: str) -> None:
    client = Redis.from_url(redis_url)
    await client.flushdb()
    store, owner = RedisStore(client), owner_of(CALLER)
    await Records(store, CALLER).put_undelivered(GOOD)
    name = {"a list": b"message:1", "no text": b"message:\xff", "nothing": b"message:2"}[kept_as]
    await client.zadd(f"bargein:{owner}", {name: 0})
    if kept_as == "a list":
        await client.lpush(f"bargein:{owner}:message:1", "{}")
    assert await found_in(store) == ([GOOD], [])
    await store.close()


async def test_an_index_of_another_kind_in_redis_is_a_store_that_is_down(redis_url: str) -> None:
    client = Redis.from_url(redis_url)
    await client.flushdb()
    store = RedisStore(client)
    await client.set(f"bargein:{owner_of(CALLER)}", "mine")
    assert await found_in(store) == ([], ["store: ResponseError"])
    await store.close()


async def test_nobody_speaks_from_another_callers_records() -> None:
    store = MemoryStore()
    await Records(store, "+49 30 1").put_undelivered(GOOD)
    for caller in ("+49 30 2", "+49 30 1:", "message:good", owner_of("+49 30 1"), "*"):
        assert await Records(store, caller).undelivered() == []


async def test_a_caller_whose_number_is_no_text_is_a_caller(host: Any) -> None:
    """It comes from the far end of a line, in JSON, which may hold half a character."""

    async def script(call: EitherHost) -> None:
        await call.heard(CODE, must_hear=True)

    store = MemoryStore()
    call = host(store=store, caller="\ud83d\x00", replies=["Of course."])
    call.hangs_up = True
    await call.run(script)
    assert call.complaints == []
    assert [one.text for one in await Records(store, "\ud83d\x00").undelivered()] == [CODE]


async def test_a_record_too_long_to_be_read_is_not_written() -> None:
    records = Records(MemoryStore(), CALLER)
    with pytest.raises(StoreError, match=f"longer than {LONGEST_BYTES}"):
        await records.put_undelivered(Undelivered(message_id="m", text=LONG, on_cut=OnCut.REPEAT))


async def test_a_name_that_is_no_line_of_a_log_is_left_out() -> None:
    records, name = Records(MemoryStore(), CALLER), "m\nERROR all is lost"
    await records._store.put(
        records.owner,
        f"message:{name}",
        json.dumps({**MESSAGE, "message_id": name}).encode(),
        ttl_s=60,
    )
    assert await records.undelivered() == []

"""What was left unsaid is gone on with once: by one call, on one worker, whatever dies."""

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bargein import Kind
from bargein.core.unfinished import Tool, Unfinished
from bargein.memory import MemoryStore, Records, Shelf, Store, Writer, open_store

NUMBER = "+49 30 901820"
LEFT = Unfinished(
    message_id="m",
    text="Items can be returned within thirty days, as long as you have the receipt.",
    heard="Items can be returned",
    kind=Kind.REDIRECT,
    cut_at_ms=0,
    caller_words="what about shoes",
    topic="the returns policy",
    task="returns",
    progress=0.3,
    context_note="The caller bought boots.",
    tools=(Tool(name="look_up", result='{"order": 7}'),),
)


class Worker:
    """One call on one worker."""

    def __init__(self, store: Store, *, lease_s: float = 60.0, ttl_s: float = 300.0) -> None:
        self.recalled: list[Unfinished] = []
        self.ages_ms: list[int] = []
        self.lost: list[str] = []
        self.reports: list[str] = []
        self.seconds = 0.0
        self.records = Records(store, NUMBER, lease_s=lease_s)
        self.writer = Writer(self.report)
        self.shelf = Shelf(
            self.records,
            ttl_s=ttl_s,
            recalled=self.recall,
            lost=self.lost.append,
            writer=self.writer,
            report=self.report,
            clock=lambda: self.seconds,
        )

    def report(self, where: str, error: Exception) -> None:
        self.reports.append(f"{where}: {type(error).__name__}")

    def recall(self, left: Unfinished, age_ms: int) -> None:
        self.recalled.append(left)
        self.ages_ms.append(age_ms)
        self.shelf.changed([left], 0)

    async def leaves(self, *left: Unfinished) -> None:
        """The call breaks off here."""
        self.shelf.changed(left, 0)
        await self.over()

    async def over(self) -> None:
        await self.shelf.close()
        await self.writer.close()


async def test_a_record_is_swapped_only_for_the_one_that_was_seen(store: Store) -> None:
    assert await store.swap("o", "k", None, b"1", ttl_s=60)
    assert not await store.swap("o", "k", None, b"2", ttl_s=60)
    assert not await store.swap("o", "k", b"2", b"3", ttl_s=60)
    assert await store.swap("o", "k", b"1", b"\x00\xff", ttl_s=60)
    assert await store.get("o") == {"k": b"\x00\xff"}
    assert await store.swap("o", "k", b"\x00\xff", None, ttl_s=60)
    assert await store.get("o") == {}


async def test_of_many_who_want_it_one_gets_it(store: Store) -> None:
    got = await asyncio.gather(
        *(store.swap("o", "k", None, b"%d" % n, ttl_s=60) for n in range(20))
    )
    assert got.count(True) == 1
    assert await store.get("o") == {"k": b"%d" % got.index(True)}


async def test_a_record_that_expired_is_not_there_to_be_swapped(store: Store) -> None:
    await store.put("o", "k", b"1", ttl_s=0.05)
    async with asyncio.timeout(10):
        while not await store.swap("o", "k", None, b"2", ttl_s=60):
            await asyncio.sleep(0.02)


async def test_the_next_call_knows_all_of_it(store: Store) -> None:
    await Worker(store).leaves(LEFT)
    later = Worker(store)
    await later.shelf.open()
    assert later.recalled == [replace(LEFT, recalled=True)]
    assert later.ages_ms[0] >= 0
    await later.over()
    assert later.reports == []


async def test_two_calls_at_once_do_not_both_get_it(store: Store) -> None:
    await Worker(store).leaves(LEFT)
    workers = [Worker(store) for _ in range(5)]
    await asyncio.gather(*(worker.shelf.open() for worker in workers))
    assert sum(len(worker.recalled) for worker in workers) == 1
    for worker in workers:
        await worker.over()
    after = Worker(store)
    await after.shelf.open()
    assert len(after.recalled) == 1  # nobody said it, and nobody keeps it
    await after.over()


async def test_what_was_said_is_not_there_for_the_next_call(store: Store) -> None:
    await Worker(store).leaves(LEFT)
    later = Worker(store)
    await later.shelf.open()
    later.shelf.changed([], 0)
    await later.over()
    last = Worker(store)
    await last.shelf.open()
    assert last.recalled == []
    assert await Records(store, NUMBER).unfinished() == []


async def test_after_its_time_nobody_gets_it(store: Store) -> None:
    await Worker(store, ttl_s=0.05).leaves(LEFT)
    await asyncio.sleep(0.1)
    later = Worker(store, ttl_s=0.05)
    await later.shelf.open()
    assert later.recalled == []


async def test_a_call_that_runs_on_keeps_what_it_has_claimed(store: Store) -> None:
    await Worker(store).leaves(LEFT)
    first, second = Worker(store, lease_s=0.6), Worker(store, lease_s=0.6)
    await first.shelf.open()
    await second.shelf.open()
    await asyncio.sleep(1.5)  # twice the lease, and more
    assert (len(first.recalled), len(second.recalled)) == (1, 0)
    assert first.lost == []
    await first.over()
    async with asyncio.timeout(10):
        while not second.recalled:
            await asyncio.sleep(0.02)
    await second.over()


async def test_a_worker_that_slept_through_its_lease_gives_it_up_before_it_speaks() -> None:
    store = MemoryStore()
    await Worker(store).leaves(LEFT)
    sleeper = Worker(store)
    await sleeper.shelf.open()
    assert sleeper.shelf.lapsed() == []
    sleeper.seconds = 60.0  # the process was stopped, or the store was out of reach
    assert sleeper.shelf.lapsed() == ["m"]
    await sleeper.over()


_DIES = """
import asyncio, os, signal, sys
sys.path[:0] = [sys.argv[2], sys.argv[3]]
from test_claims import Worker
from bargein.memory import open_store

async def main():
    worker = Worker(open_store(sys.argv[1]), lease_s=2.0)
    await worker.shelf.open()
    assert worker.recalled
    print("claimed", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_a_process_that_is_killed_with_a_claim_in_its_hand_loses_nothing(
    address: str,
) -> None:
    store = open_store(address)
    await Worker(store).leaves(LEFT)
    here = Path(__file__).parent
    died = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _DIES, address, str(here), str(here.parent / "plugins")],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert died.stdout.strip() == "claimed", died.stderr
    later = Worker(store, lease_s=0.3)
    await later.shelf.open()
    assert later.recalled == []  # it may be speaking it, for all we know
    async with asyncio.timeout(20):
        while not later.recalled:
            await asyncio.sleep(0.05)
    assert later.recalled[0].text == LEFT.text
    await later.over()
    await store.close()


class Slow(MemoryStore):
    """Does what it is told, and answers too late once."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = True

    async def swap(self, *args: object, **options: object) -> bool:
        done = await super().swap(*args, **options)  # type: ignore[arg-type]
        if self.slow:
            self.slow = False
            await asyncio.sleep(1)
        return done


async def test_a_claim_whose_answer_came_too_late_is_ours_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bargein.memory.writer.PATIENCE_S", 0.3)
    monkeypatch.setattr("bargein.memory.writer.RETRY_S", (0.01,))
    store = Slow()
    worker = Worker(store)
    worker.shelf.changed([LEFT], 0)
    async with asyncio.timeout(10):
        while not await worker.records.unfinished():
            await asyncio.sleep(0.02)
    await worker.over()


class Once(MemoryStore):
    """Is not there at first."""

    def __init__(self) -> None:
        super().__init__()
        self.up = True

    async def get(self, owner: str) -> dict[str, bytes]:
        if not self.up:
            self.up = True
            raise OSError("refused")
        return await super().get(owner)


async def test_a_store_that_was_not_there_when_the_call_began_is_asked_again() -> None:
    store = Once()
    await Worker(store).leaves(LEFT)
    store.up = False
    worker = Worker(store, lease_s=0.3)
    await worker.shelf.open()
    assert worker.recalled == []
    async with asyncio.timeout(10):
        while not worker.recalled:
            await asyncio.sleep(0.02)
    await worker.over()


@pytest.mark.parametrize("turns", range(6))
async def test_a_call_ends_however_the_store_answers(turns: int) -> None:
    """The end falls on the very moment of an answer: before Python 3.12 that could go unheard."""
    store = MemoryStore()
    await Worker(store).leaves(LEFT)
    worker = Worker(store, lease_s=0.03)
    await worker.shelf.open()
    await asyncio.sleep(0.01)
    for _ in range(turns):
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await worker.over()


class Down(MemoryStore):
    """Refuses everything."""

    async def get(self, *_: object) -> dict[str, bytes]:
        raise OSError("refused")

    async def swap(self, *_: object, **__: object) -> bool:
        raise OSError("refused")


async def test_a_store_that_is_down_costs_a_call_nothing_but_its_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bargein.memory.writer.PATIENCE_S", 0.05)
    worker = Worker(Down())
    await worker.shelf.open()
    await worker.leaves(LEFT)
    assert worker.lost == []
    assert set(worker.reports) == {
        "store: OSError",
        "store: not everything was stored: TimeoutError",
    }


async def test_a_record_of_another_making_hides_no_other(store: Store) -> None:
    await Worker(store).leaves(LEFT, replace(LEFT, message_id="n"))
    records = Records(store, NUMBER)
    await store.put(records.owner, "unfinished:x", b"not json", ttl_s=60)
    await store.put(records.owner, "unfinished:y", b'{"v": 1, "text": "a", "heard": "b"}', ttl_s=60)
    worker = Worker(store)
    await worker.shelf.open()
    assert {left.message_id for left in worker.recalled} == {"m", "n"}
    assert len(worker.reports) == 1
    await worker.over()

"""Does a loop that never waits for a clock wait for all else?"""

import asyncio
import time

import pytest

from bargein.testing import virtual_time


async def test_an_hour_is_soon_over_on_every_clock() -> None:
    began = time.monotonic(), time.time(), time.perf_counter(), time.monotonic_ns() / 1e9
    await asyncio.sleep(3600)
    ended = time.monotonic(), time.time(), time.perf_counter(), time.monotonic_ns() / 1e9
    assert [round(b - a) for a, b in zip(began, ended, strict=True)] == [3600] * 4


async def test_what_a_thread_computes_takes_no_time() -> None:
    def count() -> int:
        found = 0
        for number in range(3_000_000):  # not sum(), which lets nobody else run
            found += number % 2
        return found

    computing = asyncio.create_task(asyncio.to_thread(count))
    await asyncio.sleep(0.001)
    assert computing.done()


async def test_a_thread_that_waits_for_the_loop_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(virtual_time, "_PATIENCE_S", 0.05)
    loop = asyncio.get_running_loop()

    def wait_for_it() -> str:
        return asyncio.run_coroutine_threadsafe(asyncio.sleep(0.2, "over"), loop).result()

    assert await asyncio.to_thread(wait_for_it) == "over"

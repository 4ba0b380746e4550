"""After a thousand calls, and with fifty at once: is anything left, and did anybody complain?"""

import asyncio
import gc
import logging
import os
import tracemalloc
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from either_host import CODE, HOSTS, SAYS, EitherHost
from nightly import many

CALLS = many(16, 1_000)
LEFT_KIB = 20
"""What a call may leave, by day: LiveKit makes classes anew in every session, and Python keeps them
for a while."""
AT_ONCE = 50
KIB = 1024


async def one_call(host: Any, number: int, store: Path) -> EitherHost:
    """A backchannel, an interruption, a code, "go on"; every third caller hangs up in the code."""

    async def script(call: EitherHost) -> None:
        await call.heard()
        await call.talks_over("mm-hm", after_s=0.3)
        await asyncio.sleep(0.5)
        await call.talks_over("is there a lift", after_s=0.2)
        await call.quiet()
        await call.heard(CODE, must_hear=True)
        if number % 3 == 0:
            return
        await call.quiet()
        await call.voice(True)
        await call.hears("please go on")
        await call.voice(False)
        await call.quiet()

    call: EitherHost = host(
        store=str(store), caller=f"caller {number}", replies=["Yes, beside the entrance."]
    )
    call.hangs_up = number % 3 == 0
    await call.run(script, within_s=120)
    assert call.complaints == []
    call.told_the_truth()
    if not call.hangs_up:
        call.kept_every_word()
        assert call.said("assistant")[-1].endswith(SAYS[-20:])
    return call


class Left:
    """What there is of everything, when nobody is on the line."""

    def __init__(self) -> None:
        gc.collect()
        loop: Any = asyncio.get_running_loop()
        self.tasks = len(asyncio.all_tasks())
        self.timers = sum(not one.cancelled() for one in loop._scheduled)
        self.handles = len(os.listdir("/proc/self/fd"))
        self.kib = tracemalloc.get_traced_memory()[0] / KIB


async def rest() -> Left:
    await asyncio.sleep(3)
    return Left()


@pytest.mark.parametrize("name", sorted(HOSTS))
async def test_nothing_adds_up_over_many_calls(name: str, tmp_path: Path, caplog: Any) -> None:
    pytest.importorskip({"pipecat": "pipecat", "livekit": "livekit.agents"}[name])
    caplog.set_level(logging.WARNING, "bargein")
    store = tmp_path / "calls.db"
    tracemalloc.start()
    try:
        rests = []
        for batch in range(4):
            for number in range(CALLS // 4):
                await one_call(HOSTS[name], batch * CALLS + number, store)
            rests.append(await rest())
    finally:
        tracemalloc.stop()
    before, after = rests[0], rests[-1]
    assert after.tasks <= before.tasks
    assert after.timers <= before.timers
    assert after.handles <= before.handles
    # What is made once, such as a host's caches, is in one batch; what adds up is in all.
    left_kib = min(there.kib - here.kib for here, there in pairwise(rests))
    print(f"{name}: {left_kib / (CALLS // 4):.1f} KiB left of a call, {after.handles} handles")
    assert left_kib < LEFT_KIB * (CALLS // 4)
    assert [one for one in caplog.records if one.name.startswith("bargein")] == []


@pytest.mark.parametrize("name", sorted(HOSTS))
async def test_many_calls_at_once_know_nothing_of_each_other(name: str, tmp_path: Path) -> None:
    pytest.importorskip({"pipecat": "pipecat", "livekit": "livekit.agents"}[name])
    store = tmp_path / "calls.db"
    await one_call(HOSTS[name], 1, store)
    before = await rest()
    calls = [one_call(HOSTS[name], number, store) for number in range(AT_ONCE)]
    held = await asyncio.gather(*calls)
    after = await rest()
    assert (after.tasks, after.handles) <= (before.tasks, before.handles)
    told = {tuple(call.said("user")) for call in held if not call.hangs_up}
    assert len(told) == 1

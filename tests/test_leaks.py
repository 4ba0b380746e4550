"""After five hundred calls nothing is left of any: no task, no timer, no file, no call."""

import asyncio
import gc
import os
import weakref
from pathlib import Path
from typing import Any

from bargein.pipecat import Bargein
from rig import Rig

CALLS = 500
AT_ONCE = 20


async def one_call(store: Path, number: int, alive: "weakref.WeakSet[Any]") -> None:
    """The agent is cut, a handler and the store have something to do, and the call is over."""
    manners = Bargein(store=str(store), caller=f"caller {number}")

    @manners.on("yield")
    async def yielded(_: object) -> None:
        await asyncio.sleep(0)

    rig = Rig(manners)
    alive.add(manners)
    alive.add(manners._call)

    async def script(rig: Rig) -> None:
        await manners.say("Your code is 4 2.", must_hear=number % 10 == 0)
        await rig.agent()
        await rig.voice(True)
        await rig.hears("no wait")
        if number % 3:
            await rig.voice(False)

    await rig.run(script, logged=False)


def timers(loop: Any) -> int:
    return sum(not handle.cancelled() for handle in loop._scheduled)


def files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_nothing_is_left_of_a_call(tmp_path: Path) -> None:
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    places = asyncio.Semaphore(AT_ONCE)

    async def placed(number: int) -> None:
        async with places:
            await one_call(tmp_path / "calls.db", number, alive)

    async def left() -> tuple[int, int, int, int]:
        await asyncio.sleep(10)  # our own last timers, and whatever the host puts away
        gc.collect()
        loop = asyncio.get_running_loop()
        return len(asyncio.all_tasks()), timers(loop), files(), len(alive)

    await asyncio.gather(*(placed(number) for number in range(AT_ONCE)))
    tasks, waiting, opened, _ = await left()
    await asyncio.gather(*(placed(number) for number in range(CALLS)))
    assert await left() == (tasks, waiting, opened, 0)

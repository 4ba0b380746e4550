"""How much memory does a call of ours keep while nothing is said?"""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import tracemalloc
from contextlib import AsyncExitStack
from typing import Literal

from .row import Row, middle, quartiles

BEYOND_KIB = 256
CALLS, QUICK_CALLS = 20, 6


def held_kib() -> float:
    """What this process has allocated and not given back.

    Not its resident memory: that depends on which pages the interpreter happens to have left over,
    by more than a call of ours is large.
    """
    gc.collect()
    return tracemalloc.get_traced_memory()[0] / 1024


async def per_call_kib(who: Literal["ours", "stock"], calls: int = CALLS) -> float:
    """Memory of each of ``calls`` calls that have heard a little silence and wait."""
    from pipecat.frames.frames import InputAudioRawFrame

    from .host import IN_RATE, on_call, parts

    async with AsyncExitStack() as stack:

        async def call() -> None:
            running = await stack.enter_async_context(on_call(parts(who)))
            for _ in range(10):
                frame = InputAudioRawFrame(bytes(IN_RATE // 50 * 2), IN_RATE, 1)
                await running.worker.queue_frame(frame)

        for _ in range(3):  # the first ones load what all of them share
            await call()
        await asyncio.sleep(0.3)
        tracemalloc.start()  # not before: it makes importing the host three times as slow
        before_kib = held_kib()
        for _ in range(calls):
            await call()
        await asyncio.sleep(0.5)
        return (held_kib() - before_kib) / calls


def in_a_process_of_its_own(who: Literal["ours", "stock"], calls: int) -> float:
    """The same, where nothing else has left memory to reuse."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-m", __name__, who, str(calls)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return float(done.stdout.split()[-1])


def rows(*, quick: bool) -> list[Row]:
    """What a call of ours needs beyond the host's own."""
    times, calls = (1, QUICK_CALLS) if quick else (2, CALLS)
    ours_kib: list[float] = []
    stock_kib: list[float] = []
    for _ in range(times):
        ours_kib.append(in_a_process_of_its_own("ours", calls))
        stock_kib.append(in_a_process_of_its_own("stock", calls))
    how = f"allocated memory, {calls} idle calls in a process of their own, no detector"
    beyond = [ours - stock for ours, stock in zip(ours_kib, stock_kib, strict=True)]
    return [
        Row(
            name="memory of an idle call, beyond the host's own",
            unit="KiB",
            ours=middle(beyond),
            budget=BEYOND_KIB,
            spread=quartiles(beyond),
            n=times,
            how=how,
        ),
        Row(
            name="memory of an idle call",
            unit="KiB",
            ours=middle(ours_kib),
            stock=middle(stock_kib),
            stock_is="the same host without us",
            spread=quartiles(ours_kib),
            n=times,
            how=how,
        ),
    ]


if __name__ == "__main__":
    from loguru import logger

    logger.remove()
    print(asyncio.run(per_call_kib("ours" if sys.argv[1] == "ours" else "stock", int(sys.argv[2]))))

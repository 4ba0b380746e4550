"""How much memory does a call of ours keep while nothing is said? On either host."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Literal

from .apart import apart
from .row import Row, beside, middle, quartiles

BEYOND_KIB = 256
CALLS, QUICK_CALLS = 20, 6


def held_kib() -> float:
    """What this process has allocated and not given back.

    Not its resident memory: that depends on which pages the interpreter happens to have left over,
    by more than a call of ours is large.
    """
    gc.collect()
    return tracemalloc.get_traced_memory()[0] / 1024


async def each_kib(call: Callable[[], Awaitable[None]], calls: int) -> float:
    """Memory of each of so many calls that wait; ``call`` begins one."""
    for _ in range(3):  # the first ones load what all of them share
        await call()
    await asyncio.sleep(0.3)
    tracemalloc.start()  # not before: it makes importing the host three times as slow
    before_kib = held_kib()
    for _ in range(calls):
        await call()
    await asyncio.sleep(0.5)
    return (held_kib() - before_kib) / calls


async def on_pipecat(who: Literal["ours", "stock"], calls: int) -> float:
    """Calls that have heard a little silence, and wait."""
    from pipecat.frames.frames import InputAudioRawFrame

    from .host import IN_RATE, on_call, parts

    async with AsyncExitStack() as stack:

        async def call() -> None:
            running = await stack.enter_async_context(on_call(parts(who)))
            for _ in range(10):
                frame = InputAudioRawFrame(bytes(IN_RATE // 50 * 2), IN_RATE, 1)
                await running.worker.queue_frame(frame)

        return await each_kib(call, calls)


async def on_livekit(who: Literal["ours", "stock"], calls: int) -> float:
    """Sessions that hear silence, and wait."""
    from bargein.livekit import Bargein

    from .livekit.host import on_call

    async with AsyncExitStack() as stack:

        async def call() -> None:
            running = await stack.enter_async_context(on_call(who, manners=Bargein))
            await asyncio.sleep(0.2)
            running.recording.chunks.clear()

        return await each_kib(call, calls)


def rows(host: str, *, quick: bool) -> list[Row]:
    """What a call of ours needs beyond the host's own."""
    times, calls = (1, QUICK_CALLS) if quick else (2, CALLS)
    ours_kib: list[float] = []
    stock_kib: list[float] = []
    for _ in range(times):
        ours_kib.append(apart(".memory", f"on_{host}", "ours", calls))
        stock_kib.append(apart(".memory", f"on_{host}", "stock", calls))
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
        beside(
            "memory of an idle call",
            ours_kib,
            stock_kib,
            unit="KiB",
            stock_is="the same host without us",
            how=how,
        ),
    ]

"""How long is the agent still heard after a hold is decided?"""

from __future__ import annotations

import asyncio
import time
from random import Random

import numpy as np
from pipecat.frames.frames import InterruptionFrame

from bargein.core.decisions import PausePlayout, Reason, ResumePlayout, StopAt
from bargein.testing.pipecat_parts import PacedOutput

from .host import OnCall, on_call, parts
from .row import Row, middle, quartiles

MEDIAN_MS, WORST_MS = 40, 80
AT_ONCE = 5
"""So many calls are held side by side."""
HELD_S = 0.16
THRESHOLD = 60
"""Louder than this is heard: half a thousandth of full scale, under the tail of a fade."""


def last_audible_s(output: PacedOutput) -> float:
    """When the last audible sample written so far sounds, on ``time.monotonic``."""
    for chunk in reversed(output.written):
        loud = np.flatnonzero(np.abs(np.frombuffer(chunk.pcm, "<i2").astype(int)) > THRESHOLD)
        if len(loud):
            return chunk.plays_at_s + float(loud[-1] + 1) / output.rate
    return 0.0


async def held(times: int, seed: int) -> list[float]:
    """Hold a long playout many times; milliseconds from each decision to silence."""
    dice, took_ms = Random(seed), list[float]()
    async with on_call(parts("ours", word_times=False)) as call:
        await call.say(" ".join(["word"] * (8 + 2 * times)))
        await call.first_heard()
        manners, output = call.parts.manners, call.parts.output
        assert manners is not None
        for _ in range(times):
            # Any phase of the transport's chunks must be hit.
            await asyncio.sleep(dice.uniform(0.2, 0.35))
            decided_s = time.monotonic()
            call.decide(
                PausePlayout(
                    at_ms=manners.now_ms, reason=Reason.STILL_UNDECIDED, stop_at=StopAt.NOW
                )
            )
            await asyncio.sleep(HELD_S)
            took_ms.append((last_audible_s(output) - decided_s) * 1_000)
            call.decide(ResumePlayout(at_ms=manners.now_ms, reason=Reason.BACKCHANNEL))
    return took_ms


async def interrupted(times: int, seed: int) -> list[float]:
    """What the host without us can do instead: interrupt, which loses the rest."""
    dice, took_ms = Random(seed), list[float]()
    async with on_call(parts("stock", word_times=False)) as call:
        for _ in range(times):
            took_ms.append(await _interrupted(call, dice.uniform(0.2, 0.35)))
    return took_ms


async def _interrupted(call: OnCall, after_s: float) -> float:
    began_s = time.monotonic()
    await call.say(" ".join(["word"] * 8))
    await call.first_heard(after_s=began_s)
    await asyncio.sleep(after_s)
    decided_s = time.monotonic()
    await call.worker.queue_frame(InterruptionFrame())
    await asyncio.sleep(HELD_S)
    return (last_audible_s(call.parts.output) - decided_s) * 1_000


async def rows(*, quick: bool) -> list[Row]:
    """The median and the worst."""
    times = 15 if quick else 100
    each = times // AT_ONCE
    held_ms = sum(await asyncio.gather(*(held(each, seed) for seed in range(AT_ONCE))), [])
    each = max(1, each // 2)
    stock_ms = sum(await asyncio.gather(*(interrupted(each, seed) for seed in range(AT_ONCE))), [])
    stock_is = "an interruption, which loses the rest"
    return [
        Row(
            name="hold decided -> last audible sample, median",
            unit="ms",
            ours=middle(held_ms),
            stock=middle(stock_ms),
            stock_is=stock_is,
            budget=MEDIAN_MS,
            spread=quartiles(held_ms),
            n=len(held_ms),
            how="PausePlayout(NOW) to the gate over a long playout; by the transport's writes",
        ),
        Row(
            name="hold decided -> last audible sample, worst",
            unit="ms",
            ours=max(held_ms),
            stock=max(stock_ms),
            stock_is=stock_is,
            budget=WORST_MS,
            n=len(held_ms),
            how="the same holds",
        ),
    ]

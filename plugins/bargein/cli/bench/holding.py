"""How long is the agent still heard after a hold is decided?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import chain
from random import Random

import numpy as np
from pipecat.frames.frames import InterruptionFrame

from bargein.core.decisions import DuckPlayout, PausePlayout, Reason, ResumePlayout, StopAt
from bargein.testing.pipecat_parts import PacedOutput

from .host import OnCall, on_call, parts
from .row import Row, middle, quartiles
from .script import AUDIBLE

MEDIAN_MS, WORST_MS = 40, 80
AT_ONCE = 5
"""So many calls are held side by side."""
HELD_S = 0.16
DUCKED_S = 0.15
"""How long after the onset the pause comes: the voice is ducked at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """When the last audible sample went, counted from the decision."""

    written_ms: float
    """By the transport's writes: the start of the write, and the sample's place in the chunk."""
    heard_ms: float
    """By the ear of a listener without a jitter buffer: a chunk waits for the one before."""


def silence(output: PacedOutput, decided_s: float) -> Silence:
    """The last audible sample written so far."""
    for chunk in reversed(output.written):
        loud = np.flatnonzero(np.abs(np.frombuffer(chunk.pcm, "<i2").astype(int)) > AUDIBLE)
        if len(loud):
            behind_s = float(loud[-1] + 1) / output.rate - decided_s
            return Silence(
                written_ms=(chunk.at_s + behind_s) * 1_000,
                heard_ms=(chunk.plays_at_s + behind_s) * 1_000,
            )
    raise RuntimeError("nothing was audible")


async def held(times: int, seed: int) -> list[Silence]:
    """Hold a long playout many times; milliseconds from each decision to silence."""
    dice, took = Random(seed), list[Silence]()
    async with on_call(parts("ours", word_times=False)) as call:
        await call.say(" ".join(["word"] * (8 + 2 * times)))
        await call.first_heard()
        manners, output = call.parts.manners, call.parts.output
        assert manners is not None
        for _ in range(times):
            # Any phase of the transport's chunks must be hit.
            await asyncio.sleep(dice.uniform(0.2, 0.35))
            call.decide(DuckPlayout(at_ms=manners.now_ms, reason=Reason.OVERLAP_BEGAN))
            await asyncio.sleep(DUCKED_S)
            decided_s = time.monotonic()
            call.decide(
                PausePlayout(
                    at_ms=manners.now_ms, reason=Reason.STILL_UNDECIDED, stop_at=StopAt.NOW
                )
            )
            await asyncio.sleep(HELD_S)
            took.append(silence(output, decided_s))
            call.decide(ResumePlayout(at_ms=manners.now_ms, reason=Reason.BACKCHANNEL))
    return took


async def interrupted(times: int, seed: int) -> list[Silence]:
    """What the host without us can do instead: interrupt, which loses the rest."""
    dice, took = Random(seed), list[Silence]()
    async with on_call(parts("stock", word_times=False)) as call:
        for _ in range(times):
            took.append(await _interrupted(call, dice.uniform(0.2, 0.35)))
    return took


async def _interrupted(call: OnCall, after_s: float) -> Silence:
    began_s = time.monotonic()
    await call.say(" ".join(["word"] * 8))
    await call.first_heard(after_s=began_s)
    await asyncio.sleep(after_s)
    decided_s = time.monotonic()
    await call.worker.queue_frame(InterruptionFrame())
    await asyncio.sleep(HELD_S)
    return silence(call.parts.output, decided_s)


async def rows(*, quick: bool) -> list[Row]:
    """The median and the worst."""
    each = (15 if quick else 100) // AT_ONCE
    ours = await _together(held, each)
    stock = await _together(interrupted, max(1, each // 2))
    stock_is = "an interruption, which loses the rest"
    written_ms = [one.written_ms for one in ours]
    heard_ms = [one.heard_ms for one in ours]
    return [
        Row(
            name="hold decided -> last audible sample, median",
            unit="ms",
            ours=middle(written_ms),
            stock=middle([one.written_ms for one in stock]),
            stock_is=stock_is,
            budget=MEDIAN_MS,
            spread=quartiles(written_ms),
            n=len(ours),
            how="PausePlayout(NOW) over a long playout that is ducked; by the transport's writes",
        ),
        Row(
            name="hold decided -> last audible sample, worst",
            unit="ms",
            ours=max(written_ms),
            stock=max(one.written_ms for one in stock),
            stock_is=stock_is,
            budget=WORST_MS,
            n=len(ours),
            how="the same holds",
        ),
        Row(
            name="hold decided -> silence at the far end",
            unit="ms",
            ours=middle(heard_ms),
            stock=middle([one.heard_ms for one in stock]),
            stock_is=stock_is,
            spread=quartiles(heard_ms),
            n=len(ours),
            how="the same holds; this transport writes one chunk ahead of the ear",
        ),
    ]


async def _together(
    measure: Callable[[int, int], Awaitable[list[Silence]]], each: int
) -> list[Silence]:
    calls = await asyncio.gather(*(measure(each, seed) for seed in range(AT_ONCE)))
    return list(chain.from_iterable(calls))

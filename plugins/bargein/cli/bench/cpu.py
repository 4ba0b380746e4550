"""What do our processors cost while a call goes on?"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

import numpy as np
from pipecat.frames.frames import InputAudioRawFrame

from bargein.testing.tones import WORD_S

from .host import IN_RATE, Parts, on_call, parts, until
from .row import Row, middle, quartiles

RATIO = 1.25
FRAME_S = 0.02
OURS = 5
"""How many processors `Bargein.wrap` inserts."""
CALLS = 4
"""So many calls at once, so that their work stands out from the process's own."""


async def per_frame_us(make: Callable[[], Parts], lasts_s: float) -> float:
    """Microseconds of processor time for every 20 ms of a call in which the agent speaks."""
    pcm = np.random.default_rng(0).normal(0, 200, round(IN_RATE * FRAME_S)).astype(np.int16)
    audio = pcm.tobytes()
    text = " ".join(["word"] * round((lasts_s + 1) / WORD_S))
    async with AsyncExitStack() as stack:
        calls = [await stack.enter_async_context(on_call(make())) for _ in range(CALLS)]
        for call in calls:
            await call.say(text)
        for call in calls:
            await call.first_heard()
        frames = round(lasts_s / FRAME_S)
        gc.collect()
        began_s, spent_s = time.monotonic(), time.process_time()
        for place in range(frames):
            await until(began_s + place * FRAME_S)
            for call in calls:
                await call.worker.queue_frame(InputAudioRawFrame(audio, IN_RATE, 1))
        await asyncio.sleep(FRAME_S)
        return (time.process_time() - spent_s) * 1e6 / (frames * CALLS)


async def row(
    name: str,
    stock_is: str,
    how: str,
    *,
    ours: Callable[[], Parts],
    stock: Callable[[], Parts],
    pairs: int,
    lasts_s: float,
    ratio_budget: float | None,
) -> Row:
    """Pairs of ours and theirs, in turn first; the row's ratio is that of the medians."""
    ours_us: list[float] = []
    stock_us: list[float] = []
    for pair in range(pairs):
        legs = [(ours, ours_us), (stock, stock_us)]
        for make, took_us in legs if pair % 2 == 0 else legs[::-1]:
            took_us.append(await per_frame_us(make, lasts_s))
    return Row(
        name=name,
        unit="us",
        ours=middle(ours_us),
        stock=middle(stock_us),
        stock_is=stock_is,
        ratio_budget=ratio_budget,
        spread=quartiles(ours_us),
        n=pairs,
        how=how,
    )


async def rows(*, quick: bool) -> list[Row]:
    """Our processors beside no-ops, and the whole pipelines with their own detectors."""
    pairs, lasts_s = (2, 1.5) if quick else (6, 4.0)
    return [
        await row(
            "CPU per 20 ms of a call, our processors",
            f"{OURS} no-op processors",
            "the caller's audio at 50 frames a second while the agent speaks, no detector",
            ours=lambda: parts("ours", early_onset=False),
            stock=lambda: parts("stock", passing=OURS),
            pairs=pairs,
            lasts_s=lasts_s,
            ratio_budget=RATIO,
        ),
        await row(
            "CPU per 20 ms of a call, whole pipeline",
            "SileroVADAnalyzer, none of ours",
            "the same with manners.vad(), whose one inference serves the host and us",
            ours=lambda: parts("ours", vad=True),
            stock=lambda: parts("stock", vad=True),
            pairs=max(2, pairs - 2),
            lasts_s=lasts_s,
            ratio_budget=None,
        ),
    ]

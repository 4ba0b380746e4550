"""What do our processors cost while a call goes on?"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import numpy as np
from pipecat.frames.frames import InputAudioRawFrame

from bargein.testing.tones import WORD_S

from .host import IN_RATE, Parts, on_call, parts
from .pairs import interleaved
from .row import Row, beside
from .script import until

RATIO = 1.25
FRAME_S = 0.02
OURS = 5
"""How many processors `Bargein.wrap` inserts."""
BESIDE = (0, 1, 4, OURS, 8)
"""Beside so many processors that only pass on."""
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


async def rows(quick: bool) -> list[Row]:
    """Our processors beside no-ops, and the whole pipelines with their own detectors."""
    rounds, lasts_s = (2, 1.0) if quick else (3, 2.5)

    def side(make: Callable[[], Parts]) -> Callable[[], Awaitable[float]]:
        return lambda: per_frame_us(make, lasts_s)

    took = await interleaved(
        {
            "ours": side(lambda: parts("ours", early_onset=False)),
            **{
                f"{count} no-ops": side(lambda count=count: parts("stock", passing=count))  # type: ignore[misc]
                for count in BESIDE
            },
            "ours, Silero": side(lambda: parts("ours", vad=True)),
            "stock, Silero": side(lambda: parts("stock", vad=True)),
        },
        rounds,
    )
    return [
        *(
            beside(
                "CPU per 20 ms of a call, ours added"
                if count == OURS
                else "CPU per 20 ms of a call, ours beside fewer or more",
                took["ours"],
                took[f"{count} no-ops"],
                unit="us",
                stock_is=f"{count} no-op processor{'' if count == 1 else 's'}",
                ratio_budget=RATIO if count == OURS else None,
                how="the caller's audio at 50 frames a second while the agent speaks, no detector",
            )
            for count in sorted(BESIDE, key=lambda count: count != OURS)
        ),
        beside(
            "CPU per 20 ms of a call, all of it",
            took["ours, Silero"],
            took["stock, Silero"],
            unit="us",
            stock_is="SileroVADAnalyzer, none of ours",
            how="the same with manners.vad(), whose one inference serves the host and us",
        ),
    ]

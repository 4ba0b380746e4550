"""Is real time kept in so many Pipecat calls on this core?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import cache

import numpy as np
from pipecat.frames.frames import InputAudioRawFrame

from bargein.testing.tones import PCM, WORD_S, noise

from .capacity import LASTS_S, TICK_S, Trial, watched
from .host import IN_RATE, OnCall, Who, on_call, parts

SETTLES_S = 1.5
"""A text-to-speech that is ten times faster than the ear has finished."""


@cache
def voice(text: str, rate: int) -> tuple[PCM, list[tuple[str, float]]]:
    """Every sample of it is loud, so that silence is a gap."""
    return noise(text, rate)


async def trial(who: Who, count: int) -> Trial:
    """Hold them."""
    text = " ".join(["word"] * round((LASTS_S + SETTLES_S + 0.25 * count + 3) / WORD_S))
    size = round(IN_RATE * TICK_S)
    pcm = np.random.default_rng(0).normal(0, 200, size).astype(np.int16).tobytes()

    def hears(call: OnCall) -> Callable[[], Awaitable[None]]:
        return lambda: call.worker.queue_frame(InputAudioRawFrame(pcm, IN_RATE, 1))

    async with AsyncExitStack() as stack:
        calls = []
        for _ in range(count):
            call = await stack.enter_async_context(on_call(parts(who, speaks=voice, vad=True)))
            calls.append(call)
        for call in calls:
            await call.say(text)
            await asyncio.sleep(0.05)  # nobody's callers all call in the same millisecond
        for call in calls:
            await call.first_heard(within_s=20)
        await asyncio.sleep(SETTLES_S)
        return await watched(
            [call.parts.output.recording for call in calls],
            calls[0].parts.output.rate,
            [hears(call) for call in calls],
        )

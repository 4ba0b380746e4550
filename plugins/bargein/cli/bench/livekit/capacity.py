"""Is real time kept in so many LiveKit sessions on this core?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import cache, partial

import numpy as np
from livekit.plugins import silero

from bargein.livekit import Bargein
from bargein.testing.livekit_parts import EAR_RATE, VOICE_RATE
from bargein.testing.tones import PCM, WORD_S, noise

from ..capacity import LASTS_S, Trial, watched
from .host import Who, between, on_call

SETTLES_S = 1.5


@cache
def voice(text: str, rate: int) -> tuple[PCM, list[tuple[str, float]]]:
    """Every sample of it is loud, so that silence is a gap."""
    return noise(text, rate)


async def trial(who: Who, count: int) -> Trial:
    """Hold them."""
    lasts_s = LASTS_S + SETTLES_S + 0.25 * count + 3
    text = " ".join(["word"] * round(lasts_s / WORD_S))
    caller = np.random.default_rng(0).normal(0, 200, round(EAR_RATE * lasts_s)).astype(np.int16)
    model = silero.VAD.load()
    async with AsyncExitStack() as stack:
        calls = []
        for _ in range(count):
            call = await stack.enter_async_context(
                on_call(who, manners=Bargein, speaks=voice, vad=model)
            )
            calls.append(call)
        for call in calls:
            call.session.say(text)
            call.studio.microphone.play(caller)
            await asyncio.sleep(0.05)
        for call in calls:
            await call.first_heard(within_s=20)
        await asyncio.sleep(SETTLES_S)
        heard: list[Callable[[float, float], PCM]] = [
            partial(between, call.recording) for call in calls
        ]
        made = await watched(heard, VOICE_RATE)
        for call in calls:
            call.session.interrupt(force=True)
        return made

"""What do our wrappers cost while a LiveKit call goes on?"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import numpy as np

from bargein.livekit import Bargein
from bargein.testing.livekit_parts import EAR_RATE
from bargein.testing.tones import WORD_S

from ..pairs import interleaved
from ..row import Row, beside
from .host import Who, on_call
from .passing import PassOutput, PassSTT, PassVAD

RATIO = 1.25
FRAME_S = 0.02
CALLS = 4
"""So many calls at once, so that their work stands out from the process's own."""


def passed(options: dict[str, Any]) -> dict[str, Any]:
    """A stock session's parts, each behind a wrapper that does nothing."""
    return {**options, "stt": PassSTT(options["stt"]), "vad": PassVAD(options["vad"])}


async def per_frame_us(
    who: Who, lasts_s: float, *, silero: bool = False, passing: bool = False
) -> float:
    """Microseconds of processor time for every 20 ms of a call in which the agent speaks."""
    dice = np.random.default_rng(0)
    caller = dice.normal(0, 200, round(EAR_RATE * (lasts_s + 2))).astype(np.int16)
    text = " ".join(["word"] * round((lasts_s + 1) / WORD_S))
    async with AsyncExitStack() as stack:
        calls = []
        for _ in range(CALLS):
            options: dict[str, Any] = {}
            if silero:
                options["vad"] = _silero()
            call = await stack.enter_async_context(
                on_call(who, manners=Bargein, wrap=passed if passing else None, **options)
            )
            calls.append(call)
            if passing:
                PassOutput.place(call.session)
        speeches = []
        for call in calls:
            speeches.append(call.session.say(text))
            call.studio.microphone.play(caller)
        for call in calls:
            await call.first_heard()
        await asyncio.sleep(0.2)
        gc.collect()
        began_s, spent_s = time.monotonic(), time.process_time()
        await asyncio.sleep(lasts_s)
        spent_s = time.process_time() - spent_s
        frames = (time.monotonic() - began_s) / FRAME_S
        for speech in speeches:
            await asyncio.wait_for(speech, lasts_s + 10)  # so that nothing is left to be cut
        return spent_s * 1e6 / (frames * CALLS)


def _silero() -> Any:
    from livekit.plugins import silero

    return silero.VAD.load()


async def rows(quick: bool) -> list[Row]:
    """Our wrappers beside those that do nothing, beside none, and whole sessions with Silero."""
    rounds, lasts_s = (2, 1.0) if quick else (3, 2.5)

    def side(who: Who, **options: bool) -> Callable[[], Awaitable[float]]:
        return lambda: per_frame_us(who, lasts_s, **options)

    took = await interleaved(
        {
            "ours": side("ours"),
            "passing": side("stock", passing=True),
            "stock": side("stock"),
            "ours, Silero": side("ours", silero=True),
            "stock, Silero": side("stock", silero=True),
        },
        rounds,
    )
    how = "the caller's audio at 50 frames a second while the agent speaks, scripted detection"
    return [
        beside(
            "CPU per 20 ms of a call, ours added",
            took["ours"],
            took["passing"],
            unit="us",
            stock_is="wrappers that pass on",
            ratio_budget=RATIO,
            how=how,
        ),
        beside(
            "CPU per 20 ms of a call, ours added",
            took["ours"],
            took["stock"],
            unit="us",
            stock_is="no wrappers",
            how=how,
        ),
        beside(
            "CPU per 20 ms of a call, all of it",
            took["ours, Silero"],
            took["stock, Silero"],
            unit="us",
            stock_is="LiveKit's default, none of ours",
            how="the same with LiveKit's Silero, whose one inference serves the session and us",
        ),
    ]

"""What does a Pipecat call of any length cost? In virtual time, in a process of its own."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from itertools import count

# isort: off
from bargein.testing import virtual_time  # before the host

# isort: on
from pipecat.frames.frames import InputAudioRawFrame, LLMRunFrame

from .host import IN_RATE, OnCall, Who, on_call, parts
from .lasting import SETTLED
from .memory import held_kib
from .overlaps import say_over
from .script import LONG_TALK, until

FRAME_S = 0.02
BESIDE: dict[str, Who] = {"ours": "ours", "stock": "min_words_3"}
"""Beside a host that goes on through "uh-huh", too: both say the same."""


def spent_us(who: str, lengths_s: list[int]) -> list[float]:
    """Microseconds of processor time for a second of a call of each length."""
    virtual_time.run(_call(who, 15))  # what is made once
    return [virtual_time.run(_call(who, lasts_s)) for lasts_s in lengths_s]


def kept_kib(who: str, lasts_s: int) -> float:
    """KiB that a minute of a call leaves behind."""
    return virtual_time.run(_call(who, lasts_s, traced=True))


async def _call(who: str, lasts_s: int, traced: bool = False) -> float:
    made = parts(BESIDE[who], early_onset=False)
    number = count()
    made.llm._replies = lambda _: f"{next(number)} {LONG_TALK.reply}"
    async with on_call(made) as call:
        line = asyncio.create_task(_line(call))
        await call.worker.queue_frame(LLMRunFrame())
        await call.first_heard()
        gc.collect()
        began_s, spent_s = time.monotonic(), time.process_time()
        settled: tuple[float, float] | None = None
        if traced:
            tracemalloc.start()
        for place in count():
            at_s = began_s + place * LONG_TALK.every_s
            if at_s >= began_s + lasts_s:
                break
            for after_s, text in LONG_TALK.said(place):
                await say_over(call, text, at_s + after_s)
            await until(at_s + LONG_TALK.every_s)
            # What the bench itself would keep.
            made.output.written.clear()
            made.llm.runs.clear()
            made.witness.interrupted_s.clear()
            if traced and settled is None and time.monotonic() - began_s >= SETTLED * lasts_s:
                settled = held_kib(), time.monotonic()
        ended_s, spent_s = time.monotonic(), time.process_time() - spent_s
        kept = held_kib() if traced else 0.0
        line.cancel()
    if settled is not None:
        return (kept - settled[0]) / (ended_s - settled[1]) * 60
    return spent_s * 1e6 / (ended_s - began_s)


async def _line(call: OnCall) -> None:
    """The caller's line, on which nothing is heard."""
    began_s, silence = time.monotonic(), bytes(round(IN_RATE * FRAME_S) * 2)
    for place in count():
        await until(began_s + place * FRAME_S)
        await call.worker.queue_frame(InputAudioRawFrame(silence, IN_RATE, 1))

"""How is a long call held on Pipecat?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import count

from pipecat.frames.frames import InputAudioRawFrame, LLMRunFrame

from .host import IN_RATE, OnCall, Who, on_call, parts
from .long_call import LongCall
from .overlaps import say_over
from .script import LONG_TALK, until

FRAME_S = 0.02


@asynccontextmanager
async def opened(who: Who) -> AsyncIterator[LongCall]:
    """One that has begun."""
    made = parts(who, early_onset=False)
    number = count()
    made.llm._replies = lambda _: f"{next(number)} {LONG_TALK.reply}"

    def forget() -> None:
        made.output.written.clear()
        made.llm.runs.clear()
        made.witness.interrupted_s.clear()

    async with on_call(made) as call:
        line = asyncio.create_task(_line(call))
        await call.worker.queue_frame(LLMRunFrame())
        await call.first_heard()
        yield LongCall(say_over=partial(say_over, call), forget=forget)
        line.cancel()


async def _line(call: OnCall) -> None:
    """The caller's line, on which nothing is heard."""
    began_s, silence = time.monotonic(), bytes(round(IN_RATE * FRAME_S) * 2)
    for place in count():
        await until(began_s + place * FRAME_S)
        await call.worker.queue_frame(InputAudioRawFrame(silence, IN_RATE, 1))

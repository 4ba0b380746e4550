"""How soon does the agent go on, beside saying anything at all?"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from pipecat.frames.frames import LLMMessagesAppendFrame

from bargein.testing.tones import WORD_S

from .host import OnCall, on_call, parts
from .overlaps import say_over
from .row import Row, middle, quartiles
from .script import REPLY, until

ASIDE = "no wait I meant Thursday"


async def once() -> tuple[float, float]:
    """From "go on" to the first sound of the rest, and of a plain `TTSSpeakFrame`, in ms."""
    made = parts("ours")
    async with on_call(made) as call:
        await call.say(REPLY)
        began_s = await call.first_heard()
        await say_over(call, ASIDE, began_s + 1.0)
        await until(began_s + 1.0 + len(ASIDE.split()) * WORD_S + 1.5)
        asked_s = time.monotonic()
        turn = LLMMessagesAppendFrame([{"role": "user", "content": "go on"}], run_llm=True)
        await call.worker.queue_frame(turn)
        resumed_s = await _heard_after(call, asked_s)
        # The rest has to be over: a message behind another begins when that has ended.
        while made.manners is not None and made.manners.busy:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)
        # The same text: a voice takes its time over each.
        message: Any = made.context.get_messages()[-1]
        text = message["content"]
        asked_plain_s = time.monotonic()
        await call.say(text)
        plain_s = await _heard_after(call, asked_plain_s)
    return (resumed_s - asked_s) * 1000, (plain_s - asked_plain_s) * 1000


async def _heard_after(call: OnCall, at_s: float) -> float:
    """When something that was written after this instant is first heard."""
    output = call.parts.output
    while True:
        runs = [run for run in output.heard(at_s + 60) if run[0] > at_s]
        if runs:
            return runs[0][0]
        if time.monotonic() > at_s + 10:
            raise RuntimeError("the agent did not go on within 10 s")
        await asyncio.sleep(0.005)


async def rows(*, quick: bool) -> list[Row]:
    """One figure, pair by pair in the same calls."""
    pairs = [await once() for _ in range(2 if quick else 8)]
    ours, plain = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return [
        Row(
            name='"go on" to the first sound of the rest',
            unit="ms",
            ours=middle(ours),
            stock=middle(plain),
            stock_is="a plain TTSSpeakFrame",
            ratio_budget=1.2,
            spread=quartiles(ours),
            n=len(ours),
            how="both in the same call, from the frame that is queued to the first audible sample",
        )
    ]

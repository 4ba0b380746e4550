"""Does the context hold exactly what was heard, wherever the agent is cut?"""

from __future__ import annotations

import numpy as np

from bargein.testing.tones import WORD_S

from . import cuts
from .cuts import SENTENCES, STOPS, TEXT, Side, tones, words_off
from .host import Parts, on_call, parts
from .overlaps import say_over
from .row import Row
from .script import until

AT_ONCE = 8


def words_written(made: Parts) -> int:
    """How many words of the agent's the context holds."""
    said = [
        str(message.get("content", ""))
        for message in made.context.get_messages()
        if isinstance(message, dict) and message.get("role") == "assistant"
    ]
    return len(" ".join(said).split())


async def cut(side: Side, at_s: float, word_times: bool) -> int:
    """Interrupt the agent after so long; how many words the context is off."""
    made = parts(side, speaks=tones, word_times=word_times)
    async with on_call(made) as call:
        await call.say(TEXT)
        began_s = await call.first_heard()
        await say_over(call, STOPS, began_s + at_s)
        await until(began_s + at_s + len(STOPS.split()) * WORD_S + 1.0)
    output = made.output
    whole = np.concatenate([tones(sentence, output.rate)[0] for sentence in SENTENCES])
    said = np.frombuffer(b"".join(chunk.pcm for chunk in output.written), "<i2")
    return words_off(said, output.rate, whole, words_written(made))


async def rows(*, quick: bool, count: int) -> list[Row]:
    """Both kinds of voices, and what the host makes of the same cuts."""
    count = 20 if quick else count
    whole_s = sum(len(tones(sentence, 24_000)[0]) for sentence in SENTENCES) / 24_000
    return await cuts.rows(
        cut,
        count=count,
        at_once=AT_ONCE,
        # In the first half: the later the cut the longer it takes, and all words are alike.
        until_s=whole_s / 2,
        stock_is="default strategies",
        stock_count=max(5, count // 10),
    )

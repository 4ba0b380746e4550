"""Does the history hold exactly what was heard, wherever the agent is cut?"""

from __future__ import annotations

from functools import cache

import numpy as np

from bargein.testing.livekit_parts import VOICE_RATE
from bargein.testing.tones import PCM, WORD_S

from .. import cuts
from ..cuts import STOPS, TEXT, WORDS, Side, words_off
from ..row import Row
from ..script import until
from .host import STOCK, on_call

AT_ONCE = 8
UNTIL_S = 4.5


@cache
def tones(text: str, rate: int) -> tuple[PCM, list[tuple[str, float]]]:
    """The voice; this text-to-speech is given one word at a time."""
    return cuts.tones(text, rate)


async def cut(side: Side, at_s: float, word_times: bool) -> int:
    """Interrupt the agent after so long; how many words the history is off."""
    async with on_call(side, speaks=tones, word_times=word_times) as call:
        call.session.say(TEXT)
        began_s = await call.first_heard()
        await call.say_over(STOPS, began_s + at_s)
        await until(began_s + at_s + len(STOPS.split()) * WORD_S + 1.0)
        written = len(" ".join(call.studio.said("assistant")).split())
        said = call.recording.pcm
    whole = np.concatenate([tones(word, VOICE_RATE)[0] for word in WORDS])
    return words_off(said, VOICE_RATE, whole, written)


async def rows(*, quick: bool, count: int) -> list[Row]:
    """Both kinds of voices, and what the host makes of some of the same cuts."""
    count = 12 if quick else count
    return await cuts.rows(
        cut,
        count=count,
        at_once=AT_ONCE,
        until_s=UNTIL_S / 2 if quick else UNTIL_S,
        stock_is=STOCK["stock"],
        stock_count=max(3, count // 10),
    )

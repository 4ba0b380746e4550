"""How soon does a caller who begins to speak hear the agent give way?"""

from __future__ import annotations

import asyncio
from random import Random

from bargein.livekit import Bargein
from bargein.testing.livekit_parts import VOICE_RATE
from bargein.testing.tones import WORD_S
from bargein.testing.utterance import Utterance, utterance

from ..quieter import full_until
from ..row import Row, beside
from ..script import until
from .host import Who, between, on_call
from .interruptions import silero_vad

WITHIN_MS = 120
UTTERANCES = ("wait, I meant Thursday", "uh-huh", "no, not that one", "can you say that again")
GIVEN_UP_S = 0.8


async def gives_way_ms(who: Who, says: Utterance, seed: int) -> float:
    """When the agent becomes quieter, counted from the caller's first sound; real Silero."""
    before_s = Random(seed).uniform(0.9, 1.2)
    async with on_call(who, manners=Bargein, vad=silero_vad()) as call:
        call.session.say(" ".join(["word"] * round(6 / WORD_S)))
        await until(await call.first_heard() + before_s)
        onset_s = call.studio.microphone.play(says.pcm) + says.begins_s
        await until(onset_s + GIVEN_UP_S + 0.1)
        last = full_until(between(call.recording, onset_s, onset_s + GIVEN_UP_S), VOICE_RATE)
    # Not heard at all: as slow as this measurement can tell.
    return GIVEN_UP_S * 1_000 if last is None else (last + 1) / VOICE_RATE * 1_000


async def rows(*, quick: bool) -> list[Row]:
    """Ours beside LiveKit's default."""
    ours: list[float] = []
    stock: list[float] = []
    for seed in range(1 if quick else 6):
        for text in UTTERANCES[:2] if quick else UTTERANCES:
            says = utterance(text, text)
            mine, theirs = await asyncio.gather(
                gives_way_ms("ours", says, seed), gives_way_ms("stock", says, seed)
            )
            ours.append(mine)
            stock.append(theirs)
    return [
        beside(
            "speech onset -> quieter at the far end",
            ours,
            stock,
            unit="ms",
            stock_is="its first reaction: silence, after 500 ms of speech",
            budget=WITHIN_MS,
            how="eSpeak callers over a tone, the same Silero on both sides",
        )
    ]

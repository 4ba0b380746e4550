"""How soon is the agent silent for somebody who wants the floor, beside a session without us?

A caller's voice on a line that Silero listens to: when a detector is sure, and so when LiveKit
stops, depends on the sound.
"""

from __future__ import annotations

import asyncio
import time
from functools import cache

from livekit.agents import vad
from livekit.plugins import silero

from bargein.livekit import Bargein
from bargein.testing.utterance import FINAL_DELAY_S, PARTIAL_DELAY_S, Utterance, utterance

from ..row import Row, beside
from ..script import INTERRUPTIONS, REPLY, turned, until
from .host import STOCK, OnCall, Who, on_call

HOSTS: tuple[Who, ...] = ("ours", "stock", "min_words_2", "min_words_3")
BUDGETS: tuple[tuple[Who, float | None], ...] = (
    ("stock", 1.0),
    ("min_words_2", 0.67),
    ("min_words_3", None),
)
"""No later than the default, and one and a half times as fast as a count of two words."""


async def spoken(call: OnCall, said: Utterance, at_s: float) -> float:
    """The caller says this, about then; when its first sound was on the line, on
    ``time.monotonic``.

    The recogniser's partials come some time behind the end of each word.
    """
    await until(at_s)
    began_s = call.studio.microphone.play(said.pcm)
    hears = call.studio.stt.hears
    for count, (_, ends_s) in enumerate(said.words, start=1):
        await until(began_s + ends_s + PARTIAL_DELAY_S)
        hears(" ".join(word for word, _ in said.words[:count]), final=False)
    await until(began_s + said.ends_s + FINAL_DELAY_S)
    hears(said.text)
    return began_s + said.begins_s


async def cut_ms(who: Who, said: Utterance, from_s: float) -> float:
    """The caller takes the floor ``from_s`` after the agent's first sound; onset to silence."""
    async with on_call(who, replies=[REPLY], manners=Bargein, vad=silero_vad()) as call:
        call.session.generate_reply()
        onset_s = await spoken(call, said, await call.first_heard() + from_s)
        await asyncio.sleep(0.6)
        silent_s = call.recording.heard()[-1][1]  # for good: a pause may be taken back
        if time.monotonic() - silent_s < 0.2:
            raise RuntimeError(f"{said.text!r} did not interrupt {who}")
        return (silent_s - onset_s) * 1_000


@cache
def silero_vad() -> vad.VAD:
    """LiveKit's."""
    return silero.VAD.load()


async def rows(*, quick: bool) -> list[Row]:
    """The same words at the same time."""
    trials = 6 if quick else 24
    said = [utterance(text, text) for text in INTERRUPTIONS]
    took: dict[Who, list[float]] = {who: [] for who in HOSTS}
    for trial in range(trials):
        words, from_s = said[trial % len(said)], 1.0 + trial * 0.083 % 0.3
        for who in turned(HOSTS, trial):  # each has a detector, and none may wait for another's
            took[who].append(await cut_ms(who, words, from_s))  # in any phase of a word
    return [
        beside(
            "true interruption: onset -> silence",
            took["ours"],
            took[stock],
            unit="ms",
            stock_is=STOCK[stock],
            ratio_budget=budget,
            how="a voice that Silero hears; partials 250 ms behind each word's end",
        )
        for stock, budget in BUDGETS
    ]

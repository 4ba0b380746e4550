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

from ..row import Row, middle, quartiles
from ..script import INTERRUPTIONS, REPLY, turned, until
from .host import STOCK, OnCall, Who, on_call

HOSTS: tuple[Who, ...] = ("ours", "stock", "min_words_2")
BUDGETS: tuple[tuple[Who, float], ...] = (("stock", 1.0), ("min_words_2", 1 / 1.5))
"""No later than the default, and one and a half times as fast as a count of two words."""
AT_ONCE = 1
"""Every call has a detector of its own, and none may wait for another's."""


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
    async with on_call(who, replies=[REPLY], manners=Bargein, vad=_silero()) as call:
        call.session.generate_reply()
        onset_s = await spoken(call, said, await call.first_heard() + from_s)
        await asyncio.sleep(0.6)
        run = next(run for run in call.recording.heard() if run[1] > onset_s)
        if time.monotonic() - run[1] < 0.2:
            raise RuntimeError(f"{said.text!r} did not interrupt {who}")
        return (run[1] - onset_s) * 1_000


@cache
def _silero() -> vad.VAD:
    return silero.VAD.load()


async def rows(*, quick: bool) -> list[Row]:
    """The same words at the same time."""
    trials = 6 if quick else 18
    said = [utterance(text, text) for text in INTERRUPTIONS]
    took: dict[Who, list[float]] = {who: [] for who in HOSTS}
    for first in range(0, trials, AT_ONCE):
        batch = range(first, min(first + AT_ONCE, trials))
        jobs = [(who, trial) for trial in batch for who in turned(HOSTS, trial)]
        # Any phase of a word must be hit.
        made = await asyncio.gather(
            *(
                cut_ms(who, said[trial % len(said)], 1.0 + trial * 0.083 % 0.3)
                for who, trial in jobs
            )
        )
        for (who, _), one in zip(jobs, made, strict=True):
            took[who].append(one)
    return [
        Row(
            name="true interruption: onset -> silence",
            unit="ms",
            ours=middle(took["ours"]),
            stock=middle(took[stock]),
            stock_is=STOCK[stock],
            ratio_budget=budget,
            spread=quartiles(took["ours"]),
            n=trials,
            how="a voice that Silero hears; partials 250 ms behind each word's end",
        )
        for stock, budget in BUDGETS
    ]

"""How soon is the agent silent for somebody who wants the floor, beside a pipeline without us?

A caller's voice on a line that Silero listens to, as with LiveKit: when a detector is sure depends
on the sound.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import numpy as np
from pipecat.frames.frames import (
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    LLMRunFrame,
    TranscriptionFrame,
)
from pipecat.utils.time import time_now_iso8601

from bargein.testing.tones import PCM
from bargein.testing.utterance import (
    FINAL_DELAY_S,
    PARTIAL_DELAY_S,
    RATE,
    Utterance,
    utterance,
)

from .host import STOCK, OnCall, Who, on_call, parts
from .row import Row, beside
from .script import INTERRUPTIONS, REPLY, turned, until

HOSTS: tuple[Who, ...] = ("ours", "stock", "min_words_2", "min_words_3")
BUDGETS: tuple[tuple[Who, float | None], ...] = (
    ("min_words_2", 1.0),
    ("min_words_3", 1.0),
    ("stock", None),
)
"""Faster than a count of words. The default stops for any sound, before it can know."""
FRAME_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How long after the caller's first sound the agent was stopped."""

    decided_ms: float
    silent_ms: float


async def listen(call: OnCall, line: PCM, began_s: float) -> None:
    """Hand the line in as it comes: a frame when its last sample has been spoken."""
    size = round(RATE * FRAME_S)
    for place in range(len(line) // size):
        await until(began_s + (place + 1) * FRAME_S)
        piece = line[place * size : (place + 1) * size].tobytes()
        await call.worker.queue_frame(InputAudioRawFrame(piece, RATE, 1))


def on_a_line(said: Utterance, before_s: float, after_s: float, seed: int) -> PCM:
    """The utterance between two silences; no line is quite silent."""
    before, after = (np.zeros(round(one_s * RATE), np.int16) for one_s in (before_s, after_s))
    line = np.concatenate([before, said.pcm, after])
    noise = np.random.default_rng(seed).normal(0, 10, len(line))
    return np.asarray((line + noise).astype(np.int16))


async def recognise(call: OnCall, said: Utterance, began_s: float) -> None:
    """A recogniser's partials, some time behind the end of each word, and its final."""
    for count, (_, ends_s) in enumerate(said.words, start=1):
        await until(began_s + ends_s + PARTIAL_DELAY_S)
        text = " ".join(word for word, _ in said.words[:count])
        partial = InterimTranscriptionFrame(text, "caller", time_now_iso8601())
        await call.worker.queue_frame(partial)
    await until(began_s + said.ends_s + FINAL_DELAY_S)
    final = TranscriptionFrame(said.text, "caller", time_now_iso8601(), finalized=True)
    await call.worker.queue_frame(final)


async def cut(who: Who, said: Utterance, from_s: float, seed: int) -> Cut:
    """The caller takes the floor, ``from_s`` after the agent's first sound."""
    made = parts(who, replies=[REPLY], vad=True)
    decided_s = made.witness.interrupted_s
    if made.manners is not None:
        # Ours decides first and tells the host when the word in the air has been finished.
        decided_s = []
        made.manners.add_event_handler("on_yield", lambda *_: decided_s.append(time.monotonic()))
    async with on_call(made) as call:
        await call.worker.queue_frame(LLMRunFrame())
        began_s = await call.first_heard()
        line = on_a_line(said, from_s, FINAL_DELAY_S + 0.1, seed)
        spoken_s = began_s + from_s
        await asyncio.gather(listen(call, line, began_s), recognise(call, said, spoken_s))
        onset_s, ended_s = spoken_s + said.begins_s, time.monotonic()
        silent_s = made.output.heard(ended_s)[-1][1]  # for good: a pause may be taken back
        if not decided_s or ended_s - silent_s < 0.1:
            raise RuntimeError(f"{said.text!r} did not interrupt {who}")
        return Cut(
            decided_ms=(decided_s[0] - onset_s) * 1_000, silent_ms=(silent_s - onset_s) * 1_000
        )


async def rows(*, quick: bool) -> list[Row]:
    """The same words at the same time."""
    trials = 6 if quick else 24
    said = [utterance(text, text) for text in INTERRUPTIONS]
    took: dict[Who, list[Cut]] = {who: [] for who in HOSTS}
    for trial in range(trials):
        # Any phase of a word must be hit.
        from_s = 1.0 + trial * 0.083 % 0.3
        hosts = turned(HOSTS, trial)
        words = said[trial % len(said)]
        made = await asyncio.gather(*(cut(who, words, from_s, trial) for who in hosts))
        for who, one in zip(hosts, made, strict=True):
            took[who].append(one)
    return [
        beside(
            f"true interruption: {name}",
            [getattr(one, field) for one in took["ours"]],
            [getattr(one, field) for one in took[stock]],
            unit="ms",
            stock_is=STOCK[stock],
            ratio_budget=budget if field == "silent_ms" else None,
            strict=True,
            how="a voice that Silero hears; partials 250 ms behind each word's end",
        )
        for name, field in (("onset -> silence", "silent_ms"), ("onset -> decided", "decided_ms"))
        for stock, budget in BUDGETS
    ]

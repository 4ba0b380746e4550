"""What does talking over the agent do, beside the host without us?"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from pipecat.frames.frames import (
    Frame,
    InterimTranscriptionFrame,
    LLMRunFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.utils.time import time_now_iso8601

from bargein.testing.tones import WORD_S

from .host import STOCK, OnCall, Parts, Who, on_call, parts
from .row import Row, middle, quartiles
from .script import BACKCHANNELS, INTERRUPTIONS, LATENCY_S, REPLY, VAD_S, silent_ms, turned, until


def spoken(text: str) -> list[tuple[float, Frame]]:
    """What a host is told of an utterance: seconds from its onset, and the frame."""
    words = text.split()
    ends_s = len(words) * WORD_S
    told: list[tuple[float, Frame]] = [
        (VAD_S, VADUserStartedSpeakingFrame(start_secs=VAD_S)),
        (ends_s + VAD_S, VADUserStoppedSpeakingFrame(stop_secs=VAD_S)),
    ]
    for count in range(1, len(words) + 1):
        partial = InterimTranscriptionFrame(" ".join(words[:count]), "caller", time_now_iso8601())
        told.append((count * WORD_S + LATENCY_S, partial))
    final = TranscriptionFrame(text, "caller", time_now_iso8601(), finalized=True)
    told.append((ends_s + LATENCY_S + 0.15, final))
    return sorted(told, key=lambda entry: entry[0])


async def say_over(call: OnCall, text: str, at_s: float) -> None:
    """The caller says this, from that instant of ``time.monotonic`` on."""
    for after_s, frame in spoken(text):
        await until(at_s + after_s)
        await call.worker.queue_frame(frame)


# --- a listener's noises ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Listened:
    """What a call made of three backchannels."""

    interruptions: int
    llm_runs: int
    """Beyond the one that made the reply."""
    words: int
    """Of the caller's, in the context."""
    silent_ms: float
    """How long nothing was heard between the reply's first sound and when it should have ended."""


async def listened(who: Who) -> Listened:
    """The agent speaks, the caller says "uh-huh", "right okay" and "yeah okay sure"."""
    made = parts(who, replies=[REPLY, REPLY, REPLY, REPLY])
    lasts_s = len(REPLY.split()) * WORD_S
    async with on_call(made) as call:
        await call.worker.queue_frame(LLMRunFrame())
        began_s = await call.first_heard()
        for at_s, text in BACKCHANNELS:
            await say_over(call, text, began_s + at_s)
        await until(began_s + lasts_s + 0.5)
        return Listened(
            interruptions=len(made.witness.interrupted_s),
            llm_runs=len(made.llm.runs) - 1,
            words=caller_words(made),
            silent_ms=silent_ms(
                made.output.recording(began_s, began_s + lasts_s - 0.1), made.output.rate
            ),
        )


def caller_words(made: Parts) -> int:
    """How many words of the caller's the context holds, beyond its first message."""
    said = [
        str(message.get("content", ""))
        for message in made.context.get_messages()[1:]
        if isinstance(message, dict) and message.get("role") == "user"
    ]
    return sum(len(text.split()) for text in said)


async def backchannel_rows(*, quick: bool) -> list[Row]:
    """Four figures, each beside the default strategies and beside MinWords(3)."""
    hosts: tuple[Who, ...] = ("ours", "stock", "min_words_3")
    times = 1 if quick else 3
    made = await asyncio.gather(*(listened(who) for who in hosts for _ in range(times)))
    of = {who: made[place * times : (place + 1) * times] for place, who in enumerate(hosts)}
    rows: list[Row] = []
    for name, unit, field in (
        ("interruptions", "count", "interruptions"),
        ("extra LLM runs", "count", "llm_runs"),
        ("words in the context", "words", "words"),
        ("agent inaudible", "ms", "silent_ms"),
    ):
        per = {who: [float(getattr(one, field)) for one in of[who]] for who in hosts}
        for stock in hosts[1:]:
            rows.append(
                Row(
                    name=f"backchannels over speech: {name}",
                    unit=unit,
                    ours=max(per["ours"]),
                    stock=middle(per[stock]),
                    stock_is=STOCK[stock],
                    budget=0,
                    spread=quartiles(per["ours"]),
                    n=times,
                    how="three backchannels a call, same scripted frames; the worst of ours",
                )
            )
    return rows


# --- somebody who means it -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How long after the caller's onset the agent was stopped."""

    decided_ms: float
    silent_ms: float


async def cut(who: Who, text: str, from_s: float) -> Cut:
    """The caller takes the floor, ``from_s`` after the agent's first sound."""
    made = parts(who, replies=[REPLY])
    decided_s: list[float] = made.witness.interrupted_s
    if made.manners is not None:
        # Ours decides first and tells the host when the word in the air has been finished.
        decided_s = []
        made.manners.add_event_handler("on_yield", lambda *_: decided_s.append(time.monotonic()))
    async with on_call(made) as call:
        await call.worker.queue_frame(LLMRunFrame())
        onset_s = await call.first_heard() + from_s
        await say_over(call, text, onset_s)
        ended_s = time.monotonic() + 0.3
        await until(ended_s)
        if not decided_s:
            raise RuntimeError(f"{text!r} did not interrupt {who}")
        run = next(run for run in made.output.heard(ended_s) if run[1] > onset_s)
        return Cut(
            decided_ms=(decided_s[0] - onset_s) * 1_000, silent_ms=(run[1] - onset_s) * 1_000
        )


async def interruption_rows(*, quick: bool) -> list[Row]:
    """Ours beside MinWords(2) and MinWords(3), the same words at the same time."""
    hosts: tuple[Who, ...] = ("ours", "min_words_2", "min_words_3")
    trials = 6 if quick else 24
    took: dict[Who, list[Cut]] = {who: [] for who in hosts}
    at_once = 3
    for first in range(0, trials, at_once):
        batch = range(first, min(first + at_once, trials))
        jobs = [(who, trial) for trial in batch for who in turned(hosts, trial)]
        # Any phase of a word must be hit.
        made = await asyncio.gather(
            *(
                cut(who, INTERRUPTIONS[trial % len(INTERRUPTIONS)], 1.0 + trial * 0.083 % 0.3)
                for who, trial in jobs
            )
        )
        for (who, _), one in zip(jobs, made, strict=True):
            took[who].append(one)
    rows: list[Row] = []
    for name, field, budget in (
        ("onset -> silence", "silent_ms", 1.0),
        ("onset -> decided", "decided_ms", None),
    ):
        per = {who: [float(getattr(one, field)) for one in took[who]] for who in hosts}
        for stock in hosts[1:]:
            rows.append(
                Row(
                    name=f"true interruption: {name}",
                    unit="ms",
                    ours=middle(per["ours"]),
                    stock=middle(per[stock]),
                    stock_is=STOCK[stock],
                    ratio_budget=budget,
                    strict=True,
                    spread=quartiles(per["ours"]),
                    n=trials,
                    how="the same partials, 250 ms behind each word's end, at the same time",
                )
            )
    return rows


async def rows(*, quick: bool) -> list[Row]:
    """Both kinds."""
    return [*await backchannel_rows(quick=quick), *await interruption_rows(quick=quick)]

"""What do a listener's noises do to the agent, beside a pipeline without us?"""

from __future__ import annotations

import asyncio
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
from .script import BACKCHANNELS, LATENCY_S, REPLY, VAD_S, silent_ms, until


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


async def rows(*, quick: bool) -> list[Row]:
    """Four figures, each beside the default strategies and beside both counts of words."""
    hosts: tuple[Who, ...] = ("ours", "stock", "min_words_2", "min_words_3")
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

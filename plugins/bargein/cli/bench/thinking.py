"""What does one decision cost? `step` over a call's events, and `judge` over its words."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from time import perf_counter_ns
from typing import TypeVar

from bargein.core.decisions import YieldFloor
from bargein.core.events import (
    Event,
    PlayoutProgressed,
    PlayoutStarted,
    PlayoutStopped,
    PlayoutWorded,
    TimePassed,
    UserSpeechStarted,
    UserSpeechStopped,
    UserWordsHeard,
)
from bargein.core.floor import Floor, State, step
from bargein.core.overlap import Rules
from bargein.language import Judge
from bargein.language.standard import standard_rules

from .row import Row, middle, percentile, quartiles

STEP_US, STEP_P99_US = 50, 250
JUDGE_US, JUDGE_P99_US = 30, 200

WORD_MS = 300
PARTIAL_MS = 150
"""How often a streaming recogniser sends a partial: twice a word."""

CALLER = (
    "uh-huh",
    "right okay",
    "yeah but not on Tuesday please",
    "mm-hm",
    "no wait I meant Thursday afternoon",
    "sorry could you say that again",
    "okay great thank you",
    "hold on a second let me find a pen",
    "yes",
)
"""What the caller says over the agent, one a message."""
AGENT = (
    "Your appointment is on {day} the {n}th at {m} o'clock, with Doctor {name} in the main"
    " building. Please bring your insurance card and arrive {n} minutes early.",
    "The total comes to {n} dollars and {m} cents, {name}, which includes the delivery to your"
    " address on {day}. We will send you a message when it leaves the warehouse.",
    "I have a slot on {day} at {m}, and another one in week {n} with {name}. Shall I book the"
    " first one for you?",
)
"""What the agent says; every time with other names and numbers, so that no cache knows it."""
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
NAMES = ("Hale", "Moreno", "Okafor", "Lindqvist", "Tanaka", "Byrne")


@dataclass(frozen=True, slots=True)
class Log:
    """The two sides of one message: what the agent's playout says, and the caller over it."""

    text: str
    caller: tuple[Event, ...]


def messages(dice: Random, count: int) -> Iterator[Log]:
    """``count`` messages with somebody talking over each; times count from the message's start."""
    for place in range(count):
        text = AGENT[place % len(AGENT)].format(
            day=dice.choice(DAYS),
            n=dice.randint(11, 99),
            m=dice.randint(1, 12),
            name=dice.choice(NAMES),
        )
        words = CALLER[place % len(CALLER)].split()
        onset_ms = dice.randint(900, 3_000)
        caller: list[Event] = [UserSpeechStarted(at_ms=onset_ms)]
        at_ms = onset_ms + 250
        for heard in range(1, len(words) + 1):
            for _ in range(WORD_MS // PARTIAL_MS):
                at_ms += PARTIAL_MS
                caller.append(
                    UserWordsHeard(at_ms=at_ms, text=" ".join(words[:heard]), is_final=False)
                )
        caller.append(UserSpeechStopped(at_ms=at_ms + 20))
        caller.append(UserWordsHeard(at_ms=at_ms + 200, text=" ".join(words), is_final=True))
        yield Log(text, tuple(caller))


def events(log: Log, from_ms: int) -> list[Event]:
    """A message and what is said over it, in order of time, on the call's clock."""
    ends: list[int] = []
    for word in log.text.split():
        ends.append(log.text.index(word, ends[-1] if ends else 0) + len(word))
    told: list[Event] = [
        PlayoutStarted(at_ms=0, message_id=log.text),
        PlayoutWorded(at_ms=0, text=log.text),
    ]
    for place, end in enumerate(ends):
        left_ms = (len(ends) - place) * WORD_MS
        told.append(PlayoutProgressed(at_ms=place * WORD_MS, heard_chars=end, left_ms=left_ms))
    told.append(PlayoutStopped(at_ms=len(ends) * WORD_MS))
    told += log.caller
    told.sort(key=lambda event: event.at_ms)
    return [_later(event, from_ms) for event in told]

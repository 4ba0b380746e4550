"""What does one decision cost? `step` over a call's events, and `judge` over its words."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from time import process_time_ns

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
from bargein.core.floor import step
from bargein.core.overlap import Rules
from bargein.core.state import State
from bargein.language import Judge
from bargein.language.standard import standard_rules

from .row import Row, middle, percentile, quartiles

STEP_US, STEP_P99_US = 50, 250
JUDGE_US, JUDGE_P99_US = 30, 200

MESSAGES, QUICK_MESSAGES = 400, 60
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
_PLAYOUT = (PlayoutStarted, PlayoutWorded, PlayoutProgressed, PlayoutStopped)


@dataclass(frozen=True, slots=True)
class Message:
    """What the agent says, and what happens on the caller's side from its first sound on."""

    text: str
    caller: tuple[Event, ...]

    def events(self, from_ms: int) -> list[Event]:
        """Both sides in order of time, on the call's clock."""
        ends: list[int] = []
        for word in self.text.split():
            ends.append(self.text.index(word, ends[-1] if ends else 0) + len(word))
        told: list[Event] = [
            PlayoutStarted(at_ms=0, message_id=self.text),
            PlayoutWorded(at_ms=0, text=self.text),
        ]
        for place, end in enumerate(ends):
            left_ms = (len(ends) - place) * WORD_MS
            told.append(PlayoutProgressed(at_ms=place * WORD_MS, heard_chars=end, left_ms=left_ms))
        told.append(PlayoutStopped(at_ms=len(ends) * WORD_MS))
        told += self.caller
        told.sort(key=lambda event: event.at_ms)
        return [replace(event, at_ms=from_ms + event.at_ms) for event in told]


def talk(dice: Random, count: int) -> Iterator[Message]:
    """Messages of the agent with somebody talking over each."""
    for place in range(count):
        text = AGENT[place % len(AGENT)].format(
            day=dice.choice(DAYS),
            n=dice.randint(11, 99),
            m=dice.randint(1, 12),
            name=dice.choice(NAMES),
        )
        words = CALLER[place % len(CALLER)].split()
        at_ms = dice.randint(900, 3_000)
        caller: list[Event] = [UserSpeechStarted(at_ms=at_ms)]
        at_ms += 250  # what a recogniser needs
        for heard in range(1, len(words) + 1):
            for _ in range(WORD_MS // PARTIAL_MS):
                at_ms += PARTIAL_MS
                partial = " ".join(words[:heard])
                caller.append(UserWordsHeard(at_ms=at_ms, text=partial, is_final=False))
        caller.append(UserSpeechStopped(at_ms=at_ms + 20))
        caller.append(UserWordsHeard(at_ms=at_ms + 200, text=" ".join(words), is_final=True))
        yield Message(text, tuple(caller))


def stepped(
    rules: Rules, message: Message, state: State, from_ms: int
) -> tuple[State, list[float]]:
    """Microseconds of every `step` over one message, woken at its own deadlines as the pump is."""
    took_us: list[float] = []
    waiting = deque(message.events(from_ms))
    last_ms = from_ms
    while waiting:
        event = waiting[0]
        if state.due_at_ms is not None and state.due_at_ms < event.at_ms:
            event = TimePassed(at_ms=state.due_at_ms)
        else:
            waiting.popleft()
        began_ns = process_time_ns()
        state, decisions = step(rules, state, event)
        took_us.append((process_time_ns() - began_ns) / 1_000)
        last_ms = event.at_ms
        if any(isinstance(decision, YieldFloor) for decision in decisions):
            # The agent falls silent; the caller finishes what they are saying.
            waiting = deque(one for one in waiting if not isinstance(one, _PLAYOUT))
            waiting.appendleft(PlayoutStopped(at_ms=last_ms, completed=False))
    return state, took_us


def step_times(count: int, seed: int = 1) -> list[float]:
    """Microseconds of every `step` of a call with ``count`` messages, under the standard rules."""
    rules, state = standard_rules("en"), State()
    took_us: list[float] = []
    for message in talk(Random(seed), count):
        # Two seconds between messages, so that every overlap is over before the next.
        state, more_us = stepped(rules, message, state, state.at_ms + 2_000)
        took_us += more_us
    return took_us


def judge_times(count: int, seed: int = 2) -> list[float]:
    """Microseconds of every `judge` of the partials and finals of ``count`` messages."""
    judge = Judge("en")
    took_us: list[float] = []
    dice = Random(seed)
    for message in talk(dice, count):
        heard_chars = dice.randint(10, len(message.text))
        said, unsaid = message.text[:heard_chars], message.text[heard_chars:]
        for event in message.caller:
            if isinstance(event, UserWordsHeard):
                began_ns = process_time_ns()
                judge(event.text, agent_said=said, agent_unsaid=unsaid, is_final=event.is_final)
                took_us.append((process_time_ns() - began_ns) / 1_000)
    return took_us


def rows(*, quick: bool) -> list[Row]:
    """Both costs, each as a median and a 99th percentile."""
    count = QUICK_MESSAGES if quick else MESSAGES
    made: list[Row] = []
    for name, measure, budget_us, p99_us, how in (
        (
            "one step",
            step_times,
            STEP_US,
            STEP_P99_US,
            "every event of a call with all standard rules, somebody talking over each message",
        ),
        (
            "one judge call",
            judge_times,
            JUDGE_US,
            JUDGE_P99_US,
            "partials and finals over messages that are never the same",
        ),
    ):
        took_us = _undisturbed(measure, count)
        common = {"unit": "us", "n": len(took_us), "how": how}
        made.append(
            Row(
                name=f"{name}, median",
                ours=middle(took_us),
                budget=budget_us,
                spread=quartiles(took_us),
                **common,  # type: ignore[arg-type]
            )
        )
        made.append(
            Row(
                name=f"{name}, p99",
                ours=percentile(took_us, 99),
                budget=p99_us,
                **common,  # type: ignore[arg-type]
            )
        )
    return made


def _undisturbed(measure: Callable[[int], list[float]], count: int) -> list[float]:
    """With the collector at rest, and after a first round that loads the language."""
    measure(3)
    gc.collect()
    gc.disable()
    try:
        return measure(count)
    finally:
        gc.enable()

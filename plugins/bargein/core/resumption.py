"""What was left unsaid, and when does the agent go on with it?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias

from .decisions import (
    Decision,
    DeliverTurn,
    Kind,
    OfferResumption,
    Reason,
    ResumeSpeech,
    YieldFloor,
)
from .events import (
    Event,
    PlayoutStopped,
    ResumptionAsked,
    ResumptionDropped,
    TopicNamed,
    TurnTaken,
)
from .playout import Playout

NOTHING_LEFT = frozenset({Kind.CANCELLATION, Kind.EMERGENCY})
"""Kinds of yields after which nobody wants to hear the rest."""
_CLAUSE_ENDS = tuple(".!?…,;:。！？，；：।؟،")


class Mode(Enum):
    """How an agent goes on."""

    OFF = "off"
    VERBATIM = "verbatim"
    """When it is told to go on, it says the rest as it was, without the LLM."""
    LLM = "llm"
    """The LLM is told what was heard and what was not, and goes on in its own words."""
    OFFER = "offer"
    """As verbatim; and after a digression it offers once to go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """Something that the agent was saying when the floor was taken."""

    message_id: str
    text: str
    heard: str
    """What of it was heard."""
    kind: Kind | None
    """What the floor was taken for."""
    cut_at_ms: int
    caller_words: str = ""
    """What the caller said instead."""
    topic: str = ""
    """What it was about, where the application named it."""
    task: str = ""
    """What the agent was doing."""
    progress: float = 0.0
    """How far it was, from 0 to 1: the share of its text, or what the application said."""
    offered: bool = False

    @property
    def unheard(self) -> str:
        return self.text[len(self.heard) :]

    @property
    def rest(self) -> str:
        """What is said when it goes on: from the beginning of the clause that broke."""
        heard = self.heard.rstrip()
        if heard.endswith(_CLAUSE_ENDS) or not self.unheard.strip():
            return self.unheard.strip()
        begins = max((heard.rfind(end) for end in _CLAUSE_ENDS), default=-1) + 1
        return self.text[begins:].strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """What is remembered of speech that was cut."""

    mode: Mode = Mode.OFF
    ttl_ms: int = 300_000
    """How long it is worth going on with."""
    depth: int = 3
    """How much is kept: the newest so many."""
    stack: tuple[Unfinished, ...] = ()
    """The newest last."""
    awaited: str = ""
    """The message that the agent has offered to go on with."""
    topic: TopicNamed | None = None

    @property
    def newest(self) -> Unfinished | None:
        return self.stack[-1] if self.stack else None


Remembered: TypeAlias = tuple[Resumption, tuple[Decision, ...]]


def remember(
    memory: Resumption,
    event: Event,
    said: Playout | None,
    decisions: Iterable[Decision],
    *,
    free: bool,
) -> Remembered:
    """Take one event.

    Args:
        memory: as it was.
        event: what happened.
        said: the playout as it was when it happened.
        decisions: what was decided about it.
        free: whether the floor is nobody's after it, and nothing waits to be said.
    """
    if isinstance(event, TopicNamed):
        return replace(memory, topic=event), ()
    at_ms = event.at_ms
    for decision in decisions:
        match decision:
            case YieldFloor() if said is not None and not decision.breaks_lock:
                memory = _cut(memory, decision, said)
            case DeliverTurn() if memory.newest and memory.newest.cut_at_ms == decision.at_ms:
                memory = _changed(memory, caller_words=decision.text)
    memory = _fresh(memory, at_ms)
    match event:
        case ResumptionDropped():
            return replace(memory, stack=memory.stack[:-1], awaited=""), ()
        case ResumptionAsked():
            return _resumed(memory, at_ms, Reason.TOLD_TO)
        case TurnTaken():
            return _answered(memory, event)
        case PlayoutStopped() if event.completed and said is not None and free:
            return _offered(memory, at_ms)
    return memory, ()


def _cut(memory: Resumption, decision: YieldFloor, said: Playout) -> Resumption:
    if decision.kind is Kind.ANSWER:
        return memory  # perhaps to the offer, before it was over
    if memory.awaited or decision.kind in NOTHING_LEFT or not decision.unheard.strip():
        return replace(memory, awaited="")  # of an offer that was cut nothing is worth repeating
    topic = memory.topic
    share = len(decision.heard) / max(1, len(said.text))
    entry = Unfinished(
        message_id=said.message_id,
        text=decision.heard + decision.unheard,
        heard=decision.heard,
        kind=decision.kind,
        cut_at_ms=decision.at_ms,
        topic=topic.topic if topic else "",
        task=topic.task if topic else "",
        progress=share if topic is None or topic.progress is None else topic.progress,
    )
    return replace(memory, stack=(*memory.stack, entry)[-memory.depth :], awaited="")


def _changed(memory: Resumption, *, caller_words: str) -> Resumption:
    newest = memory.newest
    assert newest is not None
    return replace(memory, stack=(*memory.stack[:-1], replace(newest, caller_words=caller_words)))


def _fresh(memory: Resumption, at_ms: int) -> Resumption:
    """Without what has been waiting for too long."""
    if not any(entry.cut_at_ms + memory.ttl_ms <= at_ms for entry in memory.stack):
        return memory
    stack = tuple(e for e in memory.stack if e.cut_at_ms + memory.ttl_ms > at_ms)
    return replace(memory, stack=stack)


def _answered(memory: Resumption, event: TurnTaken) -> Remembered:
    """The user's turn: do they want to hear the rest?"""
    newest = memory.newest
    if newest is None:
        return replace(memory, awaited=""), ()
    if not newest.caller_words and event.kind is not Kind.RESUME:
        memory = _changed(memory, caller_words=event.text)
    if event.kind is Kind.RESUME:
        return _resumed(memory, event.at_ms, Reason.GO_ON)
    if memory.awaited and event.agrees is not None:
        if event.agrees:
            return _resumed(memory, event.at_ms, Reason.ANSWER)
        return replace(memory, stack=memory.stack[:-1], awaited=""), ()
    return replace(memory, awaited=""), ()


def _resumed(memory: Resumption, at_ms: int, reason: Reason) -> Remembered:
    newest = memory.newest
    if newest is None:
        return memory, ()
    memory = replace(memory, stack=memory.stack[:-1], awaited="")
    return memory, (
        ResumeSpeech(
            at_ms=at_ms,
            reason=reason,
            message_id=newest.message_id,
            text=newest.rest,
            topic=newest.topic,
            in_own_words=memory.mode is Mode.LLM,
        ),
    )


def _offered(memory: Resumption, at_ms: int) -> Remembered:
    """The digression has been dealt with."""
    newest = memory.newest
    if memory.mode is not Mode.OFFER or newest is None or newest.offered:
        return memory, ()
    stack = (*memory.stack[:-1], replace(newest, offered=True))
    return replace(memory, stack=stack, awaited=newest.message_id), (
        OfferResumption(
            at_ms=at_ms,
            reason=Reason.AGENT_FINISHED,
            message_id=newest.message_id,
            topic=newest.topic,
        ),
    )

"""What was left unsaid, and when does the agent go on with it?"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TypeAlias

from .decisions import (
    AcknowledgeYield,
    Decision,
    DeliverTurn,
    Kind,
    OfferResumption,
    Reason,
    ResumeSpeech,
    YieldFloor,
)
from .events import (
    CallEnded,
    Event,
    PlayoutStarted,
    PlayoutStopped,
    ResumptionAsked,
    ResumptionDropped,
    ToolFinished,
    ToolStarted,
    TopicNamed,
    TurnTaken,
    UnfinishedRecalled,
)
from .playout import Playout, has_words

NOTHING_LEFT = frozenset({Kind.CANCELLATION, Kind.EMERGENCY})
"""Kinds of yields after which nobody wants to hear the rest."""
RESULT_CHARS = 2_000
"""How much of a function call's late result is kept."""
_CLAUSE = re.compile(
    r"(?<![A-Z]\.)(?<!\b[A-Z][a-z]\.)(?<!\b[A-Z][a-z]{2}\.)"  # "J. Hale", "Dr. Hale", "Mrs. Hale"
    r"(?:(?<=[.!?…,;:؟।،])[\"'”’»)\]]*\s+|(?<=[。！？，；：।])\s*)"
)
"""Between clauses. A mark inside a word or a number ends none."""


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
class Tool:
    """A function call that the agent waited for when it was cut."""

    name: str
    call_id: str = ""
    result: str | None = field(default=None, repr=False)
    """None while it is out; at most `RESULT_CHARS` of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """Something that the agent was saying when the floor was taken."""

    message_id: str
    text: str = field(repr=False)
    heard: str = field(repr=False)
    """What of it was heard."""
    kind: Kind | None
    """What the floor was taken for; None where nobody could tell, and for a call that ended."""
    cut_at_ms: int
    """On this call's clock; before 0 for an earlier call."""
    caller_words: str = field(default="", repr=False)
    """What the caller said instead."""
    topic: str = ""
    """What it was about, where the application named it."""
    task: str = ""
    """What the agent was doing."""
    progress: float = 0.0
    """How far it was, from 0 to 1: the share of its text, or what the application said."""
    context_note: str = field(default="", repr=False)
    """What the application wants the LLM to know when it goes on."""
    tools: tuple[Tool, ...] = ()
    """Function calls that were out when it was cut, with what they have answered since."""
    offered: bool = False
    recalled: bool = False
    """True where it comes from an earlier call."""

    @property
    def unheard(self) -> str:
        return self.text[len(self.heard) :]

    @property
    def rest(self) -> str:
        """What is said when it goes on: from the beginning of the clause that broke."""
        return self.text[self.resumes_at :].strip()

    @property
    def resumes_at(self) -> int:
        """Where in the text that is."""
        if not has_words(self.unheard):
            return len(self.text)
        heard = len(self.heard.rstrip())
        begins = 0
        for clause in _CLAUSE.finditer(self.text):
            if clause.start() > heard:
                break
            begins = clause.end()
        return begins


class Offer(Enum):
    """How far an offer to go on has come."""

    NONE = "none"
    MADE = "made"
    SOUNDS = "sounds"
    OUT = "out"
    """It was said, and waits for its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """What is remembered of speech that was cut."""

    mode: Mode = Mode.OFF
    ttl_ms: int = 300_000
    """How long it is worth going on with."""
    depth: int = 3
    """How much is kept: the newest so many."""
    acknowledged: frozenset[Kind] = frozenset()
    """Kinds of yields that are acknowledged before the user's turn is answered."""
    stack: tuple[Unfinished, ...] = ()
    """The newest last."""
    awaited: str = ""
    """The message that the agent has offered to go on with."""
    offer: Offer = Offer.NONE
    asked: bool = False
    """Whether the application wants the agent to go on as soon as nobody speaks."""
    resumed: Unfinished | None = None
    """What the agent goes on with just now."""
    sounded: bool = False
    """Whether that has begun to sound."""
    topic: TopicNamed | None = None
    tools: tuple[Tool, ...] = ()
    """Function calls that are out."""
    yielded: YieldFloor | None = None
    """How the floor was last taken, until the turn behind it is complete."""

    @property
    def pending(self) -> Unfinished | None:
        """What the agent is about to go on with, and has not begun to."""
        return None if self.sounded else self.resumed

    @property
    def newest(self) -> Unfinished | None:
        return self.stack[-1] if self.stack else None

    @property
    def kept(self) -> tuple[Unfinished, ...]:
        """Everything that would be lost if the call broke off here."""
        return (*self.stack, self.pending) if self.pending else self.stack


Remembered: TypeAlias = tuple[Resumption, tuple[Decision, ...]]


def remember(
    memory: Resumption,
    event: Event,
    said: Playout | None,
    decisions: Iterable[Decision],
    *,
    now: Playout | None,
    free: bool,
) -> Remembered:
    """Take one event.

    Args:
        memory: as it was.
        event: what happened.
        said: the playout as it was when it happened.
        decisions: what was decided about it.
        now: the playout as it is after it.
        free: whether the floor is nobody's after it, and nothing waits to be said.
    """
    if isinstance(event, TopicNamed):
        return replace(memory, topic=event if event.topic else None), ()
    at_ms = event.at_ms
    for decision in decisions:
        match decision:
            case YieldFloor():
                memory = replace(memory, yielded=decision)
                if said is not None and not decision.breaks_lock and memory.mode is not Mode.OFF:
                    memory = _yielded(memory, decision, said)
            case DeliverTurn() if memory.newest and memory.newest.cut_at_ms == decision.at_ms:
                memory = _changed(memory, caller_words=decision.text)
    memory = _fresh(memory, at_ms)
    if memory.pending and now is not None and _goes_on(memory, now):
        memory = replace(memory, sounded=True)
    resumed: tuple[Decision, ...] = ()
    match event:
        case ToolStarted() | ToolFinished():
            memory = _tools(memory, event)
        case UnfinishedRecalled():
            memory = _recalled(memory, event)
        case ResumptionDropped():
            memory = _dropped(memory, event.message_id)
        case ResumptionAsked():
            memory = replace(memory, asked=memory.newest is not None)
        case TurnTaken():
            memory, resumed = _answered(replace(memory, asked=False), event)
        case PlayoutStarted() if memory.awaited:
            sounds = memory.offer is Offer.MADE and now is not None
            # Whatever comes behind the offer, a "yes" after that answers something else.
            memory = replace(memory, offer=Offer.SOUNDS) if sounds else _unasked(memory)
        case PlayoutStopped():
            memory, resumed = _stopped(memory, event, said, free=free)
        case CallEnded():
            memory = _broken_off(_returned(memory), at_ms, said)
    if memory.asked and free and not resumed:
        return _resumed(memory, memory.newest, at_ms, Reason.TOLD_TO)
    return memory, resumed


def _stopped(
    memory: Resumption, event: PlayoutStopped, said: Playout | None, *, free: bool
) -> Remembered:
    if not event.completed:
        return _broken_off(memory, event.at_ms, said), ()  # by somebody else's hand
    if memory.resumed is not None and memory.sounded:
        memory = replace(memory, resumed=None)
    if memory.offer is Offer.SOUNDS:
        memory = replace(memory, offer=Offer.OUT)
    if said is not None and free and not memory.asked:
        return _offered(memory, event.at_ms)
    return memory, ()


def _goes_on(memory: Resumption, now: Playout) -> bool:
    """Is this what the agent was to go on with?"""
    if memory.resumed is None:
        return False
    # In its own words it may be anything; else it ends as the rest does, behind a bridge.
    return memory.mode is Mode.LLM or _bare(now.text).endswith(_bare(memory.resumed.rest))


def _unasked(memory: Resumption) -> Resumption:
    return replace(memory, awaited="", offer=Offer.NONE)


def recalled(left: Unfinished, *, at_ms: int, age_ms: int) -> UnfinishedRecalled:
    """What an earlier call left unsaid, as the event that tells this call of it."""
    return UnfinishedRecalled(
        at_ms=at_ms,
        message_id=left.message_id,
        text=left.text,
        heard=left.heard,
        age_ms=age_ms,
        kind=left.kind,
        caller_words=left.caller_words,
        topic=left.topic,
        task=left.task,
        progress=left.progress,
        context_note=left.context_note,
        tools=tuple((tool.name, tool.result) for tool in left.tools if tool.result),
        offered=left.offered,
    )


# --- what is kept ---------------------------------------------------------------------------


def _yielded(memory: Resumption, decision: YieldFloor, said: Playout) -> Resumption:
    if decision.kind is Kind.ANSWER:
        return memory  # perhaps to the offer, before it was over
    if memory.offer is Offer.SOUNDS:
        return _unasked(memory)  # of a cut offer nothing is worth keeping
    if decision.kind in NOTHING_LEFT:
        return replace(_returned(memory), resumed=None)
    text = decision.heard + decision.unheard
    said = replace(said, text=text, heard_chars=len(decision.heard))
    return _cut(memory, said, decision.at_ms, decision.kind, decision.caller_words)


def _cut(
    memory: Resumption, said: Playout, at_ms: int, kind: Kind | None, caller_words: str
) -> Resumption:
    again = _again(memory, said)
    memory = replace(_returned(memory), resumed=None)
    topic = memory.topic
    entry = again or Unfinished(
        message_id=said.message_id,
        text=said.text,
        heard=said.heard,
        kind=kind,
        cut_at_ms=at_ms,
        topic=topic.topic if topic else "",
        task=topic.task if topic else "",
        context_note=topic.context_note if topic else "",
    )
    if not has_words(entry.unheard):
        return memory
    share = len(entry.heard) / max(1, len(entry.text))
    named = topic.progress if topic is not None else None
    entry = replace(
        entry,
        kind=kind,
        cut_at_ms=at_ms,
        caller_words=caller_words,
        progress=share if named is None else named,
        tools=(*(tool for tool in entry.tools if tool.result is not None), *memory.tools),
        offered=False,
    )
    return replace(memory, stack=(*memory.stack, entry)[-memory.depth :])


def _again(memory: Resumption, said: Playout) -> Unfinished | None:
    """What it went on with was cut once more: the same message, and more of it was heard."""
    entry = memory.resumed
    if entry is None or not memory.sounded:
        return None
    # The bridge comes before the rest, and services change spaces and punctuation.
    bare, whole = _bare(entry.rest), _bare(said.text)
    if not whole.endswith(bare):
        return None
    heard = len(_bare(said.heard)) - (len(whole) - len(bare))
    at = entry.resumes_at
    while heard > 0 and at < len(entry.text):
        heard -= entry.text[at].isalnum()
        at += 1
    while at < len(entry.text) and not (entry.text[at].isalnum() or entry.text[at].isspace()):
        at += 1  # what ends the word ends the clause
    return replace(entry, heard=entry.text[: max(at, len(entry.heard))])


def _bare(text: str) -> str:
    return "".join(character for character in text if character.isalnum())


def _broken_off(memory: Resumption, at_ms: int, said: Playout | None) -> Resumption:
    """The agent did not end by itself, and nobody took the floor."""
    if said is None or said.must_hear or memory.mode is Mode.OFF:
        return memory
    if memory.offer is Offer.SOUNDS:
        return _unasked(memory)
    return _cut(memory, said, at_ms, None, "")


def _returned(memory: Resumption) -> Resumption:
    """What the agent was to go on with, and never began to, is unfinished still."""
    entry = memory.pending
    if entry is None:
        return memory
    return replace(memory, stack=(*memory.stack, entry)[-memory.depth :], resumed=None)


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


def _recalled(memory: Resumption, event: UnfinishedRecalled) -> Resumption:
    if any(entry.message_id == event.message_id for entry in memory.kept):
        return memory
    entry = Unfinished(
        message_id=event.message_id,
        text=event.text,
        heard=event.heard,
        kind=event.kind,
        cut_at_ms=event.at_ms - event.age_ms,
        caller_words=event.caller_words,
        topic=event.topic,
        task=event.task,
        progress=event.progress,
        context_note=event.context_note,
        tools=tuple(Tool(name=name, result=result) for name, result in event.tools),
        offered=event.offered,
        recalled=True,
    )
    stack = sorted((*memory.stack, entry), key=lambda one: one.cut_at_ms)
    return _fresh(replace(memory, stack=tuple(stack)[-memory.depth :]), event.at_ms)


def _dropped(memory: Resumption, message_id: str) -> Resumption:
    first = memory.pending or memory.newest
    message_id = message_id or (first.message_id if first else "")
    if memory.pending and memory.pending.message_id == message_id:
        memory = replace(memory, resumed=None)
    stack = tuple(entry for entry in memory.stack if entry.message_id != message_id)
    memory = replace(memory, stack=stack, asked=False)
    return _unasked(memory) if memory.awaited == message_id else memory


def _tools(memory: Resumption, event: ToolStarted | ToolFinished) -> Resumption:
    if isinstance(event, ToolStarted):
        tool = Tool(name=event.name, call_id=event.call_id)
        return replace(memory, tools=(*memory.tools, tool))
    out = Tool(name=event.name, call_id=event.call_id)
    if out not in memory.tools:
        return memory
    place = memory.tools.index(out)
    tools = memory.tools[:place] + memory.tools[place + 1 :]
    answered = (replace(out, result=event.result[:RESULT_CHARS]),) if event.result else ()
    stack = tuple(
        replace(
            entry,
            tools=tuple(
                new for tool in entry.tools for new in (answered if tool == out else (tool,))
            ),
        )
        if out in entry.tools
        else entry
        for entry in memory.stack
    )
    return replace(memory, tools=tools, stack=stack)


# --- going on -------------------------------------------------------------------------------


def _answered(memory: Resumption, event: TurnTaken) -> Remembered:
    """The user's turn: do they want to hear the rest?"""
    yielded = memory.yielded
    memory = replace(_returned(memory), yielded=None)
    offered = next((e for e in memory.stack if e.message_id == memory.awaited), None)
    if event.kind is Kind.RESUME and memory.newest is not None:
        return _resumed(memory, offered or memory.newest, event.at_ms, Reason.GO_ON)
    if offered is not None and event.agrees:
        return _resumed(memory, offered, event.at_ms, Reason.ANSWER)
    if offered is not None and event.agrees is not None:
        memory = _dropped(memory, offered.message_id)
    elif yielded is not None and memory.newest and memory.newest.cut_at_ms == yielded.at_ms:
        memory = _changed(memory, caller_words=event.text)
    memory = _unasked(memory)
    kind = yielded.kind if yielded else None
    if kind is None or kind not in memory.acknowledged:
        return memory, ()
    # "Stop" alone asks for nothing that the LLM could answer.
    instead = kind is Kind.CANCELLATION and event.kind is Kind.CANCELLATION
    return memory, (
        AcknowledgeYield(at_ms=event.at_ms, reason=Reason.UNDERSTOOD, kind=kind, instead=instead),
    )


def _resumed(
    memory: Resumption, entry: Unfinished | None, at_ms: int, reason: Reason
) -> Remembered:
    memory = replace(memory, asked=False)
    if entry is None or memory.pending is not None:
        return memory, ()
    topic = TopicNamed(
        at_ms=at_ms, topic=entry.topic, task=entry.task, context_note=entry.context_note
    )
    memory = replace(
        _unasked(memory),
        stack=tuple(one for one in memory.stack if one is not entry),
        resumed=entry,
        sounded=False,
        topic=topic if entry.topic or entry.task else None,
    )
    # A result of this call's is in the context already.
    late = entry.tools if entry.recalled else ()
    return memory, (
        ResumeSpeech(
            at_ms=at_ms,
            reason=reason,
            message_id=entry.message_id,
            text=entry.rest,
            topic=entry.topic,
            in_own_words=memory.mode is Mode.LLM,
            context_note=entry.context_note,
            tools=tuple((tool.name, tool.result) for tool in late if tool.result),
        ),
    )


def _offered(memory: Resumption, at_ms: int) -> Remembered:
    """The digression has been dealt with, or the greeting of another call."""
    newest = memory.newest
    if newest is None or newest.offered or memory.awaited or memory.pending:
        return memory, ()
    if not (newest.recalled or memory.mode is Mode.OFFER):
        return memory, ()
    stack = (*memory.stack[:-1], replace(newest, offered=True))
    return replace(memory, stack=stack, awaited=newest.message_id, offer=Offer.MADE), (
        OfferResumption(
            at_ms=at_ms,
            reason=Reason.AGENT_FINISHED,
            message_id=newest.message_id,
            topic=newest.topic,
        ),
    )

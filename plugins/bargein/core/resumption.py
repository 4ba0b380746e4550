"""What was left unsaid, and when does the agent go on with it?"""

from __future__ import annotations

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
from .playout import Playout

NOTHING_LEFT = frozenset({Kind.CANCELLATION, Kind.EMERGENCY})
"""Kinds of yields after which nobody wants to hear the rest."""
RESULT_CHARS = 2_000
"""How much of a function call's late result is kept."""
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
        heard = self.heard.rstrip()
        if heard.endswith(_CLAUSE_ENDS) or not self.unheard.strip():
            return len(self.heard)
        return max((heard.rfind(end) for end in _CLAUSE_ENDS), default=-1) + 1


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
    def newest(self) -> Unfinished | None:
        return self.stack[-1] if self.stack else None

    @property
    def kept(self) -> tuple[Unfinished, ...]:
        """Everything that would be lost if the call broke off here."""
        if self.resumed is None or self.sounded:
            return self.stack
        return (*self.stack, self.resumed)


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
    match event:
        case ToolStarted() | ToolFinished():
            return _tools(memory, event), ()
        case UnfinishedRecalled():
            return _recalled(memory, event), ()
        case ResumptionDropped():
            return _dropped(memory, event.message_id), ()
        case ResumptionAsked():
            return _resumed(memory, at_ms, Reason.TOLD_TO)
        case TurnTaken():
            return _answered(memory, event)
        case PlayoutStarted() if memory.resumed is not None and not memory.sounded:
            return replace(memory, sounded=True), ()
        case PlayoutStopped() if event.completed:
            if memory.resumed is not None and memory.sounded:
                memory = replace(memory, resumed=None)
            if said is not None and free:
                return _offered(memory, at_ms)
        case PlayoutStopped():
            return _broken_off(memory, at_ms, said), ()  # by somebody else's hand
        case CallEnded():
            return _broken_off(_returned(memory), at_ms, said), ()
    return memory, ()


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
    if memory.awaited or decision.kind in NOTHING_LEFT:
        return replace(memory, awaited="", resumed=None)  # of a cut offer nothing is worth keeping
    text = decision.heard + decision.unheard
    said = replace(said, text=text, heard_chars=len(decision.heard))
    return _cut(memory, said, decision.at_ms, decision.kind, decision.caller_words)


def _cut(
    memory: Resumption, said: Playout, at_ms: int, kind: Kind | None, caller_words: str
) -> Resumption:
    entry = _again(memory, said) or Unfinished(
        message_id=said.message_id,
        text=said.text,
        heard=said.heard,
        kind=kind,
        cut_at_ms=at_ms,
    )
    memory = replace(memory, awaited="", resumed=None)
    if not entry.unheard.strip():
        return memory
    topic = memory.topic
    share = len(entry.heard) / max(1, len(entry.text))
    entry = replace(
        entry,
        kind=kind,
        cut_at_ms=at_ms,
        caller_words=caller_words,
        topic=topic.topic if topic else "",
        task=topic.task if topic else "",
        context_note=topic.context_note if topic else "",
        progress=share if topic is None or topic.progress is None else topic.progress,
        tools=(*(tool for tool in entry.tools if tool.result is not None), *memory.tools),
        offered=False,
    )
    return replace(memory, stack=(*memory.stack, entry)[-memory.depth :])


def _again(memory: Resumption, said: Playout) -> Unfinished | None:
    """What it went on with was cut once more: the same message, and more of it was heard."""
    entry = memory.resumed
    if entry is None:
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
    if said is None or said.must_hear or not said.unheard.strip():
        return memory
    if memory.awaited or memory.mode is Mode.OFF:
        return memory
    return _cut(memory, said, at_ms, None, "")


def _returned(memory: Resumption) -> Resumption:
    """What the agent was to go on with, and never began to, is unfinished still."""
    entry = memory.resumed
    if entry is None or memory.sounded:
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
    message_id = message_id or (memory.newest.message_id if memory.newest else "")
    stack = tuple(entry for entry in memory.stack if entry.message_id != message_id)
    awaited = "" if memory.awaited == message_id else memory.awaited
    resumed = memory.resumed
    if resumed is not None and not memory.sounded and resumed.message_id == message_id:
        resumed = None
    return replace(memory, stack=stack, awaited=awaited, resumed=resumed)


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
    newest = memory.newest
    if newest is not None and event.kind is Kind.RESUME:
        return _resumed(memory, event.at_ms, Reason.GO_ON)
    if newest is not None and memory.awaited and event.agrees:
        return _resumed(memory, event.at_ms, Reason.ANSWER)
    if newest is not None and memory.awaited and event.agrees is not None:
        memory = replace(memory, stack=memory.stack[:-1])
    elif newest is not None and yielded is not None and newest.cut_at_ms == yielded.at_ms:
        memory = _changed(memory, caller_words=event.text)
    memory = replace(memory, awaited="")
    kind = yielded.kind if yielded else None
    if kind is None or kind not in memory.acknowledged:
        return memory, ()
    # "Stop" alone asks for nothing that the LLM could answer.
    instead = kind is Kind.CANCELLATION and event.kind is Kind.CANCELLATION
    return memory, (
        AcknowledgeYield(at_ms=event.at_ms, reason=Reason.UNDERSTOOD, kind=kind, instead=instead),
    )


def _resumed(memory: Resumption, at_ms: int, reason: Reason) -> Remembered:
    newest = memory.newest
    if newest is None:
        return memory, ()
    topic = TopicNamed(
        at_ms=at_ms, topic=newest.topic, task=newest.task, context_note=newest.context_note
    )
    memory = replace(
        memory,
        stack=memory.stack[:-1],
        awaited="",
        resumed=newest,
        sounded=False,
        topic=topic if newest.topic or newest.task else memory.topic,
    )
    return memory, (
        ResumeSpeech(
            at_ms=at_ms,
            reason=reason,
            message_id=newest.message_id,
            text=newest.rest,
            topic=newest.topic,
            in_own_words=memory.mode is Mode.LLM,
            context_note=newest.context_note,
            tools=tuple((tool.name, tool.result) for tool in newest.tools if tool.result),
        ),
    )


def _offered(memory: Resumption, at_ms: int) -> Remembered:
    """The digression has been dealt with, or the greeting of another call."""
    newest = memory.newest
    if newest is None or newest.offered or not (newest.recalled or memory.mode is Mode.OFFER):
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

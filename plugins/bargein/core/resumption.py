"""When does the agent go on with what was left unsaid?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
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
from .leftovers import (
    answered_by,
    broken_off,
    brought_back,
    dropped,
    fresh,
    letters,
    returned,
    tool_news,
    unasked,
    yielded,
)
from .playout import Playout
from .unfinished import Mode, Offer, Resumption, Unfinished

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
                    memory = yielded(memory, decision, said)
            case DeliverTurn() if memory.newest and memory.newest.cut_at_ms == decision.at_ms:
                memory = answered_by(memory, caller_words=decision.text)
    memory = fresh(memory, at_ms)
    if memory.pending and now is not None and _goes_on(memory, now):
        memory = replace(memory, sounded=True)
    resumed: tuple[Decision, ...] = ()
    match event:
        case ToolStarted() | ToolFinished():
            memory = tool_news(memory, event)
        case UnfinishedRecalled():
            memory = brought_back(memory, event)
        case ResumptionDropped():
            memory = dropped(memory, event.message_id)
        case ResumptionAsked():
            memory = replace(memory, asked=memory.newest is not None)
        case TurnTaken():
            memory, resumed = _answered(replace(memory, asked=False), event)
        case PlayoutStarted() if memory.awaited:
            sounds = memory.offer is Offer.MADE and now is not None
            # Whatever comes behind the offer, a "yes" after that answers something else.
            memory = replace(memory, offer=Offer.SOUNDS) if sounds else unasked(memory)
        case PlayoutStopped():
            memory, resumed = _stopped(memory, event, said, free=free)
        case CallEnded():
            memory = broken_off(returned(memory), at_ms, said)
    if memory.asked and free and not resumed:
        return _resumed(memory, memory.newest, at_ms, Reason.TOLD_TO)
    return memory, resumed


def _stopped(
    memory: Resumption, event: PlayoutStopped, said: Playout | None, *, free: bool
) -> Remembered:
    if not event.completed:
        return broken_off(memory, event.at_ms, said), ()  # by somebody else's hand
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
    return memory.mode is Mode.LLM or letters(now.text).endswith(letters(memory.resumed.rest))


def _answered(memory: Resumption, event: TurnTaken) -> Remembered:
    """The user's turn: do they want to hear the rest?"""
    yielded = memory.yielded
    memory = replace(returned(memory), yielded=None)
    offered = next((e for e in memory.stack if e.message_id == memory.awaited), None)
    if event.kind is Kind.RESUME and memory.newest is not None:
        return _resumed(memory, offered or memory.newest, event.at_ms, Reason.GO_ON)
    if offered is not None and event.agrees:
        return _resumed(memory, offered, event.at_ms, Reason.ANSWER)
    if offered is not None and event.agrees is not None:
        memory = dropped(memory, offered.message_id)
    elif yielded is not None and memory.newest and memory.newest.cut_at_ms == yielded.at_ms:
        memory = answered_by(memory, caller_words=event.text)
    memory = unasked(memory)
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
        unasked(memory),
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

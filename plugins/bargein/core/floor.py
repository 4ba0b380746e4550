"""Who holds the floor? Events in, decisions out."""

from __future__ import annotations

from dataclasses import replace

from .deadlines import ceiling, due
from .decisions import (
    Decision,
    DeferTurn,
    DeliverTurn,
    DuckPlayout,
    HoldFloor,
    Kind,
    PassFloor,
    PausePlayout,
    Reason,
    StopAt,
    YieldFloor,
)
from .endings import finished, full_voice
from .events import (
    CallEnded,
    ControlRaised,
    Event,
    MessageLocked,
    PlayoutStopped,
    TimePassed,
    TopicNamed,
    UserWordsHeard,
)
from .evidence import gathered, noted, reopens
from .locks import settle as settle_locks
from .overlap import Rules, Ruling, Verdict, ask
from .playout import Playout
from .resumption import remember
from .state import NO_LOCKS, Kept, State, Step, quiet
from .transitions import TRANSITIONS, Again, Floor
from .unfinished import Mode
from .waiting import (
    after_a_moment,
    before_a_lock,
    delivery,
    matters,
    moment_passes,
    place,
    undecided,
    weighed,
)


class EventOrderError(ValueError):
    """An adapter let the clock run backwards."""


def step(rules: Rules, state: State, event: Event) -> Step:
    """Take one event; return the next state and what to do.

    A deadline the event has passed is settled first, as of its own instant, so decisions depend
    on the log of events and never on how late a timer ran.

    Raises:
        EventOrderError: the event is older than the one before it.
    """
    if event.at_ms < state.at_ms:
        raise EventOrderError(
            f"{type(event).__name__} at {event.at_ms} ms came after {state.at_ms} ms: stamp every"
            " event of a call with one clock that never runs back"
        )
    earlier: tuple[Decision, ...] = ()
    while state.due_at_ms is not None and state.due_at_ms <= event.at_ms:
        state, decisions = _settle(rules, state, TimePassed(at_ms=state.due_at_ms))
        earlier += decisions
    if isinstance(event, TimePassed):
        # Only deadlines look at the clock: were the rules asked here too, a finer timer could
        # find them in another mood.
        return replace(state, at_ms=event.at_ms), earlier
    state, decisions = _settle(rules, state, event)
    return state, earlier + decisions


# --- one event ------------------------------------------------------------------------------


def _settle(rules: Rules, state: State, event: Event) -> Step:
    was, said = state.floor, state.playout
    state = noted(state, event)
    if isinstance(event, PlayoutStopped | CallEnded):
        state, decisions = finished(rules, state, was, event)
    elif state.floor is Floor.CONTESTED:
        state, decisions = _judged(rules, gathered(state, was, event), event)
    elif was is Floor.AGENT and reopens(state, event):
        state = replace(state, floor=TRANSITIONS[was][Again.REOPENED])
        state, decisions = _judged(rules, gathered(state, was, event), event)
    elif state.locks.queued and was in (Floor.OPEN, Floor.USER) and matters(event):
        state, decisions = before_a_lock(rules, state, event)
    elif state.moment is not None and isinstance(event, UserWordsHeard) and event.is_final:
        state, decisions = after_a_moment(rules, state, event)
    else:
        decisions = ()
    state, reported = weighed(state)
    decisions += reported
    if state.moment is not None:
        state, late = moment_passes(state, event)
        decisions += late
    if state.locks is not NO_LOCKS or isinstance(event, MessageLocked):
        state, filed = _unlocked(state, event, said, decisions)
        decisions += filed
    memory = state.resumption
    if memory.mode is not Mode.OFF or memory.acknowledged or isinstance(event, TopicNamed):
        state, resumed = _remembered(state, event, said, decisions)
        decisions += resumed
    due_at_ms = due(state)
    if due_at_ms != state.due_at_ms:  # copies are what a step costs
        state = replace(state, due_at_ms=due_at_ms)
    return state, decisions


def _remembered(
    state: State, event: Event, said: Playout | None, decisions: tuple[Decision, ...]
) -> Step:
    """What was left unsaid, and whether the agent goes on with it now."""
    locked = state.locks.active or state.locks.pending
    busy = state.user_speaking or locked or state.moment or state.tools
    spoken = any(isinstance(one, DeliverTurn) for one in decisions)
    memory, resumed = remember(
        state.resumption,
        event,
        said,
        decisions,
        now=state.playout,
        free=state.floor is Floor.OPEN and not busy and not spoken,
    )
    if memory is not state.resumption:
        state = replace(state, resumption=memory)
    return state, resumed


def _unlocked(
    state: State, event: Event, said: Playout | None, decisions: tuple[Decision, ...]
) -> Step:
    """What becomes of the messages that must be heard, and of words that wait for them."""
    locks, filed = settle_locks(
        state.locks,
        event,
        said.at(event.at_ms) if said else None,
        decisions,
        agent_sounds=state.floor in (Floor.AGENT, Floor.CONTESTED),
        user_speaks=state.user_speaking,
    )
    if locks == NO_LOCKS:
        locks = NO_LOCKS
    state = replace(state, locks=locks)
    if locks.active or not state.kept or state.floor in (Floor.AGENT, Floor.CONTESTED):
        return state, filed
    # They waited for a message that will not be heard now.
    reason = filed[-1].reason if filed else Reason.AGENT_FINISHED
    passed = PassFloor(at_ms=state.at_ms, reason=reason)
    delivered = delivery(state, (state.moment or ()) + state.kept, reason, None)
    return replace(state, kept=(), moment=None), (*filed, passed, delivered)


# --- a contested floor ----------------------------------------------------------------------


def _judged(rules: Rules, state: State, event: Event) -> Step:
    overlap = state.overlap
    assert overlap is not None
    verdict = ask(rules, overlap)
    if verdict.ruling is Ruling.WAIT:
        verdict = ceiling(state, overlap, verdict)
    aside = isinstance(event, ControlRaised) and not state.user_speaking and not state.ducked
    if aside and verdict.ruling is not Ruling.SHIFT:
        # A flag that no rule acts on is not an overlap: nobody spoke.
        return replace(state, floor=Floor.AGENT), ()
    match verdict.ruling:
        case Ruling.WAIT:
            return _wait(state, verdict)
        case Ruling.HOLD:
            return _hold(state, verdict)
        case Ruling.SHIFT:
            return _shift(state, verdict)


def _wait(state: State, verdict: Verdict) -> Step:
    decisions: list[Decision] = []
    if not state.ducked:
        decisions.append(DuckPlayout(at_ms=state.at_ms, reason=verdict.reason))
    pause_at_ms = verdict.pause_at_ms
    paused_at_ms = state.paused_at_ms
    if paused_at_ms is None and pause_at_ms is not None and pause_at_ms <= state.at_ms:
        decisions.append(PausePlayout(at_ms=state.at_ms, reason=Reason.STILL_UNDECIDED))
        paused_at_ms = state.at_ms
    playout = state.playout
    if playout and paused_at_ms is not None:
        playout = replace(playout, paused=True)
    state = replace(state, verdict=verdict, ducked=True, paused_at_ms=paused_at_ms, playout=playout)
    return state, tuple(decisions)


def _hold(state: State, verdict: Verdict) -> Step:
    decisions: list[Decision] = []
    before = state.verdict
    news = before is None or (before.ruling, before.reason, before.kind) != (
        verdict.ruling,
        verdict.reason,
        verdict.kind,
    )
    if news:
        decisions.append(HoldFloor(at_ms=state.at_ms, reason=verdict.reason, kind=verdict.kind))
    state, resumed = full_voice(state, verdict.reason)
    kept, placed = place(state, verdict)
    overlap = state.overlap
    if overlap and state.finals:
        # Words that have found their place are not judged again with the next ones.
        overlap = replace(overlap, finals="")
    state = replace(
        state,
        floor=TRANSITIONS[Floor.CONTESTED][Ruling.HOLD],
        overlap=overlap,
        verdict=verdict,
        finals=(),
        kept=state.kept + kept,
    )
    return state, (*decisions, *resumed, *placed)


def _shift(state: State, verdict: Verdict) -> Step:
    said = state.playout or Playout(since_ms=state.at_ms)
    decisions: list[Decision] = [
        YieldFloor(
            at_ms=state.at_ms,
            reason=verdict.reason,
            kind=verdict.kind,
            # Of a message that has only just begun, not even the first word is worth waiting for.
            stop_at=verdict.stop_at if said.audible_ms else StopAt.NOW,
            heard=said.heard,
            unheard=said.unheard,
            caller_words=state.overlap.words if state.overlap else "",
            message_id=said.message_id,
            breaks_lock=said.must_hear or state.locks.of(said.message_id) is not None,
        )
    ]
    waiting = (state.moment or ()) + state.kept
    moment: tuple[Kept, ...] | None = None
    if verdict.kind is Kind.HOLD:
        moment = waiting
        if state.finals:
            text = " ".join(state.finals)
            decisions.append(DeferTurn(at_ms=state.at_ms, reason=verdict.reason, text=text))
            moment += (undecided(text, verdict),)
    elif waiting:
        decisions.append(delivery(state, waiting, verdict.reason, verdict.kind))
    state = replace(
        state,
        moment=moment,
        moment_said=said.heard if moment is not None else "",
        moment_until_ms=None,
        floor=TRANSITIONS[Floor.CONTESTED][Ruling.SHIFT],
        playout=None,
        overlap=None,
        verdict=None,
        ducked=False,
        paused_at_ms=None,
        finals=(),
        kept=(),
    )
    return quiet(state), tuple(decisions)

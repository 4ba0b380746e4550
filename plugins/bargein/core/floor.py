"""Who holds the floor, and what moves it? The whole state machine lives here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias

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
    ReportBackchannel,
    ResumePlayout,
    StopAt,
    YieldFloor,
)
from .events import (
    CallEnded,
    ControlRaised,
    Event,
    MessageLocked,
    OverlapScored,
    PlayoutLocked,
    PlayoutProgressed,
    PlayoutStarted,
    PlayoutStopped,
    PlayoutWorded,
    ResumptionAsked,
    ResumptionDropped,
    TimePassed,
    ToolFinished,
    ToolStarted,
    TopicNamed,
    TurnTaken,
    UnfinishedRecalled,
    UserSpeechStarted,
    UserSpeechStopped,
    UserWordsHeard,
)
from .locks import Locked, Locks
from .locks import settle as settle_locks
from .overlap import Later, Overlap, Rules, Ruling, Score, Verdict, WordsGo
from .playout import Playout
from .resumption import Mode, Resumption, remember

MAX_HOLD_MS = 3_000
"""No rule keeps an overlap open longer than this after the user fell silent."""
MAX_PAUSE_MS = 8_000
"""No rule keeps the agent mute longer than this, even if the user never falls silent."""
MAX_OVERLAP_MS = 12_000
"""No rule keeps the agent ducked longer than this."""
MAX_WORDLESS_MS = 12_000
"""Nobody speaks for so long without a word or a pause: an agent that begins then begins."""
MOMENT_MS = 20_000
"""How long a user who asked for a moment may be silent before somebody answers that."""
WEIGH_MS = 1_000
"""How long a "yes" that looked like a backchannel waits for the agent to turn out to be asking."""


NO_LOCKS = Locks()
NOTHING_UNSAID = Resumption()
SAME_OVERLAP_MS = 2_000
"""Words that come later than this after the user fell silent belong to no earlier overlap."""


class EventOrderError(ValueError):
    """An adapter let the clock run backwards."""


class Floor(Enum):
    """Who holds the floor."""

    OPEN = "open"
    AGENT = "agent"
    USER = "user"
    CONTESTED = "contested"


class Again(Enum):
    """An overlap that was decided once is looked at again."""

    REOPENED = "reopened"


class Voice(Enum):
    """What somebody turns out to be who was taken for a user."""

    WORDLESS = "wordless"


Move: TypeAlias = type[Event] | Ruling | Again | Voice

# One paragraph per floor; what happened -> whose floor it is now. Complete on purpose: a test
# fails if an event is missing from any paragraph. The interesting rows come first.
TRANSITIONS: dict[Floor, dict[Move, Floor]] = {
    Floor.OPEN: {
        UserSpeechStarted: Floor.USER,
        PlayoutStarted: Floor.AGENT,
        CallEnded: Floor.OPEN,
        UserSpeechStopped: Floor.OPEN,
        UserWordsHeard: Floor.OPEN,
        OverlapScored: Floor.OPEN,
        PlayoutWorded: Floor.OPEN,
        PlayoutProgressed: Floor.OPEN,
        PlayoutLocked: Floor.OPEN,
        MessageLocked: Floor.OPEN,
        TurnTaken: Floor.OPEN,
        TopicNamed: Floor.OPEN,
        ResumptionAsked: Floor.OPEN,
        ResumptionDropped: Floor.OPEN,
        UnfinishedRecalled: Floor.OPEN,
        PlayoutStopped: Floor.OPEN,
        ToolStarted: Floor.OPEN,
        ToolFinished: Floor.OPEN,
        ControlRaised: Floor.OPEN,
        TimePassed: Floor.OPEN,
    },
    Floor.USER: {
        UserSpeechStopped: Floor.OPEN,
        CallEnded: Floor.OPEN,
        PlayoutStarted: Floor.CONTESTED,  # the agent begins on top of the user
        Voice.WORDLESS: Floor.AGENT,  # or of a radio, or of a detector that hangs
        UserSpeechStarted: Floor.USER,
        UserWordsHeard: Floor.USER,
        OverlapScored: Floor.USER,
        PlayoutWorded: Floor.USER,
        PlayoutProgressed: Floor.USER,
        PlayoutLocked: Floor.USER,
        MessageLocked: Floor.USER,
        TurnTaken: Floor.USER,
        TopicNamed: Floor.USER,
        ResumptionAsked: Floor.USER,
        ResumptionDropped: Floor.USER,
        UnfinishedRecalled: Floor.USER,
        PlayoutStopped: Floor.USER,
        ToolStarted: Floor.USER,
        ToolFinished: Floor.USER,
        ControlRaised: Floor.USER,
        TimePassed: Floor.USER,
    },
    Floor.AGENT: {
        UserSpeechStarted: Floor.CONTESTED,  # someone talks over us
        Again.REOPENED: Floor.CONTESTED,  # a held overlap grew, or words came that no VAD heard
        PlayoutStopped: Floor.OPEN,
        CallEnded: Floor.OPEN,
        UserSpeechStopped: Floor.AGENT,
        UserWordsHeard: Floor.AGENT,
        OverlapScored: Floor.AGENT,
        PlayoutStarted: Floor.AGENT,  # the next message follows without a gap
        PlayoutWorded: Floor.AGENT,
        PlayoutProgressed: Floor.AGENT,
        PlayoutLocked: Floor.AGENT,
        MessageLocked: Floor.AGENT,
        TurnTaken: Floor.AGENT,
        TopicNamed: Floor.AGENT,
        ResumptionAsked: Floor.AGENT,
        ResumptionDropped: Floor.AGENT,
        UnfinishedRecalled: Floor.AGENT,
        ToolStarted: Floor.AGENT,
        ToolFinished: Floor.AGENT,
        ControlRaised: Floor.AGENT,
        TimePassed: Floor.AGENT,
    },
    Floor.CONTESTED: {
        Ruling.HOLD: Floor.AGENT,
        Ruling.SHIFT: Floor.USER,
        Ruling.WAIT: Floor.CONTESTED,
        PlayoutStopped: Floor.OPEN,
        CallEnded: Floor.OPEN,
        UserSpeechStarted: Floor.CONTESTED,
        UserSpeechStopped: Floor.CONTESTED,
        UserWordsHeard: Floor.CONTESTED,
        OverlapScored: Floor.CONTESTED,
        PlayoutStarted: Floor.CONTESTED,
        PlayoutWorded: Floor.CONTESTED,
        PlayoutProgressed: Floor.CONTESTED,
        PlayoutLocked: Floor.CONTESTED,
        MessageLocked: Floor.CONTESTED,
        TurnTaken: Floor.CONTESTED,
        TopicNamed: Floor.CONTESTED,
        ResumptionAsked: Floor.CONTESTED,
        ResumptionDropped: Floor.CONTESTED,
        UnfinishedRecalled: Floor.CONTESTED,
        ToolStarted: Floor.CONTESTED,
        ToolFinished: Floor.CONTESTED,
        ControlRaised: Floor.CONTESTED,
        TimePassed: Floor.CONTESTED,
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Final words that wait for the agent to finish."""

    text: str
    kind: Kind | None
    reason: Reason
    words: WordsGo
    until_ms: int | None = None
    """Reported as a backchannel at this instant if the agent just goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything the core remembers between events."""

    at_ms: int = 0
    floor: Floor = Floor.OPEN
    user_speaking: bool = False
    user_onset_ms: int = 0
    user_sign_ms: int = 0
    """When they last gave a sign: an onset, or words."""
    playout: Playout | None = None
    tools: tuple[str, ...] = ()

    overlap: Overlap | None = None
    """The evidence while the floor is contested, and afterwards, until the next one begins."""
    verdict: Verdict | None = None
    """What was last made of it."""
    ducked: bool = False
    paused_at_ms: int | None = None
    finals: tuple[str, ...] = ()
    """Final words of a contested floor that have no place yet."""
    kept: tuple[Kept, ...] = ()
    moment: tuple[Kept, ...] | None = None
    """Words since the user asked for a moment ("hang on"); None if they did not. Nobody answers
    them: they begin the turn that comes."""
    moment_said: str = ""
    """What the agent had said when they asked for it."""
    moment_until_ms: int | None = None
    """When their words are handed on after all; None while they speak."""

    locks: Locks = NO_LOCKS
    """The messages that must be heard in full."""

    resumption: Resumption = NOTHING_UNSAID
    """What was left unsaid."""

    due_at_ms: int | None = None
    """Send ``TimePassed`` at this instant if nothing happens first."""


Step: TypeAlias = tuple[State, tuple[Decision, ...]]


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
    state = _noted(state, event)
    if isinstance(event, PlayoutStopped | CallEnded):
        state, decisions = _finished(rules, state, was, event)
    elif state.floor is Floor.CONTESTED:
        state, decisions = _judged(rules, _evidence(state, was, event), event)
    elif was is Floor.AGENT and _reopens(state, event):
        state = replace(state, floor=TRANSITIONS[was][Again.REOPENED])
        state, decisions = _judged(rules, _evidence(state, was, event), event)
    elif state.locks.queued and was in (Floor.OPEN, Floor.USER) and _matters(event):
        state, decisions = _before_a_lock(rules, state, event)
    elif state.moment is not None and isinstance(event, UserWordsHeard) and event.is_final:
        state, decisions = _after_a_moment(rules, state, event)
    else:
        decisions = ()
    state, reported = _weighed(state)
    decisions += reported
    if state.moment is not None:
        state, late = _moment(state, event)
        decisions += late
    if state.locks is not NO_LOCKS or isinstance(event, MessageLocked):
        state, filed = _unlocked(state, event, said, decisions)
        decisions += filed
    memory = state.resumption
    if memory.mode is not Mode.OFF or memory.acknowledged or isinstance(event, TopicNamed):
        state, resumed = _remembered(state, event, said, decisions)
        decisions += resumed
    due_at_ms = _due(state)
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
    delivered = _delivery(state, (state.moment or ()) + state.kept, reason, None)
    return replace(state, kept=(), moment=None), (*filed, passed, delivered)


def _noted(state: State, event: Event) -> State:
    """The plain facts of an event, and where the table moves the floor."""
    at_ms, tools, floor = event.at_ms, state.tools, TRANSITIONS[state.floor][type(event)]
    playout = state.playout.at(at_ms) if state.playout else None
    match event:
        case UserSpeechStarted() if not state.user_speaking:
            onset_ms = at_ms if event.onset_at_ms is None else event.onset_at_ms
            return replace(
                state,
                at_ms=at_ms,
                floor=floor,
                playout=playout,
                user_speaking=True,
                user_onset_ms=min(onset_ms, at_ms),
                user_sign_ms=at_ms,
            )
        case UserSpeechStarted():
            return replace(state, at_ms=at_ms, playout=playout)  # said twice, counts once
        case UserSpeechStopped():
            overlap = state.overlap
            if overlap and overlap.silent_since_ms is None:
                overlap = replace(overlap, silent_since_ms=event.at_ms)
            return replace(
                state,
                at_ms=at_ms,
                floor=floor,
                playout=playout,
                overlap=overlap,
                user_speaking=False,
            )
        case UserWordsHeard() if event.text.strip():
            return replace(state, at_ms=at_ms, floor=floor, playout=playout, user_sign_ms=at_ms)
        case PlayoutStarted():
            if state.floor is Floor.USER and at_ms - state.user_sign_ms >= MAX_WORDLESS_MS:
                floor = TRANSITIONS[Floor.USER][Voice.WORDLESS]
            playout = Playout(
                message_id=event.message_id,
                must_hear=event.must_hear or state.locks.queued_as(event.message_id) is not None,
                since_ms=event.at_ms,
                paused=state.paused_at_ms is not None,
            )
        case PlayoutWorded() if playout:
            playout = replace(playout, text=playout.text + event.text)
        case PlayoutProgressed() if playout:
            playout = playout.progressed(event.heard_chars, event.left_ms)
        case PlayoutLocked() if playout:
            locked = state.locks.of(playout.message_id) is not None
            playout = replace(playout, must_hear=event.must_hear or locked)
        case ToolStarted():
            tools = (*tools, event.name)
        case ToolFinished() if event.name in tools:
            place = tools.index(event.name)
            tools = tools[:place] + tools[place + 1 :]
    return replace(state, at_ms=at_ms, floor=floor, playout=playout, tools=tools)


def _reopens(state: State, event: Event) -> bool:
    """Does this event make a floor that the agent keeps worth another look?"""
    match event:
        case UserWordsHeard():
            text, overlap = event.text.strip(), state.overlap
            told = overlap is not None and not event.is_final and text == overlap.partial
            return bool(text) and not told
        case ControlRaised():
            return True
        case PlayoutStarted() if state.kept and state.overlap and not event.must_hear:
            # Behind a message that must be heard, what was said over it counts.
            return state.overlap.must_hear
        case TimePassed() if state.verdict and state.overlap and state.user_speaking:
            ask_again_at_ms = state.verdict.ask_again_at_ms
            return ask_again_at_ms is not None and ask_again_at_ms <= event.at_ms
        case _:
            return False


def _evidence(state: State, was: Floor, event: Event) -> State:
    """Bring the overlap up to this instant."""
    overlap = state.overlap
    if was is not Floor.CONTESTED and (
        overlap is None
        or isinstance(event, UserSpeechStarted)
        or event.at_ms > (overlap.silent_since_ms or event.at_ms) + SAME_OVERLAP_MS
    ):
        overlap = Overlap(began_at_ms=event.at_ms, seen_at_ms=event.at_ms)
        if state.user_speaking:
            overlap = replace(overlap, began_at_ms=state.user_onset_ms)
        if isinstance(event, PlayoutStarted):
            overlap = replace(
                overlap,
                began_at_ms=event.at_ms,
                agent_started_over=True,
                user_led_ms=event.at_ms - state.user_onset_ms,
            )
        state = replace(state, verdict=None)
    assert overlap is not None  # a contested floor has one since the event that contested it
    silent_since_ms = overlap.silent_since_ms
    if state.user_speaking:
        silent_since_ms = None
    elif silent_since_ms is None:
        silent_since_ms = event.at_ms
    match event:
        case UserWordsHeard() if event.text.strip():
            overlap, finals = _heard(overlap, event)
            state = replace(state, finals=state.finals + finals)
        case OverlapScored():
            others = tuple(score for score in overlap.scores if score.source != event.source)
            score = Score(
                source=event.source,
                backchannel_probability=event.backchannel_probability,
                at_ms=event.at_ms,
            )
            overlap = replace(overlap, scores=(*others, score))
        case ControlRaised():
            overlap = replace(overlap, controls=(*overlap.controls, event.name))
        case TimePassed() | PlayoutStarted() if was is Floor.AGENT:
            # The protection has run out: what was said under it counts now.
            overlap = replace(overlap, finals=" ".join(kept.text for kept in state.kept))
    playout = state.playout or Playout(since_ms=event.at_ms)
    locked = _lock_of(state, playout, event)
    overlap = replace(
        overlap,
        seen_at_ms=event.at_ms,
        user_speaking=state.user_speaking,
        silent_since_ms=silent_since_ms,
        message_id=playout.message_id,
        must_hear=playout.must_hear,
        broken_by=locked.broken_by if locked else None,
        agent_said=playout.heard,
        agent_unsaid=playout.unheard,
        agent_spoke_ms=playout.audible_ms,
        agent_left_ms=playout.left_ms,
        paused=state.paused_at_ms is not None,
        tools_running=state.tools,
    )
    return replace(state, overlap=overlap)


def _lock_of(state: State, playout: Playout, event: Event) -> Locked | None:
    """The message that is being heard, if it must be; at its start it is the one queued first."""
    if not playout.must_hear:
        return None
    if isinstance(event, PlayoutStarted):
        return state.locks.queued_as(playout.message_id)
    return state.locks.of(playout.message_id)


def _heard(overlap: Overlap, event: UserWordsHeard) -> tuple[Overlap, tuple[str, ...]]:
    text = event.text.strip()
    if event.language and event.language != overlap.language:
        overlap = replace(overlap, language=event.language)
    if event.is_final:
        finals = f"{overlap.finals} {text}".strip()
        # A final that only dresses up the partial is no news: its words are as old as they were.
        same = _bare(text) == _bare(overlap.partial)
        words_at_ms = overlap.words_at_ms if same else event.at_ms
        return replace(overlap, finals=finals, partial="", words_at_ms=words_at_ms), (text,)
    if text == overlap.partial:
        return overlap, ()
    return replace(overlap, partial=text, words_at_ms=event.at_ms), ()


def _bare(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


# --- a contested floor ----------------------------------------------------------------------


def _judged(rules: Rules, state: State, event: Event) -> Step:
    overlap = state.overlap
    assert overlap is not None
    verdict = _asked(rules, overlap)
    if verdict.ruling is Ruling.WAIT:
        verdict = _ceiling(state, overlap, verdict)
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


def _asked(rules: Rules, overlap: Overlap) -> Verdict:
    later: list[int] = []
    for rule in rules:
        opinion = rule(overlap)
        if isinstance(opinion, Later):
            later.append(opinion.at_ms)
        elif opinion is not None:
            if later and opinion.ruling is Ruling.WAIT:
                known = () if opinion.ask_again_at_ms is None else (opinion.ask_again_at_ms,)
                return replace(opinion, ask_again_at_ms=min((*later, *known)))
            return opinion
    return Verdict(ruling=Ruling.SHIFT, reason=Reason.NO_RULE, stop_at=StopAt.NOW)


def _ceiling(state: State, overlap: Overlap, verdict: Verdict) -> Verdict:
    """A rule may wait, but never for ever."""
    silent_ms = overlap.silent_since_ms
    if silent_ms is not None and state.at_ms >= silent_ms + MAX_HOLD_MS:
        return Verdict(ruling=Ruling.HOLD, reason=Reason.USER_SILENT, words=WordsGo.DELIVERED)
    mute_ms = state.paused_at_ms
    if (mute_ms is not None and state.at_ms >= mute_ms + MAX_PAUSE_MS) or (
        state.at_ms >= overlap.began_at_ms + MAX_OVERLAP_MS
    ):
        return Verdict(ruling=Ruling.HOLD, reason=Reason.HELD_TOO_LONG, words=WordsGo.DELIVERED)
    return verdict


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
    state, resumed = _resumed(state, verdict.reason)
    kept, placed = _placed(state, verdict)
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


def _placed(state: State, verdict: Verdict) -> tuple[tuple[Kept, ...], tuple[Decision, ...]]:
    """Where the final words of a held overlap go."""
    if not state.finals:
        return (), ()
    text = " ".join(state.finals)
    at_ms, reason, kind, words = state.at_ms, verdict.reason, verdict.kind, verdict.words
    soon = state.playout is None or state.playout.ends_within(WEIGH_MS)
    noise = kind is not None  # somebody understood the words and nobody has to answer them
    if words is WordsGo.REPORTED or (words is WordsGo.WEIGHED and noise and not soon):
        report = ReportBackchannel(
            at_ms=at_ms, reason=reason, text=text, kind=kind or Kind.BACKCHANNEL
        )
        return (), (report,)
    until_ms = at_ms + WEIGH_MS if words is WordsGo.WEIGHED and noise else None
    kept = Kept(text=text, kind=kind, reason=reason, words=words, until_ms=until_ms)
    return (kept,), (DeferTurn(at_ms=at_ms, reason=reason, text=text),)


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
            moment += (_undecided(text, verdict),)
    elif waiting:
        decisions.append(_delivery(state, waiting, verdict.reason, verdict.kind))
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
    return _quiet(state), tuple(decisions)


def _undecided(text: str, verdict: Verdict) -> Kept:
    return Kept(text=text, kind=verdict.kind, reason=verdict.reason, words=WordsGo.DELIVERED)


def _after_a_moment(rules: Rules, state: State, event: UserWordsHeard) -> Step:
    """The user asked for a moment and says something: that they still need it, or their turn."""
    text = event.text.strip()
    if not text:
        return state, ()
    now = Overlap(
        began_at_ms=state.user_onset_ms,
        seen_at_ms=state.at_ms,
        user_speaking=False,
        silent_since_ms=state.at_ms,
        finals=text,
        words_at_ms=state.at_ms,
        language=event.language,
        agent_said=state.moment_said,
        agent_finished=True,
    )
    verdict = _asked(rules, now)
    kept = (*(state.moment or ()), _undecided(text, verdict))
    if verdict.kind is Kind.HOLD or verdict.ruling is Ruling.HOLD:
        state = replace(state, moment=kept)
        return state, (DeferTurn(at_ms=state.at_ms, reason=verdict.reason, text=text),)
    state = replace(state, moment=None)
    return state, (_delivery(state, kept, verdict.reason, verdict.kind),)


def _moment(state: State, event: Event) -> Step:
    """A moment is over when it has been silent for too long: nobody waits for ever."""
    until_ms = state.moment_until_ms
    if state.user_speaking:
        until_ms = None
    elif until_ms is None or isinstance(event, UserWordsHeard):
        until_ms = state.at_ms + MOMENT_MS
    elif until_ms <= state.at_ms:
        waiting, state = state.moment, replace(state, moment=None, moment_until_ms=None)
        if not waiting:
            return state, ()
        return state, (_delivery(state, waiting, Reason.USER_SILENT, Kind.HOLD),)
    if until_ms != state.moment_until_ms:
        state = replace(state, moment_until_ms=until_ms)
    return state, ()


def _matters(event: Event) -> bool:
    """Is it something that waits for a message that must be heard, or that calls it off?"""
    if isinstance(event, UserWordsHeard):
        return event.is_final and bool(event.text.strip())
    return isinstance(event, ControlRaised)


def _before_a_lock(rules: Rules, state: State, event: Event) -> Step:
    """A message that must be heard is on its way, and something comes before it."""
    message = state.locks.queued[0]
    words = event.text.strip() if isinstance(event, UserWordsHeard) else ""
    now = Overlap(
        began_at_ms=min(state.user_onset_ms, state.at_ms),
        seen_at_ms=state.at_ms,
        user_speaking=state.user_speaking,
        silent_since_ms=None if state.user_speaking else state.at_ms,
        finals=words,
        words_at_ms=state.at_ms if words else None,
        language=event.language if isinstance(event, UserWordsHeard) else "",
        controls=(event.name,) if isinstance(event, ControlRaised) else (),
        message_id=message.message_id,
        must_hear=True,
        broken_by=message.broken_by,
        agent_unsaid=message.rest,
    )
    verdict = _asked(rules, now)
    if verdict.ruling is Ruling.SHIFT:
        decisions: tuple[Decision, ...] = (
            YieldFloor(
                at_ms=state.at_ms,
                reason=verdict.reason,
                kind=verdict.kind,
                stop_at=verdict.stop_at,
                unheard=message.rest,
                caller_words=words,
                message_id=message.message_id,
                breaks_lock=True,
            ),
        )
        waiting = state.kept + ((_undecided(words, verdict),) if words else ())
        if waiting:
            decisions += (_delivery(state, waiting, verdict.reason, verdict.kind),)
        return replace(state, kept=()), decisions
    if not words:
        return state, ()
    if verdict.words is WordsGo.REPORTED and verdict.kind is not None:
        return state, (
            ReportBackchannel(
                at_ms=state.at_ms, reason=verdict.reason, text=words, kind=verdict.kind
            ),
        )
    deferred = DeferTurn(at_ms=state.at_ms, reason=verdict.reason, text=words)
    return replace(state, kept=(*state.kept, _undecided(words, verdict))), (deferred,)


# --- endings --------------------------------------------------------------------------------


def _resumed(state: State, reason: Reason) -> Step:
    """Full voice again, if it was not."""
    if not state.ducked and state.paused_at_ms is None:
        return state, ()
    playout = replace(state.playout, paused=False) if state.playout else None
    state = replace(state, ducked=False, paused_at_ms=None, playout=playout)
    return state, (ResumePlayout(at_ms=state.at_ms, reason=reason),)


def _finished(rules: Rules, state: State, was: Floor, event: PlayoutStopped | CallEnded) -> Step:
    """The agent's audio ended by itself or by somebody else's hand; whatever waited goes on."""
    completed = isinstance(event, PlayoutStopped) and event.completed
    reason = Reason.AGENT_FINISHED if completed else Reason.AGENT_CUT
    if isinstance(event, CallEnded):
        reason = Reason.CALL_ENDED
    state, resumed = _resumed(state, reason)
    said, overlap = state.playout, state.overlap
    state = replace(state, playout=None, overlap=None, verdict=None)
    if was not in (Floor.AGENT, Floor.CONTESTED):
        return state, resumed
    waiting = state.kept
    if state.finals:
        text = " ".join(state.finals)
        waiting += (Kept(text=text, kind=None, reason=reason, words=WordsGo.WEIGHED),)
    state = replace(state, finals=(), kept=())

    placed: list[Decision] = []
    turn: tuple[Kept, ...] = ()
    kind: Kind | None = None
    for kept in waiting:
        if kept.words is WordsGo.WEIGHED and overlap is not None and completed:
            verdict = _asked(rules, _afterwards(overlap, said, kept, state.at_ms))
            if verdict.ruling is Ruling.HOLD:
                placed.append(
                    ReportBackchannel(
                        at_ms=state.at_ms,
                        reason=verdict.reason,
                        text=kept.text,
                        kind=verdict.kind or Kind.BACKCHANNEL,
                    )
                )
                continue
            kind = verdict.kind
        turn += (kept,)
    state = _quiet(replace(state, floor=Floor.OPEN))
    if state.locks.queued and not isinstance(event, CallEnded):
        # Another message that must be heard follows: what was said waits for that one as well.
        still = tuple(replace(kept, words=WordsGo.DELIVERED, until_ms=None) for kept in turn)
        return replace(state, kept=still), (*resumed, *placed)
    if turn or state.user_speaking:
        placed.append(PassFloor(at_ms=state.at_ms, reason=reason))
    if turn:
        placed.append(_delivery(state, (state.moment or ()) + turn, reason, kind))
        state = replace(state, moment=None)
    return state, (*resumed, *placed)


def _afterwards(overlap: Overlap, said: Playout | None, kept: Kept, at_ms: int) -> Overlap:
    """The overlap as it looks now that the agent has said everything."""
    return replace(
        overlap,
        seen_at_ms=at_ms,
        finals=kept.text,
        partial="",
        user_speaking=False,
        silent_since_ms=overlap.silent_since_ms or at_ms,
        agent_said=said.text if said else "",
        agent_unsaid="",
        agent_left_ms=0,
        agent_finished=True,
        must_hear=False,
        paused=False,
    )


def _delivery(
    state: State, kept: tuple[Kept, ...], reason: Reason, kind: Kind | None
) -> DeliverTurn:
    text = " ".join(words.text for words in kept)
    return DeliverTurn(at_ms=state.at_ms, reason=reason, text=text, kind=kind)


def _quiet(state: State) -> State:
    """A floor nobody is talking on is open; a user who is talking has it."""
    move: Move = UserSpeechStarted if state.user_speaking else UserSpeechStopped
    if state.floor in (Floor.OPEN, Floor.USER):
        return replace(state, floor=TRANSITIONS[state.floor][move])
    return state


def _weighed(state: State) -> Step:
    """Acknowledgements the agent talked on over for long enough were just that."""
    ripe = [k for k in state.kept if k.until_ms is not None and k.until_ms <= state.at_ms]
    if not ripe:
        return state, ()
    state = replace(state, kept=tuple(kept for kept in state.kept if kept not in ripe))
    return state, tuple(
        ReportBackchannel(
            at_ms=state.at_ms,
            reason=kept.reason,
            text=kept.text,
            kind=kept.kind or Kind.BACKCHANNEL,
        )
        for kept in ripe
    )


def _due(state: State) -> int | None:
    """The next instant at which something changes if nothing happens."""
    instants = [kept.until_ms for kept in state.kept]
    instants.append(state.locks.due_at_ms)
    if state.moment is not None:
        instants.append(state.moment_until_ms)
    verdict, overlap = state.verdict, state.overlap
    if verdict and overlap and state.floor is Floor.CONTESTED:
        instants += [verdict.ask_again_at_ms, overlap.began_at_ms + MAX_OVERLAP_MS]
        if overlap.silent_since_ms is not None:
            instants.append(overlap.silent_since_ms + MAX_HOLD_MS)
        if state.paused_at_ms is not None:
            instants.append(state.paused_at_ms + MAX_PAUSE_MS)
        else:
            instants.append(verdict.pause_at_ms)
    elif verdict and state.floor is Floor.AGENT and state.user_speaking:
        instants.append(verdict.ask_again_at_ms)
    return min((ms for ms in instants if ms is not None and ms > state.at_ms), default=None)

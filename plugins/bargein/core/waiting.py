"""Where do the caller's words go, and how long do they wait?"""

from __future__ import annotations

from dataclasses import replace

from .decisions import Decision, DeferTurn, DeliverTurn, Kind, Reason, ReportBackchannel, YieldFloor
from .events import ControlRaised, Event, UserWordsHeard
from .overlap import Overlap, Rules, Ruling, Verdict, WordsGo, ask
from .state import Kept, State, Step

MOMENT_MS = 20_000
"""How long a user who asked for a moment may be silent before somebody answers that."""
WEIGH_MS = 1_000
"""How long a "yes" that looked like a backchannel waits for the agent to turn out to be asking."""


def place(state: State, verdict: Verdict) -> tuple[tuple[Kept, ...], tuple[Decision, ...]]:
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


def weighed(state: State) -> Step:
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


def undecided(text: str, verdict: Verdict) -> Kept:
    """Words that somebody has to answer, whatever they turn out to be."""
    return Kept(text=text, kind=verdict.kind, reason=verdict.reason, words=WordsGo.DELIVERED)


def delivery(
    state: State, kept: tuple[Kept, ...], reason: Reason, kind: Kind | None
) -> DeliverTurn:
    """All that waited is the user's turn."""
    text = " ".join(words.text for words in kept)
    return DeliverTurn(at_ms=state.at_ms, reason=reason, text=text, kind=kind)


def after_a_moment(rules: Rules, state: State, event: UserWordsHeard) -> Step:
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
    verdict = ask(rules, now)
    kept = (*(state.moment or ()), undecided(text, verdict))
    if verdict.kind is Kind.HOLD or verdict.ruling is Ruling.HOLD:
        state = replace(state, moment=kept)
        return state, (DeferTurn(at_ms=state.at_ms, reason=verdict.reason, text=text),)
    state = replace(state, moment=None)
    return state, (delivery(state, kept, verdict.reason, verdict.kind),)


def moment_passes(state: State, event: Event) -> Step:
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
        return state, (delivery(state, waiting, Reason.USER_SILENT, Kind.HOLD),)
    if until_ms != state.moment_until_ms:
        state = replace(state, moment_until_ms=until_ms)
    return state, ()


def matters(event: Event) -> bool:
    """Is it something that waits for a message that must be heard, or that calls it off?"""
    if isinstance(event, UserWordsHeard):
        return event.is_final and bool(event.text.strip())
    return isinstance(event, ControlRaised)


def before_a_lock(rules: Rules, state: State, event: Event) -> Step:
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
    verdict = ask(rules, now)
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
        waiting = state.kept + ((undecided(words, verdict),) if words else ())
        if waiting:
            decisions += (delivery(state, waiting, verdict.reason, verdict.kind),)
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
    return replace(state, kept=(*state.kept, undecided(words, verdict))), (deferred,)

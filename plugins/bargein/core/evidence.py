"""What is known of an overlap by now?"""

from __future__ import annotations

from dataclasses import replace

from .events import (
    ControlRaised,
    Event,
    OverlapScored,
    PlayoutLocked,
    PlayoutProgressed,
    PlayoutStarted,
    PlayoutWorded,
    TimePassed,
    ToolFinished,
    ToolStarted,
    UserSpeechStarted,
    UserSpeechStopped,
    UserWordsHeard,
)
from .locks import Locked
from .overlap import Overlap, Score
from .playout import Playout
from .state import State
from .transitions import TRANSITIONS, Floor, Voice

MAX_WORDLESS_MS = 12_000
"""Nobody speaks for so long without a word or a pause: an agent that begins then begins."""
SAME_OVERLAP_MS = 2_000
"""Words that come later than this after the user fell silent belong to no earlier overlap."""


def noted(state: State, event: Event) -> State:
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


def reopens(state: State, event: Event) -> bool:
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


def gathered(state: State, was: Floor, event: Event) -> State:
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

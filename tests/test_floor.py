"""The table is complete, and nothing moves the floor behind its back."""

import typing

import pytest

from bargein import (
    Event,
    Floor,
    PlayoutProgressed,
    PlayoutStarted,
    PlayoutWorded,
    Ruling,
    State,
    UserSpeechStarted,
    UserSpeechStopped,
    UserWordsHeard,
    YieldFloor,
    standard_rules,
    step,
)
from bargein.core.transitions import TRANSITIONS, Again

EVENTS = typing.get_args(Event)


@pytest.mark.parametrize("floor", Floor)
def test_every_floor_has_a_row_for_every_event(floor: Floor) -> None:
    assert {move for move in TRANSITIONS[floor] if isinstance(move, type)} == set(EVENTS)


def test_only_a_contested_floor_is_ruled_on() -> None:
    for floor, row in TRANSITIONS.items():
        rulings = {move for move in row if isinstance(move, Ruling)}
        assert rulings == (set(Ruling) if floor is Floor.CONTESTED else set())
        assert (Again.REOPENED in row) == (floor is Floor.AGENT)


def test_a_yield_tells_what_was_heard_and_what_was_not() -> None:
    rules, state = standard_rules(), State()
    said = "Your appointment is on Tuesday at nine."
    for event in (
        PlayoutStarted(at_ms=0, message_id="m1"),
        PlayoutWorded(at_ms=0, text=said),
        PlayoutProgressed(at_ms=900, heard_chars=19),
        UserSpeechStarted(at_ms=1000),
    ):
        state, _ = step(rules, state, event)
    state, decisions = step(rules, state, UserWordsHeard(at_ms=1300, text="stop", is_final=False))
    (decision,) = decisions
    assert isinstance(decision, YieldFloor)
    assert (decision.heard, decision.unheard) == ("Your appointment is", " on Tuesday at nine.")
    assert state.floor is Floor.USER
    state, _ = step(rules, state, UserSpeechStopped(at_ms=1500))
    assert state.floor is Floor.OPEN


def test_speech_reported_twice_counts_once() -> None:
    rules = standard_rules()
    state, _ = step(rules, State(), PlayoutStarted(at_ms=0))
    state, first = step(rules, state, UserSpeechStarted(at_ms=100))
    state, second = step(rules, state, UserSpeechStarted(at_ms=250))
    assert [type(decision).__name__ for decision in first] == ["DuckPlayout"]
    assert second == ()
    assert state.overlap is not None
    assert state.overlap.began_at_ms == 100

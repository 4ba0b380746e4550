"""Decisions are a function of what happened, never of how a timer ran."""

from pathlib import Path

import pytest

from bargein import Decision, Event, EventOrderError, State, TimePassed, UserSpeechStarted, step
from bargein.core.overlap import Rules
from bargein.testing import Scene, load
from bargein.testing.core_player import play_logged
from bargein.testing.rules import rules_of

SCENES = [load(path) for path in sorted((Path(__file__).parent / "scenes").glob("*.scene"))]


def run(events: list[Event], rules: Rules) -> list[Decision]:
    state, said = State(), list[Decision]()
    for event in events:
        state, decisions = step(rules, state, event)
        said += decisions
    return said


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
@pytest.mark.parametrize("every_ms", [1, 20, 700])
def test_a_finer_or_coarser_timer_changes_nothing(scene: Scene, every_ms: int) -> None:
    rules = rules_of(scene)
    log, _ = play_logged(scene, rules)
    events = [event for event in log if not isinstance(event, TimePassed)]
    end_ms = events[-1].at_ms + 20_000
    ticks = [TimePassed(at_ms=at_ms) for at_ms in range(0, end_ms, every_ms)]
    ticked = sorted([*events, *ticks], key=lambda event: event.at_ms)
    last = TimePassed(at_ms=end_ms)
    assert run([*ticked, last], rules) == run([*events, last], rules)


def test_a_clock_that_runs_back_is_the_adapters_fault_and_says_so() -> None:
    state, _ = step((), State(), UserSpeechStarted(at_ms=900))
    with pytest.raises(EventOrderError, match="899 ms came after 900 ms"):
        step((), state, TimePassed(at_ms=899))

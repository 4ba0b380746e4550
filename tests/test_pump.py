"""One clock and one timer, and nothing of ours ends a call."""

from collections.abc import Callable

import pytest

from bargein import (
    Decision,
    EventOrderError,
    Floor,
    Overlap,
    PlayoutStarted,
    Rules,
    UserSpeechStarted,
    UserSpeechStopped,
    Verdict,
    standard_rules,
)
from bargein.pump import Pump


class Clock:
    """A clock and a timer in one, moved by hand."""

    def __init__(self) -> None:
        self.ms = 0.0
        self.alarm: tuple[float, Callable[[], None]] | None = None

    def __call__(self) -> float:
        return self.ms

    def set(self, in_ms: int, wake: Callable[[], None]) -> None:
        self.alarm = (self.ms + in_ms, wake)

    def clear(self) -> None:
        self.alarm = None

    def pass_to(self, ms: float) -> None:
        while self.alarm is not None and self.alarm[0] <= ms:
            self.ms, wake = self.alarm
            self.alarm = None
            wake()
        self.ms = ms


def pump_with(rules: Rules) -> tuple[Pump, Clock, list[Decision], list[str]]:
    clock, decided, reports = Clock(), list[Decision](), list[str]()
    pump = Pump(
        rules,
        decided=decided.append,
        report=lambda where, error: reports.append(f"{where}: {type(error).__name__}"),
        clock=clock,
        timer=clock,
    )
    return pump, clock, decided, reports


def names(decided: list[Decision]) -> list[str]:
    return [type(decision).__name__ for decision in decided]


def test_a_deadline_wakes_the_core_without_any_event() -> None:
    pump, clock, decided, _ = pump_with(standard_rules())
    pump.feed(PlayoutStarted(at_ms=pump.now_ms))
    clock.pass_to(1000)
    pump.feed(UserSpeechStarted(at_ms=pump.now_ms))
    clock.pass_to(1300)
    pump.feed(UserSpeechStopped(at_ms=pump.now_ms))
    clock.pass_to(10_000)
    assert names(decided) == ["DuckPlayout", "HoldFloor", "ResumePlayout"]
    assert pump.floor is Floor.AGENT
    assert clock.alarm is None


def test_a_closed_pump_neither_wakes_nor_decides() -> None:
    pump, clock, decided, _ = pump_with(standard_rules())
    pump.feed(PlayoutStarted(at_ms=0))
    pump.feed(UserSpeechStarted(at_ms=10))
    pump.close()
    clock.pass_to(60_000)
    assert pump.feed(UserSpeechStopped(at_ms=60_000)) == ()
    assert names(decided) == ["DuckPlayout"]


class Broken:
    """A rule that fails."""

    def __call__(self, overlap: Overlap, /) -> Verdict | None:
        raise KeyError(overlap.words)


def test_a_failing_rule_is_reported_once_and_left_out() -> None:
    pump, clock, decided, reports = pump_with((Broken(), *standard_rules()))
    for start_ms in (0, 5000):
        clock.pass_to(start_ms)
        pump.feed(PlayoutStarted(at_ms=pump.now_ms))
        pump.feed(UserSpeechStarted(at_ms=pump.now_ms))
        pump.feed(UserSpeechStopped(at_ms=pump.now_ms))
    clock.pass_to(20_000)
    assert reports == ["rule Broken: KeyError"]
    assert names(decided) == ["DuckPlayout", "HoldFloor", "ResumePlayout"] * 2


class Nonsense:
    """A rule that answers with something that is no verdict."""

    def __call__(self, _: Overlap, /) -> Verdict | None:
        return "yes"  # type: ignore[return-value]


def test_a_failing_core_leaves_the_call_to_the_host() -> None:
    pump, _, decided, reports = pump_with((Nonsense(),))
    pump.feed(PlayoutStarted(at_ms=0))
    pump.feed(UserSpeechStarted(at_ms=10))
    assert reports == ["core: AttributeError"]
    assert names(decided) == ["ResumePlayout"]
    assert pump.floor is Floor.OPEN
    pump.feed(PlayoutStarted(at_ms=20))
    pump.feed(UserSpeechStarted(at_ms=30))
    assert names(decided) == ["ResumePlayout", "YieldFloor"]
    assert reports == ["core: AttributeError"]


def test_a_clock_that_runs_back_is_not_swallowed() -> None:
    pump, _, _, reports = pump_with(standard_rules())
    pump.feed(PlayoutStarted(at_ms=500))
    with pytest.raises(EventOrderError, match="one clock that never runs back"):
        pump.feed(UserSpeechStarted(at_ms=400))
    assert reports == []

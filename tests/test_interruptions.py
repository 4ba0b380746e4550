"""How often, for what, and was it for something? Told from entries, on the test's own clock."""

from datetime import UTC, datetime
from typing import Any

import pytest

from bargein import (
    DuckPlayout,
    HoldFloor,
    Kind,
    PausePlayout,
    PlayoutStarted,
    PlayoutStopped,
    Reason,
    ReportBackchannel,
    ResumePlayout,
    UserSpeechStarted,
    UserSpeechStopped,
    UserWordsHeard,
    YieldFloor,
)
from bargein.core.decisions import ResumeSpeech
from bargein.core.events import CallEnded, ControlRaised, TurnTaken
from bargein.journal import CallFacts, Episode, Interruptions, Mistake, Observer, Outcome, Watcher
from bargein.language import Judges


class Clock:
    """Seconds, as the test says."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Call:
    """A call of the test's own entries."""

    def __init__(self, clock: Clock, *watchers: Watcher, name: str = "c") -> None:
        self._began_s, self._clock = clock(), clock
        judges = Judges(("en",))
        self.observer = Observer(
            CallFacts(call_id=name, host="core", agent="desk@1", began_at=datetime.now(UTC)),
            journal=None,
            watchers=watchers,
            listens=lambda words, said: (
                judges(words, agent_said=said, is_final=True).kind is Kind.BACKCHANNEL
            ),
            now_ms=lambda: round((clock() - self._began_s) * 1000),
            report=self._failed,
        )

    def play(self, *entries: Any) -> None:
        """Entries, each at its own time."""
        for entry in entries:
            self._clock.now_s = max(self._clock.now_s, self._began_s + entry.at_ms / 1000)
            if type(entry).__module__.endswith("decisions"):
                self.observer.decided(entry)
            else:
                self.observer.happened(entry)

    def _failed(self, where: str, error: Exception) -> None:
        raise AssertionError(where) from error


def interruption(
    at_ms: int, kind: Kind | None = Kind.CORRECTION, words: str = "no it is not", heard: str = "a b"
) -> list[Any]:
    """The agent speaks for a second, then somebody takes the floor."""
    return [
        PlayoutStarted(at_ms=at_ms, message_id=f"m{at_ms}"),
        UserSpeechStarted(at_ms=at_ms + 1000),
        DuckPlayout(at_ms=at_ms + 1000, reason=Reason.OVERLAP_BEGAN),
        YieldFloor(
            at_ms=at_ms + 1500,
            reason=Reason.BARGE_IN,
            kind=kind,
            heard=heard,
            unheard=" c d e f",
            message_id=f"m{at_ms}",
        ),
        PlayoutStopped(at_ms=at_ms + 1600, completed=False),
        UserSpeechStopped(at_ms=at_ms + 2000),
        *([TurnTaken(at_ms=at_ms + 2500, text=words)] if words else []),
    ]


def test_a_rate_is_of_the_minutes_that_there_were() -> None:
    clock = Clock()
    history = Interruptions(clock=clock)
    call = Call(clock, history)
    for at_ms in (0, 10_000, 30_000):
        call.play(*interruption(at_ms))
    clock.now_s = 1000 + 40
    assert history.rate() == 3.0  # less than a minute counts as one
    clock.now_s = 1000 + 120
    assert history.rate() == 1.5
    clock.now_s = 1000 + 321
    assert history.count(window_s=300) == 1
    assert history.rate(window_s=300) == pytest.approx(1 / 5)
    assert history.count() == 3


def test_two_calls_at_once_are_twice_the_minutes() -> None:
    clock = Clock()
    history = Interruptions(clock=clock)
    calls = [Call(clock, history, name=name) for name in ("a", "b")]
    for call in calls:
        call.play(*interruption(0))
    clock.now_s = 1000 + 120
    calls[0].observer.close()
    assert history.rate(window_s=300) == pytest.approx(2 / 4)
    clock.now_s = 1000 + 240  # one of them is over, and its minutes count
    assert history.rate(window_s=300) == pytest.approx(2 / 6)
    assert {one.call_id for one in history.all()} == {"a", "b"}


def test_each_kind_is_counted() -> None:
    clock = Clock()
    history = Interruptions(clock=clock)
    call = Call(clock, history)
    for number, kind in enumerate([Kind.CORRECTION, Kind.ANSWER, None, Kind.CORRECTION]):
        call.play(*interruption(number * 5000, kind))
    assert history.by_kind() == {Kind.CORRECTION: 2, Kind.ANSWER: 1, None: 1}


@pytest.mark.parametrize(
    ("words", "mistake"),
    [
        ("", {Mistake.NO_WORDS: 1}),
        ("uh-huh", {Mistake.BACKCHANNEL: 1}),
        ("no it is not", {}),
    ],
)
def test_an_interruption_for_nothing_is_told(words: str, mistake: dict[Mistake, int]) -> None:
    clock = Clock()
    history = Interruptions(clock=clock)
    call = Call(clock, history)
    call.play(*interruption(0, words=words))
    if not words:
        assert history.false() == {}  # they may still come
        call.play(PlayoutStarted(at_ms=9000, message_id="next"))
    assert history.false() == mistake
    assert history.count() == 1


def test_a_backchannel_that_is_reported_behind_a_yield_makes_it_false() -> None:
    clock = Clock()
    history = Interruptions(clock=clock)
    Call(clock, history).play(
        *interruption(0, words="")[:-1],
        UserWordsHeard(at_ms=1700, text="a word", is_final=True),
        ReportBackchannel(at_ms=1700, reason=Reason.CONTINUER, text="a word"),
        CallEnded(at_ms=5000),
    )
    assert history.false() == {Mistake.BACKCHANNEL: 1}


def test_progress_and_the_time_to_resume_are_told() -> None:
    clock = Clock()
    history = Interruptions(clock=clock)
    Call(clock, history).play(
        *interruption(0, heard="abcd efg"),
        ResumeSpeech(at_ms=9600, reason=Reason.TOLD_TO, message_id="m0", text="c d e f"),
    )
    assert history.progress() == [0.5]
    assert history.times_to_resume_ms() == [8000]
    assert history.count() == 1


def test_the_application_s_own_stop_is_no_interruption() -> None:
    clock = Clock()
    history = Interruptions(clock=clock)
    Call(clock, history).play(
        PlayoutStarted(at_ms=0, message_id="m"),
        ControlRaised(at_ms=500, name="emergency_stop"),
        YieldFloor(at_ms=500, reason=Reason.EMERGENCY_STOP, kind=Kind.EMERGENCY, heard="a"),
        PlayoutStopped(at_ms=500, completed=False),
        CallEnded(at_ms=900),
    )
    assert history.count() == 0


def test_old_ones_are_forgotten() -> None:
    clock = Clock()
    history = Interruptions(keep_s=60, keep=3, clock=clock)
    call = Call(clock, history)
    for number in range(5):
        call.play(*interruption(number * 4000))
    assert [one.episode.number for one in history.all()] == [3, 4, 5]
    clock.now_s += 100
    call.play(*interruption(200_000))
    assert [one.episode.number for one in history.all()] == [6]


class Overlaps(Watcher):
    """Keeps what came of each."""

    def __init__(self) -> None:
        self.over: list[Episode] = []

    def overlap(self, call: CallFacts, episode: Episode, at_ms: int) -> None:  # noqa: ARG002
        if episode.over:
            self.over.append(episode)


def test_a_pause_and_what_it_cost_is_told() -> None:
    overlaps = Overlaps()
    Call(Clock(), overlaps).play(
        PlayoutStarted(at_ms=0, message_id="m"),
        UserSpeechStarted(at_ms=1000, onset_at_ms=940),
        DuckPlayout(at_ms=1000, reason=Reason.OVERLAP_BEGAN),
        PausePlayout(at_ms=1400, reason=Reason.STILL_UNDECIDED),
        UserSpeechStopped(at_ms=1500),
        HoldFloor(at_ms=2100, reason=Reason.NOISE, kind=Kind.NOISE),
        ResumePlayout(at_ms=2100, reason=Reason.NOISE),
        CallEnded(at_ms=9000),
    )
    (one,) = overlaps.over
    assert (one.outcome, one.kind, one.message_id) == (Outcome.HOLD, Kind.NOISE, "m")
    assert [one.onset_to_duck_ms, one.onset_to_pause_ms, one.onset_to_decision_ms] == [
        60,
        460,
        1160,
    ]
    assert (one.silent_ms, one.onset_to_silence_ms) == (700, None)

"""The agent's own voice in the microphone is nobody's speech, and its words are nobody's."""

import numpy as np
import pytest

from bargein.echo import EchoDetector, EchoError, Played
from bargein.echo.resampled import Resampled
from bargein.echo.words import OwnWords

pytest.importorskip("bargein.testing.speech")

from bargein.cli.bench.echo import Outcome, heard, trial

SAID = "Your appointment is on Tuesday at nine, with Doctor Hale."


def own_words() -> OwnWords:
    words = OwnWords()
    words.said(SAID)
    return words


@pytest.mark.parametrize(
    "text",
    [
        "your appointment is on Tuesday at nine with Doctor Hale",
        "Appointment is on Tuesday.",
        "your appointment is on twos day at nine",
        "appointment is on Tues",
        "nine",
    ],
)
def test_the_agents_words_are_not_the_callers(text: str) -> None:
    assert own_words().left_of(text) == ""


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("is on Tuesday at nine stop", "stop"),
        ("is on Tuesday at nine. No, wait!", "No, wait!"),
        ("No, wait. Your appointment is on Tuesday", "No, wait."),
        ("I can come on Wednesday at ten", "I can come on Wednesday at ten"),
        ("stop", "stop"),
        ("", ""),
    ],
)
def test_the_callers_words_are_left(text: str, left: str) -> None:
    assert own_words().left_of(text) == left


def test_what_is_just_being_said_counts() -> None:
    assert OwnWords().left_of("one moment please", ahead="One moment, please.") == ""


def test_words_of_a_script_without_spaces() -> None:
    words = OwnWords()
    words.said("予約は火曜日の九時です。")
    assert words.left_of("予約は火曜日の") == ""
    assert words.left_of("予約は火曜日の待って") == "待って"


def spoken(seed: int, echo_db: float | None, *, caller: bool) -> Outcome:
    return heard(trial(seed, echo_db, caller=caller), EchoDetector())


@pytest.mark.parametrize("echo_db", [-6, -12, -20, -30])
def test_an_echo_is_nobodys_speech_and_hardly_ever_an_onset(echo_db: float) -> None:
    # eSpeak never says a text twice in the same way, so neither does a call.
    calls = [spoken(seed, echo_db, caller=False) for seed in range(3)]
    assert [call.confirmed for call in calls] == [False] * 3
    assert sum(call.onset_s is not None for call in calls) <= 1


@pytest.mark.parametrize("echo_db", [None, -12, -30])
def test_a_caller_is_heard_over_it(echo_db: float | None) -> None:
    for seed in range(3):
        assert spoken(seed, echo_db, caller=True).onset_s is not None


def test_without_a_detector_the_same_echo_is_confirmed_speech() -> None:
    assert heard(trial(0, -12, caller=False), None).confirmed


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_what_comes_where_nothing_is_played_goes_through(rate: int) -> None:
    gate = EchoDetector().gate(Played())
    pcm = np.random.default_rng(0).integers(-9_000, 9_000, rate // 50).astype("<i2").tobytes()
    for count in range(50):
        assert gate.hear(pcm, rate, 1_000 + 20 * count) == pcm


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("ms", [10, 20, 33])
def test_any_rate_becomes_8_khz(rate: int, ms: int) -> None:
    wave = np.sin(2 * np.pi * 1_000 * np.arange(rate) / rate).astype(np.float32)
    stream, size = Resampled(rate), rate * ms // 1_000
    made = np.concatenate([stream(wave[at : at + size]) for at in range(0, rate, size)])
    assert abs(len(made) - 8_000) <= 2
    inside = made[400:7_600]
    places = 2 * np.pi * 1_000 * np.arange(len(inside)) / 8_000
    pair = np.stack([np.sin(places), np.cos(places)], axis=1)
    fitted, *_ = np.linalg.lstsq(pair, inside, rcond=None)
    assert np.hypot(*fitted) == pytest.approx(1.0, abs=0.01)
    assert np.abs(inside - pair @ fitted).max() < 0.01


def test_numbers_that_cannot_work_are_named() -> None:
    with pytest.raises(EchoError, match="reach_ms must be from 0 to 1000, not 2000"):
        EchoDetector(reach_ms=2_000)
    with pytest.raises(EchoError, match="times must be at least 1, not 0"):
        EchoDetector(times=0)
    with pytest.raises(EchoError, match=r"reach_ms must be from 0 to 1000, not 10\.5"):
        EchoDetector(reach_ms=10.5)  # type: ignore[arg-type]
    with pytest.raises(EchoError, match="times must be at least 1, not inf"):
        EchoDetector(times=float("inf"))

"""An echo is told on a real line: frames late or lost, clocks apart, a voice that is held."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from bargein.echo import EchoDetector

pytest.importorskip("bargein.testing.speech")

from bargein.cli.bench.echo import Trial, heard, punctual, trial
from bargein.testing.speakerphone import RATE, Speakerphone, Wave, as_loud, as_wave
from bargein.testing.speech import agent_voice, speak

SAYS = (
    "Your appointment is on Tuesday at nine, with Doctor Hale.",
    "Please bring your card, and come ten minutes early, so that we can register you.",
    "Our opening hours are eight to six on weekdays, and ten to two on Saturday.",
)
PHONE = Speakerphone(echo_db=-12, delay_ms=150)
NOISE_DB = -65


def late(place: int) -> float:
    """40 to 200 ms, at random."""
    return float(np.random.default_rng(place).uniform(40, 200)) if place else 0.0


LATE: dict[str, Callable[[int], float]] = {
    "in bursts of 200 ms": lambda place: 20 * (9 - place % 10),
    "late at random": late,
    "the first late": lambda place: 0 if place else 200,
    "late for a while": lambda place: 180 if 100 <= place < 200 else 0,
}


@cache
def voice(lasts_s: float) -> Wave:
    """The agent talks, with the pauses between its sentences."""
    said = [as_loud(as_wave(agent_voice(text, RATE)[0]), -23) for text in SAYS]
    once = np.concatenate(said)
    before = np.zeros(round(0.3 * RATE))
    size = round(lasts_s * RATE)
    return np.concatenate((before, np.resize(once, size), np.zeros(RATE)))


def call(played: Wave, echo: Wave | None = None, *, says_at_s: float | None = None) -> Trial:
    """What the microphone takes up of that; a caller says something, where that is not None."""
    came = PHONE.comes_back(played) if echo is None else echo
    microphone = np.random.default_rng(1).standard_normal(len(played)) * 10 ** (NOISE_DB / 20)
    microphone += came[: len(played)]
    if says_at_s is not None:
        said = as_loud(as_wave(speak("No wait, I meant Thursday", RATE, voice="en-us+f3")[0]), -23)
        begins = round(says_at_s * RATE)
        microphone[begins : begins + len(said)] += said
    return Trial(played=played, microphone=microphone, from_s=0.0, to_s=0.0)


def onset_s(one: Trial, late_ms: Callable[[int], float] = punctual) -> float | None:
    return heard(one, EchoDetector(), late_ms=late_ms).onset_s


@pytest.mark.parametrize("how", LATE)
def test_when_frames_come_changes_nothing(how: str) -> None:
    assert onset_s(trial(1, -12, caller=False), LATE[how]) is None
    over = trial(2, -12, caller=True)
    # A window more or less: of the agent's voice that is still to sound, more is known.
    assert onset_s(over, LATE[how]) == pytest.approx(onset_s(over), abs=0.04)


@pytest.mark.parametrize("drift_ms", [-20, 20])
def test_a_delay_that_drifts_by_20_ms_in_a_minute(drift_ms: int) -> None:
    played = voice(59)
    came = PHONE.comes_back(played)[: len(played)]
    places = np.arange(len(played)) * (1 - drift_ms / 60_000)
    echo = np.interp(places, np.arange(len(came)), came)
    assert not heard(call(played, echo), EchoDetector()).confirmed
    assert heard(call(played, echo, says_at_s=55.0), EchoDetector()).confirmed


@pytest.mark.parametrize("later_ms", [0, 1, 40])
def test_a_voice_that_was_ducked_and_held_comes_back_as_an_echo(later_ms: int) -> None:
    """It begins again a little later than the play clock says, as a transport's queue was empty."""
    talk, hold = voice(8), np.zeros(3 * RATE)
    ducked = talk.copy()
    ducked[3 * RATE : 4 * RATE] *= 0.25
    played = np.concatenate((ducked[: 4 * RATE], hold, talk[4 * RATE :]))
    late = np.zeros(later_ms * RATE // 1000)
    sounds = np.concatenate((ducked[: 4 * RATE], hold, late, talk[4 * RATE :]))
    echo = PHONE.comes_back(sounds)
    first_s = onset_s(call(played, echo, says_at_s=10.0))
    assert first_s is not None
    assert 10 <= first_s <= 11


def test_a_line_that_was_silent_before_it_hisses() -> None:
    """Digital silence, such as a muted microphone's, is not how loud the line is."""
    played = voice(3)
    echo = Speakerphone(echo_db=-12, delay_ms=300).comes_back(played)
    for hisses_at_s in (0.3, 0.4, 0.5):
        one = call(played, echo)
        one.microphone[: round(hisses_at_s * RATE)] = 0
        assert onset_s(one) is None


def behind(microphone: Wave, played: Wave, at: int) -> Trial:
    """Asked about from a second and a half behind that frame on: until then it is a guess."""
    ends_s = len(microphone) / RATE
    return Trial(played=played, microphone=microphone, from_s=at / 50 + 1.5, to_s=ends_s)


@pytest.mark.parametrize("ms", [20, 60, 200, 600])
def test_an_echo_is_told_again_when_a_piece_of_it_was_lost(ms: int) -> None:
    played, lost, at = voice(10), ms // 20, 250
    gone = slice(at * RATE // 50, (at + lost) * RATE // 50)
    one = behind(np.delete(call(played).microphone, gone), played, at)
    assert onset_s(one, lambda place: 20 * lost if place >= at else 0) is None


@pytest.mark.parametrize("ms", [100, 500])
def test_an_echo_is_told_again_when_a_host_put_in_silence(ms: int) -> None:
    played, put_in, at = voice(10), ms // 20, 250
    silence = np.zeros(ms * RATE // 1000)
    one = behind(np.insert(call(played).microphone, at * RATE // 50, silence), played, at)
    assert onset_s(one, lambda place: -20 * min(put_in, max(0, place - at + 1))) is None

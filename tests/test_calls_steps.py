"""What is a script? Both of its forms are the same steps, and a wrong step is told at once."""

import wave
from pathlib import Path

import numpy as np
import pytest

from bargein.testing import (
    ScriptError,
    agent,
    at_random,
    backchannel,
    cough,
    dtmf,
    hang_up,
    interrupt,
    noise,
    script,
    silence,
    user,
)
from bargein.testing.calls.sounds import sound_of
from bargein.testing.steps import Means, Says


def test_the_sugar_is_the_unrolled_form() -> None:
    unrolled = script(
        user("Tell me about my billing"),
        agent(wait=False),
        user("Wait, I meant support"),
        agent(),
    )
    sugar = script(user("Tell me about my billing"), interrupt("Wait, I meant support"), agent())
    assert sugar == unrolled


@pytest.mark.parametrize("moment", [{"after_words": 6}, {"after_ms": 1200}, {"during": "refund"}])
def test_so_it_is_at_a_moment_of_the_reply(moment: dict[str, int]) -> None:
    assert script(interrupt("Wait", **moment)) == (agent(wait=False, **moment), user("Wait"))


def test_a_seed_always_draws_the_same() -> None:
    drawn = [at_random(0.5, seed) for seed in range(200)]
    assert drawn == [at_random(0.5, seed) for seed in range(200)]
    assert 70 < sum(bool(one) for one in drawn) < 130
    assert at_random(0.0, 1) == ()
    assert at_random(1.0, 1, cough(), silence(300)) == script(cough(), silence(300))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: interrupt("Wait", after_words=2, after_ms=3), "give one of after_words"),
        (lambda: interrupt("Wait", after_words=0), "after_words must be >= 1, not 0"),
        (lambda: agent(after_ms=-1), "after_ms must be >= 0, not -1"),
        (lambda: agent(during=" "), "during must be a word"),
        (lambda: user(""), "content must be a text or the Path"),
        (lambda: user("Hi", peak_db=3), "peak_db must be <= 0, not 3"),
        (lambda: user("Hi", words_per_minute=20), "words_per_minute must be from 80 to 450"),
        (lambda: silence(-1), "ms must be >= 0, not -1"),
        (lambda: dtmf("1x"), "a telephone has no key 'x'"),
        (lambda: noise(3), "db must be <= 0, not 3"),
        (lambda: at_random(2, 1), "p must be from 0 to 1, not 2"),
        (lambda: script("Hello"), "not 'Hello'"),
        (lambda: sound_of(user(Path("nowhere.wav"))), "nowhere.wav cannot be read"),
    ],
)
def test_a_wrong_step_names_the_value_and_the_way_out(wrong: object, sentence: str) -> None:
    assert callable(wrong)
    with pytest.raises(ScriptError, match=sentence):
        wrong()


def test_every_step_is_plain_data() -> None:
    steps = script(user("Hi"), backchannel(), cough(), silence(3), dtmf("1"), noise(-40), hang_up())
    assert steps == script(list(steps))
    assert [one.means for one in steps if isinstance(one, Says)] == [
        Means.TURN,
        Means.LISTENING,
        Means.SOUND,
    ]


def test_loudness_speed_and_a_telephone_are_heard() -> None:
    plain = sound_of(user("Is there a lift?"))
    soft = sound_of(user("Is there a lift?", peak_db=-26))
    fast = sound_of(user("Is there a lift?", words_per_minute=320))
    narrow = sound_of(user("Is there a lift?", telephone=True))
    assert np.abs(plain.pcm).max() == pytest.approx(10 * np.abs(soft.pcm).max(), rel=0.02)
    assert fast.ends_s < 0.7 * plain.ends_s
    assert fast.text == narrow.text == "Is there a lift?"
    hertz = np.abs(np.fft.rfft(narrow.pcm.astype(float)))
    above = round(4000 * len(narrow.pcm) / 16000)
    assert hertz[above:].max() < 0.01 * hertz.max()


def test_a_file_is_heard_as_it_is_and_written_as_it_says(tmp_path: Path) -> None:
    spoken = sound_of(user("Is there a lift?"))
    path = tmp_path / "lift.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(spoken.pcm.tobytes())
    heard = sound_of(user(path, written="is there a lift"))
    assert heard.pcm.tolist() == spoken.pcm.tolist()
    assert heard.text == "is there a lift"
    assert heard.ends_s == spoken.ends_s
    assert sound_of(user(path)).text == ""

"""Which of the agent's words were heard? Found in audio that was cut, ducked, held up and torn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bargein.testing.calls.found import find
from bargein.testing.calls.measured import Overlap, Sounded, audible, overlaps
from bargein.testing.calls.subject import Voiced
from bargein.testing.services.voice import from_mu_law, mu_law
from bargein.testing.speech import agent_voice, resampled
from bargein.testing.steps import Means

RATE = 24000
FIRST = "Your appointment with Doctor Patel is on Tuesday at three in the afternoon."
SECOND = "Our business hours are nine to five."


def voiced(text: str, at_s: float) -> Voiced:
    pcm, words = agent_voice(text, RATE)
    return Voiced(at_s=at_s, text=text, pcm=pcm, rate=RATE, words=tuple(words))


def heard(*parts: np.ndarray, gap_s: float = 0.5) -> np.ndarray:
    """The parts one after the other, with silence before each."""
    quiet = np.zeros(round(gap_s * RATE), np.int16)
    return np.concatenate([one for part in parts for one in (quiet, part)] + [quiet])


def onset(one: Voiced, word: str) -> int:
    return round(next(at_s for text, at_s in one.words if text.startswith(word)) * RATE)


def test_all_of_it_was_heard_when_it_was() -> None:
    one, two = voiced(FIRST, 100.0), voiced(SECOND, 100.2)
    first, second = find([one, two], heard(one.pcm, two.pcm), RATE, 100.0)
    assert (first.heard, second.heard) == (FIRST, SECOND)
    assert first.began_s == pytest.approx(100.5, abs=0.01)
    assert [word.held_s for word in first.words if word.held_s] == []


@pytest.mark.parametrize("word", ["with", "Tuesday", "afternoon"])
def test_a_reply_that_was_cut_ends_where_it_was(word: str) -> None:
    one, two = voiced(FIRST, 0.0), voiced(SECOND, 1.0)
    recording = heard(one.pcm[: onset(one, word)], two.pcm)
    first, second = find([one, two], recording, RATE, 0.0)
    assert first.heard == FIRST[: FIRST.index(word)].strip()
    assert second.heard == SECOND


def test_a_softer_voice_on_a_telephone_is_the_same_voice() -> None:
    one = voiced(FIRST, 0.0)
    loud = heard(one.pcm).astype(float)
    loud[onset(one, "Doctor") :] *= 0.2
    narrow = resampled(loud.astype(np.int16), RATE, 8000)
    assert find([one], from_mu_law(mu_law(narrow)), 8000, 0.0)[0].heard == FIRST


def test_a_pause_is_told_from_a_cut() -> None:
    one = voiced(FIRST, 0.0)
    at = onset(one, "Tuesday")
    (reply,) = find([one], heard(one.pcm[:at], one.pcm[at:]), RATE, 0.0)
    assert reply.heard == FIRST
    held = {word.text: round(word.held_s, 1) for word in reply.words if word.held_s}
    assert held == {"Tuesday": 0.5}


def test_a_word_that_was_torn_was_heard_all_the_same() -> None:
    one = voiced(FIRST, 0.0)
    for word in ("Your", "appointment", "Doctor", "Tuesday"):
        at = onset(one, word) + RATE // 16
        (reply,) = find([one], heard(one.pcm[:at], one.pcm[at:], gap_s=0.12), RATE, 0.0)
        assert reply.heard == FIRST, word


@pytest.mark.parametrize(
    ("text", "cut", "held", "gap", "meant"),
    [
        (SECOND, None, 7961, 2654, SECOND),
        ("I see. Is it a question of the size?", 21456, 10563, 2400, "I see. Is"),
    ],
)
def test_a_word_beside_a_short_pause_is_not_missed(
    text: str, cut: int | None, held: int, gap: int, meant: str
) -> None:
    one = voiced(text, 0.0)
    track = np.concatenate([one.pcm[:held], np.zeros(gap, np.int16), one.pcm[held:cut]])
    assert find([one], heard(track), RATE, 0.0)[0].heard == meant


def test_what_is_taken_back_to_the_words_beginning_was_heard_once() -> None:
    one = voiced(FIRST, 0.0)
    at = onset(one, "Tuesday")
    (reply,) = find([one], heard(one.pcm[: at + RATE // 8], one.pcm[at:], gap_s=0.7), RATE, 0.0)
    assert reply.heard == FIRST
    again = next(word for word in reply.words if word.text == "Tuesday")
    assert again.held_s == pytest.approx(0.7 + 0.125, abs=0.05)


def test_words_that_are_left_out_in_the_middle_were_not_heard() -> None:
    one = voiced(FIRST, 0.0)
    at, on = onset(one, "Doctor"), onset(one, "Tuesday")
    (reply,) = find([one], heard(np.concatenate([one.pcm[:at], one.pcm[on:]])), RATE, 0.0)
    assert reply.unheard == "Doctor Patel is on"


def test_a_dash_and_words_that_run_together_are_heard_with_their_neighbours() -> None:
    text = "It is - as of the first of May - nine euros."
    one = voiced(text, 0.0)
    assert find([one], heard(one.pcm), RATE, 0.0)[0].heard == text
    cut = heard(one.pcm[: onset(one, "May")])
    assert find([one], cut, RATE, 0.0)[0].unheard == "May - nine euros."


SENTENCES = (
    FIRST,
    SECOND,
    "Your code is 4 2 7 1.",
    "Yes.",
    "You owe us six hundred and fifty-one euros, as of the end of May.",
    "I see. Is it a question of the size?",
)


@given(data=st.data())
@settings(max_examples=60, derandomize=True)
def test_every_word_that_came_out_is_found_and_no_other(data: st.DataObject) -> None:
    """Whatever a polite agent or a rude one does to its voice between the words of a reply."""
    quiet = np.zeros(data.draw(st.integers(RATE // 10, RATE)), np.int16)
    track, said, meant = [quiet], list[Voiced](), list[str]()
    for text in data.draw(st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=4)):
        at_s = sum(map(len, track)) / RATE
        one = voiced(text, max(0.0, at_s - data.draw(st.floats(0, 0.3))))
        said.append(one)
        size = len(one.pcm)
        ends = sorted({onset_ for _, at in one.words if (onset_ := round(at * RATE)) > 0} | {size})
        cut = data.draw(st.one_of(st.none(), st.sampled_from(ends)))
        held = data.draw(st.one_of(st.none(), st.integers(RATE // 4, size)))
        pcm = one.pcm[: cut or size].astype(float) * data.draw(st.sampled_from([1.0, 0.3]))
        # What is let out for less than a tenth of a second behind a pause is too short to tell.
        if held is not None and RATE // 4 < held < len(pcm) - RATE // 10:
            gap = np.zeros(data.draw(st.integers(RATE // 10, RATE)))
            pcm = np.concatenate([pcm[:held], gap, pcm[held:]])
        track += [pcm.astype(np.int16), quiet]
        heard_ = [word for word, at in one.words if cut is None or round(at * RATE) < cut]
        meant.append(" ".join(heard_))
    found = find(said, np.concatenate(track), RATE, 0.0)
    assert [reply.heard for reply in found] == meant


def test_what_was_never_played_was_not_heard() -> None:
    one, two = voiced(FIRST, 0.0), voiced(SECOND, 0.0)
    first, second = find([one, two], heard(two.pcm), RATE, 0.0)
    assert (first.heard, second.heard) == ("", SECOND)


def overlapping(recording: np.ndarray, replies: list[Voiced], at_s: float) -> Overlap:
    said = Sounded(text="mm-hm", means=Means.LISTENING, onset_s=at_s, ended_s=at_s + 0.4)
    found = find(replies, recording, RATE, 0.0)
    (overlap,) = overlaps([said], found, audible(recording, RATE, 0.0))
    return overlap


def test_the_stop_is_measured_from_the_audio() -> None:
    one = voiced(FIRST, 0.0)
    recording = heard(one.pcm[: round(1.5 * RATE)], gap_s=0.5)
    overlap = overlapping(recording, [one], 1.6)
    assert overlap.stopped_after_ms == pytest.approx(400, abs=60)
    assert overlap.unheard.endswith("Tuesday at three in the afternoon.")


def test_a_hold_is_a_pause_and_nothing_is_cut() -> None:
    one = voiced(FIRST, 0.0)
    at = onset(one, "Tuesday")
    overlap = overlapping(heard(one.pcm[:at], one.pcm[at:], gap_s=0.8), [one], 2.5)
    assert overlap.cut == ()
    assert overlap.paused_s == pytest.approx(0.8, abs=0.1)
    assert not overlap.went_on


def test_who_talks_on_neither_stops_nor_pauses() -> None:
    one, two = voiced(FIRST, 0.0), voiced(SECOND, 0.1)
    overlap = overlapping(heard(one.pcm, two.pcm, gap_s=0.2), [one, two], 2.0)
    assert overlap.went_on
    assert overlap.stopped_after_ms is None


def test_what_is_said_again_is_not_the_reply_that_was_cut() -> None:
    one, again = voiced(FIRST, 0.0), voiced(FIRST, 2.0)
    recording = heard(one.pcm[: onset(one, "is")], again.pcm)
    first, second = find([one, again], recording, RATE, 0.0)
    assert (first.heard, second.heard) == ("Your appointment with Doctor Patel", FIRST)


def test_the_rest_that_is_spoken_later_is_a_reply_of_its_own() -> None:
    one, rest = voiced(FIRST, 0.0), voiced("Sure, on Tuesday at three in the afternoon.", 2.5)
    recording = heard(one.pcm[: onset(one, "Tuesday")], rest.pcm, gap_s=1.0)
    first, second = find([one, rest], recording, RATE, 0.0)
    assert first.unheard == "Tuesday at three in the afternoon."
    assert second.unheard == ""

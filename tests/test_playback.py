"""No sample is lost or repeated on its way to the ear, whatever is asked of the voice."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bargein import StopAt
from bargein.playback import AudioOut, CutOut, MarkOut, Playback, WordOut

RATE = 8000


def samples(first: int, count: int) -> bytes:
    """Samples that can be told apart: loud ones, each another value than its neighbours."""
    return ((np.arange(first, first + count) * 7919) % 20000 + 4000).astype("<i2").tobytes()


@dataclass
class Ear:
    """Hears what a voice lets out."""

    voice: Playback[str]
    now_ms: float = 0.0
    pcm: bytes = b""
    marks: list[str] = field(default_factory=list)
    words: list[tuple[float, str]] = field(default_factory=list)
    cuts: list[float] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    last_let_out_ms: float = 0.0

    def listen(self, until_ms: float, *, stall_ms: float = 0.0) -> None:
        """Wake the voice whenever it asks to be, or as late as ``stall_ms`` after."""
        for _ in range(20_000):
            for out in self.voice.take(self.now_ms):
                match out:
                    case AudioOut(source=True):
                        self.pcm += out.pcm
                        self.last_let_out_ms = self.now_ms
                    case AudioOut():
                        assert not any(out.pcm)
                    case MarkOut():
                        self.marks.append(out.mark)
                        self.order.append(out.mark)
                    case WordOut():
                        self.words.append((self.now_ms, out.word))
                    case CutOut():
                        self.cuts.append(self.now_ms)
                        self.order.append("cut")
            wake_ms = self.voice.wake_at(self.now_ms)
            if wake_ms is None or wake_ms > until_ms:
                break
            self.now_ms = max(self.now_ms, wake_ms + stall_ms)
        else:
            raise AssertionError("the voice wants to be woken for ever")
        self.now_ms = max(self.now_ms, until_ms)


def speak(voice: Playback[str], words: int = 10, word_ms: int = 300, stream: str = "m") -> bytes:
    """A message of so many words, its end included."""
    pcm = samples(0, RATE * words * word_ms // 1000)
    voice.put_audio(pcm, rate=RATE, stream=stream, like="audio")
    for place in range(words):
        voice.put_word(f"w{place}", text=f"w{place}", at_ms=place * word_ms, stream=stream)
    voice.put_mark("end", ends=stream)
    return pcm


def test_what_goes_in_comes_out_in_real_time() -> None:
    voice = Playback[str]()
    pcm = speak(voice)
    ear = Ear(voice)
    ear.listen(1000)
    assert 1000 <= len(ear.pcm) / 16 <= 1000 + 100  # never further ahead than the lookahead
    ear.listen(5000)
    assert ear.pcm == pcm
    assert ear.marks == ["end"]
    assert [word for _, word in ear.words] == [f"w{place}" for place in range(10)]
    assert [int(at_ms // 300) for at_ms, _ in ear.words] == list(range(10))


def test_a_ducked_voice_is_quieter_and_loses_nothing() -> None:
    voice = Playback[str](duck_db=-12)
    pcm = speak(voice)
    ear = Ear(voice)
    ear.listen(600)
    voice.duck()
    ear.listen(1200)
    voice.resume()
    ear.listen(5000)
    assert len(ear.pcm) == len(pcm)
    loud, quiet = (
        np.abs(np.frombuffer(source, "<i2").astype(float)[RATE : RATE + 1000]).mean()
        for source in (pcm, ear.pcm)
    )
    assert quiet / loud == pytest.approx(10 ** (-12 / 20), rel=0.01)
    assert ear.pcm[-4000:] == pcm[-4000:]


def test_a_duck_is_a_ramp_and_not_a_step() -> None:
    voice = Playback[str]()
    voice.put_audio(np.full(RATE, 10000, "<i2").tobytes(), rate=RATE, like="")
    ear = Ear(voice)
    ear.listen(200)
    voice.duck()
    ear.listen(2000)
    steps = np.abs(np.diff(np.frombuffer(ear.pcm, "<i2").astype(int)))
    assert steps.max() < 100


def test_a_pause_ends_with_the_word_and_goes_on_at_the_very_sample() -> None:
    voice = Playback[str]()
    pcm = speak(voice)
    ear = Ear(voice)
    ear.listen(740)
    voice.pause(StopAt.WORD)
    ear.listen(3000)
    assert len(ear.pcm) / 16 == pytest.approx(900)  # the third word ends at 900 ms
    assert [word for _, word in ear.words] == ["w0", "w1", "w2"]
    before = len(ear.pcm)
    voice.resume()
    ear.listen(9000)
    assert len(ear.pcm) == len(pcm)
    # Only the fade around the pause differs from what came in.
    fade = 16 * 8
    assert ear.pcm[: before - fade] == pcm[: before - fade]
    assert ear.pcm[before + 16 * 40 :] == pcm[before + 16 * 40 :]


def test_a_word_that_broke_is_said_again_from_its_beginning() -> None:
    voice = Playback[str]()
    speak(voice)
    ear = Ear(voice)
    ear.listen(650)
    voice.pause(StopAt.NOW)
    ear.listen(3000)
    voice.resume()
    ear.listen(9000)
    assert voice.rewound_samples > 0
    assert voice.released_samples == voice.received_samples
    assert [word for _, word in ear.words] == [f"w{place}" for place in range(10)]


def test_without_word_times_a_pause_loses_and_repeats_nothing() -> None:
    voice = Playback[str]()
    pcm = samples(0, RATE * 3)
    voice.put_audio(pcm, rate=RATE, like="")
    ear = Ear(voice)
    ear.listen(650)
    voice.pause(StopAt.WORD)
    ear.listen(3000)
    assert 650 <= len(ear.pcm) / 16 <= 650 + 100
    voice.resume()
    ear.listen(9000)
    assert len(ear.pcm) == len(pcm)
    assert voice.rewound_samples == 0


def test_a_yield_ends_with_the_word_and_drops_the_rest() -> None:
    voice = Playback[str]()
    speak(voice)
    voice.put_audio(samples(0, 800), rate=RATE, stream="next", like="")
    ear = Ear(voice)
    ear.listen(740)
    voice.cut(StopAt.WORD)
    ear.listen(9000)
    assert len(ear.pcm) / 16 == pytest.approx(900)
    assert ear.cuts == [pytest.approx(900, abs=5)]
    assert ear.marks == []
    assert voice.released_samples + voice.dropped_samples == voice.received_samples
    tail = np.abs(np.frombuffer(ear.pcm, "<i2").astype(int)[-3:])
    assert tail.max() < 4000  # faded, not chopped


def test_a_word_that_is_too_long_to_wait_for_breaks_between_two_syllables() -> None:
    voice = Playback[str]()
    pcm = np.frombuffer(samples(0, RATE * 2), "<i2").copy()
    pcm[RATE * 79 // 100 : RATE * 81 // 100] //= 8  # nearly silent from 790 to 810 ms
    voice.put_audio(pcm.tobytes(), rate=RATE, stream="m", like="")
    for place, word in enumerate(["interdepartmental", "negotiations"]):
        voice.put_word(word, text=word, at_ms=place * 1200, stream="m")
    ear = Ear(voice)
    ear.listen(650)
    voice.cut(StopAt.WORD)
    ear.listen(9000)
    assert 790 <= len(ear.pcm) / 16 <= 810


def test_a_ducked_voice_stops_sooner() -> None:
    silent_ms = []
    for ducked in (False, True):
        voice = Playback[str]()
        voice.put_audio(samples(0, RATE * 2), rate=RATE, stream="m", like="")
        ear = Ear(voice)
        ear.listen(500)
        if ducked:
            voice.duck()
        ear.listen(700)
        voice.pause(StopAt.NOW)
        ear.listen(3000)
        silent_ms.append(len(ear.pcm) / 16)
        voice.resume()
        ear.listen(9000)
        assert len(ear.pcm) == 16 * 2000
    assert silent_ms[1] < silent_ms[0]


def test_a_yield_at_a_phrase_finishes_the_phrase() -> None:
    voice = Playback[str]()
    voice.put_audio(samples(0, RATE * 3), rate=RATE, stream="m", like="")
    for place, word in enumerate(["Shall", "I", "book", "it?", "It", "is", "free."]):
        voice.put_word(word, text=word, at_ms=place * 300, stream="m")
    ear = Ear(voice)
    ear.listen(650)
    voice.cut(StopAt.PHRASE)
    ear.listen(9000)
    assert [word for _, word in ear.words] == ["Shall", "I", "book", "it?"]


def test_what_trickles_in_behind_a_cut_is_dropped() -> None:
    voice = Playback[str]()
    speak(voice)
    ear = Ear(voice)
    ear.listen(650)
    voice.cut(StopAt.NOW)
    ear.listen(2000)
    heard = len(ear.pcm)
    voice.put_audio(samples(0, RATE), rate=RATE, stream="m", like="late")
    voice.put_word("late", text="late", at_ms=700, stream="m")
    ear.listen(4000)
    assert len(ear.pcm) == heard
    voice.put_audio(samples(0, 800), rate=RATE, stream="reply", like="new")
    ear.listen(6000)
    assert ear.pcm[heard:] == samples(0, 800)


def test_protected_audio_survives_a_cut() -> None:
    voice = Playback[str]()
    speak(voice)
    code = samples(5, 1600)
    voice.put_audio(code, rate=RATE, stream="code", like="", protected=True)
    ear = Ear(voice)
    ear.listen(650)
    voice.cut(StopAt.NOW)
    ear.listen(9000)
    assert ear.pcm.endswith(code)


def test_a_mark_never_overtakes_a_word_before_it() -> None:
    voice = Playback[str]()
    voice.put_audio(samples(0, RATE // 2), rate=RATE, stream="m", like="")
    voice.put_word("last", text="last", at_ms=495, stream="m")
    voice.put_mark("end", ends="m")
    ear = Ear(voice)
    order: list[str] = []
    while (wake_ms := voice.wake_at(ear.now_ms)) is not None:
        ear.now_ms = max(ear.now_ms, wake_ms)
        for out in voice.take(ear.now_ms):
            if isinstance(out, WordOut):
                order.append(out.word)
            elif isinstance(out, MarkOut):
                order.append(out.mark)
    assert order == ["last", "end"]


def test_words_that_begin_together_keep_their_order() -> None:
    """Some voices give no onset of its own to a word that they run into the next."""
    voice = Playback[str]()
    voice.put_audio(samples(0, RATE), rate=RATE, stream="m", like="")
    for at_ms, word in ((100, "Shall"), (400, "book"), (400, "that"), (400, "a"), (700, "one")):
        voice.put_word(word, text=word, at_ms=at_ms, stream="m")
    ear = Ear(voice)
    ear.listen(5_000)
    assert [word for _, word in ear.words] == ["Shall", "book", "that", "a", "one"]


def test_words_that_a_stalled_message_is_told_of_keep_their_order() -> None:
    """It was taken for finished, and times of its words lie far behind what came of it."""
    voice = Playback[str]()
    ear = Ear(voice)
    voice.put_audio(samples(0, RATE), rate=RATE, stream="m", like="")
    for at_ms, word in ((100, "one"), (2_000, "two"), (2_000, "three")):
        voice.put_word(word, text=word, at_ms=at_ms, stream="m")
        if word == "two":
            voice.put_mark("end", ends="m")
            ear.listen(3_000)
    voice.put_audio(samples(RATE, 2 * RATE), rate=RATE, stream="m", like="")
    voice.put_mark("end again", ends="m")
    ear.listen(9_000)
    assert [word for _, word in ear.words] == ["one", "two", "three"]


@pytest.mark.parametrize("numbers", [{"chunk_ms": 0}, {"chunk_ms": 800}, {"duck_db": 3}])
def test_impossible_numbers_are_named(numbers: dict[str, float]) -> None:
    (name, value), *_ = numbers.items()
    with pytest.raises(ValueError, match=f"{name}.*{value}"):
        Playback[str](**numbers)


ORDERS = st.sampled_from(["duck", "pause", "pause now", "resume"])


@given(
    pieces=st.lists(
        st.tuples(st.integers(1, 4000), st.sampled_from([8000, 16000, 24000])), max_size=12
    ),
    orders=st.lists(st.tuples(st.integers(1, 900), ORDERS), max_size=12),
    words=st.lists(st.integers(0, 3000), max_size=8),
    stall_ms=st.sampled_from([0.0, 3.0, 60.0, 700.0]),
    cut_at_ms=st.none() | st.integers(1, 4000),
)
@settings(max_examples=300, deadline=None)
def test_released_is_received_minus_what_a_yield_dropped(
    pieces: list[tuple[int, int]],
    orders: list[tuple[int, str]],
    words: list[int],
    stall_ms: float,
    cut_at_ms: int | None,
) -> None:
    voice = Playback[str]()
    ear = Ear(voice)
    received = 0
    for count, rate in pieces:
        voice.put_audio(samples(received, count), rate=rate, stream="m", like="")
        received += count
    for at_ms in sorted(words):
        voice.put_word(f"at {at_ms}", text="word", at_ms=at_ms, stream="m")
    voice.put_mark("end", ends="m")
    at_ms = 0
    for gap_ms, order in orders:
        at_ms += gap_ms
        ear.listen(at_ms, stall_ms=stall_ms)
        match order:
            case "duck":
                voice.duck()
            case "pause":
                voice.pause(StopAt.WORD)
            case "pause now":
                voice.pause(StopAt.NOW)
            case _:
                voice.resume()
    if cut_at_ms is not None:
        ear.listen(ear.now_ms + cut_at_ms, stall_ms=stall_ms)
        voice.cut(StopAt.WORD)
    else:
        voice.resume()
    ear.listen(ear.now_ms + 60_000, stall_ms=stall_ms)
    assert voice.received_samples == received
    assert voice.released_samples + voice.dropped_samples == received
    assert len(ear.pcm) // 2 == voice.released_samples + voice.rewound_samples
    if cut_at_ms is None:
        assert voice.dropped_samples == 0
        assert ear.marks == ["end"]
        # A word timed well past the end of all audio was never made.
        made_ms = sum(count * 1000 / rate for count, rate in pieces)
        said = [ms for ms in words if pieces and ms <= made_ms + 500]
        if pieces and not said:
            said = words  # unless none of them was: then the times are wrong
        assert sorted(word for _, word in ear.words) == sorted(f"at {ms}" for ms in said)
    elif pieces:
        assert len(ear.cuts) == 1
    if not orders and cut_at_ms is None:
        assert ear.pcm == samples(0, received)
    assert voice.idle


def test_what_a_transport_that_fell_behind_has_not_played_is_not_heard_yet() -> None:
    voice = Playback[str]()
    pcm = speak(voice, words=3)
    ear = Ear(voice)
    ear.listen(40)
    voice.sounds_until(1040)
    ear.listen(900)
    assert ear.words == []
    ear.listen(10_000)
    assert (ear.pcm, ear.marks) == (pcm, ["end"])
    assert [word for _, word in ear.words] == ["w0", "w1", "w2"]


def test_the_size_of_a_transports_chunks_delays_nothing() -> None:
    heard = []
    for chunk_ms in (0, 40):
        voice = Playback[str]()
        speak(voice, words=3)
        ear = Ear(voice)
        for at_ms in range(0, 1200, 40):
            ear.listen(at_ms)
            voice.sounds_until(at_ms + 80 + chunk_ms)
        ear.listen(10_000)
        heard.append(ear.words)
    assert heard[0] == heard[1]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("asked", ["duck", "pause", "cut"])
def test_a_service_that_breaks_samples_in_two_is_heard_all_the_same(
    asked: str, channels: int
) -> None:
    voice: Playback[str] = Playback()
    ear = Ear(voice)
    pcm = samples(0, RATE * channels)
    for at in range(0, len(pcm), 1001):
        voice.put_audio(pcm[at : at + 1001], rate=RATE, channels=channels, stream="m", like="m")
    voice.put_mark("end", ends="m")
    ear.listen(100)
    getattr(voice, asked)()
    ear.listen(400)
    voice.resume()
    ear.listen(3000)
    if asked == "cut":
        assert ear.cuts
    else:
        assert len(ear.pcm) == len(pcm)
        assert ear.pcm[-400:] == pcm[-400:]
        assert ear.marks == ["end"]


def test_a_voice_that_changes_its_format_in_the_middle_of_a_sample_is_no_noise() -> None:
    voice = Playback[str]()
    voice.put_audio(samples(0, 800)[:-1], rate=RATE, stream="m", like="m")
    voice.put_audio(samples(800, 1600), rate=2 * RATE, stream="m", like="m")
    ear = Ear(voice)
    ear.listen(3000)
    assert ear.pcm == samples(0, 799) + samples(800, 1600)


def test_what_comes_behind_a_cut_is_heard_behind_it() -> None:
    """An application says something of its own while the yield finishes its word."""
    voice = Playback[str]()
    speak(voice)
    ear = Ear(voice)
    ear.listen(740)
    voice.cut(StopAt.WORD)
    ear.listen(760)
    new = samples(99, 1600)
    voice.put_mark("new begins")
    voice.put_audio(new, rate=RATE, stream="new", like="new")
    voice.put_mark("new ends", ends="new")
    ear.listen(9000)
    assert ear.pcm.endswith(new)
    assert ear.order == ["cut", "new begins", "new ends"]


def test_the_end_of_what_came_behind_a_cut_is_told_though_a_second_cut_comes_right_behind() -> None:
    voice = Playback[str]()
    speak(voice)
    ear = Ear(voice)
    ear.listen(740)
    voice.cut(StopAt.WORD)
    voice.put_audio(samples(99, 80), rate=RATE, stream="new", like="new")
    voice.put_word("new", text="new", at_ms=0, stream="new")
    voice.put_mark("new ends", ends="new")
    while not ear.pcm.endswith(samples(99, 80)):
        ear.listen(ear.now_ms + 1)
    voice.cut(StopAt.NOW)
    voice.put_audio(samples(5, 800), rate=RATE, stream="newer", like="newer")
    ear.listen(9000)
    assert [word for _, word in ear.words] == ["w0", "w1", "w2", "new"]
    assert ear.order == ["cut", "new ends", "cut"]


def test_what_came_behind_a_cut_is_dropped_by_a_second_one() -> None:
    """Until the host interrupts, what comes is of the time before."""
    voice = Playback[str]()
    speak(voice)
    ear = Ear(voice)
    ear.listen(740)
    voice.cut(StopAt.WORD)
    voice.put_audio(samples(99, 1600), rate=RATE, stream="old", like="old")
    voice.cut()
    ear.listen(9000)
    assert len(ear.pcm) / 16 == pytest.approx(900)
    assert len(ear.cuts) == 1


def test_an_emergency_while_a_cut_finishes_its_word_drops_what_is_protected_too() -> None:
    voice = Playback[str]()
    speak(voice)
    voice.put_audio(samples(5, 1600), rate=RATE, stream="code", like="", protected=True)
    ear = Ear(voice)
    ear.listen(740)
    voice.cut(StopAt.WORD)
    voice.cut(StopAt.NOW, everything=True)
    ear.listen(9000)
    assert len(ear.pcm) / 16 == pytest.approx(900)


def test_what_must_be_heard_behind_an_emergency_survives_the_hosts_interruption() -> None:
    voice = Playback[str]()
    speak(voice)
    ear = Ear(voice)
    ear.listen(740)
    voice.cut(StopAt.WORD, everything=True)
    voice.put_audio(samples(5, 1600), rate=RATE, stream="code", like="", protected=True)
    voice.drop()
    ear.listen(9000)
    assert ear.pcm.endswith(samples(5, 1600))


def test_no_word_is_heard_of_a_code_that_an_emergency_has_the_transport_throw_away() -> None:
    voice = Playback[str]()
    voice.put_audio(samples(0, RATE), rate=RATE, stream="code", like="", protected=True)
    voice.put_word("code", text="code", at_ms=0, stream="code", protected=True)
    ear = Ear(voice)
    ear.listen(100)
    voice.cut(StopAt.WORD, everything=True)
    voice.drop(cleared_at_ms=100)
    ear.listen(9000)
    assert ear.words == []


def test_no_word_is_heard_of_a_message_without_sound() -> None:
    voice = Playback[str]()
    ear = Ear(voice)
    voice.put_word("early", text="early", at_ms=0, stream="m")
    voice.put_mark("end", ends="m")
    ear.listen(1000)
    voice.put_word("late", text="late", at_ms=0, stream="m")
    ear.listen(2000)
    assert ear.words == []
    voice.put_audio(samples(0, RATE), rate=RATE, stream="m", like="")
    ear.listen(4000)
    assert [word for _, word in ear.words] == ["early", "late"]


def test_what_is_held_behind_an_interruption_is_not_heard_before_the_transport_plays_it() -> None:
    voice = Playback[str]()
    speak(voice)
    ear = Ear(voice)
    ear.listen(640)
    voice.drop()
    voice.pause()
    voice.put_audio(samples(5, RATE), rate=RATE, stream="new", like="")
    voice.put_word("new", text="new", at_ms=0, stream="new")
    ear.listen(665)
    heard = len(ear.pcm) / 16
    voice.resume()
    ear.listen(9000)
    at_ms, word = ear.words[-1]
    assert word == "new"
    assert at_ms == pytest.approx(heard + 150, abs=1)


@pytest.mark.parametrize("interrupts", [Playback.cut, Playback.drop])
def test_a_protected_message_that_stalls_goes_on_behind_an_interruption(
    interrupts: Callable[[Playback[str]], None],
) -> None:
    voice = Playback[str]()
    ear = Ear(voice)
    voice.put_audio(samples(0, 800), rate=RATE, stream="code", like="", protected=True)
    ear.listen(500)
    interrupts(voice)
    ear.listen(600)
    voice.put_audio(samples(800, 800), rate=RATE, stream="code", like="", protected=True)
    ear.listen(3000)
    assert ear.pcm == samples(0, 1600)


def test_the_position_is_what_was_heard_right_behind_a_stop_and_a_resume() -> None:
    voice = Playback[str]()
    voice.put_audio(samples(0, RATE * 3), rate=RATE, stream="m", like="")
    ear = Ear(voice)
    ear.listen(650)
    voice.pause(StopAt.NOW)
    ear.listen(670)
    let_out_ms = len(ear.pcm) / 16
    assert let_out_ms > 690  # the stop lies ahead
    voice.resume()
    for at_ms in range(670, 1_000, 10):
        ear.listen(at_ms)
        played_ms, _ = voice.played_ms("m", at_ms)
        if len(ear.pcm) / 16 <= let_out_ms + 20:  # it has not gone on
            assert played_ms == pytest.approx(min(let_out_ms, at_ms), abs=20)

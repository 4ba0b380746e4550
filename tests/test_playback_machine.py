"""Is every sample heard once and in its place, whatever is asked of the voice, and when?

A life of a voice comes of one number, its luck. One that fails is lived again, each step told, with
``BARGEIN_LUCK=number pytest -s tests/test_playback_machine.py``.
"""

import os
from dataclasses import dataclass
from random import Random

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bargein import StopAt
from bargein.playback import Playback
from nightly import NIGHTLY, many
from playback_level import DUCK_GAIN, samples
from playback_model import CHUNK_MS, Ear
from playback_queue import Mark, Sound
from playback_words import Said

STEPS = 200
LIVES = many(100, 5_000)
RATES = (8000, 8000, 16000, 24000, 11025, 44100, 48000)
SIZES_MS = (0.0, 1.0, 20.0, 20.0, 73.0, 100.0, 400.0, 1_000.0, 3_000.0)
BURST_MS = 30_000.0
TEXTS = ("a", "I", "Tuesday,", "at", "nine.", "interdepartmental", "yes!", "")
STOPS = (StopAt.NOW, StopAt.WORD, StopAt.WORD, StopAt.PHRASE)
STALLS_MS = (0.0, 0.0, 0.0, 3.0, 60.0, 300.0, 700.0)
LUCK = os.environ.get("BARGEIN_LUCK")


@dataclass(slots=True)
class Speech:
    """A message on its way from a service."""

    name: str
    rate: int
    channels: int
    protected: bool
    half: bytes = b""
    """The beginning of a sample, which has been handed in."""
    unsent: bytes = b""
    """The rest of it."""
    onset_ms: float = 0.0

    def change(self, rate: int, channels: int) -> None:
        """It sounds otherwise from here on, with whole samples."""
        if (rate, channels) != (self.rate, self.channels):
            self.rate, self.channels = rate, channels
            self.half = self.unsent = b""


class Voices:
    """One voice, for as long as it likes to talk."""

    def __init__(self, luck: int) -> None:
        self.noise = np.random.default_rng(luck)
        self.voice = Playback[str]()
        self.ear = Ear(self.voice)
        self.now_ms = 1_000.0
        self.speech: Speech | None = None
        self.ended: Speech | None = None
        self.cut_off: Speech | None = None
        self.count = 0

    # --- what comes in ---

    def audio(self, dice: Random) -> None:
        if self.speech is None:
            self.count += 1
            rate, channels = dice.choice(RATES), dice.choice((1, 1, 2))
            self.speech = Speech(f"s{self.count}", rate, channels, dice.random() < 0.2)
        elif dice.random() < 0.05:
            self.speech.change(dice.choice(RATES), dice.choice((1, 2)))
        ms = BURST_MS if dice.random() < 0.01 else dice.choice(SIZES_MS) * dice.random()
        self.put(
            self.speech, max(1, int(ms * self.speech.rate / 1000)), dice, odd=dice.random() < 0.3
        )

    def put(self, speech: Speech, frames: int, dice: Random, *, odd: bool) -> None:
        pcm = samples(self.noise, frames, speech.channels)
        raw = speech.unsent + pcm.tobytes()
        given = len(raw) - (dice.randrange(2 * speech.channels) if odd else 0)
        raw, speech.unsent = raw[:given], raw[given:]
        self.voice.put_audio(
            raw,
            rate=speech.rate,
            channels=speech.channels,
            stream=speech.name,
            like=speech.name,
            protected=speech.protected,
        )
        there = speech.half + raw
        whole = len(there) - len(there) % (2 * speech.channels)
        speech.half = there[whole:]
        sound = np.frombuffer(there[:whole], "<i2").reshape(-1, speech.channels)
        if raw:
            self.ear.puts(Sound(speech.name, speech.rate, sound, speech.protected))

    def word(self, dice: Random) -> None:
        speech = self.speech
        if speech is None:
            return
        text = dice.choice(TEXTS)
        at_ms = speech.onset_ms + dice.choice((0.0, 90.0, 300.0, 300.0, 800.0, 9_000.0, -200.0))
        at_ms = max(0.0, at_ms)
        self.count += 1
        name = f"w{self.count}"
        self.voice.put_word(
            name, text=text, at_ms=at_ms, stream=speech.name, protected=speech.protected
        )
        if at_ms < speech.onset_ms + 9_000:
            speech.onset_ms = at_ms
        self.ear.told_of(Said(name, speech.name, at_ms, speech.protected, text))

    def mark(self, dice: Random) -> None:
        self.marks(None, protected=dice.random() < 0.3)

    def marks(self, ends: str | None, *, protected: bool) -> None:
        self.count += 1
        name = f"m{self.count}"
        self.voice.put_mark(name, protected=protected, ends=ends)
        self.ear.queue.append(Mark(name, protected, ends, behind=self.ear.cutting))

    def end(self, _: Random) -> None:
        speech, self.speech = self.speech, None
        if speech is not None:
            self.ended = speech
            self.marks(speech.name, protected=speech.protected)

    def goes_on_after_all(self, _: Random) -> None:
        """It had stalled for so long that it was taken for finished."""
        if self.speech is None and self.ended is not None and self.ended.name not in self.ear.dead:
            self.speech = self.ended

    def trickle(self, dice: Random) -> None:
        """A service that has not heard yet that it was cut off."""
        if self.cut_off is not None:
            self.put(self.cut_off, dice.randrange(1, 4_000), dice, odd=False)

    # --- what is asked ---

    def duck(self, _: Random) -> None:
        self.voice.duck()
        self.ear.level.aimed(DUCK_GAIN)

    def pause(self, dice: Random) -> None:
        if self.ear.cutting:
            return
        stop_at = dice.choice(STOPS)
        self.voice.pause(stop_at)
        self.ear.stopped(stop_at)

    def resume(self, _: Random) -> None:
        self.voice.resume()
        self.ear.resumed()

    def cut(self, dice: Random) -> None:
        stop_at, everything = dice.choice(STOPS), dice.random() < 0.2
        self.ear.cut(stop_at, sounding=self.voice.sounding, everything=everything)
        self.voice.cut(stop_at, everything=everything)
        self.cut_off_speech(everything=everything)

    def drop(self, dice: Random) -> None:
        cleared_at_ms = self.now_ms if dice.random() < 0.7 else None
        self.voice.drop(cleared_at_ms=cleared_at_ms)
        self.cut_off_speech(everything=False)
        self.ear.dropped(cleared_at_ms)

    def cut_off_speech(self, *, everything: bool) -> None:
        speech = self.speech
        if speech is not None and (everything or not speech.protected):
            self.speech = None
            if self.ear.received_ms[speech.name]:
                self.cut_off = speech
                self.ear.dead.add(speech.name)

    # --- time ---

    def listen(self, dice: Random) -> None:
        self.hear(dice.choice((1.0, 20.0, 20.0, 150.0, 700.0, 2_500.0)), dice.choice(STALLS_MS))

    def hear(self, for_ms: float, stall_ms: float = 0.0) -> None:
        """Wake the voice whenever it asks to be, or later; once at least."""
        until_ms, idle = self.now_ms + for_ms, 0
        while True:
            wake_ms = self.voice.wake_at(self.now_ms)
            if wake_ms is None or wake_ms > until_ms:
                break
            late_ms, stall_ms = stall_ms, 0.0
            idle = idle + 1 if wake_ms + late_ms <= self.now_ms else 0
            assert idle < 20, "it wants to be woken for ever"
            self.now_ms = max(self.now_ms, wake_ms + late_ms)
            self.take()
        self.now_ms = max(self.now_ms, until_ms)
        self.take()

    def take(self) -> None:
        self.ear.hear(self.voice.take(self.now_ms), self.now_ms)
        head = self.ear.head
        if head in self.ear.released_ms and not self.ear.cutting:
            played_ms = self.voice.played_ms(head, self.now_ms)[0]
            assert abs(played_ms - self.ear.played_ms(head, self.now_ms)) <= CHUNK_MS

    def ends(self) -> None:
        """In the end all has been said that nobody took back."""
        self.resume(Random())
        self.end(Random())
        for _ in range(2):
            self.hear(200_000.0)
            self.resume(Random())  # one that waited for the end of a yield
        assert list(self.ear.queue) == []
        assert self.voice.idle
        assert not self.voice.queued
        assert self.voice.received_samples == (
            self.voice.released_samples + self.voice.dropped_samples
        )


ASKED = [
    Voices.audio,
    Voices.word,
    Voices.mark,
    Voices.end,
    Voices.goes_on_after_all,
    Voices.trickle,
    Voices.duck,
    Voices.pause,
    Voices.resume,
    Voices.cut,
    Voices.drop,
    Voices.listen,
]
WEIGHTS = (12, 12, 1, 3, 2, 1, 3, 3, 5, 1, 1, 14)


def live(luck: int, *, told: bool = False) -> None:
    """A life of that luck."""
    dice, voices = Random(luck), Voices(luck)
    try:
        for step in range(STEPS):
            asked = dice.choices(ASKED, WEIGHTS)[0]
            if told:
                print(f"{step:3} {voices.now_ms:8.1f} ms {asked.__name__:18} {voices.speech}")
            asked(voices, dice)
        voices.ends()
    except Exception as error:
        error.add_note(
            f"To live it again: BARGEIN_LUCK={luck} pytest -s tests/test_playback_machine.py"
        )
        raise


# What fails is not made smaller: one number stands for many steps, and another for other ones.
@given(luck=st.integers(0, 2**32))
@settings(
    max_examples=1 if LUCK else LIVES,
    derandomize=not NIGHTLY,
    deadline=None,
    database=None,
    phases=(Phase.generate,),
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
def test_a_voice_loses_repeats_and_invents_nothing_whatever_is_asked_of_it(luck: int) -> None:
    live(int(LUCK or luck), told=bool(LUCK))

"""What does the caller say, and when? Scripted words, on the clock of the audio received.

No model listens. The audio only moves the clock: a word is heard when the audio up to its end came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise, zip_longest
from typing import TypeAlias

PAUSE = "..."
COMMIT = "|"
SOUND = "*"
"""A sound that is no word, such as a cough: a voice for an ear, nothing for a recogniser."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A word as written, and where in the audio it is."""

    text: str
    begins_at_ms: int
    ends_at_ms: int

    @property
    def bare(self) -> str:
        """In lower case, without punctuation at its ends."""
        return self.text.strip(".,;:!?\"'").lower()


@dataclass(frozen=True, slots=True)
class Said:
    """One turn of the caller: ``Said("wait, I meant Thursday", at_ms=1200)``.

    ``*`` is a cough, a word's length. Two marks may stand between words. ``...`` is a pause, long
    enough for an endpointer to believe that the turn is over. ``|`` is where a recogniser commits
    what it has, without any pause.
    """

    text: str
    at_ms: int
    """When the first word begins, in all the audio that the server received."""
    word_ms: int = 250
    pause_ms: int = 600

    def __post_init__(self) -> None:
        """Say at once when there is nothing to hear."""
        if not any(token not in (PAUSE, COMMIT) for token in self.text.split()):
            raise ValueError(f"text must hold a word, not {self.text!r}")
        if self.at_ms < 0 or self.word_ms <= 0 or self.pause_ms <= 0:
            raise ValueError(f"times must be positive, not {self}")


class Cue(StrEnum):
    """What a recogniser notices."""

    VOICE = "a voice begins"
    WORD = "a word is over"
    COMMIT = "what was said so far is certain"
    PAUSE = "silence begins in the middle of a turn"
    END = "silence begins, and the turn is over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Something a recogniser notices, at an instant of the audio."""

    cue: Cue
    at_ms: int
    word: Word | None = None
    silent_ms: int | None = None
    """How long the silence is that begins; ``None`` for one that nobody ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The service says that something is wrong, at an instant of the audio."""

    at_ms: int
    code: str = "INTERNAL_SERVER_ERROR"
    description: str = "the loopback service was told to fail"


Due: TypeAlias = tuple[int, Heard | Failed]
"""Something noticed, and the instant of the audio when a service knows it."""


def hearing(said: Said) -> list[Heard]:
    """A turn as the things a recogniser notices, in order."""
    now_ms = said.at_ms
    cues = [Heard(cue=Cue.VOICE, at_ms=now_ms)]
    for token in said.text.split():
        if token == PAUSE:
            cues.append(Heard(cue=Cue.PAUSE, at_ms=now_ms, silent_ms=said.pause_ms))
            now_ms += said.pause_ms
            cues.append(Heard(cue=Cue.VOICE, at_ms=now_ms))
        elif token == COMMIT:
            cues.append(Heard(cue=Cue.COMMIT, at_ms=now_ms))
        elif token == SOUND:
            now_ms += said.word_ms
        else:
            word = Word(text=token, begins_at_ms=now_ms, ends_at_ms=now_ms + said.word_ms)
            now_ms = word.ends_at_ms
            cues.append(Heard(cue=Cue.WORD, at_ms=now_ms, word=word))
    cues.append(Heard(cue=Cue.END, at_ms=now_ms))
    return cues


BYTES = {"linear16": 2, "linear32": 4, "mulaw": 1, "alaw": 1, "audio/pcm": 2, "audio/pcmu": 1}
"""Bytes of one sample; an encoding that is not here has no clock that can be read from its size."""


class AudioClock:
    """How much audio came, in ms."""

    def __init__(self, encoding: str, rate: int, channels: int = 1) -> None:
        """Read an encoding by its name in the protocol, at ``rate`` Hz."""
        if encoding not in BYTES and encoding != "audio/pcma":
            raise ValueError(f"the clock of {encoding!r} audio cannot be read from its size")
        self._per_s = rate * channels * BYTES.get(encoding, 1)
        self._count = 0

    def take(self, audio: bytes) -> int:
        """Count some audio, and tell how late it is now."""
        self._count += len(audio)
        return self.now_ms

    @property
    def now_ms(self) -> int:
        """How much came so far, in ms."""
        return self._count * 1000 // self._per_s


def in_order(script: Sequence[Said | Failed]) -> list[Said]:
    """The turns as they come, checked: nobody speaks twice at once."""
    turns = sorted((one for one in script if isinstance(one, Said)), key=lambda one: one.at_ms)
    for one, other in pairwise(turns):
        if hearing(one)[-1].at_ms > other.at_ms:
            raise ValueError(f"{other.text!r} begins before {one.text!r} is over")
    return turns


def timeline(script: Sequence[Said | Failed], from_ms: int) -> list[Heard | Failed]:
    """All that is still to be noticed after an instant of the audio, in order.

    Who listens from the middle of a word on hears a voice at once.
    """
    turns = in_order(script)
    found: list[Heard | Failed] = [
        one for one in script if isinstance(one, Failed) and one.at_ms > from_ms
    ]
    for turn, after in zip_longest(turns, turns[1:]):
        *cues, end = hearing(turn)
        silent_ms = after.at_ms - end.at_ms if after is not None else None
        left = [one for one in cues if one.at_ms > from_ms]
        passed = cues[: len(cues) - len(left)]
        if left and passed and passed[-1].cue is not Cue.PAUSE:
            left.insert(0, Heard(cue=Cue.VOICE, at_ms=from_ms))
        if end.at_ms > from_ms:
            left.append(Heard(cue=Cue.END, at_ms=end.at_ms, silent_ms=silent_ms))
        found += left
    return sorted(found, key=lambda one: one.at_ms)

"""Which of the agent's words were heard, and when? Found in the audio that came out, by its sound.

What the voice made of a text is followed through the recording. A word whose sound is not there
was not heard, whatever was cancelled, logged or written into a context. Where a word ends and the
next begins is what the voice says; where it does not, its words are spread over its sound, which
is right within a word or two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..tones import PCM
from .followed import RATE, Heard, Stretch, Wave, loud_samples, slow
from .subject import Voiced

HALF = 0.6
"""So much of a word must be there for it to have been heard."""
CLOCK_S = 0.5
"""So far a recording's clock may be off the voice's."""
LATE_S = 0.03
"""A word that is later than this behind the word before was held up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A word that the agent's voice was given."""

    text: str
    at_s: float | None
    """When its sound began, if it was heard."""
    held_s: float = 0.0
    """How much later it came than the voice meant it to, behind the word before."""

    @property
    def heard(self) -> bool:
        """Whether the caller heard it."""
        return self.at_s is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A text that the agent's voice was given, and what was heard of it."""

    text: str
    voiced_s: float
    words: tuple[Word, ...]
    ended_s: float | None
    """When the last of it was heard."""

    @property
    def heard(self) -> str:
        """The words that were heard."""
        return " ".join(word.text for word in self.words if word.heard)

    @property
    def unheard(self) -> str:
        """The words that were not."""
        return " ".join(word.text for word in self.words if not word.heard)

    @property
    def began_s(self) -> float | None:
        """When its first word was heard."""
        return next((word.at_s for word in self.words if word.at_s is not None), None)


def find(voiced: Sequence[Voiced], recording: PCM, rate: int, from_s: float) -> list[Reply]:
    """What was heard of each reply in a recording that begins at an instant.

    The replies are in the order in which the voice was given them.
    """
    heard = Heard(slow(recording, rate))
    waves = [slow(one.pcm, one.rate) for one in voiced]
    earliest = [round((one.at_s - from_s - CLOCK_S) * RATE) for one in voiced]
    onsets = [[round(at_s * RATE) for _, at_s in one.words] for one in voiced]
    starts: list[int | None] = []
    place = 0
    for wave, first, own in zip(waves, earliest, onsets, strict=True):
        starts.append(heard.begins(wave, max(place, first), own))
        place = max([place, *(one + RATE // 5 for one in starts[-1:] if one is not None)])
    found, place = list[Reply](), 0
    for number, (one, wave) in enumerate(zip(voiced, waves, strict=True)):
        first = max(place, earliest[number])
        # What comes after the beginning of a later reply is that one's, even in these words.
        later = [at for at in starts[number + 1 :] if at is not None and at >= first]
        end = min(later, default=None)
        stretches = heard.until(end).follow(wave, first, onsets[number])
        found.append(_reply(one, wave, onsets[number], stretches, from_s))
        if stretches:
            place = stretches[-1].place + (stretches[-1].last - stretches[-1].first) // 2
    return found


def _reply(
    one: Voiced, wave: Wave, onsets: list[int], stretches: list[Stretch], from_s: float
) -> Reply:
    loud = loud_samples(wave)
    covered = np.zeros(len(wave), bool)
    for part in stretches:
        covered[part.first : part.last] = True
    places: list[int | None] = []
    for onset in onsets:
        # Words that the voice runs together begin at once, and end together.
        end = min((other for other in onsets if other > onset), default=len(wave))
        there = loud[onset:end]
        if onset >= len(wave):  # its sound has not been made
            places.append(None)
        elif not there.any():  # a dash, or what else has no sound, goes with the word before it
            known = not places or places[-1] is not None
            places.append(_place(stretches, onset, end) if known else None)
        elif (covered[onset:end] & there).sum() >= HALF * there.sum():
            places.append(_place(stretches, onset, end))
        else:
            places.append(None)
    words, before = list[Word](), None
    for number, ((text, _), at) in enumerate(zip(one.words, places, strict=True)):
        held_s = 0.0
        if at is not None and before is not None:
            held_s = (at - (places[before] or 0) - (onsets[number] - onsets[before])) / RATE
        if at is not None:
            before = number
        at_s = from_s + at / RATE if at is not None else None
        words.append(Word(text=text, at_s=at_s, held_s=held_s if held_s > LATE_S else 0.0))
    ends = [part.place + part.last - part.first for part in stretches]
    ended_s = from_s + max(ends) / RATE if ends else None
    return Reply(text=one.text, voiced_s=one.at_s, words=tuple(words), ended_s=ended_s)


def _place(stretches: list[Stretch], onset: int, end: int) -> int | None:
    """Where a word begins that was heard; one that was begun twice, where it was heard most."""
    if not stretches:
        return None
    best = max(stretches, key=lambda part: min(part.last, end) - max(part.first, onset))
    return best.place + max(onset - best.first, 0)

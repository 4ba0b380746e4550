"""Which of the agent's words were heard, and when? Found in the audio that came out, by its sound.

What the voice made of a text is looked for in the recording, word by word. A word whose sound is
not there was not heard, whatever was cancelled, logged or written into a context.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..speech import resampled
from ..tones import PCM
from .subject import Voiced

Wave = npt.NDArray[np.float64]
RATE = 8000
"""At which sounds are compared: what a telephone carries."""
LIKE = 0.72
"""How alike two sounds must be, 1 being the same: cut, ducked and through a telephone they are."""
HALF = 0.6
"""So much of a word must be there for it to have been heard."""
FIRST_S = 0.4
FAR_S = 0.3
SHORT_S = 0.1
CLOCK_S = 0.5
"""So far a recording's clock may be off the voice's."""
MISSING = 3
"""So many words in a row that are not there, and the rest is not, either."""
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
    """When its last word that was heard was over."""

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


class Finder:
    """Looks for every reply, in the order in which the voice was given them."""

    def __init__(self) -> None:
        """Nothing has been heard."""
        self._pieces: dict[str, list[tuple[Wave, Wave]]] = {}

    def find(
        self, voiced: Sequence[Voiced], recording: PCM, rate: int, from_s: float
    ) -> list[Reply]:
        """What was heard of each reply in a recording that begins at an instant."""
        heard = _Sound(_slow(recording, rate))
        starts = self._starts(voiced, heard, from_s)
        found, place = list[Reply](), 0
        for number, one in enumerate(voiced):
            earliest = max(place, round((one.at_s - from_s - CLOCK_S) * RATE))
            # What comes after the beginning of a later reply is that one's, even in these words.
            later = [at for at in starts[number + 1 :] if at is not None and at >= earliest]
            pieces = self._pieces[one.text]
            reply, place = _found(
                one, pieces, heard.until(min(later, default=None)), earliest, from_s
            )
            found.append(reply)
        return found

    def _starts(self, voiced: Sequence[Voiced], heard: _Sound, from_s: float) -> list[int | None]:
        """Where each reply begins, as far as its beginning was heard whole."""
        starts: list[int | None] = []
        for one in voiced:
            pieces = self._pieces.setdefault(one.text, _pieces(one))
            earliest = max(0, round((one.at_s - from_s - CLOCK_S) * RATE))
            known = [at for at in starts if at is not None]
            if known:
                earliest = max(earliest, known[-1] + 1)
            first = pieces[0][1] if pieces else np.zeros(0)
            starts.append(heard.find(first, first, earliest, None) if len(first) else None)
        return starts


def _found(
    one: Voiced, pieces: list[tuple[Wave, Wave]], heard: _Sound, earliest: int, from_s: float
) -> tuple[Reply, int]:
    onsets = [round(at_s * RATE) for _, at_s in one.words]
    places: list[int | None] = [None] * len(onsets)
    last: int | None = None
    missing = 0
    for number, (piece, far) in enumerate(pieces):
        if missing == MISSING:
            break
        expected = None
        if last is not None:
            expected = (places[last] or 0) + onsets[number] - onsets[last]
        at = heard.find(piece, far, earliest, expected) if len(piece) else None
        missing = 0 if at is not None else missing + 1
        if at is None:
            continue
        places[number] = at
        _bridge(places, onsets, last, number, heard, earliest)
        last, earliest = number, at + len(piece) // 2
    words, before = list[Word](), None
    for number, (text, _) in enumerate(one.words):
        at = places[number]
        held_s = 0.0
        if at is not None and before is not None:
            meant = (places[before] or 0) + onsets[number] - onsets[before]
            held_s = (at - meant) / RATE
        if at is not None:
            before = number
        words.append(
            Word(
                text=text,
                at_s=from_s + at / RATE if at is not None else None,
                held_s=held_s if held_s > LATE_S else 0.0,
            )
        )
    ended_s = None
    if last is not None:
        ends = [*onsets[1:], round(len(one.pcm) / one.rate * RATE)]
        ended_s = from_s + ((places[last] or 0) + ends[last] - onsets[last]) / RATE
    reply = Reply(text=one.text, voiced_s=one.at_s, words=tuple(words), ended_s=ended_s)
    return reply, earliest


def _bridge(
    places: list[int | None],
    onsets: list[int],
    last: int | None,
    number: int,
    heard: _Sound,
    earliest: int,
) -> None:
    """Words that a gap in the audio broke were heard where there was time for them.

    A machine that stands still for a moment tears a word in two, and neither half is like it.
    """
    at = places[number]
    assert at is not None
    first = last + 1 if last is not None else 0
    from_at = places[last] if last is not None else None
    if from_at is None:
        from_at = at - onsets[number]
        if from_at < earliest or not heard.is_loud(from_at, at):
            return
        places[0] = from_at if number else at
        last = 0
    elif at - from_at < onsets[number] - onsets[first - 1] - RATE * LATE_S:
        return
    for between in range(first, number):
        places[between] = from_at + onsets[between] - onsets[last or 0]


def _pieces(one: Voiced) -> list[tuple[Wave, Wave]]:
    """What to look for, of each word: where it is expected its first half and a little more, and
    anywhere else a piece that is long enough to be mistaken for no other."""
    wave = _slow(one.pcm, one.rate)
    onsets = [at_s for _, at_s in one.words]
    ends = [*onsets[1:], len(wave) / RATE]
    pieces = []
    for place, (from_s, until_s) in enumerate(zip(onsets, ends, strict=True)):
        near_s = max((until_s - from_s) * HALF, FIRST_S if place == 0 else SHORT_S)
        near, far = (
            wave[round(from_s * RATE) : round((from_s + lasts_s) * RATE)]
            for lasts_s in (near_s, max(near_s, FAR_S))
        )
        pieces.append((near, far) if np.any(near) else (near[:0], near[:0]))
    return pieces


def _slow(pcm: PCM, rate: int) -> Wave:
    """The same sound at 8 kHz, soon: a call that listens must not keep its agent waiting."""
    times, rest = divmod(rate, RATE)
    if rest:
        return resampled(pcm, rate, RATE).astype(np.float64)
    whole = pcm[: len(pcm) // times * times].astype(np.float64)
    mean: Wave = whole.reshape(-1, times).mean(axis=1)
    return mean


class _Sound:
    """A recording that can be searched."""

    def __init__(self, wave: Wave, last: int | None = None) -> None:
        self._wave = wave[:last]
        self._energy = np.concatenate(([0.0], np.cumsum(self._wave * self._wave)))

    def until(self, last: int | None) -> _Sound:
        """The same up to a place."""
        return self if last is None else _Sound(self._wave, last)

    def find(self, piece: Wave, far: Wave, earliest: int, expected: int | None) -> int | None:
        """Where a piece is first heard, and first of all where it is expected."""
        if expected is not None:
            near = expected - RATE // 50
            at = self._best(piece, max(near, 0), near + len(piece) + RATE // 25)
            if at is not None:
                return at
        return self._best(far, max(0, earliest), len(self._wave))

    def is_loud(self, first: int, last: int) -> bool:
        """Whether there is a voice between two places, most of the time."""
        size = RATE // 50
        whole = self._wave[first:last]
        frames = whole[: len(whole) // size * size].reshape(-1, size)
        return bool(len(frames)) and float(np.mean(np.abs(frames).max(axis=1) > 100)) > HALF

    def _best(self, piece: Wave, first: int, last: int) -> int | None:
        last = min(last, len(self._wave))
        size = len(piece)
        if last - first < size:
            return None
        window = self._wave[first:last]
        bins = 1 << (len(window) + size - 1).bit_length()
        spectrum = np.fft.rfft(window, bins) * np.conj(np.fft.rfft(piece, bins))
        alike = np.fft.irfft(spectrum, bins)[: len(window) - size + 1]
        energy = self._energy[first + size : last + 1] - self._energy[first : last - size + 1]
        norm = np.sqrt(np.maximum(energy, 1.0) * float(piece @ piece))
        score = alike / norm
        # A whisper is as alike as a voice: what is 30 dB below it is no word.
        score[energy < 0.001 * float(piece @ piece)] = 0.0
        good = np.flatnonzero(score > LIKE)
        if not len(good):
            return None
        # The first of them, at its best.
        near = score[good[0] : good[0] + RATE // 100]
        return first + int(good[0]) + int(np.argmax(near))

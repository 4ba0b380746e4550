"""Where in a recording is a voice that may have been cut, paused, ducked or taken back?

It is followed through the recording 20 ms at a time. Where it is there no longer, it is looked for
behind that place: as it would go on, from the beginning of a word before, or of one that follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..speech import resampled
from ..tones import PCM

Wave = npt.NDArray[np.float64]
RATE = 8000
"""At which sounds are compared: what a telephone carries."""
FRAME = RATE // 50
LOUD = 30.0
"""Below it a frame is silence, and is wherever one likes."""
SOFT = 0.03
"""Nor does a frame count that is so much softer than the voice's loudest."""
LIKE = 0.6
"""How alike a frame must be where it is expected, 1 being the same."""
ALIKE = 0.8
"""How alike a piece must be to be it, wherever it is."""
SURE = 0.92
NEARLY = 0.93
"""The first place that is nearly as alike as the best is the place."""
ENDS = 4
"""So many frames in a row that are not there, and the voice is elsewhere, or over."""
BLOCK = 1 << 14
"""So many samples are searched at once."""
PIECE = RATE * 24 // 100
FIRST = RATE * 4 // 10
LEAST = RATE // 10
BACK, ON = 3, 6
"""So many words a voice may be taken back, or be ahead."""
QUIETER = 0.001
"""A whisper is as alike as a voice: what is 30 dB below it is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A part of a voice that was heard in one piece. In samples at `RATE`."""

    first: int
    last: int
    place: int
    """Where its first sample is in the recording."""


def slow(pcm: PCM, rate: int) -> Wave:
    """The same sound at `RATE` and below 2 kHz, where half a sample does not matter."""
    times, rest = divmod(rate, RATE)
    if rest:
        wave = resampled(pcm, rate, RATE).astype(np.float64)
    else:
        whole = pcm[: len(pcm) // times * times].astype(np.float64)
        wave = whole.reshape(-1, times).mean(axis=1)
    smooth: Wave = np.convolve(wave, (0.25, 0.5, 0.25), mode="same") if len(wave) else wave
    return smooth


class Heard:
    """A recording that can be searched."""

    def __init__(self, wave: Wave) -> None:
        """Take a recording as `slow` makes it."""
        self._wave = wave
        self._energy = np.concatenate(([0.0], np.cumsum(wave * wave)))

    def until(self, last: int | None) -> Heard:
        """The same up to a place."""
        return self if last is None else Heard(self._wave[:last])

    def begins(self, voice: Wave, earliest: int, onsets: Sequence[int]) -> int | None:
        """Where a voice begins, if its beginning was heard, be it only its first word."""
        first = _first_loud(voice, 0)
        word = min((one for one in onsets if one >= first + LEAST), default=len(voice)) - first
        found = []
        for size in (FIRST, FIRST // 2, min(word, FIRST)):
            # The shorter a piece, the more there is that is like it.
            alike = ALIKE if size == FIRST else SURE
            at = self._find(voice[first : first + size], earliest + first, alike)
            found += [at - first] if at is not None else []
        return min(found, default=None)

    def follow(self, voice: Wave, earliest: int, onsets: Sequence[int]) -> list[Stretch]:
        """All that was heard of a voice, in order; ``onsets`` are those of its words."""
        found: list[Stretch] = []
        at = self.begins(voice, earliest, onsets)
        here = (0, at) if at is not None else self._ahead(voice, 0, earliest, onsets)
        while here is not None:
            first, place = here
            last = first + self._lasts(voice[first:], place)
            if last - first >= FRAME:
                found.append(Stretch(first=first, last=last, place=place))
            behind = place + max(last - first - FRAME, FRAME)
            here = self._again(voice, max(last, first + FRAME), behind, onsets)
        return found

    def _lasts(self, voice: Wave, place: int) -> int:
        """For how long a voice that is in a place goes on there."""
        count = len(voice) // FRAME
        said = voice[: count * FRAME].reshape(-1, FRAME)
        first = max(place, 0)
        track = np.zeros(count * FRAME)
        there = self._wave[first : max(first, place + count * FRAME)]
        track[first - place : first - place + len(there)] = there
        wave = track.reshape(-1, FRAME)
        energy, power = (said * said).sum(axis=1), (wave * wave).sum(axis=1)
        like = (said * wave).sum(axis=1) / np.sqrt(np.maximum(energy * power, 1.0))
        loud = np.flatnonzero(_loud(said))
        there_too = (like > LIKE) & (power > QUIETER * energy)
        missing = 0
        for number, frame in enumerate(loud):
            missing = 0 if there_too[frame] else missing + 1
            if missing == ENDS:
                return int(loud[number - ENDS + 1]) * FRAME
        if missing:
            return int(loud[len(loud) - missing]) * FRAME
        return len(voice)

    def _again(
        self, voice: Wave, first: int, behind: int, onsets: Sequence[int]
    ) -> tuple[int, int] | None:
        """Where a voice that broke off goes on: what of it, and in which place."""
        if len(voice) - first < LEAST or not self._is_loud(behind):
            return None
        before = [one for one in onsets if one < first][-BACK:]
        on = [first + frames * FRAME for frames in (0, 2, ENDS, 2 * ENDS)]
        on += [one for one in onsets if one > first][:1]
        for size, alike in ((PIECE, ALIKE), (LEAST, SURE)):  # it may be over again soon
            found = [self._piece(voice, one, behind, size, alike) for one in (*on, *before)]
            known = [one for one in found if one is not None]
            if known:
                at, place = min(known, key=lambda one: (one[1], -one[0]))
                # What lies between was heard, be it unlike itself so near to where it broke.
                back = min(max(0, at - first), max(0, place - behind), ENDS * 2 * FRAME)
                return at - back, place - back
        return self._ahead(voice, first, behind, onsets)

    def _ahead(
        self, voice: Wave, first: int, behind: int, onsets: Sequence[int]
    ) -> tuple[int, int] | None:
        """Where a later word is, if some are left out."""
        ahead = [onset for onset in onsets if onset > first][:ON]
        found = (self._piece(voice, one, behind) for one in ahead)
        return next((one for one in found if one is not None), None)

    def _piece(
        self, voice: Wave, first: int, behind: int, size: int = PIECE, alike: float = ALIKE
    ) -> tuple[int, int] | None:
        """Where a voice goes on from its sample ``first``, or the first behind it to be heard."""
        first = _first_loud(voice, first)
        piece = voice[first : first + size]
        at = self._find(piece, behind, alike) if len(piece) >= LEAST else None
        return (first, at) if at is not None else None

    def _is_loud(self, first: int) -> bool:
        return bool(np.abs(self._wave[max(0, first) :]).max(initial=0.0) > LOUD)

    def _find(self, piece: Wave, first: int, alike: float) -> int | None:
        """The first place from one on that is this piece; or the one that is most alike."""
        size, first = len(piece), max(0, first)
        own = float(piece @ piece)
        if not own:
            return None
        spectrum = np.conj(np.fft.rfft(piece, BLOCK))
        found: tuple[float, int] | None = None
        for start in range(first, len(self._wave) - size + 1, BLOCK - size + 1):
            window = self._wave[start : start + BLOCK]
            count = len(window) - size + 1
            ends = self._energy[start + size : start + size + count]
            energy = ends - self._energy[start : start + count]
            if float(energy.max()) < QUIETER * own:
                continue
            product = np.fft.irfft(np.fft.rfft(window, BLOCK) * spectrum, BLOCK)[:count]
            score = product / np.sqrt(np.maximum(energy, 1.0) * own)
            score[energy < QUIETER * own] = 0.0
            best = float(score.max())
            if best >= (found[0] if found is not None else alike):
                at = int(np.flatnonzero(score >= best * NEARLY)[0])
                found = best, start + at + int(np.argmax(score[at : at + RATE // 500]))
            if best >= SURE:
                break
        return found[1] if found is not None else None


def _loud(frames: Wave) -> npt.NDArray[np.bool_]:
    """Which frames are heard."""
    level = np.sqrt((frames * frames).mean(axis=1)) if len(frames) else np.zeros(0)
    heard: npt.NDArray[np.bool_] = level > max(LOUD, SOFT * float(level.max(initial=0.0)))
    return heard


def _first_loud(voice: Wave, first: int) -> int:
    """From where on something is heard; ``first`` itself if nothing is."""
    frames = voice[first : first + (len(voice) - first) // FRAME * FRAME].reshape(-1, FRAME)
    loud = np.flatnonzero(_loud(frames))
    return first + int(loud[0]) * FRAME if len(loud) else first


def loud_samples(voice: Wave) -> npt.NDArray[np.bool_]:
    """Which samples of a voice are in a frame that is heard."""
    count = -(-len(voice) // FRAME)
    padded = np.zeros(count * FRAME)
    padded[: len(voice)] = voice
    heard: npt.NDArray[np.bool_] = np.repeat(_loud(padded.reshape(-1, FRAME)), FRAME)[: len(voice)]
    return heard

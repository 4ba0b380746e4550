"""Where may a voice fall silent without breaking a word, or at least a sound?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from bargein.core.decisions import StopAt

_PHRASE_ENDS = tuple(".,;:!?…。、！？，；：।")
_FRAME_MS = 10
_DIP = 0.5
"""A frame that is quieter than this share of the average is between two sounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a voice may go on for a good place to stop, in milliseconds."""

    word_ms: float
    """For the end of a word; in a longer word the quietest place is taken."""
    phrase_ms: float
    """For the end of a phrase; else the word's end is taken."""


def stopping_place(
    onsets: Sequence[tuple[float, str]],
    *,
    here_ms: float,
    ends_ms: float | None,
    stop_at: StopAt,
    patience: Patience,
) -> float | None:
    """The next place to stop between two words; None if it is too far, or if no word was timed.

    Args:
        onsets: where in the audio each word begins, in milliseconds, and the word.
        here_ms: the first place at which the voice can still stop.
        ends_ms: where the audio ends, once that is known.
        stop_at: a word's end, or a phrase's.
        patience: how far away it may be.
    """
    words = sorted(onsets)
    if not words:
        return None
    end = [] if ends_ms is None else [ends_ms]
    if stop_at is StopAt.PHRASE:
        phrases = [
            after_ms
            for (_, text), (after_ms, _) in pairwise(words)
            if after_ms >= here_ms and text.rstrip().endswith(_PHRASE_ENDS)
        ]
        for at_ms in (phrases + end)[:1]:
            if at_ms - here_ms <= patience.phrase_ms:
                return at_ms
    for at_ms in ([at_ms for at_ms, _ in words if at_ms >= here_ms] + end)[:1]:
        if at_ms - here_ms <= patience.word_ms:
            return at_ms
    return None


def dip_ms(samples: npt.NDArray[np.int16], rate: int) -> float:
    """Where these samples are quietest, between two syllables; 0.0 if it is all one sound."""
    size = rate * _FRAME_MS // 1000
    count = len(samples) // size if size else 0
    if not count:
        return 0.0
    frames = samples[: count * size].astype(np.float64).reshape(count, size)
    loudness = np.sqrt(np.mean(frames**2, axis=1))
    quietest = int(loudness.argmin())
    if loudness[quietest] > _DIP * loudness.mean():
        return 0.0
    return (quietest + 0.5) * _FRAME_MS

"""How loud and how long is this, for this caller?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import log10

import numpy as np

from .heard import RATE, Heard, Samples

# How many times likelier a sound that still lasts is to be an acknowledgement than a turn: of
# those that began in the middle of somebody's talk, .685 against .931 lasted 0.3 s, .389 against
# .828 half a second, and so on (2,462 acknowledgements, 4,487 floor claims, MRDA meeting corpus).
_LASTS = ((0, 1.0), (300, 0.74), (500, 0.47), (800, 0.34), (1_000, 0.29))
_LEVEL_MS = 400
_SOFT_DB = 6.0
"""A listener's "mm-hm" is softer than speech that is meant to be heard: this much softer doubles
the odds, this much louder halves them."""
_SILENCE_DB = -90.0


@dataclass(frozen=True, slots=True)
class Level:
    """Weak evidence that costs nothing: it hastens or delays a pause, and decides nothing."""

    name: str = "level"
    window_ms: int = _LEVEL_MS
    weakest: float = 0.35
    strongest: float = 0.65

    def __call__(self, heard: Heard, /) -> float:
        """Between ``weakest`` and ``strongest``; see `Detector`."""
        odds = _lasting(heard.overlap_ms)
        if heard.usual_db is not None:
            newest = heard.samples[-RATE * min(heard.overlap_ms, _LEVEL_MS) // 1000 :]
            softer_db = heard.usual_db - level_db(newest)
            odds *= 2 ** (max(-12.0, min(softer_db, 12.0)) / _SOFT_DB)
        return min(max(odds / (1 + odds), self.weakest), self.strongest)


def level_db(samples: Samples) -> float:
    """The level of some sound in dBFS, -90 for none."""
    if not len(samples):
        return _SILENCE_DB
    mean = float(np.mean(np.square(samples, dtype=np.float64)))
    return max(_SILENCE_DB, 10 * log10(mean)) if mean > 0 else _SILENCE_DB


def _lasting(ms: int) -> float:
    for (before_ms, before), (after_ms, after) in pairwise(_LASTS):
        if ms < after_ms:
            share = (ms - before_ms) / (after_ms - before_ms)
            return before + share * (after - before)
    return _LASTS[-1][1]

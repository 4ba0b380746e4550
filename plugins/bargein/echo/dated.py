"""When did the microphone take this up? By the count of its samples, not by when they came.

A line hands in what it has when it can: in bursts, or 200 ms late and then all at once. The samples
follow one another all the same, and an echo is as far behind the voice in the last of a burst as in
the first. So the count is the clock; arrivals only say where it began, and that a piece is missing.
"""

from __future__ import annotations

from math import inf

_MISSING_MS = 400
"""Further behind than any hiccup: a piece of the audio is missing."""
_AHEAD_MS = 250
"""And further ahead: a piece was put in that nobody said."""
_EARLY_MS = 5
_SPAN_MS = 1_000


class Dated:
    """One microphone's clock: the end of the newest piece, on the call's clock."""

    def __init__(self) -> None:
        """Nothing has been taken up yet."""
        self.ends_ms = 0.0
        """When the newest piece ended, milliseconds."""
        self._begun = False
        self._span_ms = 0.0
        self._behind_ms = [inf, inf]  # the least in this span and in the one before

    def take(self, ms: float, now_ms: float) -> float | None:
        """So many milliseconds have come, and go on from the last ones.

        Returns:
            By how much all dates have just been put right, nearly always 0; None where this piece
            does not go on from the last one.
        """
        self.ends_ms += ms
        behind_ms = now_ms - self.ends_ms
        if not self._begun or not -_AHEAD_MS <= behind_ms <= _MISSING_MS:
            self._begun = True
            self._move(behind_ms)
            return None
        if behind_ms < -_EARLY_MS:  # nothing comes before it was said: the first came late
            return self._move(behind_ms)
        self._behind_ms[0] = min(self._behind_ms[0], behind_ms)
        self._span_ms += ms
        if self._span_ms < _SPAN_MS:
            return 0.0
        self._span_ms = 0.0
        least_ms = min(self._behind_ms)
        self._behind_ms = [inf, self._behind_ms[0]]
        if least_ms <= _EARLY_MS:
            return 0.0
        return self._move(least_ms)  # its clock is slow, or the way has become longer

    def _move(self, by_ms: float) -> float:
        self.ends_ms += by_ms
        self._span_ms, self._behind_ms = 0.0, [inf, inf]
        return by_ms

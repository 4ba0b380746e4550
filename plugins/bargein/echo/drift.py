"""How fast does the delay change? Two clocks, the loudspeaker's and the microphone's, never agree.

At 3 kHz a filter that is right now is wrong when the delay has changed by a tenth of a millisecond:
with 150 millionths between the clocks that is within a second.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from .resampled import RATE

_KEPT = 24
_FROM = 8
_APART = RATE // 3
_SPAN = RATE * 3 // 4
_PAUSE = RATE
_LEAST, _MOST = 40e-6, 600e-6
"""Less is covered by the filters, more is no clock's."""
_SCATTER = 1.0


class Drift:
    """The slope of the delays that were found lately."""

    def __init__(self) -> None:
        """Nothing has been found."""
        self._found: deque[tuple[float, float]] = deque(maxlen=_KEPT)
        self.rate = 0.0
        """Samples of delay a sample."""

    def found(self, at: int, lag: float) -> None:
        """At this sample of the clock an echo was so many samples behind."""
        if self._found and at - self._found[-1][0] > _PAUSE:
            self._found.clear()  # a voice that begins again may do so a millisecond later
        self._found.append((at, lag))
        at_, lags = np.array(self._found).T
        if len(at_) < _FROM or at_[-1] - at_[0] < _SPAN:
            return
        first, second = np.triu_indices(len(at_), 1)
        apart = at_[second] - at_[first]
        far = apart >= _APART
        # The median, as a peak may jump to a reflection and back.
        rate = float(np.median((lags[second] - lags[first])[far] / apart[far]))
        rest = lags - rate * (at_ - at_[0])
        scatter = float(np.median(np.abs(rest - np.median(rest))))
        steady = _LEAST <= abs(rate) <= _MOST and scatter <= _SCATTER
        self.rate = rate if steady else 0.0

    def redate(self, by: int) -> None:
        """All of it was by so many samples later than was said."""
        self._found = deque(((at + by, lag + by) for at, lag in self._found), maxlen=_KEPT)

    def restart(self) -> None:
        """The delay is another one; the clocks are the same."""
        self._found.clear()

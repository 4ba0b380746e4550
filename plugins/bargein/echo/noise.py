"""How loud is a line on which nobody speaks? The least of the last seconds: no voice is without a
gap."""

from __future__ import annotations

from math import inf

_SPAN_HOPS = 100


class Noise:
    """Follows a noise that falls at once, and one that rises within 3.2 s."""

    def __init__(self, *, least: float) -> None:
        """Begin with what is heard first; no power counts as less than ``least``."""
        self._least = least
        self._now = self._before = inf
        self._hops = 0
        self.power = least
        """Of a hop of 16 ms."""

    def heard(self, power: float) -> None:
        """The next hop's power."""
        self._now = min(self._now, power)
        self.power = max(self._least, min(self._now, self._before))
        self._hops += 1
        if self._hops == _SPAN_HOPS:
            self._hops, self._before, self._now = 0, self._now, inf

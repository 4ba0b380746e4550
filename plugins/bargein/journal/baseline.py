"""Is an agent interrupted more often than it used to be? Counted by calls, without a clock."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

_MOST = 4.0
"""What one call may add to the doubt: one caller is no trend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spike:
    """The rate has risen."""

    rate: float
    """Interruptions a minute of call, since it began to rise."""
    baseline: float
    """The same, before."""
    calls: int
    """How many calls it took to be sure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """When a rise is worth telling.

    To be sure takes interruptions. In simulated traffic (a call a minute, of three minutes; 400
    rises, 100 weeks without one) a rate that doubles was told within 15 calls in 97 % of the rises
    at six interruptions a call (median 7 calls), in 78 % at three (median 11), in 43 % at one and a
    half (median 17), with a false alert every four to seven weeks. Raise ``certainty`` for fewer of
    those and later alerts.
    """

    factor: float = 2.0
    """The rise to look for; a smaller one takes longer, one by less than 44 % is never told."""
    floor_per_minute: float = 0.1
    """A baseline lower than this counts as this: from nothing to a little is no spike."""
    certainty: float = 9.0
    """How sure to be, as the logarithm of the odds."""
    min_calls: int = 100
    """Before so many calls nothing is told: there is no baseline yet."""
    min_interruptions: int = 8
    """A rise of fewer is not told."""
    half_life_calls: float = 300
    """How slowly the baseline follows."""
    quiet_calls: int = 60
    """For so long after a spike nothing is told, while the baseline gets used to what it is now."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: numbers that can never work.
        """
        if not self.factor > 1:
            raise ValueError(f"factor must be more than 1, not {self.factor!r}")
        for name in ("floor_per_minute", "certainty", "half_life_calls"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be more than 0, not {getattr(self, name)!r}")
        for name in ("min_calls", "min_interruptions", "quiet_calls"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be >= 0, not {getattr(self, name)!r}")


@dataclass(slots=True)
class Baseline:
    """What is usual for one agent: an exponentially weighted mean, and a sum of doubts (CUSUM) that
    calls with more interruptions than usual add to, and others take from."""

    sensitivity: Sensitivity = field(default_factory=Sensitivity)
    calls: int = 0
    _count: float = 0.0
    _minutes: float = 0.0
    _excess: float = 0.0
    _square: float = 0.0
    """Their ratio is how much callers differ beyond chance: 0 for not at all."""
    _doubt: float = 0.0
    _rising: tuple[int, int, float] = (0, 0, 0.0)
    """Calls, interruptions and minutes since the doubt began."""
    _quiet: int = 0

    @property
    def rate(self) -> float:
        """The usual interruptions a minute of call."""
        usual = self._count / self._minutes if self._minutes else 0.0
        return max(usual, self.sensitivity.floor_per_minute)

    @property
    def diversity(self) -> float:
        """How much callers differ beyond chance: the variance of their own rates, of 1."""
        return max(0.0, self._excess / self._square) if self._square else 0.0

    def take(self, interruptions: int, minutes: float) -> Spike | None:
        """One more call is over.

        Args:
            interruptions: how many it had.
            minutes: how long it was.
        """
        if minutes <= 0:
            return None
        knobs, before = self.sensitivity, self.rate
        spike = None
        if self.calls >= knobs.min_calls:
            spike = self._doubted(interruptions, minutes)
        self.calls += 1
        self._learn(interruptions, minutes, before)
        return spike

    def successor(self) -> Baseline:
        """What a new version of the agent begins with: it should be no worse than the last."""
        return Baseline(
            sensitivity=self.sensitivity,
            calls=self.calls,
            _count=self._count,
            _minutes=self._minutes,
            _excess=self._excess,
            _square=self._square,
        )

    def _doubted(self, interruptions: int, minutes: float) -> Spike | None:
        knobs, rate = self.sensitivity, self.rate
        if self._quiet > 0:
            self._quiet -= 1
            return None
        usual = rate * minutes
        self._doubt += min(_odds(interruptions, usual, knobs.factor, self.diversity), _MOST)
        if self._doubt <= 0:
            self._doubt, self._rising = 0.0, (0, 0, 0.0)
            return None
        calls, found, lasted = self._rising
        self._rising = calls, found, lasted = calls + 1, found + interruptions, lasted + minutes
        if self._doubt < knobs.certainty or found < knobs.min_interruptions or calls < 3:
            return None
        self._doubt, self._rising, self._quiet = 0.0, (0, 0, 0.0), knobs.quiet_calls
        return Spike(rate=found / lasted, baseline=rate, calls=calls)

    def _learn(self, interruptions: int, minutes: float, before: float) -> None:
        knobs = self.sensitivity
        half_life = knobs.half_life_calls / 5 if self._quiet else knobs.half_life_calls
        weight = max(1 / self.calls, 1 - 0.5 ** (1 / half_life))
        usual = before * minutes
        if self.calls > 1:
            off = min((interruptions - usual) ** 2, 25 * usual) - usual
            self._excess += weight * (off - self._excess)
            self._square += weight * (usual**2 - self._square)
        self._count += weight * (interruptions - self._count)
        self._minutes += weight * (minutes - self._minutes)


def _odds(count: int, usual: float, factor: float, diversity: float) -> float:
    """How much likelier a count is at the risen rate than at the usual one, as a logarithm."""
    raised = factor * usual
    if diversity < 0.01:
        return count * math.log(factor) - (raised - usual)
    # Callers differ: what one of them does counts for less (a negative binomial's ratio).
    shape = 1 / diversity
    return count * math.log(factor) + (count + shape) * math.log((shape + usual) / (shape + raised))

"""Is an agent interrupted more often than it was? Counted by its own speech, without a clock."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

_MOST = 4.0
"""What one call may add to the doubt: one caller is no trend."""
_FEWEST_CALLS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Spike:
    """The rate has risen."""

    rate: float
    """Interruptions a minute of the agent's speech, since it began to rise."""
    baseline: float
    """The same, before."""
    calls: int
    """In how many calls, since then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """When a rise is worth telling.

    To be sure takes interruptions: how many are usual in a quarter of an hour says how likely a
    rate that doubles is told by then. With a call a minute, of three minutes, and a rate that
    swings by 10 % with the time of day (``tests/traffic.py``: 80 rises, 16 weeks):

    | interruptions a call | in 15 minutes | told by then | median | false alerts a week |
    |---|---|---|---|---|
    | 6 | 90 | 100 % | 4 min | 0.4 |
    | 4 | 60 | 99 % | 5 min | 0.6 |
    | 3 | 45 | 93 % | 7 min | 0.8 |
    | 2 | 30 | 79 % | 9 min | 0.4 |
    | 1 | 15 | 34 % | 18 min | 0.8 |
    | 3, callers who differ (variance 0.3) | 45 | 64 % | 13 min | 0.6 |

    That is nearly all there is to be had. A count of the last 15 minutes, held against a rate that
    is known exactly and never swings, tells of 98 % at three a call, 88 % at two and 42 % at one,
    with as many false alerts: where 15 are usual, 30 come by chance about once a week. Less
    traffic takes as many interruptions, and so longer.

    Raise ``certainty`` for fewer false alerts, and later ones.
    """

    factor: float = 2.0
    """The rise to look for; a smaller one takes longer, one by less than 44 % is never told."""
    floor_per_minute: float = 0.1
    """A baseline lower than this counts as this: from nothing to a little is no spike."""
    certainty: float = 8.2
    """How sure to be, as the logarithm of the odds, for an agent with one interruption a call; one
    with more has more chances to be wrong, and needs more."""
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


@dataclass(slots=True, eq=False)
class _Going:
    """A call that is not over yet."""

    interruptions: int = 0
    minutes: float = 0.0
    doubt: float = 0.0
    """What it has added to the sum."""


@dataclass(slots=True)
class Baseline:
    """What is usual for one agent: an exponentially weighted mean of the calls that are over; and a
    sum of doubts (CUSUM) that every interruption adds to, and the speech before it takes from."""

    sensitivity: Sensitivity = field(default_factory=Sensitivity)
    calls: int = 0
    _count: float = 0.0
    _minutes: float = 0.0
    _excess: float = 0.0
    _square: float = 0.0
    """Their ratio is how much callers differ beyond chance: 0 for not at all."""
    _going: dict[str, _Going] = field(default_factory=dict)
    _doubt: float = 0.0
    _rising: tuple[int, float] = (0, 0.0)
    """Interruptions and minutes since the doubt began."""
    _risen: set[_Going] = field(default_factory=set)
    """The calls that they are of."""
    _quiet: int = 0

    @property
    def rate(self) -> float:
        """The usual interruptions a minute of the agent's speech."""
        usual = self._count / self._minutes if self._minutes else 0.0
        return max(usual, self.sensitivity.floor_per_minute)

    @property
    def diversity(self) -> float:
        """How much callers differ beyond chance: the variance of their own rates, of 1."""
        return max(0.0, self._excess / self._square) if self._square else 0.0

    def take(self, call_id: str, interruptions: int, minutes: float) -> Spike | None:
        """The agent has said something.

        Args:
            call_id: in which call.
            interruptions: how many ended it.
            minutes: how long it spoke.
        """
        going = self._going.setdefault(call_id, _Going())
        going.interruptions += interruptions
        going.minutes += minutes
        if self.calls < self.sensitivity.min_calls or self._quiet > 0:
            return None
        return self._doubted(going, interruptions, minutes)

    def ended(self, call_id: str) -> None:
        """A call is over, and becomes a part of what is usual."""
        going = self._going.pop(call_id, None)
        if going is None or going.minutes <= 0:
            return
        before, self.calls, quiet = self.rate, self.calls + 1, self._quiet
        self._quiet = max(0, quiet - 1)
        self._learn(going, before, quickly=quiet > 0)

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

    def _doubted(self, going: _Going, interruptions: int, minutes: float) -> Spike | None:
        knobs, rate = self.sensitivity, self.rate
        # All of the call so far, less what it has added: what a caller does once more says less.
        usual = rate * going.minutes
        doubt = min(_odds(going.interruptions, usual, knobs.factor, self.diversity), _MOST)
        self._doubt += doubt - going.doubt
        going.doubt = doubt
        if self._doubt <= 0:
            self._calm()
            return None
        self._rising = found, lasted = self._rising[0] + interruptions, self._rising[1] + minutes
        self._risen.add(going)
        usual_of_a_call = rate * self._minutes  # whose weights add up to one call
        enough = knobs.certainty + math.log(max(usual_of_a_call, 0.1))
        calls = len(self._risen)
        if self._doubt < enough or found < knobs.min_interruptions or calls < _FEWEST_CALLS:
            return None
        self._calm()
        self._quiet = knobs.quiet_calls
        return Spike(rate=found / lasted, baseline=rate, calls=calls)

    def _calm(self) -> None:
        self._doubt, self._rising = 0.0, (0, 0.0)
        self._risen.clear()

    def _learn(self, call: _Going, before: float, *, quickly: bool) -> None:
        knobs = self.sensitivity
        half_life = knobs.half_life_calls / 5 if quickly else knobs.half_life_calls
        weight = max(1 / self.calls, 1 - 0.5 ** (1 / half_life))
        usual = before * call.minutes
        if self.calls > 1:
            off = min((call.interruptions - usual) ** 2, 25 * usual) - usual
            self._excess += weight * (off - self._excess)
            self._square += weight * (usual**2 - self._square)
        self._count += weight * (call.interruptions - self._count)
        self._minutes += weight * (call.minutes - self._minutes)


def _odds(count: int, usual: float, factor: float, diversity: float) -> float:
    """How much likelier a count is at the risen rate than at the usual one, as a logarithm."""
    raised = factor * usual
    if diversity < 0.01:
        return count * math.log(factor) - (raised - usual)
    # Callers differ: what one of them does counts for less (a negative binomial's ratio).
    shape = 1 / diversity
    return count * math.log(factor) + (count + shape) * math.log((shape + usual) / (shape + raised))

"""What is one figure of the benchmark, and is it within its budget?"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure of ours, beside the stock host's of the same run."""

    name: str
    unit: str
    ours: float
    stock: float | None = None
    """The same figure of the host without us; None where it has nothing like it."""
    stock_is: str = ""
    """Which stock host: its default, or its own nearest remedy."""
    budget: float | None = None
    """The most that ``ours`` may be; None for a row that only informs."""
    ratio_budget: float | None = None
    """The most that ``ours / stock`` may be."""
    strict: bool = False
    """True if the ratio has to be below its budget, not just within it."""
    spread: tuple[float, float] | None = None
    """Where the middle half of our samples lies: (first quartile, third quartile)."""
    n: int = 1
    """How many samples of ours."""
    how: str = ""
    """How it was measured, in one sentence."""

    @property
    def ratio(self) -> float | None:
        """Ours over stock; None where there is nothing to divide by."""
        return self.ours / self.stock if self.stock else None

    @property
    def met(self) -> bool | None:
        """Within every budget it has; None if it has none."""
        kept: list[bool] = []
        if self.budget is not None:
            kept.append(self.ours <= self.budget)
        if self.ratio_budget is not None:
            kept.append(self.ratio is not None and self._within(self.ratio, self.ratio_budget))
        return all(kept) if kept else None

    def _within(self, ratio: float, budget: float) -> bool:
        return ratio < budget if self.strict else ratio <= budget

    def as_json(self) -> dict[str, object]:
        """The row as plain values, numbers rounded to a thousandth."""
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": _short(self.ours),
            "stock": _short(self.stock),
            "stock_is": self.stock_is,
            "ratio": _short(self.ratio),
            "budget": self.budget,
            "ratio_budget": self.ratio_budget,
            "met": self.met,
            "spread": None if self.spread is None else [_short(end) for end in self.spread],
            "n": self.n,
            "how": self.how,
        }


def middle(samples: Sequence[float]) -> float:
    """The median."""
    return float(statistics.median(samples))


def quartiles(samples: Sequence[float]) -> tuple[float, float] | None:
    """Where the middle half lies; None for fewer than two samples."""
    if len(samples) < 2:
        return None
    first, _, third = statistics.quantiles(samples, n=4, method="inclusive")
    return first, third


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that at least ``percent`` of them do not exceed."""
    place = math.ceil(len(samples) * percent / 100) - 1
    return float(sorted(samples)[max(0, place)])


def _short(number: float | None) -> float | None:
    return None if number is None else round(number, 3)

"""What is one figure of the benchmark, and is it within its budget?"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


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
    more_is_better: bool = False
    """True if the budgets say how little it may be."""
    spread: tuple[float, float] | None = None
    """Where the middle half of our samples lies: (first quartile, third quartile)."""
    stock_spread: tuple[float, float] | None = None
    ratio_spread: tuple[float, float] | None = None
    """Where the middle half of the ratios of the single pairs lies."""
    n: int = 1
    """How many samples of ours."""
    how: str = ""
    """How it was measured, in one sentence."""
    host: str = ""
    """``core``, ``pipecat`` or ``livekit``."""
    promise: str = ""
    """Whose figure it is: one of the four promises', or what they cost."""
    clock: str = ""
    """``virtual``: on a loop on which computing takes no time; ``processor``: processor time;
    ``real``: the machine's clock."""

    @property
    def key(self) -> tuple[str, str, str]:
        """Which figure it is, from one run to the next."""
        return self.host, self.name, self.stock_is

    @property
    def ratio(self) -> float | None:
        """Ours over stock; None where there is nothing to divide by."""
        return self.ours / self.stock if self.stock else None

    @property
    def met(self) -> bool | None:
        """Within every budget it has; None if it has none."""
        kept: list[bool] = []
        if self.budget is not None:
            kept.append(self.ours == self.budget or self._within(self.ours, self.budget))
        if self.ratio_budget is not None:
            kept.append(self.ratio is not None and self._within(self.ratio, self.ratio_budget))
        return all(kept) if kept else None

    def _within(self, figure: float, budget: float) -> bool:
        if figure == budget:
            return not self.strict
        return (figure > budget) is self.more_is_better

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
            "strict": self.strict,
            "more_is_better": self.more_is_better,
            "met": self.met,
            "spread": _ends(self.spread),
            "stock_spread": _ends(self.stock_spread),
            "ratio_spread": _ends(self.ratio_spread),
            "n": self.n,
            "how": self.how,
            "host": self.host,
            "promise": self.promise,
            "clock": self.clock,
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Row:
        """The row again, from what `as_json` made."""
        fields = {name: value for name, value in plain.items() if name in cls.__slots__}
        for name in ("spread", "stock_spread", "ratio_spread"):
            fields[name] = tuple(fields[name]) if fields.get(name) else None
        return cls(**fields)


def beside(name: str, ours: Sequence[float], stock: Sequence[float], **more: Any) -> Row:
    """A row of medians and their spreads; equally many samples of both are pairs."""
    pairs = list(zip(ours, stock, strict=True)) if len(ours) == len(stock) else []
    ratios = [mine / theirs for mine, theirs in pairs if theirs]
    made: dict[str, Any] = {
        "ours": middle(ours),
        "stock": middle(stock),
        "spread": quartiles(ours),
        "stock_spread": quartiles(stock),
        "ratio_spread": quartiles(ratios),
        "n": len(ours),
    }
    return Row(name=name, **{**made, **more})


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


def _ends(spread: tuple[float, float] | None) -> list[float | None] | None:
    return None if spread is None else [_short(end) for end in spread]


def _short(number: float | None) -> float | None:
    return None if number is None else round(number, 3)

"""Weeks of simulated calls: who is interrupted when? The same for the same seed.

``PYTHONPATH=plugins python tests/traffic.py`` prints the figures that `Sensitivity` tells, in some
ten minutes.
"""

import heapq
import math
import random
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bargein.journal import Alert, Alerts, CallFacts, Episode, Outcome

WEEK = 7 * 24 * 60
CALL_MINUTES = 3.0
TURN_MINUTES = 10 / 60
"""The agent says something of about that length; so half a call is the agent's."""


@dataclass
class Traffic:
    """A call a minute, each of another length. Callers interrupt at random, somewhat more often by
    day than by night."""

    seed: int
    per_call: float
    """The usual interruptions in a call."""
    diversity: float = 0.0
    """The variance of callers' own rates, of 1."""
    rises_at: float = math.inf
    """When callers begin to interrupt twice as often, in minutes; in calls that go on, too."""
    told: list[Alert] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._per_minute = self.per_call / (CALL_MINUTES / 2)
        self._alerts = Alerts(self.told.append)

    def alerts(self, minutes: float) -> Iterator[float]:
        """When somebody is told, as it happens."""
        waiting: list[tuple[float, int, Iterator[float]]] = []
        for minute in range(int(minutes)):
            heapq.heappush(waiting, (minute, minute, self._call(minute)))
            while waiting and waiting[0][0] < minute + 1:
                at, number, call = heapq.heappop(waiting)
                before = len(self.told)
                after = next(call, None)
                if after is not None:
                    heapq.heappush(waiting, (after, number, call))
                yield from [at] * (len(self.told) - before)

    def _call(self, began: int) -> Iterator[float]:
        """One call: yields when the agent's next words end, or the call."""
        facts = CallFacts(call_id=str(began), host="core", agent="desk@1", began_at=_DAY)
        caller = 1.0
        if self.diversity:
            caller = self._random.gammavariate(1 / self.diversity, self.diversity)
        until = began + max(0.3, self._random.gammavariate(6, CALL_MINUTES / 6))
        at, number = float(began), 0
        while at < until:
            end = min(until, at + self._random.expovariate(1 / TURN_MINUTES))
            rate = caller * self._per_minute * (1 + 0.1 * math.sin(2 * math.pi * at / (24 * 60)))
            talked_over = self._talked_over(at, rate)
            yield min(end, talked_over)
            if talked_over < end:
                number, end = number + 1, talked_over
                cut = Episode(number=number, onset_at_ms=0, outcome=Outcome.YIELD, by_caller=True)
                self._alerts.overlap(facts, cut, 0)
            self._alerts.spoke(facts, round((at - began) * 60_000), round((end - began) * 60_000))
            at = end + self._random.expovariate(1 / (end - at))  # the caller, for about as long
        yield until
        self._alerts.closed(facts, round((until - began) * 60_000))

    def _talked_over(self, at: float, rate: float) -> float:
        """When a caller talks over what the agent says from now on."""
        patience = self._random.expovariate(rate)
        before = self.rises_at - at
        if patience <= before:
            return at + patience
        return at + (patience / 2 if before <= 0 else before + (patience - before) / 2)


_DAY = datetime(2026, 3, 1, tzinfo=UTC)


def rise_found_after(seed: int, per_call: float, diversity: float = 0.0) -> float:
    """Minutes from a rise to the alert; the rise is at another time of the day for each seed."""
    rises_at = 900 + 47 * seed % (24 * 60)
    traffic = Traffic(seed=1000 + seed, per_call=per_call, diversity=diversity, rises_at=rises_at)
    told = traffic.alerts(rises_at + 60)
    return next((at - rises_at for at in told if at >= rises_at), math.inf)


def main(weeks: int = 16, rises: int = 80) -> None:
    """One line for each kind of agent."""
    for per_call, diversity in ((6, 0), (4, 0), (3, 0), (3, 0.3), (2, 0), (1, 0)):
        traffics = [
            Traffic(seed=seed, per_call=per_call, diversity=diversity) for seed in range(weeks)
        ]
        false = [len(list(one.alerts(WEEK))) for one in traffics]
        found = [rise_found_after(seed, per_call, diversity) for seed in range(rises)]
        soon = sum(after <= 15 for after in found) / rises
        print(
            f"{per_call} a call, callers differ by {diversity}: {soon:.0%} within 15 minutes,"
            f" median {statistics.median(found):.0f}; {sum(false) / weeks:.2f} false a week",
            flush=True,
        )


if __name__ == "__main__":
    main()

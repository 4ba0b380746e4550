"""What time is it, and when must somebody look again? The one file with a clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from bargein.core.decisions import Decision, Reason, ResumePlayout
from bargein.core.events import Event, TimePassed
from bargein.core.floor import EventOrderError, step
from bargein.core.overlap import Later, Overlap, Rule, Rules, Verdict
from bargein.core.state import State
from bargein.core.transitions import Floor

Report = Callable[[str, Exception], None]
"""Told once about a failure of ours: where it was, and what was raised."""


class Timer(Protocol):
    """One alarm. Setting it again replaces it."""

    def set(self, in_ms: int, wake: Callable[[], None]) -> None: ...
    def clear(self) -> None: ...


class LoopTimer:
    """A `Timer` on the running asyncio loop."""

    def __init__(self) -> None:
        self._handle: asyncio.TimerHandle | None = None

    def set(self, in_ms: int, wake: Callable[[], None]) -> None:
        self.clear()
        self._handle = asyncio.get_running_loop().call_later(in_ms / 1000, wake)

    def clear(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


def call_clock() -> Callable[[], float]:
    """Milliseconds since now, on a clock that never runs back."""
    began = time.monotonic()
    return lambda: (time.monotonic() - began) * 1000


class Pump:
    """Stamps what happened, asks the core, hands out what to do, and wakes when it is due.

    Nothing of ours may end a call: a rule that raises is reported once and asked no more; should
    the core itself raise, the call goes on without rules, as the host would run it.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        decided: Callable[[Decision], None],
        happened: Callable[[Event], None] | None = None,
        settled: Callable[[Event], None] | None = None,
        report: Report,
        clock: Callable[[], float] | None = None,
        timer: Timer | None = None,
        state: State | None = None,
    ) -> None:
        self._rules: Rules = tuple(_Guarded(rule, report) for rule in rules)
        self._decided = decided
        self._happened = happened
        self._settled = settled
        self._report = report
        self._clock = clock or call_clock()
        self._timer = timer or LoopTimer()
        self._closed = False
        self.state = state or State()

    @property
    def now_ms(self) -> int:
        """Whole milliseconds on the call's own clock."""
        return max(int(self._clock()), self.state.at_ms)

    @property
    def floor(self) -> Floor:
        return self.state.floor

    def feed(self, event: Event) -> tuple[Decision, ...]:
        """Take one event; every decision has been handed out when this returns."""
        if self._closed:
            return ()
        if self._happened and not isinstance(event, TimePassed):
            self._happened(event)
        try:
            self.state, decisions = step(self._rules, self.state, event)
        except EventOrderError:
            raise  # the adapter's mistake, not a caller's: say so where it was made
        except Exception as error:
            self._rules = ()
            self.state = State(at_ms=event.at_ms)
            self._report("core", error)
            self._decided(ResumePlayout(at_ms=event.at_ms, reason=Reason.NO_RULE))
            return ()
        self._arm()
        for decision in decisions:
            self._decided(decision)
        if self._settled:
            self._settled(event)
        return decisions

    def close(self) -> None:
        """The call is over: no more events, no more alarms."""
        self._closed = True
        self._timer.clear()

    def _arm(self) -> None:
        due_at_ms = self.state.due_at_ms
        if due_at_ms is None:
            self._timer.clear()
        else:
            # One more than the difference: the clock is cut to whole milliseconds, and an alarm
            # that rings a hair early would find nothing due.
            self._timer.set(due_at_ms - int(self._clock()) + 1, self._wake)

    def _wake(self) -> None:
        self.feed(TimePassed(at_ms=self.now_ms))


class _Guarded:
    """A rule that is left out from the first time it fails."""

    def __init__(self, rule: Rule, report: Report) -> None:
        self._rule = rule
        self._report = report
        self._failed = False

    def __call__(self, overlap: Overlap, /) -> Verdict | Later | None:
        if self._failed:
            return None
        try:
            return self._rule(overlap)
        except Exception as error:
            self._failed = True
            self._report(f"rule {type(self._rule).__name__}", error)
            return None

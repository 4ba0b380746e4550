"""How is a call of half a minute tried in half a second? On a loop that never waits for a clock.

Where nothing is to be done, it is later. What a task computes takes no time, so a call decides the
same on a busy machine as on an idle one: no sound is late because somebody else had the processor.

Both ends of a connection must be in the loop: an answer from another process or thread takes time
that this clock does not know. A thread that the loop itself started is waited for.

Import this before a host: many a class keeps the function ``time.time`` itself, and would go on by
the machine's clock.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_TURN_S = 1e-6
"""What a turn of the loop takes: who asks the clock without sleeping in between gets on, too."""
_PATIENCE_S = 2.0
"""A thread that takes so long computes nothing, but waits itself: time passes for it."""
_CLOCKS = {name: getattr(time, name) for name in ("monotonic", "perf_counter", "time")}
_monotonic = time.monotonic
_running: list[VirtualTimeLoop] = []


class _Selector(selectors.DefaultSelector):
    """Waits for connections and threads as ever; for a clock, never."""

    def __init__(self) -> None:
        super().__init__()
        self.passed_s = 0.0
        self.threads = 0
        self._idle = 0  # so many of them wait themselves

    def computed(self) -> None:
        """One thread less."""
        self.threads -= 1
        self._idle = min(self._idle, self.threads)

    def select(self, timeout: float | None = None) -> Any:
        """What is ready; with nothing to wait for but time, time has passed."""
        self.passed_s += _TURN_S
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self.threads > self._idle:
            ready = super().select(_PATIENCE_S)
            if ready:
                return ready
            self._idle = self.threads
        if timeout is None or self.threads:
            began_s = _monotonic()
            ready = super().select(timeout)
            if not ready:
                self.passed_s += _monotonic() - began_s
            return ready
        self.passed_s += max(0.0, float(timeout))  # whatever kind of number a caller sleeps
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop with a clock of its own; while it runs, those of ``time`` are on it.

    Its clock begins at what ``time.monotonic`` says, and ``time.time`` at today.
    """

    def __init__(self) -> None:
        """Make a loop, as ``asyncio.Runner(loop_factory=VirtualTimeLoop)`` does."""
        self._waiting = _Selector()
        self._began_s = {name: clock() for name, clock in _CLOCKS.items()}
        super().__init__(self._waiting)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        """Seconds, on this loop's clock."""
        return self.clock("monotonic")

    def clock(self, name: str) -> float:
        """Seconds, on one of ``time``'s clocks."""
        began_s: float = self._began_s[name]
        return began_s + self._waiting.passed_s

    def stands_still(self, for_s: float) -> None:
        """Let time pass with nothing done in it, as on a machine that is busy with another."""
        self._waiting.passed_s += for_s

    def sets_the_date(self, by_s: float) -> None:
        """Let ``time.time`` step, forwards or back, as when a machine's date is put right."""
        self._began_s["time"] += by_s

    def run_in_executor(
        self, executor: Any, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """As ever; what a thread computes takes no time either."""
        future = super().run_in_executor(executor, func, *args)
        self._waiting.threads += 1
        future.add_done_callback(self._computed)
        return future

    def _computed(self, _future: object) -> None:
        self._waiting.computed()

    def run_forever(self) -> None:
        """Run until stopped."""
        _running.append(self)
        try:
            super().run_forever()
        finally:
            _running.pop()


def _delegate(name: str) -> None:
    real, real_ns = _CLOCKS[name], getattr(time, f"{name}_ns")

    def seconds() -> float:
        return _running[-1].clock(name) if _running else real()

    def nanoseconds() -> int:
        return int(_running[-1].clock(name) * 1e9) if _running else real_ns()

    setattr(time, name, seconds)
    setattr(time, f"{name}_ns", nanoseconds)


for _name in _CLOCKS:
    _delegate(_name)


def run(main: Coroutine[Any, Any, T]) -> T:
    """What ``asyncio.run`` does, in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)

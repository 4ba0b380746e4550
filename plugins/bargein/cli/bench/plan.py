"""What is measured on a host, on which clock, and whose promise is it?"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

from .row import Row

HOSTS = {"core": "bargein", "pipecat": "pipecat", "livekit": "livekit.agents"}
"""Each, and what has to be installed for it."""
GATE, BACKCHANNELS = "Interruption gate", "Backchannel filter"
MEMORY, COST = "Resumption memory", "What it costs"
PROMISES = (GATE, BACKCHANNELS, MEMORY, COST)
VIRTUAL, PROCESSOR, REAL = "virtual", "processor", "real"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody wants to know, and at what length."""

    quick: bool = False
    cuts: int = 100
    """In how many places the agent is cut, a kind of voice."""
    calls: bool = False
    """Also how many calls a core carries: three minutes of the machine's own time."""
    long: bool = False
    """Also calls of three hours."""
    real_time: bool = False
    """Hold the calls on the machine's clock instead of the loop's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Something to measure; nothing is imported before its turn."""

    host: str
    about: str
    promise: str
    clock: str
    measure: Callable[[], list[Row]]

    def rows(self) -> list[Row]:
        """Measured now."""
        return [
            replace(row, host=self.host, promise=self.promise, clock=self.clock)
            for row in self.measure()
        ]


def installed() -> list[str]:
    """The hosts that are here."""
    found = []
    for host, module in HOSTS.items():
        try:
            if find_spec(module) is not None:
                found.append(host)
        except ModuleNotFoundError:
            pass
    return found


def measures(host: str, asked: Asked) -> Iterator[Measure]:
    """All that is asked about one host."""
    here = {"core": "", "pipecat": "", "livekit": ".livekit"}[host]
    clock = REAL if asked.real_time else VIRTUAL

    def held(
        about: str, module: str, promise: str, speech: bool = False, **options: Any
    ) -> Iterator[Measure]:
        """In calls that are held here."""
        # Of the demo extra: without it, no caller speaks.
        if speech and find_spec("espeakng_loader") is None:
            return

        def measure() -> list[Row]:
            rows = importlib.import_module(f"{here}.{module}", __package__).rows
            return hold(rows(quick=asked.quick, **options), real_time=asked.real_time)

        yield Measure(host=host, about=about, promise=promise, clock=clock, measure=measure)

    def costs(about: str, measure: Callable[[], list[Row]], clock: str = PROCESSOR) -> Measure:
        return Measure(host=host, about=about, promise=COST, clock=clock, measure=measure)

    from . import apart, capacity, lasting, memory, thinking

    if host == "core":
        yield costs("what a decision costs", lambda: thinking.rows(quick=asked.quick))
        yield costs("long calls", lambda: lasting.core_rows(quick=asked.quick))
        return
    yield from held("holds", "holding", GATE)
    if host == "pipecat":
        yield from held("samples", "samples", GATE)
    yield from held("onsets", "onset", GATE, speech=True)
    yield from held("interruptions", "interruptions", GATE, speech=True)
    yield from held("a listener's noises", "overlaps", BACKCHANNELS)
    yield from held("what was heard", "heard", MEMORY, count=asked.cuts)
    if host == "pipecat":
        yield from held("going on", "resuming", MEMORY)
    yield costs("processor time", lambda: apart.rows_of(f"{here}.cpu", asked.quick))
    yield costs("memory", lambda: memory.rows(host, quick=asked.quick))
    yield costs("long calls", lambda: lasting.host_rows(host, quick=asked.quick, long=asked.long))
    if asked.calls:
        yield costs("calls a core carries", lambda: capacity.rows(host), clock=REAL)


def hold(rows: Coroutine[Any, Any, list[Row]], *, real_time: bool = False) -> list[Row]:
    """Run it, on the clock that is wanted."""
    if real_time:
        return asyncio.run(rows)
    from bargein.testing import virtual_time

    return virtual_time.run(rows)

"""How many calls does a core carry before real time is lost? With us, and without."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np

from bargein.testing.tones import PCM

from .apart import apart
from .row import Row, percentile
from .script import silent_ms, until

FIRST, MOST = 4, 64
LASTS_S = 4.0
HEARD_S = 0.5
TICK_S = 0.02
LATE_MS = 20
"""A core that comes to a call later than this, one time in a hundred, is too small for it."""
SILENT = 0.01
"""So much of what a listener hears may be a gap."""
OTHERS = 0.1
"""Where other processes take more of the core than this, a trial that was late tells nothing."""
AGAIN = 5


class BusyError(Exception):
    """Others use the core."""


class Trial(TypedDict):
    """What so many calls at once made of a core."""

    late_ms: float
    """How late the loop was, 99 times of 100."""
    silent: float
    """How much of the agent's voice was a gap, in all calls."""
    core: float
    """How much of the core was used."""
    others: float
    """How much of it other processes used."""


def search(first: int = FIRST, most: int = MOST) -> Generator[int, bool, int]:
    """Ask about numbers of calls, told of each whether it was carried; the most that was."""
    carried, too_many, asked = 0, most + 1, first
    while carried + 1 < too_many:
        if (yield asked):
            carried = asked
        else:
            too_many = asked
        asked = min(2 * carried, most) if too_many > most else (carried + too_many) // 2
        asked = max(asked, carried + 1)
    return carried


def carried(trial: Trial) -> bool:
    """Was real time kept?"""
    return trial["late_ms"] <= LATE_MS and trial["silent"] <= SILENT


def rows(host: str) -> list[Row]:
    """Both searches in turn, so that the machine is the same to them."""
    module = {"pipecat": ".capacity_pipecat", "livekit": ".livekit.capacity"}[host]
    found: dict[str, float] = {}
    searches = {who: search() for who in ("ours", "stock")}
    asked = {who: next(one) for who, one in searches.items()}
    while asked:
        for who, calls in list(asked.items()):
            try:
                asked[who] = searches[who].send(_carries(module, who, calls))
            except StopIteration as over:
                del asked[who]
                found[who] = float(over.value)
            except BusyError as busy:
                print(f"no figure of calls: {busy}", file=sys.stderr)
                return []
    return [
        Row(
            name="calls a core carries in real time",
            unit="calls",
            ours=found["ours"],
            stock=found["stock"],
            stock_is="the same host without us",
            ratio_budget=1.0,
            more_is_better=True,
            how="the agent speaks and Silero listens, in a process on one core; 99 % of the loop's"
            f" turns at most {LATE_MS} ms late, and at most {SILENT:.0%} of the voice a gap",
        )
    ]


def _carries(module: str, who: str, calls: int) -> bool:
    for _ in range(AGAIN):
        trial: Trial = apart(module, "trial", who, calls)
        if carried(trial) or trial["others"] <= OTHERS:
            return carried(trial)
    raise BusyError(f"others used {trial['others']:.0%} of the core, {AGAIN} times of {AGAIN}")


async def watched(
    heard: Sequence[Callable[[float, float], PCM]],
    rate: int,
    goes_on: Sequence[Callable[[], Awaitable[None]]] = (),
) -> Trial:
    """Hold calls in which the agent speaks, and look at what a listener to each hears.

    Args:
        heard: what was heard in a call between two instants of ``time.monotonic``.
        rate: its samples a second.
        goes_on: what every call needs each `TICK_S`.
    """
    late_ms: list[float] = []
    for _ in range(round(HEARD_S / TICK_S)):  # what is made at a call's first sound is made once
        for more in goes_on:
            await more()
        await asyncio.sleep(TICK_S)
    gc.collect()
    gc.freeze()  # a process that has just begun is full of what was just imported
    began_s, spent_s, busy_s = time.monotonic(), time.process_time(), _busy_s()
    for place in range(round(LASTS_S / TICK_S)):
        due_s = began_s + place * TICK_S
        await until(due_s)
        late_ms.append((time.monotonic() - due_s) * 1_000)
        for more in goes_on:
            await more()
    ended_s, spent_s = time.monotonic(), time.process_time() - spent_s
    busy_s = _busy_s() - busy_s
    await asyncio.sleep(0.3)
    # The last moment may still be on its way.
    lasted_ms = (ended_s - 0.2 - began_s) * 1_000
    gaps = [silent_ms(voice(began_s, ended_s - 0.2), rate) / lasted_ms for voice in heard]
    return Trial(
        late_ms=percentile(late_ms, 99),
        silent=float(np.mean(gaps)),
        core=spent_s / (ended_s - began_s),
        others=max(0.0, busy_s - spent_s) / (ended_s - began_s),
    )


def _busy_s() -> float:
    """For how long the core that we are on has worked for anybody; 0 where nobody tells."""
    try:
        (core,) = os.sched_getaffinity(0)
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
        line = next(line for line in lines if line.startswith(f"cpu{core} "))
    except (AttributeError, OSError, ValueError, StopIteration):
        return 0.0
    user, nice, system, _idle, _waits, irq, softirq, steal = map(int, line.split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")

"""What does a call of any length cost on a host? In virtual time, in a process of its own."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib import import_module
from itertools import count
from typing import TypeAlias

from bargein.testing import virtual_time  # before the host

from .memory import held_kib
from .script import LONG_TALK, until

BESIDE = {"ours": "ours", "stock": "min_words_3"}
"""Beside a host that goes on through "uh-huh", too: both say the same."""
HOSTS = {"pipecat": ".long_call_pipecat", "livekit": ".livekit.long_call"}
SETTLED = 0.5
"""After this share of a call, all that is made once is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LongCall:
    """A call in which the agent is being heard for the first time."""

    say_over: Callable[[str, float], Awaitable[object]]
    """The caller says a text, about then on ``time.monotonic``."""
    forget: Callable[[], None]
    """Throw away what the bench itself would keep."""


Opened: TypeAlias = Callable[[str], AbstractAsyncContextManager[LongCall]]


def spent_us(host: str, who: str, lengths_s: list[int]) -> list[float]:
    """Microseconds of processor time for a second of a call of each length."""
    virtual_time.run(_lived(host, who, 15))  # what is made once
    return [virtual_time.run(_lived(host, who, lasts_s)) for lasts_s in lengths_s]


def kept_kib(host: str, who: str, lasts_s: int) -> float:
    """KiB that a minute of a call leaves behind."""
    return virtual_time.run(_lived(host, who, lasts_s, traced=True))


async def _lived(host: str, who: str, lasts_s: int, traced: bool = False) -> float:
    opened: Opened = import_module(HOSTS[host], __package__).opened
    async with opened(BESIDE[who]) as call:
        gc.collect()
        began_s, spent_s = time.monotonic(), time.process_time()
        settled: tuple[float, float] | None = None
        if traced:
            tracemalloc.start()
        for place in count():
            at_s = began_s + place * LONG_TALK.every_s
            if at_s >= began_s + lasts_s:
                break
            for after_s, text in LONG_TALK.said(place):
                await call.say_over(text, at_s + after_s)
            await until(at_s + LONG_TALK.every_s)
            call.forget()
            if traced and settled is None and time.monotonic() - began_s >= SETTLED * lasts_s:
                settled = held_kib(), time.monotonic()
        ended_s, spent_s = time.monotonic(), time.process_time() - spent_s
        kept = held_kib() if traced else 0.0
    if settled is not None:
        return (kept - settled[0]) / (ended_s - settled[1]) * 60
    return spent_s * 1e6 / (ended_s - began_s)

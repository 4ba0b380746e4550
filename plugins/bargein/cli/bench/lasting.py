"""Does a call cost more the longer it lasts? Processor time, and memory that is never given back.

On the core, event by event; on a host, a whole call in virtual time, whose callers listen, ask and
interrupt.
"""

from __future__ import annotations

import gc
import tracemalloc
from functools import partial
from itertools import islice
from random import Random
from statistics import fmean

from bargein.core.state import State
from bargein.language.standard import standard_rules

from .apart import apart
from .memory import held_kib
from .row import Row, beside
from .thinking import AGENT, CALLER, stepped, talk

FLAT = 1.25
"""A second of a long call may cost so much more than one of a short call: what is measured again
differs by a tenth or two."""
CORE_KIB = 1
SHORT_S, LONG_S, LONGEST_S = 10, 600, 3 * 3_600
KINDS = len(AGENT) * len(CALLER)
FULL_S = 3_600
"""After a call so long every cache of the process is full."""
SHORT_CALLS = 5
NAMES = {SHORT_S: "10 s", 60: "1 min", 240: "4 min", LONG_S: "10 min", LONGEST_S: "3 h"}


def on_core(lasts_s: int, begin: int = 0) -> float:
    """Microseconds for a second of a call that begins with another message each time."""
    rules, state, spent_us = standard_rules("en"), State(), 0.0
    for message in islice(talk(Random(begin), begin + 10 * lasts_s), begin, None):
        state, took_us = stepped(rules, message, state, state.at_ms + 2_000)
        spent_us += sum(took_us)
        if state.at_ms >= lasts_s * 1_000:
            break
    return spent_us / state.at_ms * 1_000


def kept_by_core(lasts_s: int, before_s: int) -> float:
    """KiB that a minute of a call leaves behind, after another one that lasted so long."""
    tracemalloc.start()
    on_core(before_s)  # fills the caches of the process, which all calls share
    rules, state, before_kib = standard_rules("en"), State(), held_kib()
    for message in talk(Random(3), 10 * lasts_s):
        state, _ = stepped(rules, message, state, state.at_ms + 2_000)
        if state.at_ms >= lasts_s * 1_000:
            break
    kept_kib = held_kib() - before_kib
    tracemalloc.stop()
    return kept_kib / (state.at_ms / 60_000)


def core_rows(*, quick: bool) -> list[Row]:
    """Three lengths."""
    on_core(LONG_S)
    gc.collect()
    rounds = 3 if quick else 5
    lengths = (SHORT_S, LONG_S) if quick else (SHORT_S, LONG_S, LONGEST_S)
    took: dict[int, list[float]] = {lasts_s: [] for lasts_s in lengths}
    for _ in range(rounds):
        for lasts_s in lengths:
            # A short one has one message: every kind of it.
            begin = range(KINDS if lasts_s == SHORT_S else 1)
            took[lasts_s].append(fmean(on_core(lasts_s, one) for one in begin))
    longest_s = lengths[-1]
    return [
        *_flat(took, "every event of a call, somebody talking over each message"),
        Row(
            name=f"memory kept for a minute of a call of {NAMES[longest_s]}",
            unit="KiB",
            ours=apart(".lasting", "kept_by_core", longest_s, FULL_S),
            budget=CORE_KIB,
            how="allocated and not given back",
        ),
    ]


def _flat(took: dict[int, list[float]], how: str) -> list[Row]:
    shortest_s = min(took)
    return [
        beside(
            f"a second of a call of {NAMES[lasts_s]}",
            took[lasts_s],
            took[shortest_s],
            unit="us",
            stock_is=f"a call of {NAMES[shortest_s]}, ours too",
            ratio_budget=FLAT,
            how=how,
        )
        for lasts_s in sorted(took)[1:]
    ]


def host_rows(host: str, *, quick: bool, long: bool) -> list[Row]:
    """Calls through the real host, with us and without."""
    held = partial(apart, ".long_call")
    longer_s, watched_s = (60, 60) if quick else (LONG_S, 240)
    how = "a silent line throughout; every ten seconds somebody listens, asks or interrupts"
    took: dict[str, dict[int, list[float]]] = {"ours": {}, "stock": {}}
    for who, us in took.items():
        *short_us, long_us = held("spent_us", host, who, [SHORT_S] * SHORT_CALLS + [longer_s])
        us[SHORT_S], us[longer_s] = short_us, [long_us]
    if long:
        for who, us in took.items():
            us[LONGEST_S] = held("spent_us", host, who, [LONGEST_S])
    kept_kib: dict[str, float] = {who: held("kept_kib", host, who, watched_s) for who in took}
    return [
        *_flat(took["ours"], how),
        *(
            beside(
                f"a second of a call of {NAMES[lasts_s]}",
                ours_us,
                took["stock"][lasts_s],
                unit="us",
                stock_is="the same call without us",
                how=how,
            )
            for lasts_s, ours_us in took["ours"].items()
        ),
        Row(
            name=f"memory kept for a minute of a call of {NAMES[watched_s]}",
            unit="KiB",
            ours=kept_kib["ours"],
            stock=kept_kib["stock"],
            stock_is="the same call without us",
            how="allocated and not given back in the call's second half; its context grows, too",
        ),
    ]

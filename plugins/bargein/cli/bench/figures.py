"""How are the figures of a run published? As Markdown, from nothing but its JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from .plan import PROMISES
from .row import Row

MAIN = (
    "hold decided -> last audible sample, median",
    "hold decided -> last audible sample, worst",
    "speech onset -> quieter at the far end",
    "true interruption: onset -> silence",
    "lost over a hold and its resume",
    "samples lost or repeated",
    "backchannels over speech: agent inaudible",
    "backchannels over speech: extra LLM runs",
    "backchannels over speech: words in the context",
    "backchannels over speech: words in the next turn",
    "heard, with word times: words off, 99 % of cuts",
    "heard, without word times: words off, 95 % of cuts",
    '"go on" to the first sound of the rest',
    "one step, median",
    "one step, p99",
    "CPU per 20 ms of a call, ours added",
    "CPU per 20 ms of a call, all of it",
    "calls a core carries in real time",
    "memory of an idle call, beyond the host's own",
    "a second of a call of 10 min",
    "a second of a call of 3 h",
)
"""What README.md shows, in this order, and behind it whatever is missed."""
HEAD = (
    "| | host | ours | beside it, in the same run | ratio | budget |\n|---|---|---|---|---|---|\n"
)
HOSTS = {"core": "core", "pipecat": "Pipecat", "livekit": "LiveKit"}
CLOCKS = {
    "virtual": "a clock on which computing takes no time",
    "processor": "processor time",
    "real": "the machine's clock",
}


@dataclass(frozen=True, slots=True)
class Figures:
    """One run."""

    rows: list[Row]
    machine: dict[str, Any]


def read(path: Path) -> Figures:
    """What ``bargein bench --json`` printed."""
    plain = json.loads(path.read_text(encoding="utf-8"))
    return Figures([Row.from_json(row) for row in plain["rows"]], plain["machine"])


def missed_anew(rows: Iterable[Row], before: Iterable[Row]) -> list[Row]:
    """Those that miss a budget, and did not the last time or were not there."""
    missed = {row.key for row in before if row.met is False}
    return [row for row in rows if row.met is False and row.key not in missed]


def summary(figures: Figures) -> str:
    """The main figures, promise by promise: for README.md."""
    missed = {row.name for row in figures.rows if row.met is False}
    rows = [row for row in figures.rows if row.name in {*MAIN, *missed}]
    return f"{HEAD}{''.join(_lines(rows))}\n{_machine(figures)}\n"


def tables(figures: Figures) -> str:
    """Everything, with its spread and how it was measured."""
    parts = []
    for promise in PROMISES:
        rows = [row for row in figures.rows if row.promise == promise]
        if rows:
            parts.append(f"## {promise}\n\n{_full(rows)}")
    return "\n".join(parts) + f"\n{_machine(figures)}\n"


# --- short -----------------------------------------------------------------------------------


def _lines(rows: Sequence[Row]) -> Iterator[str]:
    for promise in PROMISES:
        mine = [row for row in rows if row.promise == promise]
        mine.sort(key=lambda row: _place(row.name))
        if mine:
            yield f"| **{promise}** | | | | | |\n"
        for _, same in groupby(mine, key=lambda row: (row.name, row.host)):
            yield _line(list(same))


def _place(name: str) -> int:
    return MAIN.index(name) if name in MAIN else len(MAIN)


def _line(same: list[Row]) -> str:
    first = same[0]
    stocks = [
        f"{quantity(row.stock, row.unit)} ({row.stock_is})" for row in same if row.stock is not None
    ]
    ratios = [_ratio(row.ratio) for row in same if row.ratio]
    cells = (
        first.name,
        HOSTS[first.host],
        quantity(first.ours, first.unit),
        "; ".join(stocks),
        "; ".join(ratios),
        "; ".join(dict.fromkeys(filter(None, (_budget(row) for row in same)))),
    )
    return _cells(cells)


# --- full ------------------------------------------------------------------------------------


def _full(rows: Sequence[Row]) -> str:
    lines = [
        "| | host | ours | middle half | n | stock | middle half | ratio | middle half | budget"
        " |\n",
        "|---|---|---|---|---|---|---|---|---|---|\n",
    ]
    for row in rows:
        stock = ""
        if row.stock is not None:
            stock = f"{quantity(row.stock, row.unit)} ({row.stock_is})"
        lines.append(
            _cells(
                (
                    row.name,
                    HOSTS[row.host],
                    quantity(row.ours, row.unit),
                    _spread(row.spread),
                    str(row.n),
                    stock,
                    _spread(row.stock_spread),
                    _ratio(row.ratio),
                    _spread(row.ratio_spread, ratio=True),
                    _budget(row),
                )
            )
        )
    told = dict.fromkeys(
        f"- {HOSTS[row.host]}, {row.name}: {row.how}. By {CLOCKS[row.clock]}.\n" for row in rows
    )
    return "".join([*lines, "\n", *told])


def _spread(spread: tuple[float, float] | None, *, ratio: bool = False) -> str:
    if spread is None:
        return ""
    ends = [_ratio(end) if ratio else number(end) for end in spread]
    return " .. ".join(ends)


def _budget(row: Row) -> str:
    least = row.more_is_better
    sign = (">" if least else "<") if row.strict else ("\u2265" if least else "\u2264")
    budgets = []
    if row.budget is not None:
        budgets.append(f"{sign} {quantity(row.budget, row.unit)}")
    if row.ratio_budget is not None:
        budgets.append(f"{sign} {row.ratio_budget:g} x")
    return ", ".join(budgets) + (" **missed**" if row.met is False else "")


def _cells(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |\n"


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def number(figure: float) -> str:
    """With as many digits as can be told apart."""
    return f"{figure:.0f}" if abs(figure) >= 100 or figure == int(figure) else f"{figure:.1f}"


def quantity(figure: float, unit: str) -> str:
    """A number with its unit; a count has none."""
    if unit == "count":
        return number(figure)
    return f"{number(figure)} {unit.removesuffix('s') if figure == 1 and len(unit) > 2 else unit}"


def _machine(figures: Figures) -> str:
    machine = figures.machine
    return (
        f"(Python {machine['python']}, {machine['processors']} cores with a load of"
        f" {machine['load']} when it ended, Pipecat"
        f" {machine['pipecat']}, LiveKit agents {machine['livekit-agents']}.)"
    )

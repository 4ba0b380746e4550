"""How is the benchmark read? A table for people, plain values for machines."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from .row import Row


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "pipecat": _version("pipecat-ai"),
        "livekit-agents": _version("livekit-agents"),
    }


def as_json(rows: Sequence[Row]) -> dict[str, object]:
    """Everything, as plain values."""
    return {"rows": [row.as_json() for row in rows], "machine": machine()}


def table(rows: Sequence[Row]) -> str:
    """Lines of text in columns."""
    head = ("", "host", "ours", "middle half", "stock", "ratio", "budget", "met", "stock is")
    lines = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(head))]
    text = [
        "  ".join(
            cell.ljust(width) if place in (0, 1, len(head) - 1) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    about = ", ".join(f"{name} {value}" for name, value in machine().items())
    return "\n".join([*text, "", about])


def _cells(row: Row) -> tuple[str, ...]:
    sign = "" if not row.strict else ">" if row.more_is_better else "<"
    budgets = [
        *([] if row.budget is None else [f"{row.budget:g} {row.unit}"]),
        *([] if row.ratio_budget is None else [f"{sign}{row.ratio_budget:g}x"]),
    ]
    return (
        row.name,
        row.host,
        f"{_short(row.ours)} {row.unit}",
        "" if row.spread is None else f"{_short(row.spread[0])}..{_short(row.spread[1])}",
        "" if row.stock is None else _short(row.stock),
        "" if row.ratio is None else f"{row.ratio:.2f}",
        ", ".join(budgets),
        {True: "yes", False: "NO", None: ""}[row.met],
        row.stock_is,
    )


def _short(number: float) -> str:
    return f"{number:.0f}" if abs(number) >= 100 or number == int(number) else f"{number:.1f}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None

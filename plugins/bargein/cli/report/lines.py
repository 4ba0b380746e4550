"""What does a trace say, as far as it can be read? And which lines of it can not?

The report is made when something went wrong, so its reader is patient where `bargein.core.trace` is
strict: a file that was cut off, a line of a newer version, a field that does not fit. All of that
is told by its line, and never quoted: it may be what somebody said.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, get_args

from bargein.core.decisions import Decision
from bargein.core.events import Event
from bargein.core.trace import SCHEMA

DECISIONS = frozenset(kind.__name__ for kind in get_args(Decision))
NOTE = "Journal"
"""What the journal has to say itself: where a call begins and ends, what it lost."""
KNOWN = DECISIONS | {kind.__name__ for kind in get_args(Event)}
LONGEST_MS = 24 * 3_600_000
"""A call that lasts longer is a clock that is wrong."""
LONGEST_WORDS = 100_000
"""Nor does anybody say more in one go."""

_FITS: dict[str, type] = {
    "caller_words": str,
    "completed": bool,
    "heard": str,
    "heard_chars": int,
    "is_final": bool,
    "kind": str,
    "message_id": str,
    "must_hear": bool,
    "onset_at_ms": int,
    "reason": str,
    "state": str,
    "text": str,
    "unheard": str,
}
"""The fields that the report looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line that could be read."""

    number: int
    at_ms: int
    type: str
    values: dict[str, Any]
    call: str = ""
    """Which call's, where a file holds several."""

    def text(self, name: str) -> str:
        """A text; empty where there is none."""
        found: str = self.values.get(name, "")
        return found

    def whole(self, name: str) -> int | None:
        """A number, where there is one."""
        found: int | None = self.values.get(name)
        return found

    def size(self, name: str) -> int:
        """How many words or letters, where the words themselves were not kept."""
        about = self.values.get("about")
        found = about.get(name) if isinstance(about, dict) else None
        return found if type(found) is int and 0 < found < LONGEST_WORDS else 0

    def true(self, name: str, *, unsaid: bool = False) -> bool:
        """A yes or no, and what it is where nothing is said."""
        found: bool = self.values.get(name, unsaid)
        return found


@dataclass(slots=True, kw_only=True)
class Problem:
    """Something that could not be read, and where."""

    what: str
    numbers: list[int] = field(default_factory=list)
    """Lines, counted from 1; none where it is the whole file."""

    def __str__(self) -> str:
        if not self.numbers:
            return self.what
        if len(self.numbers) == 1:
            return f"line {self.numbers[0]}: {self.what}"
        shown = ", ".join(map(str, self.numbers[:8]))
        more = f" and {len(self.numbers) - 8} more" if len(self.numbers) > 8 else ""
        return f"lines {shown}{more}: {self.what}"


class Problems:
    """What could not be read; the same thing is said once, with all its lines."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._found: dict[str, Problem] = {}

    def add(self, what: str, *numbers: int) -> None:
        """Note something."""
        self._found.setdefault(what, Problem(what=what)).numbers.extend(numbers)

    def said(self) -> list[str]:
        """One sentence each."""
        return [str(one) for one in self._found.values()]


def read(lines: Iterable[str], problems: Problems) -> dict[str, list[Line]]:
    """Every line that makes sense, in the order of the clock, by the call it is of."""
    found: dict[str, list[Line]] = {}
    began: set[str] = set()
    for number, raw in enumerate(lines, start=1):
        if not raw.strip():
            continue
        one = _line(raw, number, problems)
        if one is None:
            continue
        if one.type == NOTE:
            what = one.values.get("what")
            if what == "began":
                began.add(one.call)
            elif what == "ended":
                began.discard(one.call)
            elif what == "dropped":
                problems.add("lines were dropped here while the call ran", number)
            elif what == "trouble":
                problems.add("something of ours failed here while the call ran", number)
            continue
        found.setdefault(one.call, []).append(one)
    if began:
        problems.add("the journal has no end: the call or the file was cut off")
    for call in found.values():
        _order(call, problems)
    return found


def _order(call: list[Line], problems: Problems) -> None:
    """A decision that was overdue stands behind the event that settled it; events never do."""
    last_ms = 0
    for one in call:
        if one.at_ms < last_ms and one.type not in DECISIONS:
            problems.add(
                "its time is before an earlier line's; it is shown at that time", one.number
            )
        last_ms = max(last_ms, one.at_ms)
    call.sort(key=lambda one: one.at_ms)


def _line(raw: str, number: int, problems: Problems) -> Line | None:
    try:
        values = json.loads(raw)
    except (ValueError, RecursionError):
        cut = raw.lstrip().startswith("{") and not raw.endswith("\n")
        problems.add("cut off in the middle" if cut else "not a line of a trace", number)
        return None
    if not isinstance(values, dict) or not isinstance(values.get("type"), str):
        problems.add("not a line of a trace", number)
        return None
    kind, version, at_ms = values["type"], values.get("v"), values.get("at_ms")
    if type(version) is int and version > SCHEMA:
        problems.add(
            f"written by a newer version (schema {version}, this one reads {SCHEMA});"
            " shown as far as it is understood",
            number,
        )
    elif version != SCHEMA:
        problems.add(f"no schema that is known here (this version reads {SCHEMA})", number)
        return None
    if kind == NOTE:
        return Line(number=number, at_ms=0, type=kind, values=values, call=_call(values))
    if kind not in KNOWN:
        problems.add("of a type that is not known here", number)
        return None
    if type(at_ms) is not int or not 0 <= at_ms <= LONGEST_MS:
        problems.add("at_ms is no time within a day", number)
        return None
    for name, wanted in _FITS.items():
        if name in values and type(values[name]) is not wanted:
            if values[name] is not None:
                problems.add(f"{name} does not fit; read without it", number)
            del values[name]
    about = values.get("about")
    call = _call(about) if isinstance(about, dict) else ""
    return Line(number=number, at_ms=at_ms, type=kind, values=values, call=call)


def _call(values: dict[str, Any]) -> str:
    found = values.get("call")
    return found if isinstance(found, str) else ""

"""What of an entry may be written down?"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias, get_args

from bargein.core.decisions import Decision
from bargein.core.events import ControlRaised, Event
from bargein.core.trace import Redaction

Entry: TypeAlias = Event | Decision

_TEXTS = frozenset(
    {"text", "heard", "unheard", "caller_words", "context_note", "result", "topic", "task", "tools"}
)
_FIELDS: dict[type[Any], tuple[str, ...]] = {
    kind: tuple(one.name for one in fields(kind))
    for kind in (*get_args(Event), *get_args(Decision))
}
_WORDY = {kind: tuple(n for n in names if n in _TEXTS) for kind, names in _FIELDS.items()}
"""Which fields may hold words: most entries have none, and there are many of those."""
_MEASURED = {
    kind: tuple(n for n in names if n in ("text", "heard", "unheard"))
    for kind, names in _FIELDS.items()
}
_KEY = re.compile(r"^(dtmf:).*", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What may be written down of a call's words."""

    transcripts: bool = False
    must_hear: bool = False
    """What messages say that must be heard: it may be a one-time code."""
    keys: bool = False
    """Which keys the caller presses: they may be a card number."""


def hiding(allowed: Allowed) -> Callable[[Entry], Entry]:
    """Something that leaves of one call's entries what may be written down."""
    redact: Callable[[Entry], Entry] = _wordless
    if allowed.transcripts:
        redact = _as_it_is if allowed.must_hear else Redaction()

    def hide(entry: Entry) -> Entry:
        if isinstance(entry, ControlRaised) and not allowed.keys:
            return replace(entry, name=_KEY.sub(r"\1x", entry.name))
        return redact(entry)

    return hide


def sizes(entry: Entry) -> dict[str, Any]:
    """How much is said in an entry, in words and characters."""
    found: dict[str, Any] = {}
    for name in _MEASURED[type(entry)]:
        text = getattr(entry, name)
        found[f"{name}_words"], found[f"{name}_chars"] = len(text.split()), len(text)
    if whole := found.get("heard_chars", 0) + found.get("unheard_chars", 0):
        found["progress"] = round(found["heard_chars"] / whole, 3)
    return found


def _as_it_is(entry: Entry) -> Entry:
    return entry


def _wordless(entry: Entry) -> Entry:
    hidden: dict[str, Any] = {}
    for name in _WORDY[type(entry)]:
        value = getattr(entry, name)
        if value:
            hidden[name] = "" if isinstance(value, str) else tuple((tool, "") for tool, _ in value)
    return replace(entry, **hidden) if hidden else entry

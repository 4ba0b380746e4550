"""How is a call written down? One JSON object a line for each event and decision, and back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import Any, TypeAlias, get_args

from .decisions import (
    Decision,
    DeferTurn,
    DeliverTurn,
    Delivery,
    FileReceipt,
    Kind,
    Reason,
    ReportBackchannel,
    ResumeSpeech,
    SpeakAgain,
    StopAt,
    YieldFloor,
)
from .events import (
    Event,
    MessageLocked,
    OnCut,
    PlayoutLocked,
    PlayoutStarted,
    PlayoutStopped,
    PlayoutWorded,
    ToolFinished,
    TopicNamed,
    TurnTaken,
    UnfinishedRecalled,
    UserWordsHeard,
)
from .fields import misfit

SCHEMA = 1
"""Raised when a line written today could be misread by yesterday's reader."""

NOTE = "Journal"
"""The type of a line that a journal adds on its own account: neither event nor decision."""

Entry: TypeAlias = Event | Decision

_TYPES: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (*get_args(Event), *get_args(Decision))
}
_ENUMS: dict[str, type[Enum]] = {
    "reason": Reason,
    "kind": Kind,
    "stop_at": StopAt,
    "on_cut": OnCut,
    "state": Delivery,
}


class TraceError(ValueError):
    """A line that is not one of ours."""


@dataclass(slots=True)
class Redaction:
    """Hides what messages say that must be heard: it may be a one-time code.

    Every letter and digit of them becomes an "x", so that a trace still replays to the same
    decisions. Where others repeat three and more of their digits in a row, together or apart, those
    digits become an "x" as well; other words, such as "four two seven one", stay as they are.
    Entries come in the order of the call.
    """

    _locked: bool = False
    _message_plays: bool = False
    _ids: set[str] = field(default_factory=set)
    _digits: set[str] = field(default_factory=set)
    """Every three digits in a row of what must be heard."""

    def __call__(self, entry: Entry) -> Entry:
        """The entry as it may be written down."""
        match entry:
            case PlayoutStarted():
                self._message_plays = entry.message_id in self._ids
                self._locked = entry.must_hear or self._message_plays
            case PlayoutLocked():
                self._locked = entry.must_hear or self._message_plays
            case PlayoutStopped():
                self._locked = self._message_plays = False
            case PlayoutWorded() if self._locked:
                self._learn(entry.text)
                return replace(entry, text=_hidden(entry.text))
            case MessageLocked():
                self._ids.add(entry.message_id)
                self._learn(entry.text)
                return replace(entry, text=_hidden(entry.text), heard=_hidden(entry.heard))
            case SpeakAgain():
                return replace(entry, text=_hidden(entry.text))
            case FileReceipt():
                return replace(entry, heard=_hidden(entry.heard), unheard=_hidden(entry.unheard))
            case YieldFloor():
                hidden = _hidden if entry.breaks_lock else self._repeated
                return replace(
                    entry,
                    heard=hidden(entry.heard),
                    unheard=hidden(entry.unheard),
                    caller_words=self._repeated(entry.caller_words),
                )
            case UnfinishedRecalled():
                return replace(
                    entry,
                    text=self._repeated(entry.text),
                    heard=self._repeated(entry.heard),
                    caller_words=self._repeated(entry.caller_words),
                    context_note=self._repeated(entry.context_note),
                    tools=self._results(entry.tools),
                )
            case ResumeSpeech():
                return replace(
                    entry,
                    text=self._repeated(entry.text),
                    context_note=self._repeated(entry.context_note),
                    tools=self._results(entry.tools),
                )
            case ToolFinished():
                return replace(entry, result=self._repeated(entry.result))
            case TopicNamed():
                return replace(entry, context_note=self._repeated(entry.context_note))
            case (
                PlayoutWorded()
                | UserWordsHeard()
                | TurnTaken()
                | DeferTurn()
                | DeliverTurn()
                | ReportBackchannel()
            ):
                return replace(entry, text=self._repeated(entry.text))
        return entry

    def _results(self, tools: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        return tuple((name, self._repeated(result)) for name, result in tools)

    def _learn(self, text: str) -> None:
        for run in _RUN.findall(text):
            self._digits |= _threes(run)

    def _repeated(self, text: str) -> str:
        def hidden(run: re.Match[str]) -> str:
            return run[0] if self._digits.isdisjoint(_threes(run[0])) else _hidden(run[0])

        return _RUN.sub(hidden, text) if self._digits else text


_RUN = re.compile(r"\d(?:[\W_]*\d)*")
"""Digits with nothing but spaces and punctuation in between."""


def _threes(run: str) -> set[str]:
    digits = "".join(str(int(character)) for character in run if character.isdecimal())
    return {digits[at : at + 3] for at in range(len(digits) - 2)}


def _hidden(text: str) -> str:
    return "".join("x" if character.isalnum() else character for character in text)


def _frozen(value: object) -> object:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def write(entry: Entry, about: Mapping[str, Any] | None = None) -> str:
    """One line of JSON, without the newline: ``{"at_ms": 900, "type": "UserSpeechStarted"}``.

    As it is; put a `Redaction` before it where others may read.

    Args:
        entry: what to write.
        about: what more a journal knows of it; `read` leaves that aside.
    """
    line: dict[str, Any] = {"v": SCHEMA, "type": type(entry).__name__}
    for one in fields(entry):
        value = getattr(entry, one.name)
        if isinstance(value, Enum):
            value = value.value
        if value is not None:
            line[one.name] = value
    if about:
        line["about"] = about
    return one_line(line)


_UNSEEN = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What JSON would leave as it is, and what ends a line, commands a terminal, turns the text around
it or is half a character."""


def one_line(value: Mapping[str, Any]) -> str:
    """JSON that stays one line wherever it is shown, and can be encoded, whatever was said."""
    text = json.dumps(value, ensure_ascii=False)
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def read(line: str) -> Entry:
    """The event or decision of one line.

    Raises:
        TraceError: not JSON, an unknown type, or a field that does not fit.
    """
    try:
        found = json.loads(line)
        version, name = found.pop("v"), found.pop("type")
        found.pop("about", None)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise TraceError(f"not a line of a trace: {line[:60]!r}") from error
    if type(version) is not int or version != SCHEMA:
        raise TraceError(f"this trace has schema {version!r}; this version reads {SCHEMA}")
    kind = _TYPES.get(name) if isinstance(name, str) else None
    if kind is None:
        raise TraceError(f"unknown type {name!r} in a trace")
    try:
        values = {
            key: _ENUMS[key](value) if key in _ENUMS else _frozen(value)
            for key, value in found.items()
        }
        entry: Entry = kind(**values)
    except (TypeError, ValueError) as error:
        raise TraceError(f"a {name} with fields that do not fit: {error}") from error
    if wrong := misfit(kind, values):
        raise TraceError(f"a {name} whose {wrong} does not fit: {values[wrong]!r:.60}")
    return entry


def is_note(line: str) -> bool:
    """Is this a line that a journal has added on its own account?"""
    try:
        found = json.loads(line) if NOTE in line else None
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("type") == NOTE


def read_all(lines: Iterable[str]) -> Iterator[Entry]:
    """Every entry of a trace; blank lines and a journal's notes are skipped, a broken line is named
    by its number."""
    for number, line in enumerate(lines, start=1):
        if line.strip() and not is_note(line):
            try:
                yield read(line)
            except TraceError as error:
                raise TraceError(f"line {number}: {error}") from error

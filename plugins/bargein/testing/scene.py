"""What does a scene say? Its lines, as data, with an error that names the line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

WHO = (
    "agent", "agent!", "reply", "user", "user.", "asr~", "asr", "score", "control", "tool", "tool.",
    "hangup", "crash", "call", "turn", "topic", "resume", "forget", "=>",
)  # fmt: skip
SILENT = ("user", "user.", "hangup", "crash", "call", "resume", "forget")
"""Who says nothing."""
OPTIONS = (
    "tolerance",
    "preset",
    "rules",
    "min_speak",
    "words",
    "language",
    "on_cut",
    "resume",
    "resume_ttl",
    "lease",
    "acknowledge",
    "not",
)

NUMBERS = ("tolerance", "min_speak", "resume_ttl", "lease")
"""Options in milliseconds."""


class SceneError(ValueError):
    """A scene that cannot be read: where, what is wrong, and what was expected there."""

    def __init__(
        self, problem: str, *, name: str = "", line: int = 0, column: int = 0, expected: str = ""
    ) -> None:
        """Say it. Lines and columns count from 1; 0 is the whole scene."""
        where = ":".join(str(one) for one in (name, line, column) if one)
        behind = f"; expected {expected}" if expected else ""
        super().__init__(f"{where}: {problem}{behind}" if where else problem + behind)
        self.name, self.line, self.column, self.expected = name, line, column, expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Somebody does something at an instant."""

    number: int
    at_ms: int
    who: str
    what: str = ""
    language: str = ""
    """The recogniser's tag, for words that have one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One call, written down: who does what when, and what must be decided."""

    name: str
    title: str
    lines: tuple[Line, ...]
    expected: tuple[Line, ...]
    options: dict[str, str] = field(default_factory=dict)

    @property
    def tolerance_ms(self) -> int:
        """How far from its written time a decision may fall on a real host."""
        return int(self.options.get("tolerance", "120"))

    def cannot_play_on(self, host: str) -> str:
        """Why it cannot be played on a host; empty where it can."""
        where, _, reason = self.options.get("not", "").partition(":")
        return reason.strip() if where.strip() == host else ""

    def expects(self) -> list[str]:
        """The decisions as written: ``"900 DuckPlayout: overlap began"``."""
        return [f"{line.at_ms} {line.what}" for line in self.expected]


_LINE = re.compile(r"^\s*(\d{1,9})\s+(\S+)(?:\s+(.*\S))?\s*$")
"""No call lasts eleven days."""
_SCORE = re.compile(r"^(?:0(?:\.\d+)?|1(?:\.0+)?)\s+\S+$")
_DECIDED = re.compile(r"^[A-Z]\w+(?:\([\w ]+\))?(?: \".*\")?: \S")
_NUMBER = re.compile(r"\d{1,9}\Z")
_TIME = re.compile(r"\s*\d{1,9}(?=\s)")
_SAYS = {"=>": "YieldFloor(correction): a floor opening", "score": "0.9 ear", "agent": "Hello."}
_OPTION = re.compile(r"^\s*@(\w+)\s+(.*\S)\s*$")


def parse(script: str, name: str = "scene") -> Scene:
    """Read a scene.

    A line is ``TIME WHO WHAT``, the time in milliseconds of the call. ``WHO`` is one of: ``agent``
    (it says a text, 300 ms a word), ``agent!`` (must hear), ``reply`` (of an LLM: what stands
    between ``<must-hear>`` and ``</must-hear>`` must be heard), ``user`` and ``user.`` (their
    voice begins and ends), ``asr~`` and ``asr`` (a partial, a final; ``asr@es`` where the
    recogniser tells the language), ``turn`` (the user's turn, complete), ``score`` (``0.9 name``:
    a detector's backchannel probability), ``control``, ``tool`` and ``tool.`` (by name),
    ``topic`` (what the agent talks about from now on), ``resume`` and ``forget`` (the application,
    or the LLM by a tool, wants the agent to go on, or not to), ``hangup``, ``crash`` (the worker
    dies), ``call`` (the same caller calls again), ``=>`` (this must be decided).

    ``@option value`` sets how it is played: ``tolerance`` in ms, ``preset``, ``language`` (a tag,
    several with spaces between them, or ``auto``), ``min_speak`` in ms, ``words no`` for a
    text-to-speech without word times, ``on_cut`` (what becomes of a must-hear message that was
    cut), ``resume`` (how the agent goes on; ``off`` unless said), ``resume_ttl`` (how long that is
    worth while, in ms), ``lease`` (how long a dead worker keeps others from it, in ms),
    ``acknowledge`` (kinds of interruptions), ``rules none`` for an empty rule tuple, and ``not
    livekit: reason`` for a scene that cannot be played on a host. ``#`` begins a comment; the
    first one is the title.

    Raises:
        SceneError: a line that cannot be read, with its number and the way out.
    """
    title = ""
    options: dict[str, str] = {}
    lines: list[Line] = []
    expected: list[Line] = []
    for number, raw in enumerate(script.splitlines(), start=1):
        text, _, comment = raw.partition("#")
        title = title or comment.strip()
        if not text.strip():
            continue
        if option := _OPTION.match(text):
            if option[1] not in OPTIONS:
                raise SceneError(
                    f"no option {option[1]!r}",
                    name=name,
                    line=number,
                    column=option.start(1) + 1,
                    expected=_one_of(OPTIONS),
                )
            if option[1] in NUMBERS and not _NUMBER.match(option[2]):
                raise SceneError(
                    f"{option[2]!r} is no number of milliseconds",
                    name=name,
                    line=number,
                    column=option.start(2) + 1,
                    expected=f"a whole number, as in '@{option[1]} 500'",
                )
            options[option[1]] = option[2]
            continue
        found = _LINE.match(text)
        if found is None:
            raise _unread(text, name, number)
        at_ms, what = int(found[1]), found[3] or ""
        who, _, tag = found[2].partition("@")
        if who not in WHO:
            raise SceneError(
                f"nobody is called {who!r}",
                name=name,
                line=number,
                column=found.start(2) + 1,
                expected=_one_of(WHO),
            )
        if who not in SILENT and not what:
            raise SceneError(
                f"{who!r} needs a text behind it",
                name=name,
                line=number,
                column=found.end(2) + 1,
                expected=f"a text, as in '{at_ms} {who} {_SAYS.get(who, 'yeah but')}'",
            )
        if who == "score" and not _SCORE.match(what):
            raise SceneError(
                f"{what!r} is no score",
                name=name,
                line=number,
                column=found.start(3) + 1,
                expected="a probability and a name, as in 'score 0.9 ear'",
            )
        if who == "=>" and not _DECIDED.match(what):
            raise SceneError(
                f"{what!r} is no decision",
                name=name,
                line=number,
                column=found.start(3) + 1,
                expected="a decision and its reason, as in 'YieldFloor(correction): a floor"
                " opening'",
            )
        line = Line(number=number, at_ms=at_ms, who=who, what=what, language=tag)
        (expected if who == "=>" else lines).append(line)
    for group in (lines, expected):
        for before, after in pairwise(group):
            if after.at_ms < before.at_ms:
                raise SceneError(
                    f"{after.at_ms} ms comes after {before.at_ms} ms",
                    name=name,
                    line=after.number,
                    column=1,
                    expected=f"{before.at_ms} or later: lines are in order of time",
                )
    if not lines:
        raise SceneError("nobody says anything", name=name, expected="a line, as in '900 user'")
    return Scene(
        name=name, title=title, lines=tuple(lines), expected=tuple(expected), options=options
    )


def _unread(text: str, name: str, number: int) -> SceneError:
    """What is wrong with a line that is no line."""
    time = _TIME.match(text)
    rest = text[time.end() :] if time else text
    at = (time.end() if time else 0) + len(rest) - len(rest.lstrip())
    expected = "who, such as user, agent or asr~" if time or text.strip().isdigit() else "a time"
    if text.strip().isdigit():
        at = len(text.rstrip())
    return SceneError(
        f"{text.strip()[:60]!r} is not TIME WHO WHAT",
        name=name,
        line=number,
        column=at + 1,
        expected=f"{expected}, as in '900 user' or '1200 asr~ yeah but'",
    )


def _one_of(names: tuple[str, ...]) -> str:
    return "one of " + ", ".join(names)


def load(path: Path | str) -> Scene:
    """Read a scene from a file."""
    path = Path(path)
    return parse(path.read_text("utf-8"), path.name)


def unparse(scene: Scene) -> str:
    """A scene as text, which `parse` reads as the same scene."""
    lines = [f"# {scene.title}"] if scene.title else []
    lines += [f"@{name} {value}" for name, value in scene.options.items()]
    said = sorted((*scene.lines, *scene.expected), key=lambda one: (one.at_ms, one.who == "=>"))
    for line in said:
        who = f"{line.who}@{line.language}" if line.language else line.who
        lines.append(f"{line.at_ms:>5}  {who:<7} {line.what}".rstrip())
    return "\n".join(lines) + "\n"

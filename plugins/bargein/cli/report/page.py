"""How does a call become a page? One file that needs nothing else, and asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .figures import Sum, figures
from .lanes import Lanes, lanes
from .lines import Line, Problems
from .lines import read as read_lines
from .moments import Moment, moments, side_by_side

if TYPE_CHECKING:
    from .sound import Sound

SCRIPTS = ("draw.js", "panel.js", "report.js")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a call is written down."""

    trace: Path
    audio: Path | None = None
    """Its recording; without one, a WAV beside the trace that is called the same."""
    audio_from_ms: int = 0
    """What the call's clock said when the recording began."""
    title: str = ""


@dataclass(slots=True, kw_only=True)
class Read:
    """A call, as far as it could be read."""

    title: str
    file: str
    lines: list[Line]
    lanes: Lanes
    moments: list[Moment]
    problems: list[str]
    sound: Sound | None = None
    audio_from_ms: int = 0


def read(source: Source) -> list[Read]:
    """Read a trace and its recording. What cannot be read is told on the page.

    Mostly one call; a journal of several is taken apart, and a recording belongs to the first.

    Raises:
        ImportError: there is a recording, and numpy is not installed.
    """
    problems = Problems()
    by_call: dict[str, list[Line]] = {}
    try:
        with source.trace.open(encoding="utf-8", errors="replace", newline="\n") as file:
            by_call = read_lines(file, problems)
    except OSError as error:
        problems.add(f"cannot be read: {error.strerror or type(error).__name__}")
    else:
        if not by_call:
            problems.add("nothing in it is a line of a trace")
    title = source.title or source.trace.stem
    calls = [
        _read(lines, f"{title} {call}" if len(by_call) > 1 else title, source)
        for call, lines in (by_call or {"": []}).items()
    ]
    calls[0].problems = problems.said()
    beside = source.trace.with_suffix(".wav")
    audio = source.audio or (beside if beside.is_file() else None)
    if audio is not None:
        calls[0].sound = _sound(audio, calls[0].problems)
    return calls


def _read(lines: list[Line], title: str, source: Source) -> Read:
    drawn = lanes(lines)
    return Read(
        title=title.strip(),
        file=source.trace.name,
        lines=lines,
        lanes=drawn,
        moments=moments(drawn, lines),
        problems=[],
        audio_from_ms=source.audio_from_ms,
    )


def _sound(path: Path, problems: list[str]) -> Sound | None:
    from .sound import SoundError, sound  # its numpy is needed by nothing else here

    try:
        found = sound(path)
    except SoundError as error:
        problems.append(f"{path.name}: {error}")
        return None
    if found.missing:
        problems.append(f"{path.name}: {found.missing}")
    return found


def written(calls: Sequence[Read], to: Path, *, title: str = "") -> None:
    """Write the page of some calls, side by side.

    Raises:
        OSError: it cannot be written there.
    """
    to.write_bytes(page(calls, title=title).encode(errors="replace"))


def page(calls: Sequence[Read], *, title: str = "") -> str:
    """The page of some calls, side by side."""
    rows = side_by_side([one.moments for one in calls])
    table = figures([Sum(lanes=one.lanes, lines=one.lines, moments=one.moments) for one in calls])
    data = {
        "title": title or " / ".join(one.title for one in calls),
        "calls": [_as_json(one) for one in calls],
        "moments": [asdict(row) for row in rows],
        "figures": [
            {"name": name, "cells": [asdict(cell) if cell else None for cell in cells]}
            for name, cells in table
        ],
    }
    here = files(__package__)
    style = (here / "report.css").read_text("utf-8")
    script = "\n".join((here / name).read_text("utf-8") for name in SCRIPTS)
    blocks = "".join(
        f'<script type="text/plain" id="audio-{place}">'
        f"{base64.b64encode(one.sound.wav).decode()}</script>\n"
        for place, one in enumerate(calls)
        if one.sound is not None
    )
    filled = {
        "{{title}}": escape(str(data["title"])),
        "{{policy}}": (
            "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:;"
            " media-src blob:;"
            f" script-src '{_hash(script)}'; style-src '{_hash(style)}'"
        ),
        "{{style}}": style,
        "{{script}}": script,
        "{{data}}": _inert(data),
        "{{audio}}": blocks,
    }
    # Split once: what was said cannot name a place in the template.
    template = (here / "template.html").read_text("utf-8")
    return "".join(filled.get(piece, piece) for piece in re.split(r"({{\w+}})", template))


def _inert(data: object) -> str:
    """JSON in which no markup begins."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _as_json(one: Read) -> dict[str, Any]:
    drawn = one.lanes
    ends_ms = one.audio_from_ms + one.sound.lasts_ms if one.sound else 0
    return {
        "title": one.title,
        "file": one.file,
        "until": max(drawn.until_ms, ends_ms, 1000),
        "decides": any(mark.type != "Cut" for mark in drawn.marks),
        "problems": one.problems,
        "playouts": [
            {
                "from": played.from_ms,
                "until": played.until_ms,
                "completed": played.completed,
                "lines": played.sources,
                "unheard": played.unheard_words,
                "words": [[word.at_ms, word.text, int(word.heard)] for word in played.words],
            }
            for played in drawn.playouts
        ],
        **{
            lane: [
                [span.from_ms, span.until_ms, span.what, span.text, span.lines]
                for span in getattr(drawn, lane)
            ]
            for lane in ("vad", "floor", "softer", "locks", "resumes", "heard")
        },
        "marks": [asdict(mark) for mark in drawn.marks],
        "audio": one.audio_from_ms if one.sound else None,
        "peaks": [base64.b64encode(side).decode() for side in one.sound.peaks] if one.sound else [],
    }

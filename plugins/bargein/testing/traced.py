"""What would a call be as a scene? Its trace, read back into the lines that people write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import get_args

from bargein.core.decisions import (
    AcknowledgeYield,
    Decision,
    OfferResumption,
    ResumeSpeech,
    SpeakAgain,
)
from bargein.core.events import (
    CallEnded,
    ControlRaised,
    Event,
    MessageLocked,
    OverlapScored,
    PlayoutLocked,
    PlayoutStarted,
    PlayoutStopped,
    PlayoutWorded,
    ResumptionAsked,
    ResumptionDropped,
    ToolFinished,
    ToolStarted,
    TopicNamed,
    TurnTaken,
    UserSpeechStarted,
    UserSpeechStopped,
    UserWordsHeard,
)
from bargein.core.trace import Entry

from .core_player import written
from .scene import Line, Scene

_DECISIONS = get_args(Decision)
_SPEAKS = (AcknowledgeYield, OfferResumption, ResumeSpeech, SpeakAgain)
"""Decisions that let the agent speak: in a scene it then does so by itself."""


def scene_of(
    entries: Iterable[Entry], *, name: str = "trace", options: Mapping[str, str] | None = None
) -> Scene:
    """A call as a scene, with what was decided in it as what must be.

    A scene's agent takes 300 ms for every word, and the call's own voice did not: look through the
    times of what must be decided.

    Args:
        entries: of the trace, in order.
        name: of the scene.
        options: what ``@option`` lines would say.
    """
    lines: list[Line] = []
    expected: list[Line] = []
    speaking: int | None = None
    ours = 0
    voice_ends = True
    locked: set[str] = set()
    for entry in entries:
        if isinstance(entry, _DECISIONS):
            ours += isinstance(entry, _SPEAKS)
            what = written(entry).partition(" ")[2].partition(" | heard ")[0]
            expected.append(Line(number=0, at_ms=entry.at_ms, who="=>", what=what))
            continue
        match entry:
            case MessageLocked() if not entry.pending:
                locked.add(entry.message_id)
                lines.append(Line(number=0, at_ms=entry.at_ms, who="agent!", what=entry.text))
            case PlayoutStarted():
                before, speaking = speaking, None
                if entry.message_id in locked or ours:
                    ours -= entry.message_id not in locked
                else:
                    # What begins while another playout still runs was said before that was over.
                    queued = not voice_ends and before is not None
                    speaking = (before or 0) + 1 if queued else len(lines)
                    at_ms = lines[speaking - 1].at_ms if queued else entry.at_ms
                    who = "agent!" if entry.must_hear else "agent"
                    lines.insert(speaking, Line(number=0, at_ms=at_ms, who=who))
                voice_ends = False
            case PlayoutStopped():
                voice_ends = True
            case PlayoutLocked() if speaking is not None and entry.must_hear:
                lines[speaking] = replace(lines[speaking], who="agent!")
            case PlayoutWorded() if speaking is not None:
                said = f"{lines[speaking].what} {entry.text.strip()}".strip()
                lines[speaking] = replace(lines[speaking], what=said)
            case _:
                lines += _line(entry)
    kept = [line for line in lines if line.what or not line.who.startswith("agent")]
    return Scene(
        name=name,
        title="",
        lines=tuple(replace(line, number=at) for at, line in enumerate(kept, start=1)),
        expected=tuple(expected),
        options=dict(options or {}),
    )


def _line(entry: Entry) -> list[Line]:
    found = _said(entry)
    if found is None:
        return []
    who, what, language = found
    return [Line(number=0, at_ms=entry.at_ms, who=who, what=what, language=language)]


def _said(event: Event | Decision) -> tuple[str, str, str] | None:
    match event:
        case UserSpeechStarted():
            return "user", "", ""
        case UserSpeechStopped():
            return "user.", "", ""
        case UserWordsHeard():
            return ("asr" if event.is_final else "asr~"), event.text.strip(), event.language
        case OverlapScored():
            return "score", f"{event.backchannel_probability:g} {event.source}", ""
        case ControlRaised():
            return "control", event.name, ""
        case ToolStarted():
            return "tool", event.name, ""
        case ToolFinished():
            return "tool.", event.name, ""
        case TopicNamed():
            return "topic", event.topic, ""
        case TurnTaken():
            return "turn", event.text, ""
        case ResumptionAsked():
            return "resume", "", ""
        case ResumptionDropped():
            return "forget", "", ""
        case CallEnded():
            return "hangup", "", ""
    return None

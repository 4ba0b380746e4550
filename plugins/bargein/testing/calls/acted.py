"""Does an agent of one's own do what a scene says? Its lines as a script, with a voice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..scene import Line, Scene
from ..steps import Announces, Means, Moment, Says, ScriptError, Step
from .call import Call
from .talk import AgentUnderTest, talk

PLAYED = frozenset(("agent", "agent!", "reply", "user", "user.", "asr~", "asr", "turn", "topic"))
"""Lines that are somebody's voice, or follow from one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """A scene that an agent of one's own has played."""

    call: Call
    problems: tuple[str, ...]
    """What it did that the scene does not want; a stop where it should have gone on."""


async def act(agent: AgentUnderTest, scene: Scene, *, folder: Path | None = None) -> Acted:
    """Play a scene to an agent, with a real voice.

    An agent decides nothing that could be compared, so that what is heard is: where the scene
    yields the floor the agent must stop, and elsewhere it must not.

    Raises:
        ScriptError: a scene whose lines are no voice's.
    """
    call = await talk(agent, *steps_of(scene), folder=folder)
    onsets = [line.at_ms for line in scene.lines if line.who == "user"]
    problems = []
    sounds = call.sounds
    for number, (onset_ms, sound) in enumerate(zip(onsets, sounds, strict=True)):
        after_ms = onsets[number + 1] if number + 1 < len(onsets) else None
        yields = any(
            line.what.startswith("YieldFloor") and onset_ms <= line.at_ms
            for line in scene.expected
            if after_ms is None or line.at_ms < after_ms
        )
        found = next((one for one in call.overlaps if one.sound is sound), None)
        if found is None:
            problems.append(f'{onset_ms} ms: the agent was silent before "{sound.text}"')
        elif yields and not found.cut:
            problems.append(f'{onset_ms} ms: the agent did not stop for "{sound.text}"')
        elif not yields and found.cut:
            lost = len(found.unheard.split())
            problems.append(
                f'{onset_ms} ms: the agent stopped for "{sound.text}"; {lost} words went unheard'
            )
    return Acted(call=call, problems=tuple(problems))


def steps_of(scene: Scene) -> tuple[Step, ...]:
    """A scene as a script."""
    strange = [line for line in scene.lines if line.who not in PLAYED]
    if strange:
        line = strange[0]
        raise ScriptError(
            f"{scene.name}:{line.number}: {line.who!r} is no voice: only the core and the hosts'"
            " players can play this scene"
        )
    steps: list[Step] = []
    for place, line in enumerate(scene.lines):
        if line.who in ("agent", "agent!", "reply"):
            if place:
                steps.append(Moment(ms=line.at_ms))
            text = line.what.replace("<must-hear>", "").replace("</must-hear>", "")
            steps.append(Announces(text=text))
        elif line.who == "user":
            words = _words(scene.lines[place + 1 :])
            steps.append(Moment(ms=line.at_ms))
            steps.append(
                Says(content=words) if words else Says(content="a cough", means=Means.SOUND)
            )
    return tuple(steps)


def _words(lines: tuple[Line, ...]) -> str:
    """What the voice that has begun says."""
    said = ""
    for line in lines:
        if line.who == "user":
            break
        if line.who in ("asr", "asr~"):
            said = line.what
            if line.who == "asr":
                break
    return said

"""What is decided in a scene in a real LiveKit session, on a room's own output?"""

from __future__ import annotations

from bargein.core.events import ToolFinished, ToolStarted
from bargein.core.overlap import Rules
from bargein.livekit import Bargein

from .livekit_parts import ScriptedTTS, Studio
from .scene import Line, Scene
from .stage import Part, Played, Stage, play_calls

__all__ = ["Played", "play"]


async def play(scene: Scene, rules: Rules | None = None) -> Played:
    """Play a scene through a session of the host's own parts; each of its calls is one of its own.

    Args:
        scene: what happens.
        rules: instead of the ones the scene asks for.
    """
    return await play_calls(scene, rules, _play_call)


async def _play_call(part: Part) -> None:
    # The line is silent: what the caller sounds like is written in the scene.
    manners = Bargein(**part.manners(), detectors=())
    tts = ScriptedTTS(word_times=part.scene.options.get("words") != "no")
    studio = Studio(manners, tts=tts)
    stage = _Session(manners, part, studio)
    try:
        await studio.start()
        await stage.perform()
    finally:
        await studio.close()
    played = part.played
    played.decisions += stage.decisions()
    played.context += [
        {"role": item.role, "content": item.text_content}
        for item in studio.session.history.items
        if item.type == "message"
    ]
    played.llm_runs += len(studio.llm.runs)


class _Session(Stage):
    """A scene's lines as what a session's models tell."""

    def __init__(self, manners: Bargein, part: Part, studio: Studio) -> None:
        super().__init__(manners, part)
        self._bargein = manners
        self._studio = studio

    async def say(self, line: Line) -> None:
        session = self._studio.session
        match line.who:
            case "agent!":
                await self._bargein.say(session, line.what, must_hear=True, message_id=line.what)
            case "reply":
                self._studio.llm.replies_next(line.what)
                session.generate_reply()
            case _:
                session.say(line.what)

    async def hear(self, line: Line) -> None:
        studio = self._studio
        match line.who:
            case "user":
                studio.vad.speaks(True)
            case "user.":
                studio.vad.speaks(False)
            case "asr~" | "asr":
                studio.stt.hears(line.what, final=line.who == "asr", language=line.language)
            case "tool" | "tool.":
                # A real call would be a turn of the LLM's, and this scene has its own.
                began = ToolStarted if line.who == "tool" else ToolFinished
                call = self._bargein._call
                call.feed(began(at_ms=call.now_ms, name=line.what, call_id=line.what))

    def has_turn(self, text: str) -> bool:
        said = [one for one in self._studio.session.history.items if one.type == "message"]
        return bool(said and said[-1].role == "user" and said[-1].text_content == text)

    async def turn(self, text: str) -> None:
        self._studio.session.generate_reply(user_input=text)

    async def hang_up(self) -> None:
        await self._studio.end(drain=False)

    async def end(self) -> None:
        await self._studio.end()

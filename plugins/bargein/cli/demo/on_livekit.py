"""How does the call run in a LiveKit session?"""

from __future__ import annotations

from typing import Any

from bargein.testing.clinic import GREETED
from bargein.testing.livekit_line import Earpiece
from bargein.testing.recorded import Written
from bargein.testing.tones import PCM
from bargein.testing.utterance import Utterance

from .host import OURS, Host, pipeline


class OnLiveKit:
    """A call through the session of ``pipelines/offline_session.py``."""

    def __init__(self, way: str, _stt: str) -> None:
        """Put it together."""
        self._module = pipeline("offline_session")
        self._call = self._module.build(way)
        self._ear = Earpiece(self._call.room)
        self.spoken: list[tuple[float, PCM]] = self._call.caller.spoken
        self.runs: list[tuple[float, list[Any]]] = self._call.runs
        self.voiced: list[tuple[float, str]] = self._call.voiced
        self.rate = self._ear.rate

    @property
    def manners(self) -> Any:
        return self._call.manners

    async def start(self) -> None:
        await self._call.start()

    async def greet(self) -> None:
        self._call.session.generate_reply(user_input=GREETED)

    async def end(self) -> None:
        await self._call.close()

    async def say(self, clip: Utterance) -> float:
        began_s: float = await self._call.caller.say(clip.pcm)
        self._call.stt.heard(clip, began_s)
        return began_s

    @property
    def written(self) -> list[Written]:
        return self._ear.written

    def recording(self, from_s: float, until_s: float) -> PCM:
        return self._ear.recording(from_s, until_s)

    def context(self) -> list[dict[str, Any]]:
        said: list[dict[str, Any]] = self._module.messages(self._call.session.history)
        return said

    def receipts(self) -> list[str]:
        ours = self._call.manners
        return [one.state.value for one in ours.receipts] if ours else []


HOST = Host(
    title="LiveKit",
    ways={
        "default": "LiveKit, default",
        "minwords2": "LiveKit, min_words=2",
        "resume": "LiveKit, resumes after 0.5 s",
        OURS: "bargein",
    },
    recognisers=("scripted",),
    build=OnLiveKit,
)

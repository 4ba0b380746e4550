"""How does the call run in a Pipecat pipeline?"""

from __future__ import annotations

import asyncio
from typing import Any

from pipecat.frames.frames import EndFrame, LLMRunFrame
from pipecat.workers.runner import WorkerRunner

from bargein.testing.caller import PocketSTT
from bargein.testing.recorded import Written
from bargein.testing.tones import PCM
from bargein.testing.utterance import Utterance

from .host import OURS, Host, pipeline
from .talk import PHRASES, clips

READY_S = 20


class OnPipecat:
    """A call through the pipeline of ``pipelines/offline_call.py``."""

    def __init__(self, way: str, stt: str) -> None:
        """Put it together."""
        ear = None
        if stt == "pocketsphinx":
            ear = PocketSTT(PHRASES)
            for clip in clips().values():
                ear.recognised(clip.pcm)  # fresh, it does not know the line's level yet
        self._call = pipeline("offline_call").build(way, stt=ear)
        self._running: asyncio.Task[None] | None = None
        self.spoken: list[tuple[float, PCM]] = self._call.caller.spoken
        self.runs: list[tuple[float, list[Any]]] = self._call.llm.runs
        self.voiced: list[tuple[float, str]] = self._call.voiced
        self.written: list[Written] = self._call.output.written
        self.rate: int = self._call.output.rate

    @property
    def manners(self) -> Any:
        return self._call.manners

    async def start(self) -> None:
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self._call.worker)
        self._running = asyncio.create_task(runner.run())
        await asyncio.wait_for(self._call.started.wait(), READY_S)

    async def greet(self) -> None:
        await self._call.worker.queue_frame(LLMRunFrame())

    async def end(self) -> None:
        await self._call.worker.queue_frame(EndFrame())
        if self._running is not None:
            await self._running

    async def say(self, clip: Utterance) -> float:
        began_s: float = await self._call.caller.say(clip.pcm)
        if hasattr(self._call.stt, "heard"):
            self._call.stt.heard(clip, began_s)
        return began_s

    def recording(self, from_s: float, until_s: float) -> PCM:
        track: PCM = self._call.output.recording(from_s, until_s)
        return track

    def context(self) -> list[dict[str, Any]]:
        return list(self._call.context.get_messages())

    def receipts(self) -> list[str]:
        ours = self._call.manners
        return [one.state.value for one in ours.receipts] if ours else []


HOST = Host(
    title="Pipecat",
    ways={"default": "Pipecat, default", "minwords3": "Pipecat, MinWords(3)", OURS: "bargein"},
    recognisers=("scripted", "pocketsphinx"),
    build=OnPipecat,
)

"""A small real pipeline to try things on: scripted services, real host, recorded output."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from loguru import logger
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    TTSSpeakFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.utils.time import time_now_iso8601
from pipecat.workers.runner import WorkerRunner

from bargein.pipecat import Bargein
from bargein.testing import written
from bargein.testing.pipecat_parts import PacedOutput, ScriptedLLM, ScriptedTTS

SAYS = "Your appointment is on Tuesday at nine, with Doctor Hale in the main building."


class Tap(FrameProcessor):
    """Keeps what passes."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)
        self.frames: list[Frame] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.frames.append(frame)
        await self.push_frame(frame, direction)


class Rig:
    """One call."""

    def __init__(
        self,
        manners: Bargein | None = None,
        *,
        strategies: Any = "ours",
        wrap: Callable[[Bargein, list[FrameProcessor]], list[FrameProcessor]] | None = None,
        before: list[FrameProcessor] | None = None,
        word_times: bool = True,
        tts: ScriptedTTS | None = None,
        user_params: dict[str, Any] | None = None,
        output: Any = None,
        rate: int = 24000,
        traced: bool = False,
        replies: Sequence[str] = (),
    ) -> None:
        self.manners = manners or Bargein()
        self.decided: list[str] = []
        self.manners.add_event_handler(
            "on_decision", lambda _, d: self.decided.append(written(d).partition(" ")[2])
        )
        if strategies == "ours":
            strategies = self.manners.turn_strategies(
                stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.2)]
            )
        self.context = LLMContext([{"role": "user", "content": "Hello."}])
        pair = LLMContextAggregatorPair(
            self.context,
            user_params=LLMUserAggregatorParams(
                user_turn_strategies=strategies, **(user_params or {})
            ),
        )
        self.user = pair.user()
        self.llm = ScriptedLLM(replies)
        self.tts = tts or ScriptedTTS(word_times=word_times)
        self.output = output or PacedOutput()
        self.tap = Tap()
        parts = [*(before or []), pair.user(), self.llm, self.tts, self.output, pair.assistant()]
        parts = wrap(self.manners, parts) if wrap else self.manners.wrap(parts)
        parts.insert(len(parts) - 1, self.tap)
        self.worker = PipelineWorker(
            Pipeline(parts),
            params=PipelineParams(
                audio_out_sample_rate=rate, audio_in_sample_rate=min(rate, 16000)
            ),
            enable_rtvi=False,
            cancel_on_idle_timeout=False,
            enable_tracing=traced,
        )
        self._started = asyncio.Event()
        self.worker.add_event_handler("on_pipeline_started", self._on_started)
        self.log: list[str] = []

    async def _on_started(self, _worker: PipelineWorker, _frame: Frame) -> None:
        self._started.set()

    async def run(
        self,
        script: Callable[["Rig"], Awaitable[None]],
        *,
        logged: bool = True,
        within_s: float = 40,
    ) -> "Rig":
        """Run the script, then end the call as an application does."""
        sink = logger.add(lambda message: self.log.append(str(message)), level="TRACE")
        if not logged:
            logger.remove(sink)
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self.worker)

        async def perform() -> None:
            await asyncio.wait_for(self._started.wait(), 10)
            try:
                await script(self)
            finally:
                await self.worker.queue_frame(EndFrame())

        try:
            async with asyncio.timeout(within_s):
                # The pipeline ends before a script's failure is told: left running, it would keep
                # the event loop from closing.
                ends = await asyncio.gather(runner.run(), perform(), return_exceptions=True)
            for end in ends:
                if isinstance(end, BaseException):
                    raise end
        finally:
            if logged:
                logger.remove(sink)
        return self

    async def agent(self, text: str = SAYS, *, must_hear: bool = False) -> None:
        """The agent says something; returns when it is being heard."""
        frame = TTSSpeakFrame(text)
        frame.interruptible = not must_hear
        await self.worker.queue_frame(frame)
        await self.until(lambda: self.manners.floor != "open")

    async def voice(self, on: bool) -> None:
        frame = VADUserStartedSpeakingFrame() if on else VADUserStoppedSpeakingFrame()
        await self.worker.queue_frame(frame)

    async def hears(self, text: str, *, final: bool = True) -> None:
        kind = TranscriptionFrame if final else InterimTranscriptionFrame
        await self.worker.queue_frame(kind(text, "caller", time_now_iso8601()))

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for something to become true."""
        async with asyncio.timeout(15):
            while not true():
                await asyncio.sleep(0.01)

    def said(self, who: str) -> list[str]:
        """What the context says that somebody said, the greeting left out."""
        messages = [m for m in self.context.get_messages() if m["role"] == who]
        said = [m["content"] for m in messages if "content" in m]  # a function call has none
        return said[1:] if who == "user" else said

    def passed(self, kind: type[Frame]) -> list[Frame]:
        return [frame for frame in self.tap.frames if isinstance(frame, kind)]

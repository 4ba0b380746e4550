"""A phone call on Pipecat with the real clients of three services, whose far ends are loopback."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import numpy as np
from loguru import logger
from pipecat.frames.frames import EndFrame, ErrorFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.services.deepgram.flux.stt import DeepgramFluxSTTService
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.services.elevenlabs.tts import ElevenLabsTTSService
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.workers.runner import WorkerRunner

from bargein.memory import Receipt
from bargein.pipecat import Bargein
from bargein.testing import written
from bargein.testing.caller import CallerInput
from bargein.testing.pipecat_parts import PacedOutput
from bargein.testing.services import Deepgram, ElevenLabs, Fault, OpenAIChat
from spoken import PAUSE_MS, spoken

WORD_S = 0.3
"""How long ElevenLabs takes for a word here: a tone, without a pause behind it."""


class PhoneCall:
    """One call: its services, its caller, and what came of it."""

    def __init__(
        self,
        answers: Mapping[str, str],
        *,
        flux: bool = False,
        manners: Bargein | None = None,
        faults: Mapping[str, Sequence[Fault | None]] | None = None,
    ) -> None:
        faults = faults or {}
        self.deepgram = Deepgram(faults=faults.get("deepgram", ()))
        self.elevenlabs = ElevenLabs(faults=faults.get("elevenlabs", ()))
        self.openai = OpenAIChat(answers, faults=faults.get("openai", ()))
        self.manners = manners or Bargein(detectors=())
        self.decided: list[str] = []
        self.receipts: list[Receipt] = []
        self.host_errors: list[str] = []
        self.log: list[str] = []
        self.manners.add_event_handler(
            "on_decision", lambda _, d: self.decided.append(written(d).partition(" ")[2])
        )
        self.manners.add_event_handler("on_receipt", lambda _, r: self.receipts.append(r))
        self.context = LLMContext([{"role": "system", "content": "You answer the phone."}])
        self.caller, self.output = CallerInput(), PacedOutput()
        self._flux = flux
        self.hangs_up = False
        self._loud = self._counted = 0
        self._started = asyncio.Event()

    async def run(self, script: Callable[["PhoneCall"], Awaitable[None]]) -> "PhoneCall":
        """Run the script, then end the call as an application does."""
        async with self.deepgram, self.elevenlabs, self.openai:
            worker = self.worker = self._worker()
            worker.add_event_handler("on_pipeline_started", self._on_started)
            worker.add_event_handler("on_pipeline_error", self._on_error)
            sink = logger.add(
                lambda message: self.log.append(str(message)),
                level="WARNING",
                filter=lambda one: "bargein" in (one["name"] or ""),
            )
            runner = WorkerRunner(handle_sigint=False)
            await runner.add_workers(worker)
            try:
                ends = await asyncio.gather(
                    runner.run(), self._perform(script), return_exceptions=True
                )
            finally:
                logger.remove(sink)
            for end in ends:
                if isinstance(end, BaseException):
                    raise end
        return self

    async def _perform(self, script: Callable[["PhoneCall"], Awaitable[None]]) -> None:
        await asyncio.wait_for(self._started.wait(), 20)
        try:
            await script(self)
        finally:
            await (self.worker.cancel() if self.hangs_up else self.worker.queue_frame(EndFrame()))

    async def _on_started(self, _worker: Any, _frame: Any) -> None:
        self._started.set()

    async def _on_error(self, _worker: Any, frame: ErrorFrame) -> None:
        self.host_errors.append(frame.error)

    def _worker(self) -> PipelineWorker:
        if self._flux:
            stt: Any = DeepgramFluxSTTService(
                api_key="any", url=self.deepgram.flux_url, enable_eager_end_of_turn=True
            )
            stop, vad = None, None
        else:
            stt = DeepgramSTTService(api_key="any", base_url=self.deepgram.ws_url)
            stop = [SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.4)]
            vad = self.manners.vad()
        pair = LLMContextAggregatorPair(
            self.context,
            user_params=LLMUserAggregatorParams(
                vad_analyzer=vad, user_turn_strategies=self.manners.turn_strategies(stop=stop)
            ),
        )
        llm = OpenAILLMService(
            api_key="any",
            base_url=self.openai.base_url,
            settings=OpenAILLMService.Settings(model="any"),
        )
        tts = ElevenLabsTTSService(
            api_key="any",
            url=self.elevenlabs.ws_url,
            settings=ElevenLabsTTSService.Settings(voice="any"),
        )
        parts = [self.caller, stt, pair.user(), llm, tts, self.output, pair.assistant()]
        return PipelineWorker(
            Pipeline(self.manners.wrap(parts)),
            params=PipelineParams(audio_in_sample_rate=16000, audio_out_sample_rate=24000),
            enable_rtvi=False,
            enable_turn_tracking=False,
            cancel_on_idle_timeout=False,
        )

    async def speaks(self, text: str, *, must_hear: bool = False) -> None:
        """The agent says something of its own accord."""
        await self.manners.say(text, must_hear=must_hear, on_cut="repeat")

    # --- the caller ---

    def begins(self, text: str) -> None:
        """The caller begins to say something."""
        self._saying = asyncio.create_task(self.says(text))

    async def says(self, text: str) -> None:
        """The caller says something; returns when they are silent again."""
        clip, word_ms = spoken(text)
        await self.caller.say(clip)
        self.deepgram.says(text, word_ms=word_ms, pause_ms=PAUSE_MS)
        await asyncio.sleep(len(clip) / 16000)

    async def asks(self, text: str, words: int = 3) -> None:
        """The caller says something, and hears the first words of the answer."""
        before = self.words_heard
        await self.says(text)
        await self.hears(before + words)

    async def hears(self, words: int) -> None:
        """Wait until the agent has said so many words in this call."""
        await self.until(lambda: self.words_heard >= words)

    async def until(self, true: Callable[[], Any], within_s: float = 20) -> None:
        """Wait for something to become true."""
        async with asyncio.timeout(within_s):
            while not true():
                await asyncio.sleep(0.02)

    async def quiet(self) -> None:
        """Wait until the agent has said all that it is going to."""
        since_s = time.monotonic()
        async with asyncio.timeout(25):
            while time.monotonic() - since_s < 1.2:
                await asyncio.sleep(0.02)
                last = self.output.written[-1] if self.output.written else None
                if self.manners.busy or (last and time.monotonic() - last.at_s < 0.2):
                    since_s = time.monotonic()

    # --- what came of it ---

    @property
    def words_heard(self) -> float:
        """How many words of the agent's were audible."""
        for one in self.output.written[self._counted :]:
            samples = np.frombuffer(one.pcm, "<i2").astype(np.int32)
            self._loud += int(np.count_nonzero(np.abs(samples) > 30))
            self._counted += 1
        return self._loud / 24000 / WORD_S * 1.006  # a tone is quiet where it crosses zero

    def said(self, who: str) -> list[str]:
        """What the context says that somebody said."""
        messages = self.context.get_messages()
        return [m["content"] for m in messages if m["role"] == who and "content" in m]

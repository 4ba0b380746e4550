"""How is a Pipecat agent tried? Its own processors, with the caller's line at both ends."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InputDTMFFrame,
    TTSSpeakFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.llm_service import LLMService
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.workers.runner import WorkerRunner

from ..caller import CallerInput, ScriptedSTT
from ..pipecat_parts import PacedOutput, ScriptedLLM, ScriptedTTS
from ..steps import ScriptError
from ..tones import PCM
from ..utterance import RATE, Utterance
from .pipecat_ear import Ear, last_of
from .subject import (
    BargeIn,
    Capabilities,
    Message,
    Ran,
    Replies,
    Voiced,
    VoiceLog,
    WordTimes,
    answer_of,
)

READY_S = 20


class PipecatLine:
    """The caller's end of a pipeline, and services that need no key."""

    def __init__(self) -> None:
        """Open a line."""
        self._caller, self._output = CallerInput(), PacedOutput()
        self._stt = ScriptedSTT()
        self.voice = VoiceLog()
        """What the agent's voice was given."""
        self.voices: list[ScriptedTTS] = []
        """What `tts` has made."""
        self.runs: list[Ran] = []
        """The runs of `llm`."""
        self.messages: list[Message] = []
        """What the last of them was shown."""

    def input(self) -> CallerInput:
        """What the caller says, as a transport's input."""
        return self._caller

    def output(self) -> PacedOutput:
        """What the caller hears, as a transport's output."""
        return self._output

    def stt(self) -> ScriptedSTT:
        """A recogniser that knows what the caller says, and is as late as a streaming one."""
        return self._stt

    def llm(self, replies: Replies) -> ScriptedLLM:
        """A model that answers what it is told to."""
        number = iter(range(1_000_000))

        def answer(messages: list[Any]) -> str:
            self.runs.append(Ran(at_s=time.monotonic(), asked=last_of(messages)))
            self.messages = messages
            return answer_of(replies, messages, next(number))

        return ScriptedLLM(answer)

    def tts(self, *, word_times: bool = True) -> ScriptedTTS:
        """A voice, with or without the times of its words."""
        self.voices.append(ScriptedTTS(self.voice, word_times=word_times))
        return self.voices[-1]


Built: TypeAlias = Pipeline | PipelineWorker | Sequence[FrameProcessor]
Bot: TypeAlias = Callable[[PipecatLine], Built | Awaitable[Built]]


class PipecatAgent:
    """A Pipecat pipeline under test: ``PipecatAgent(bot)``, made anew for each call."""

    def __init__(self, bot: Bot | Sequence[FrameProcessor]) -> None:
        """Take an agent.

        Args:
            bot: makes a pipeline, its processors or a worker for a `PipecatLine`; or the processors
                themselves, for one call. Where they have no transport or no speech-to-text, the
                line's are put in.
        """
        self._bot = bot

    async def __call__(self) -> _OnPipecat:
        """Make it for one call."""
        line = PipecatLine()
        built: Any = self._bot(line) if callable(self._bot) else self._bot
        if inspect.isawaitable(built):
            built = await built
        if not callable(self._bot):
            self._bot = _used
        return _OnPipecat(line, built)


def _used(_: PipecatLine) -> Built:
    raise ScriptError(
        "a list of processors is good for one call: give PipecatAgent a function that makes them"
    )


class _OnPipecat:
    """One call."""

    def __init__(self, line: PipecatLine, built: Built) -> None:
        self._line = line
        self._ear = Ear()
        self._runner: asyncio.Task[None] | None = None
        self._started = asyncio.Event()
        self._parts: list[FrameProcessor] = []
        self.rate = line.output().rate
        self._worker = self._worker_of(built)
        self._worker.add_event_handler("on_pipeline_started", self._on_started)
        if self._line.output() not in self._parts:
            raise ScriptError(
                "this pipeline has a transport of its own: put line.input() and line.output() there"
            )
        self.capabilities = Capabilities(
            host="Pipecat",
            barge_in=BargeIn.VAD,
            word_times=self._word_times(),
            dtmf=True,
            context=True,
            runs=any(isinstance(one, LLMService) for one in self._parts),
        )

    async def start(self) -> None:
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self._worker)
        self._runner = asyncio.create_task(runner.run())
        await asyncio.wait_for(self._started.wait(), READY_S)

    async def say(self, sound: Utterance) -> float:
        began_s = await self._line.input().say(sound.pcm)
        self._line.stt().heard(sound, began_s)
        return began_s

    async def press(self, key: str) -> None:
        await self._worker.queue_frame(InputDTMFFrame(button=KeypadEntry(key)))

    def noise(self, db: float) -> None:
        self._line.input().noise(db)

    async def hang_up(self) -> None:
        await self._worker.cancel()

    async def end(self) -> None:
        if self._runner is not None and not self._runner.done():
            await self._worker.queue_frame(EndFrame())
            await asyncio.wait_for(self._runner, READY_S)

    async def speak(self, text: str) -> None:
        await self._worker.queue_frame(TTSSpeakFrame(text))

    @property
    def now_s(self) -> float:
        return time.monotonic()

    def recording(self, from_s: float, until_s: float) -> PCM:
        return self._line.output().recording(from_s, until_s)

    @property
    def voiced(self) -> list[Voiced]:
        return sorted([*self._line.voice.said, *self._ear.voiced], key=lambda one: one.at_s)

    @property
    def runs(self) -> list[Ran]:
        return self._ear.runs

    def context(self) -> list[Message]:
        found = self._ear.context or next(
            (c for one in self._parts if isinstance(c := getattr(one, "context", 0), LLMContext)),
            None,
        )
        messages: list[Any] = list(found.get_messages()) if found is not None else []
        return messages

    def _word_times(self) -> WordTimes:
        voices = [one for one in self._parts if isinstance(one, TTSService)]
        theirs = [one for one in voices if one not in self._line.voices]
        for one in theirs:
            self._ear.listen_to(one)
        if not voices:
            return WordTimes.NONE
        return WordTimes.SERVICE if theirs else WordTimes.VOICE

    async def _on_started(self, _worker: PipelineWorker, _frame: Frame) -> None:
        self._started.set()

    def _worker_of(self, built: Built) -> PipelineWorker:
        if isinstance(built, PipelineWorker):
            self._parts = _flat(built._pipeline)
            built.add_observer(self._ear)
            return built
        if isinstance(built, Pipeline):
            self._parts = _flat(built)
            pipeline = built
        else:
            self._parts = self._completed(list(built))
            pipeline = Pipeline(self._parts)
        return PipelineWorker(
            pipeline,
            params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=self.rate),
            enable_rtvi=False,
            cancel_on_idle_timeout=False,
            observers=[self._ear],
        )

    def _completed(self, parts: list[FrameProcessor]) -> list[FrameProcessor]:
        if not any(isinstance(one, BaseInputTransport) for one in parts):
            before = [] if any(isinstance(one, STTService) for one in parts) else [self._line.stt()]
            parts = [self._line.input(), *before, *parts]
        if not any(isinstance(one, BaseOutputTransport) for one in parts):
            voices = [place for place, one in enumerate(parts) if isinstance(one, TTSService)]
            behind = voices[-1] + 1 if voices else len(parts)
            parts.insert(behind, self._line.output())
        return parts


def _flat(pipeline: Any) -> list[FrameProcessor]:
    found: list[FrameProcessor] = []
    for one in pipeline.processors:
        found += _flat(one) if isinstance(one, Pipeline) else [one]
    return found

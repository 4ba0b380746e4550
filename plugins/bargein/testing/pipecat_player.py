"""What is decided in a scene on a real Pipecat pipeline?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from pipecat.frames.frames import (
    EndFrame,
    Frame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    InterimTranscriptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMMessagesAppendFrame,
    LLMTextFrame,
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
from pipecat.transcriptions.language import Language
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.utils.time import time_now_iso8601
from pipecat.workers.runner import WorkerRunner

from bargein.core.overlap import Rules
from bargein.pipecat import Bargein

from .pipecat_parts import PacedOutput, ScriptedLLM, ScriptedTTS
from .scene import Line, Scene
from .stage import Part, Played, Stage, play_calls

__all__ = ["Played", "play"]


async def play(scene: Scene, rules: Rules | None = None, **options: Any) -> Played:
    """Play a scene through a pipeline of the host's own parts; each of its calls is one of its own.

    Args:
        scene: what happens.
        rules: instead of the ones the scene asks for.
        **options: further arguments of `Bargein`.
    """
    return await play_calls(scene, rules, partial(_play_call, options))


async def _play_call(options: Mapping[str, Any], part: Part) -> None:
    manners = Bargein(**part.manners(), **options)
    context = LLMContext([{"role": "user", "content": "Hello."}])
    pair = LLMContextAggregatorPair(
        context,
        user_params=LLMUserAggregatorParams(
            user_turn_strategies=manners.turn_strategies(
                stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.3)]
            )
        ),
    )
    llm = ScriptedLLM([])
    tts = ScriptedTTS(word_times=part.scene.options.get("words") != "no")
    output = PacedOutput()
    pipeline = Pipeline(manners.wrap([pair.user(), llm, tts, output, pair.assistant()]))
    worker = PipelineWorker(
        pipeline,
        params=PipelineParams(audio_out_sample_rate=output.rate),
        enable_rtvi=False,
        cancel_on_idle_timeout=False,
    )
    stage = _Pipeline(manners, part, worker, context)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await asyncio.gather(runner.run(), stage.perform())
    played = part.played
    played.decisions += stage.decisions()  # a hang-up is decided while the pipeline ends
    played.context += context.get_messages()[1:] if played.context else context.get_messages()
    played.llm_runs += len(llm.runs)


class _Pipeline(Stage):
    """A scene's lines as frames."""

    def __init__(
        self, manners: Bargein, part: Part, worker: PipelineWorker, context: LLMContext
    ) -> None:
        super().__init__(manners, part)
        self._bargein = manners
        self._worker = worker
        self._context = context
        self._ready = asyncio.Event()
        worker.add_event_handler("on_pipeline_started", self._started)

    async def _started(self, _worker: PipelineWorker, _frame: Frame) -> None:
        self._ready.set()

    async def perform(self) -> None:
        await asyncio.wait_for(self._ready.wait(), 10)
        await super().perform()

    async def say(self, line: Line) -> None:
        match line.who:
            case "agent!":
                await self._bargein.say(line.what, must_hear=True, message_id=line.what)
            case "reply":
                await self._worker.queue_frame(LLMFullResponseStartFrame())
                for word in line.what.split(" "):
                    await self._worker.queue_frame(LLMTextFrame(f"{word} "))
                await self._worker.queue_frame(LLMFullResponseEndFrame())
            case _:
                await self._worker.queue_frame(TTSSpeakFrame(line.what))

    async def hear(self, line: Line) -> None:
        await self._worker.queue_frame(_spoken(line))

    def has_turn(self, text: str) -> bool:
        return bool(self._context.get_messages()[-1] == {"role": "user", "content": text})

    async def turn(self, text: str) -> None:
        said: list[Any] = [{"role": "user", "content": text}]
        await self._worker.queue_frame(LLMMessagesAppendFrame(said, run_llm=True))

    async def hang_up(self) -> None:
        await self._worker.cancel()

    async def end(self) -> None:
        await self._worker.queue_frame(EndFrame())


def _spoken(line: Line) -> Frame:
    """The frame that a line is on Pipecat."""
    match line.who:
        case "user":
            return VADUserStartedSpeakingFrame(start_secs=0.0)
        case "user.":
            return VADUserStoppedSpeakingFrame(stop_secs=0.0)
        case "asr~":
            return InterimTranscriptionFrame(
                line.what, "caller", time_now_iso8601(), _language(line)
            )
        case "tool":
            return FunctionCallInProgressFrame(
                function_name=line.what, tool_call_id=line.what, arguments={}
            )
        case "tool.":
            return FunctionCallResultFrame(
                function_name=line.what, tool_call_id=line.what, arguments={}, result="done"
            )
        case _:
            return TranscriptionFrame(
                line.what, "caller", time_now_iso8601(), _language(line), finalized=True
            )


def _language(line: Line) -> Language | None:
    return Language(line.language) if line.language else None

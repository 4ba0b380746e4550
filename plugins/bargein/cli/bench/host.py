"""On what does the benchmark measure? The same Pipecat call with us in it, and without."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pipecat.audio.vad.vad_analyzer import VADAnalyzer
from pipecat.frames.frames import (
    CancelFrame,
    Frame,
    InterruptionFrame,
    TTSSpeakFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.turns.user_start import (
    BaseUserTurnStartStrategy,
    MinWordsUserTurnStartStrategy,
    TranscriptionUserTurnStartStrategy,
    VADUserTurnStartStrategy,
)
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

from bargein.core.decisions import Decision
from bargein.pipecat import Bargein
from bargein.playback import Playback
from bargein.testing.pipecat_parts import (
    PacedOutput,
    ScriptedLLM,
    ScriptedTTS,
    Voice,
    metronome,
)

Who: TypeAlias = Literal["ours", "stock", "min_words_2", "min_words_3"]
STOCK: dict[Who, str] = {
    "stock": "default strategies",
    "min_words_2": "MinWords(2)",
    "min_words_3": "MinWords(3)",
}
"""What each stock host is called in the table."""

USER_SILENCE_S = 0.3
"""How long after the caller's last word every host here ends the turn."""
IN_RATE = 16_000


class PassOn(FrameProcessor):
    """The cheapest processor there can be: ours are measured against as many of these."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass it on."""
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)


class Witness(PassOn):
    """Notes when an interruption reaches the end of the pipeline, on ``time.monotonic``."""

    def __init__(self) -> None:
        """Nothing has happened yet."""
        super().__init__()
        self.interrupted_s: list[float] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note, and pass on."""
        if isinstance(frame, InterruptionFrame) and direction is FrameDirection.DOWNSTREAM:
            self.interrupted_s.append(time.monotonic())
        await super().process_frame(frame, direction)


@dataclass(kw_only=True)
class Parts:
    """The processors of a call that is not running yet."""

    processors: list[FrameProcessor]
    output: PacedOutput
    llm: ScriptedLLM
    tts: ScriptedTTS
    witness: Witness
    context: LLMContext
    manners: Bargein | None = None


@dataclass(kw_only=True)
class OnCall:
    """A call that runs."""

    parts: Parts
    worker: PipelineWorker

    async def say(self, text: str) -> None:
        """The agent says this, whatever the LLM thinks."""
        await self.worker.queue_frame(TTSSpeakFrame(text))

    async def first_heard(self, within_s: float = 5.0, after_s: float = 0.0) -> float:
        """Wait until the agent is heard; when that was, on ``time.monotonic``."""
        until_s = time.monotonic() + within_s
        while time.monotonic() < until_s:
            runs = [run for run in self.parts.output.heard(until_s + 60) if run[1] > after_s]
            if runs:
                return max(runs[0][0], after_s)
            await asyncio.sleep(0.01)
        raise RuntimeError(f"the agent was not heard within {within_s} s")

    def decide(self, decision: Decision) -> None:
        """Hand a decision to our processors, as the pump does."""
        assert self.parts.manners is not None
        self.parts.manners._call._decided(decision)


def parts(
    who: Who,
    *,
    replies: Sequence[str] = (),
    speaks: Voice = metronome,
    word_times: bool = True,
    voice: Callable[[], Playback[Frame]] = Playback,
    vad: bool = False,
    passing: int = 0,
    early_onset: bool = True,
) -> Parts:
    """Put a call together.

    Args:
        who: with us in it, or one of the stock hosts.
        replies: what the LLM answers, run by run.
        speaks: the agent's voice.
        word_times: whether the text-to-speech tells when each word begins.
        voice: makes our paced playback.
        vad: with Silero in the aggregator: the host's own, or ours that serves both.
        passing: with so many no-op processors (at most eight), where ours would be.
        early_onset: whether we listen for onsets of our own.
    """
    context = LLMContext([{"role": "user", "content": "Hello."}])
    stop: list[Any] = [SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=USER_SILENCE_S)]
    manners: Bargein | None = None
    analyzer: VADAnalyzer | None = None
    if who == "ours":
        manners = Bargein(early_onset=early_onset, voice=voice)
        strategies = manners.turn_strategies(stop=stop)
        if vad:
            analyzer = manners.vad()
    else:
        strategies = UserTurnStrategies(start=_start(who), stop=stop)
        if vad:
            from pipecat.audio.vad.silero import SileroVADAnalyzer

            analyzer = SileroVADAnalyzer()
    pair = LLMContextAggregatorPair(
        context,
        user_params=LLMUserAggregatorParams(user_turn_strategies=strategies, vad_analyzer=analyzer),
    )
    llm = ScriptedLLM(list(replies))
    tts = ScriptedTTS(speaks, word_times=word_times)
    output, witness = PacedOutput(), Witness()
    processors: list[FrameProcessor] = [
        pair.user(),
        llm,
        tts,
        output,
        witness,
        pair.assistant(),
    ]
    if manners is not None:
        processors = manners.wrap(processors)
    for place in (0, 2, 4, 6, 8, 1, 4, 7)[:passing]:  # the first five where wrap() puts ours
        processors.insert(place, PassOn())
    return Parts(
        processors=processors,
        output=output,
        llm=llm,
        tts=tts,
        witness=witness,
        context=context,
        manners=manners,
    )


def _start(who: Who) -> list[BaseUserTurnStartStrategy]:
    if who == "stock":
        return [VADUserTurnStartStrategy(), TranscriptionUserTurnStartStrategy()]
    return [MinWordsUserTurnStartStrategy(min_words=int(who[-1]))]


@asynccontextmanager
async def on_call(made: Parts) -> AsyncIterator[OnCall]:
    """Run a call; it is hung up at the end."""
    worker = PipelineWorker(
        Pipeline(made.processors),
        params=PipelineParams(audio_in_sample_rate=IN_RATE, audio_out_sample_rate=made.output.rate),
        enable_rtvi=False,
        cancel_on_idle_timeout=False,
    )
    ready = asyncio.Event()

    async def started(_worker: PipelineWorker, _frame: Frame) -> None:
        ready.set()

    worker.add_event_handler("on_pipeline_started", started)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    try:
        await asyncio.wait_for(ready.wait(), 20)
        yield OnCall(parts=made, worker=worker)
    finally:
        await worker.queue_frame(CancelFrame())
        await asyncio.wait_for(running, 20)

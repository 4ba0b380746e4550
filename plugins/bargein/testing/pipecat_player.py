"""What is decided in a scene on a real Pipecat pipeline, in real time?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
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

from bargein.core.decisions import Decision
from bargein.core.events import Event, PlayoutStarted
from bargein.core.overlap import Rules
from bargein.memory import MemoryStore, Records, Store
from bargein.pipecat import Bargein

from .core_player import LEASE_MS
from .pipecat_parts import PacedOutput, ScriptedLLM, ScriptedTTS
from .rules import rules_of
from .scene import Line, Scene, parse

SPEAK_LEAD_MS = 25
"""How long before its time a line of the agent is handed in: what a pipeline takes to speak."""

STALLED_MS = 60
"""A loop that stood still for longer did not play the scene as it is written."""
STALLED_TRIES = 3
ENDS_WITHIN_S = 30
"""No scene's agent talks longer than this after the last line."""


@dataclass(kw_only=True)
class Played:
    """What happened on the host."""

    decisions: list[Decision] = field(default_factory=list)
    """With times from the scene's own beginning."""
    context: list[Any] = field(default_factory=list)
    llm_runs: int = 0
    late_ms: float = 0.0
    """The longest that this machine kept the scene's own script waiting."""
    over_at_s: float = 0.0
    """When its last line was played, on the loop's clock."""


async def play(scene: Scene, rules: Rules | None = None) -> Played:
    """Play a scene through a pipeline of the host's own parts; each of its calls is one of its own.

    Args:
        scene: what happens.
        rules: instead of the ones the scene asks for.
    """
    played, shared = Played(), MemoryStore()
    calls = _calls(scene)
    for number, lines in enumerate(calls):
        is_last = number == len(calls) - 1
        if number:
            # What is kept between calls is kept by the time of day.
            gap_s = (lines[0].at_ms - calls[number - 1][-1].at_ms) / 1000
            await asyncio.sleep(played.over_at_s + gap_s - asyncio.get_running_loop().time())
        await _play_call(scene, lines, played, _Worker(shared), rules, is_last=is_last)
    return played


def _calls(scene: Scene) -> list[list[Line]]:
    calls: list[list[Line]] = [[]]
    for line in scene.lines:
        if line.who == "call":
            calls.append([])
        calls[-1].append(line)
    return calls


async def _play_call(
    scene: Scene,
    lines: list[Line],
    played: Played,
    store: _Worker,
    rules: Rules | None,
    *,
    is_last: bool,
) -> None:
    manners = Bargein(
        rules=rules_of(scene) if rules is None else rules,
        language=_languages(scene),
        on_cut=scene.options.get("on_cut", "report"),
        resume=scene.options.get("resume", "off"),
        resume_ttl_s=int(scene.options.get("resume_ttl", 300_000)) / 1000,
        acknowledge=scene.options.get("acknowledge", "").split(),
        records=Records(store, "the caller", lease_s=_lease_s(scene)),
    )
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
    tts = ScriptedTTS(word_times=scene.options.get("words") != "no")
    output = PacedOutput()
    pipeline = Pipeline(manners.wrap([pair.user(), llm, tts, output, pair.assistant()]))
    worker = PipelineWorker(
        pipeline,
        params=PipelineParams(audio_out_sample_rate=output.rate),
        enable_rtvi=False,
        cancel_on_idle_timeout=False,
    )
    ends_ms = max([line.at_ms for line in (*scene.lines, *scene.expected)]) if is_last else 0
    stage = _Stage(manners, worker, context, played, ends_ms, died=store.die)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await asyncio.gather(runner.run(), stage.perform(lines))
    played.decisions += stage.decisions()  # a hang-up is decided while the pipeline ends
    played.context += context.get_messages()[1:] if played.context else context.get_messages()
    played.llm_runs += len(llm.runs)


async def play_all(scenes: Iterable[Scene], *, at_once: int = 6) -> dict[str, Played]:
    """Play scenes side by side, a few at a time."""
    # The first pipeline of a process imports what the host imports late, and stalls everybody.
    await play(parse("0 agent Hello.", "warm-up"))
    places = asyncio.Semaphore(at_once)

    async def one(scene: Scene) -> tuple[str, Played]:
        async with places:
            played = await play(scene)
        for _ in range(STALLED_TRIES):
            if played.late_ms <= STALLED_MS:
                break
            # On a machine that stood still the scene was not played as written.
            async with places:
                played = await play(scene)
        return scene.name, played

    return dict(await asyncio.gather(*(one(scene) for scene in scenes)))


class _Worker:
    """What one worker sees of the store that all share."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def die(self) -> None:
        """What it writes from now on reaches nobody."""
        self._store = MemoryStore()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class _Stage:
    """Speaks every line at its time, on the call's own clock."""

    def __init__(
        self,
        manners: Bargein,
        worker: PipelineWorker,
        context: LLMContext,
        played: Played,
        ends_ms: int,
        *,
        died: Callable[[], None],
    ) -> None:
        self._died = died
        self._manners = manners
        self._worker = worker
        self._context = context
        self._played = played
        self._ends_ms = ends_ms
        self._ready = asyncio.Event()
        self._spoken = asyncio.Event()
        self._zero_ms = 0
        self._decisions: list[Decision] = []
        self._hung_up = self._dead = False

        worker.add_event_handler("on_pipeline_started", self._started)
        manners.add_event_handler("on_decision", lambda _, decision: self._decided(decision))
        manners.on_event(self._happened)

    async def _started(self, _worker: PipelineWorker, _frame: Frame) -> None:
        self._ready.set()

    async def perform(self, lines: list[Line]) -> None:
        await asyncio.wait_for(self._ready.wait(), 10)
        heart = asyncio.create_task(self._beat())
        try:
            await self._perform(lines)
        finally:
            heart.cancel()
            self._played.over_at_s = asyncio.get_running_loop().time()
            if not self._hung_up:
                await self._worker.queue_frame(EndFrame())

    def decisions(self) -> list[Decision]:
        """Everything that was decided, with times from the scene's own beginning."""
        return [
            replace(decision, at_ms=decision.at_ms - self._zero_ms) for decision in self._decisions
        ]

    async def _perform(self, lines: list[Line]) -> None:
        lines = list(lines)
        if lines[0].who in ("agent", "agent!", "reply"):
            # The scene begins when the agent is first heard.
            first = lines.pop(0)
            await self._play(first)
            await asyncio.wait_for(self._spoken.wait(), 10)
            self._zero_ms -= first.at_ms
        else:
            self._spoken.set()
            self._zero_ms = self._manners.now_ms
            if lines[0].who == "call":
                self._zero_ms -= lines.pop(0).at_ms
        for line in lines:
            lead_ms = SPEAK_LEAD_MS if line.who in ("agent", "agent!", "reply") else 0
            await self._until(line.at_ms - lead_ms)
            await self._play(line)
        if self._hung_up:
            return
        await self._until(self._ends_ms + 400)
        async with asyncio.timeout(ENDS_WITHIN_S):
            while self._manners.busy:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.1)

    async def _play(self, line: Line) -> None:
        match line.who:
            case "control":
                self._manners.raise_control(line.what)
            case "score":
                probability, source = line.what.split(maxsplit=1)
                self._manners.score(float(probability), source=source)
            case "agent!":
                await self._manners.say(line.what, must_hear=True, message_id=line.what)
            case "reply":
                await self._worker.queue_frame(LLMFullResponseStartFrame())
                for word in line.what.split(" "):
                    await self._worker.queue_frame(LLMTextFrame(f"{word} "))
                await self._worker.queue_frame(LLMFullResponseEndFrame())
            case "turn":
                if self._context.get_messages()[-1] == {"role": "user", "content": line.what}:
                    return  # the host has made a turn of these words itself
                said: list[Any] = [{"role": "user", "content": line.what}]
                await self._worker.queue_frame(LLMMessagesAppendFrame(said, run_llm=True))
            case "topic":
                self._manners.topic(line.what)
            case "resume":
                self._manners.resume()
            case "forget":
                self._manners.forget()
            case "hangup":
                self._hung_up = True
                await self._worker.cancel()
            case "crash":
                # A process that is gone decides and stores nothing; this one only plays dead.
                self._died()
                self._hung_up = self._dead = True
                await self._worker.cancel()
            case _:
                await self._worker.queue_frame(_spoken(line))

    async def _until(self, at_ms: int) -> None:
        wait_ms = self._zero_ms + at_ms - self._manners.now_ms
        if wait_ms > 0:
            await asyncio.sleep(wait_ms / 1000)

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(0.01)
            late_ms = (loop.time() - before - 0.01) * 1000
            self._played.late_ms = max(self._played.late_ms, late_ms)

    def _decided(self, decision: Decision) -> None:
        if not self._dead:
            self._decisions.append(decision)

    def _happened(self, event: Event) -> None:
        if isinstance(event, PlayoutStarted) and not self._spoken.is_set():
            self._zero_ms += event.at_ms
            self._spoken.set()


def _spoken(line: Line) -> Frame:
    """The frame that a line is on Pipecat."""
    match line.who:
        case "agent":
            return TTSSpeakFrame(line.what)
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


def _lease_s(scene: Scene) -> float:
    return int(scene.options.get("lease", LEASE_MS)) / 1000


def _languages(scene: Scene) -> str | list[str]:
    languages = scene.options.get("language", "en").split()
    return languages[0] if len(languages) == 1 else languages


def _language(line: Line) -> Language | None:
    return Language(line.language) if line.language else None

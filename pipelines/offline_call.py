"""A whole phone call without a cloud: the pipeline behind ``bargein demo``.

Every part is Pipecat's own except the far ends: the caller's audio is a script, the recogniser
knows it, the language model's answers are those of `bargein.testing.clinic`, and eSpeak NG is the
voice. Put real services in their place and it is an agent; `build` is all there is to it.

The end of a turn is a pause of 600 ms in every variant: Pipecat's default, Smart Turn, was trained
on people and is erratic on synthetic speech, and would blur what is compared here.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Literal

from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.services.stt_service import STTService
from pipecat.turns.user_start import MinWordsUserTurnStartStrategy
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from bargein.pipecat import Bargein
from bargein.testing import clinic
from bargein.testing.caller import CallerInput, ScriptedSTT
from bargein.testing.pipecat_parts import PacedOutput, ScriptedLLM, ScriptedTTS
from bargein.testing.speech import PCM, Words, agent_voice

Manners = Literal["default", "minwords3", "ours"]


@dataclass(kw_only=True)
class Call:
    """One call, ready to run."""

    worker: PipelineWorker
    caller: CallerInput
    stt: STTService
    llm: ScriptedLLM
    output: PacedOutput
    context: LLMContext
    manners: Bargein | None
    started: asyncio.Event
    voiced: list[tuple[float, str]]
    """When each text was given to the voice, on ``time.monotonic``, and the text."""


def build(manners: Manners = "ours", *, stt: STTService | None = None) -> Call:
    """Put a call together.

    Args:
        manners: whose: Pipecat's default, Pipecat's word count of three, or ours.
        stt: a recogniser to use instead of the one that knows the script.
    """
    ours = Bargein(language="en") if manners == "ours" else None
    stop = [SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.6)]
    if ours is not None:
        strategies = ours.turn_strategies(stop=list(stop))
    elif manners == "minwords3":
        start = [MinWordsUserTurnStartStrategy(min_words=3)]
        strategies = UserTurnStrategies(start=list(start), stop=list(stop))
    else:
        strategies = UserTurnStrategies(stop=list(stop))

    context = LLMContext(
        [
            {"role": "system", "content": clinic.INSTRUCTIONS},
            {"role": "user", "content": clinic.GREETED},
        ]
    )
    pair = LLMContextAggregatorPair(
        context,
        user_params=LLMUserAggregatorParams(
            vad_analyzer=ours.vad() if ours is not None else SileroVADAnalyzer(),
            user_turn_strategies=strategies,
        ),
    )

    def answer(messages: list[Any]) -> str:
        if ours is None:
            return clinic.plain(clinic.reply(messages))
        ours.topic(clinic.topic(messages))
        return clinic.reply(messages)

    voiced: list[tuple[float, str]] = []

    def voice(text: str, rate: int) -> tuple[PCM, Words]:
        voiced.append((time.monotonic(), text))
        return agent_voice(text, rate)

    llm = ScriptedLLM(answer)
    caller, output = CallerInput(), PacedOutput()
    stt = stt or ScriptedSTT()
    parts = [caller, stt, pair.user(), llm, ScriptedTTS(voice), output, pair.assistant()]
    worker = PipelineWorker(
        Pipeline(ours.wrap(parts) if ours is not None else parts),
        params=PipelineParams(audio_in_sample_rate=16000, audio_out_sample_rate=output.rate),
        enable_rtvi=False,
        cancel_on_idle_timeout=False,
    )
    started = asyncio.Event()

    async def on_started(_worker: PipelineWorker, _frame: Any) -> None:
        started.set()

    worker.add_event_handler("on_pipeline_started", on_started)
    return Call(
        worker=worker,
        caller=caller,
        stt=stt,
        llm=llm,
        output=output,
        context=context,
        manners=ours,
        started=started,
        voiced=voiced,
    )

"""A whole phone call without a cloud: the pipeline behind ``bargein demo``.

Every part is Pipecat's own except the far ends: the caller's audio is a script, the recogniser
knows it, the language model's answers are written down below, and eSpeak NG is the voice. Put real
services in their place and it is an agent; `build` is all there is to it.

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
from bargein.testing.caller import CallerInput, ScriptedSTT
from bargein.testing.pipecat_parts import PacedOutput, ScriptedLLM, ScriptedTTS
from bargein.testing.speech import PCM, Words, agent_voice

Manners = Literal["default", "minwords3", "ours"]

EXPLAINS = (
    "Your appointment with Doctor Patel is on Tuesday at three in the afternoon. "
    "The clinic is on the second floor of the main building, next to the pharmacy. "
    "Please bring your insurance card and a photo, and come ten minutes early, "
    "because there is a short form to fill in."
)
ASKS = "I also have a free slot on Tuesday at nine in the morning. Shall I book that one for you?"
BOOKS = (
    "Good, it is booked for Tuesday at nine in the morning. You will get a message "
    "with the address, and you can cancel it until the evening before."
)
CODE = "Your code for the door is four two seven one."
CORRECTS = f"Of course, Thursday at nine it is. <must-hear>{CODE}</must-hear> See you then."
REPEATS = "The code is four two seven one."
DIRECTIONS = (
    "Take the tram as far as Market Square, walk past the old stone fountain towards the river, "
    "turn left at the bakery. Cross the small bridge, keep the water to your right, "
    "pass two more houses. Ours is white, next to a garden."
)
LIFT = "Yes, there is a lift beside the entrance."
LOST = "Sorry, I did not catch that. What were you saying?"


def reply(messages: list[Any]) -> str:
    """What the language model answers; it only looks at what was said last."""
    last = str(messages[-1].get("content", "")).lower()
    for words, answer in (
        # A model whose context has lost the rest of the way can only start over.
        ("go on", DIRECTIONS),
        ("lift", LIFT),
        ("get there", DIRECTIONS),
        ("what was that", REPEATS),
        ("thursday", CORRECTS),
        ("yes", BOOKS),
        ("earlier", ASKS),
        ("when is", EXPLAINS),
    ):
        if words in last:
            return answer
    return LOST


def plain(text: str) -> str:
    """An answer as it is spoken. Only `Bargein` knows what to do with the tags in it."""
    return text.replace("<must-hear>", "").replace("</must-hear>", "")


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
            {"role": "system", "content": "You answer the phone of a clinic."},
            {"role": "user", "content": "When is my appointment?"},
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
            return plain(reply(messages))
        ours.topic("the way to the clinic" if reply(messages) == DIRECTIONS else "")
        return reply(messages)

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

"""What does a plain Pipecat bot do when its caller says "mm-hm"? It fails: pytest FILE."""

from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameProcessor

from bargein.testing import agent, backchannel, user
from bargein.testing.calls import Talk
from bargein.testing.calls.pipecat import PipecatAgent, PipecatLine

REPLIES = {
    "appointment": "Your appointment with Doctor Patel is on Tuesday at three. Please bring your"
    " insurance card and a photo, and come ten minutes early.",
    "": "Sorry, I did not catch that.",
}


def bot(line: PipecatLine) -> list[FrameProcessor]:
    pair = LLMContextAggregatorPair(
        LLMContext(), user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
    )
    return [pair.user(), line.llm(REPLIES), line.tts(), pair.assistant()]


async def test_a_listener_does_not_stop_the_agent(talk: Talk) -> None:
    call = await talk(
        PipecatAgent(bot),
        user("When is my appointment?"),
        backchannel("mm-hm", after_words=6),
        agent(),
    )
    call.never_stopped()
    call.not_in_context("mm-hm")
    assert call.llm_runs == 1

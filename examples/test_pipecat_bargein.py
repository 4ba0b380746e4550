"""And with good manners? The same bot, the same test; three lines are new. It passes."""

from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameProcessor
from test_pipecat_plain import REPLIES

from bargein.pipecat import Bargein
from bargein.testing import agent, backchannel, user
from bargein.testing.calls import Talk
from bargein.testing.calls.pipecat import Bot, PipecatAgent, PipecatLine


def bot_that_answers(replies: dict[str, str]) -> Bot:
    def bot(line: PipecatLine) -> list[FrameProcessor]:
        manners = Bargein(language="en")
        params = LLMUserAggregatorParams(
            vad_analyzer=manners.vad(), user_turn_strategies=manners.turn_strategies()
        )
        pair = LLMContextAggregatorPair(LLMContext(), user_params=params)
        parts = [pair.user(), line.llm(replies), line.tts(), line.output(), pair.assistant()]
        return manners.wrap([line.input(), line.stt(), *parts])

    return bot


async def test_a_listener_does_not_stop_the_agent(talk: Talk) -> None:
    call = await talk(
        PipecatAgent(bot_that_answers(REPLIES)),
        user("When is my appointment?"),
        backchannel("mm-hm", after_words=6),
        agent(),
    )
    call.never_stopped()
    call.not_in_context("mm-hm")
    assert call.llm_runs == 1

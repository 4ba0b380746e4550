"""And with good manners? The same agent, the same test; one line is another. It passes."""

from typing import Any

from livekit.agents import Agent, AgentSession
from test_livekit_plain import REPLIES

from bargein.livekit import Bargein
from bargein.testing import agent, backchannel, user
from bargein.testing.calls import Talk
from bargein.testing.calls.livekit import LiveKitAgent, LiveKitLine


def bot(line: LiveKitLine) -> tuple[AgentSession[Any], Agent]:
    session = Bargein(language="en").session(
        stt=line.stt(), llm=line.llm(REPLIES), tts=line.tts(), aec_warmup_duration=None
    )
    return session, Agent(instructions="You answer the phone of a clinic.")


async def test_a_listener_does_not_stop_the_agent(talk: Talk) -> None:
    call = await talk(
        LiveKitAgent(bot),
        user("When is my appointment?"),
        backchannel("mm-hm", after_words=6),
        agent(),
    )
    call.never_stopped()
    call.not_in_context("mm-hm")
    assert call.llm_runs == 1

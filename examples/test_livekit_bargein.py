"""And with good manners? The same agent, the same test; one line is another. It passes."""

from livekit.agents import Agent
from test_livekit_plain import REPLIES

from bargein.livekit import Bargein
from bargein.testing import agent, backchannel, user
from bargein.testing.calls.livekit import LiveKitAgent


def bot(line):
    session = Bargein(language="en").session(
        stt=line.stt(), llm=line.llm(REPLIES), tts=line.tts(), aec_warmup_duration=None
    )
    return session, Agent(instructions="You answer the phone of a clinic.")


async def test_a_listener_does_not_stop_the_agent(talk):
    call = await talk(
        LiveKitAgent(bot),
        user("When is my appointment?"),
        backchannel("mm-hm", after_words=6),
        agent(),
    )
    call.never_stopped()
    call.not_in_context("mm-hm")
    assert call.llm_runs == 1

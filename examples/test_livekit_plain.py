"""What does a plain LiveKit agent do when its caller says "mm-hm"? It fails: pytest FILE."""

from livekit.agents import Agent, AgentSession
from livekit.plugins import silero

from bargein.testing import agent, backchannel, user
from bargein.testing.calls import Talk
from bargein.testing.calls.livekit import LiveKitAgent, LiveKitLine

REPLIES = {
    "appointment": "Your appointment with Doctor Patel is on Tuesday at three. Please bring your"
    " insurance card and a photo, and come ten minutes early.",
    "": "Sorry, I did not catch that.",
}


def bot(line: LiveKitLine) -> tuple[AgentSession[None], Agent]:
    session = AgentSession[None](
        stt=line.stt(),
        vad=silero.VAD.load(),
        llm=line.llm(REPLIES),
        tts=line.tts(),
        turn_handling={"turn_detection": "vad", "interruption": {"mode": "vad"}},
        aec_warmup_duration=None,  # or it is deaf while it speaks its first three seconds
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

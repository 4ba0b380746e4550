"""A whole phone call without a cloud: the session behind ``bargein demo --host livekit``.

The session, its Silero VAD and the room's output are LiveKit's own; the far ends are not: the
caller's audio is a script, the recogniser knows it, the language model's answers are those of
`bargein.testing.clinic`, and eSpeak NG is the voice. Put real services in their place and it is an
agent; `build` is all there is to it.

What is compared is what becomes of an interruption. The rest is the same in every variant, though
LiveKit has other defaults: the end of a turn is a pause of 600 ms; no answer is generated before
that (``preemptive_generation``), so that every run of the LLM is one that is spoken; and the agent
is not deaf for its first three seconds (``aec_warmup_duration``), because this line has no echo.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

from livekit.agents import Agent, AgentSession, llm
from livekit.agents.voice.transcription.synchronizer import TranscriptSynchronizer
from livekit.plugins import silero

from bargein.livekit import Bargein
from bargein.testing import clinic
from bargein.testing.livekit_line import CallerInput, ScriptedSTT
from bargein.testing.livekit_parts import RoomOutput, ScriptedLLM, ScriptedTTS, Shown
from bargein.testing.speech import PCM, Words, agent_voice

Manners = Literal["default", "minwords2", "resume", "ours"]

INTERRUPTION: dict[Manners, dict[str, Any]] = {
    # Resumes after a false interruption too, two seconds later.
    "default": {},
    "minwords2": {"min_words": 2},
    "resume": {"resume_false_interruption": True, "false_interruption_timeout": 0.5},
}
"""What LiveKit's own variants ask for. ``mode="vad"`` is what a worker without its cloud has."""


@dataclass(kw_only=True)
class Call:
    """One call, ready to run."""

    session: AgentSession[None]
    agent: Agent
    caller: CallerInput
    stt: ScriptedSTT
    room: RoomOutput
    transcript: TranscriptSynchronizer
    manners: Bargein | None
    runs: list[tuple[float, list[dict[str, str]]]]
    """When each run of the LLM began, on ``time.monotonic``, and the messages it saw."""
    voiced: list[tuple[float, str]]
    """When each text was given to the voice, on ``time.monotonic``, and the text."""

    async def start(self) -> None:
        """Pick up the telephone."""
        await self.session.start(self.agent)

    async def close(self) -> None:
        """Hang up, and put everything away."""
        await self.session.aclose()
        if self.manners is not None:
            await self.manners.aclose()
        await self.transcript.aclose()
        await self.room.close()


def messages(history: llm.ChatContext) -> list[dict[str, str]]:
    """Who said what, as every host has it."""
    return [{"role": one.role, "content": one.text_content or ""} for one in history.messages()]


def build(manners: Manners = "ours") -> Call:
    """Put a call together, inside a running loop.

    Args:
        manners: whose: LiveKit's default, its word count of two, its resumption after half a
            second, or ours.
    """
    ours = Bargein(language="en") if manners == "ours" else None
    runs: list[tuple[float, list[dict[str, str]]]] = []
    voiced: list[tuple[float, str]] = []

    def answer(history: llm.ChatContext) -> list[str]:
        said = messages(history)
        runs.append((time.monotonic(), said))
        if ours is None:
            return [clinic.plain(clinic.reply(said))]
        ours.topic(clinic.topic(said))
        return [clinic.reply(said)]

    def voice(text: str, rate: int) -> tuple[PCM, Words]:
        voiced.append((time.monotonic(), text))
        return agent_voice(text, rate)

    stt = ScriptedSTT()
    parts: dict[str, Any] = {
        "stt": stt,
        "vad": silero.VAD.load(),
        "llm": ScriptedLLM(answer, first_token_s=0.25, token_s=0.02),
        "tts": ScriptedTTS(voice, whole_sentences=True),
        "turn_handling": {
            "turn_detection": "vad",
            "endpointing": {"min_delay": 0.6, "max_delay": 0.6},
            "preemptive_generation": {"enabled": False},
        },
        "aec_warmup_duration": None,
        "user_away_timeout": None,
        "session_close_transcript_timeout": 0.05,
    }
    if ours is not None:
        session = ours.session(**parts)
    else:
        parts["turn_handling"]["interruption"] = {"mode": "vad", **INTERRUPTION[manners]}
        session = AgentSession(**parts)

    # What a room brings along: the caller's audio, its output, and a transcript at its pace.
    caller, room = CallerInput(), RoomOutput()
    transcript = TranscriptSynchronizer(next_in_chain_audio=room.sink, next_in_chain_text=Shown())
    session.input.audio = caller
    session.output.audio = transcript.audio_output
    session.output.transcription = transcript.text_output
    return Call(
        session=session,
        agent=Agent(instructions=clinic.INSTRUCTIONS),
        caller=caller,
        stt=stt,
        room=room,
        transcript=transcript,
        manners=ours,
        runs=runs,
        voiced=voiced,
    )

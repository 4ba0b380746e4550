"""How is a LiveKit agent tried? Its own session, with the caller's line instead of a room."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from livekit.agents import Agent, AgentSession, llm
from livekit.agents.voice.transcription.synchronizer import TranscriptSynchronizer

from ..livekit_line import CallerInput, Earpiece, ScriptedSTT
from ..livekit_parts import RoomOutput, ScriptedLLM, ScriptedTTS, Shown
from ..tones import PCM
from ..utterance import Utterance
from .livekit_watch import Watch, messages_of
from .subject import (
    BargeIn,
    Capabilities,
    Message,
    Ran,
    Replies,
    Voiced,
    VoiceLog,
    answer_of,
)

AnySession: TypeAlias = AgentSession[Any]
Built: TypeAlias = AnySession | tuple[AnySession, Agent]


class LiveKitLine:
    """The caller's end of a session, and services that need no key."""

    def __init__(self) -> None:
        """Open a line."""
        self._stt = ScriptedSTT()
        self.voice = VoiceLog()
        """What the agent's voice was given."""

    def stt(self) -> ScriptedSTT:
        """A recogniser that knows what the caller says, and is as late as a streaming one."""
        return self._stt

    def llm(self, replies: Replies) -> ScriptedLLM:
        """A model that answers what it is told to."""
        number = iter(range(1_000_000))

        def answer(history: llm.ChatContext) -> list[str]:
            said = answer_of(replies, messages_of(history), next(number))
            return [said] if said else []

        return ScriptedLLM(answer, first_token_s=0.25, token_s=0.02)

    def tts(self, *, word_times: bool = True) -> ScriptedTTS:
        """A voice, with or without the times of its words."""
        return ScriptedTTS(self.voice, word_times=word_times, whole_sentences=True)


Bot: TypeAlias = Callable[[LiveKitLine], Built | Awaitable[Built]]


class LiveKitAgent:
    """A LiveKit session under test: ``LiveKitAgent(bot)``, made anew for each call."""

    def __init__(self, bot: Bot) -> None:
        """Take an agent.

        Args:
            bot: makes an `AgentSession`, or one and its `Agent`, for a `LiveKitLine`; its audio in
                and out are the line's.
        """
        self._bot = bot

    async def __call__(self) -> _OnLiveKit:
        """Make it for one call."""
        line = LiveKitLine()
        built: Any = self._bot(line)
        if inspect.isawaitable(built):
            built = await built
        session, agent = built if isinstance(built, tuple) else (built, Agent(instructions=""))
        return _OnLiveKit(line, session, agent)


class _OnLiveKit:
    """One call."""

    def __init__(self, line: LiveKitLine, session: AnySession, agent: Agent) -> None:
        self._line, self._session, self._agent = line, session, agent
        self._caller, self._room = CallerInput(), RoomOutput()
        self._ear = Earpiece(self._room)
        self._sync = TranscriptSynchronizer(
            next_in_chain_audio=self._room.sink, next_in_chain_text=Shown()
        )
        session.input.audio = self._caller
        session.output.audio = self._sync.audio_output
        session.output.transcription = self._sync.text_output
        self._watch = Watch(session, line.voice)
        self._over = False
        self.rate = self._ear.rate
        is_native = isinstance(session.llm, llm.RealtimeModel)
        self.capabilities = Capabilities(
            host="LiveKit",
            barge_in=BargeIn.NATIVE if is_native else BargeIn.VAD,
            word_times=self._watch.word_times(agent),
            dtmf=False,
            context=True,
            runs=not is_native,
        )

    async def start(self) -> None:
        self._watch.agent(self._agent)
        await self._session.start(self._agent)

    async def say(self, sound: Utterance) -> float:
        began_s = await self._caller.say(sound.pcm)
        self._line.stt().heard(sound, began_s)
        return began_s

    async def press(self, key: str) -> None:
        raise NotImplementedError(f"no key {key!r} without a room")

    def noise(self, db: float) -> None:
        self._caller.noise(db)

    async def hang_up(self) -> None:
        await self._close()

    async def end(self) -> None:
        await self._close()
        await self._sync.aclose()
        await self._room.close()

    async def speak(self, text: str) -> None:
        self._session.say(text)

    @property
    def now_s(self) -> float:
        return time.monotonic()

    def recording(self, from_s: float, until_s: float) -> PCM:
        return self._ear.recording(from_s, until_s)

    @property
    def voiced(self) -> list[Voiced]:
        return sorted([*self._line.voice.said, *self._watch.voiced], key=lambda one: one.at_s)

    @property
    def runs(self) -> list[Ran]:
        return self._watch.runs

    def context(self) -> list[Message]:
        return messages_of(self._session.history)

    async def _close(self) -> None:
        if not self._over:
            self._over = True
            await self._session.aclose()

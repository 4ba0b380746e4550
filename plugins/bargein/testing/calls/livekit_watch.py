"""What can be seen of a LiveKit session from outside? Its LLM's runs, and what its voice says."""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from livekit import rtc
from livekit.agents import Agent, AgentSession, llm
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT, NotGivenOr
from livekit.agents.utils import is_given

from ..livekit_parts import ScriptedTTS
from .spoken import Saying
from .subject import Message, Ran, Voiced, VoiceLog, WordTimes


class Watch:
    """Sees the LLMs run, and hears the voices, of every agent that has the session."""

    def __init__(self, session: AgentSession[Any], line: VoiceLog) -> None:
        """Watch a session that has not started; what the line's voice says is known."""
        self.runs: list[Ran] = []
        self._session, self._line = session, line
        self._sayings: list[Saying] = []
        self._known = set[object]()
        session.on("speech_created", lambda _: self.agent(session.current_agent))

    @property
    def voiced(self) -> list[Voiced]:
        """What was said by a voice that is not the line's."""
        return [one.voiced() for one in self._sayings if one.text.strip()]

    def word_times(self, agent: Agent) -> WordTimes:
        """How it is known which words of this agent's are heard."""
        voice = _own(agent.tts) or self._session.tts
        if voice is None:
            return WordTimes.NONE
        ours = isinstance(voice, ScriptedTTS) and voice.voice is self._line
        return WordTimes.VOICE if ours else WordTimes.SERVICE

    def agent(self, agent: Agent) -> None:
        """This agent has the session, from now on or already."""
        if agent in self._known:
            return
        self._known.add(agent)
        model = _own(agent.llm) or self._session.llm
        if isinstance(model, llm.LLM) and model not in self._known:
            self._known.add(model)
            self._watch(model)
        if self.word_times(agent) is WordTimes.SERVICE:
            self._listen_to(agent)

    def _watch(self, model: llm.LLM[Any]) -> None:
        chat = model.chat

        def noted(*args: Any, **options: Any) -> llm.LLMStream:
            shown: llm.ChatContext = options.get("chat_ctx") or args[0]
            said = messages_of(shown)
            asked = said[-1]["content"] if said else ""
            self.runs.append(Ran(at_s=time.monotonic(), asked=asked))
            return chat(*args, **options)

        model.chat = noted  # type: ignore[method-assign]

    def _listen_to(self, agent: Agent) -> None:
        node = agent.tts_node

        async def noted(text: AsyncIterable[str], settings: Any) -> Any:
            saying = Saying()
            self._sayings.append(saying)
            made: Any = node(_read(text, saying), settings)
            if inspect.isawaitable(made):
                made = await made
            return _made(made, saying) if isinstance(made, AsyncIterable) else made

        agent.tts_node = noted  # type: ignore[assignment,method-assign]


async def _read(text: AsyncIterable[str], saying: Saying) -> AsyncIterator[str]:
    async for piece in text:
        saying.text += piece
        yield piece


async def _made(
    frames: AsyncIterable[rtc.AudioFrame], saying: Saying
) -> AsyncIterator[rtc.AudioFrame]:
    async for frame in frames:
        saying.rate = frame.sample_rate
        saying.pcm += bytes(frame.data)
        for one in frame.userdata.get(USERDATA_TIMED_TRANSCRIPT, ()):
            if is_given(one.start_time):
                saying.timed.append((str(one), one.start_time))
        yield frame
    saying.is_whole = True


def messages_of(history: llm.ChatContext) -> list[Message]:
    """Who said what, as every host has it."""
    return [{"role": one.role, "content": one.text_content or ""} for one in history.messages()]


def _own(given: NotGivenOr[Any]) -> Any:
    return given if is_given(given) else None

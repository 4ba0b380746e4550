"""What does an agent say? Its own nodes tell, whichever agent and models they are of."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any
from uuid import uuid4

from livekit import rtc
from livekit.agents import Agent, AgentSession, ModelSettings, llm
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT
from livekit.agents.voice.speech_handle import SpeechHandle

from bargein.core.locks import must_hear
from bargein.core.playout import has_words

from . import compat
from .call import LiveKitCall
from .functions import Functions
from .ledger import Source
from .lock import Lock
from .resumption import Memory
from .speeches import Speech
from .voice import SOURCE

_NODES = ("llm_node", "tts_node", "transcription_node", "on_user_turn_completed")
_OURS = "_bargein_nodes"


class Nodes:
    """Stands around the nodes of every agent of a session, as a subclass of it would."""

    def __init__(self, call: LiveKitCall, lock: Lock, memory: Memory, functions: Functions) -> None:
        """Make the nodes of a call. `Bargein` does it for you."""
        self._call = call
        self._lock = lock
        self._memory = memory
        self._functions = functions
        self.session: AgentSession[Any] | None = None
        self.turn_taken: Callable[[], None] = lambda: None
        """Told that what the session was told is a turn, be it one that gets no answer."""

    def around(self, agent: Agent) -> None:
        """Be told of what this agent hears and says from now on."""
        there: tuple[Nodes, dict[str, Any]] | None = getattr(agent, _OURS, None)
        if there is not None and there[0] is self:
            return
        inner = there[1] if there else {name: getattr(agent, name) for name in _NODES}
        setattr(agent, _OURS, (self, inner))
        llm_node, tts_node, transcription_node, completed = (inner[name] for name in _NODES)

        async def reply(chat_ctx: llm.ChatContext, tools: list[Any], how: ModelSettings) -> Any:
            return await self._reply(llm_node, chat_ctx, tools, how)

        async def voice(text: AsyncIterable[str], how: ModelSettings) -> Any:
            return await self._voice(tts_node, text, how)

        async def transcript(text: AsyncIterable[str], how: ModelSettings) -> Any:
            return await self._transcript(transcription_node, text, how)

        async def turn(*turn_ctx: Any, **new_message: Any) -> None:
            # It may say what nobody may interrupt: these words are not for behind that.
            self._call.guarded("words", self.turn_taken)
            await completed(*turn_ctx, **new_message)

        for name, ours in zip(_NODES, (reply, voice, transcript, turn), strict=True):
            setattr(agent, name, ours)

    async def _reply(
        self,
        inner: Callable[..., Any],
        chat_ctx: llm.ChatContext,
        tools: list[Any],
        how: ModelSettings,
    ) -> Any:
        handle = compat.speech()
        said = await self._memory.before_a_run(chat_ctx, handle)
        if said.answers:
            return said.text
        self._functions.run_begun(handle)
        made = await _made(inner(chat_ctx, tools, how))
        if isinstance(made, str):
            made = _one(made)
        if not isinstance(made, AsyncIterable):
            return made
        if said.text:
            made = _behind(f"{said.text} ", made)
        return self._tools(self._lock.reply(made, handle), handle)

    async def _tools(
        self, chunks: AsyncIterable[Any], handle: SpeechHandle | None
    ) -> AsyncIterator[Any]:
        async for chunk in chunks:
            if isinstance(chunk, llm.ChatChunk) and chunk.delta is not None and handle is not None:
                for tool in chunk.delta.tool_calls:
                    self._functions.begun(tool, handle)
            yield chunk

    async def _voice(
        self, inner: Callable[..., Any], text: AsyncIterable[str], how: ModelSettings
    ) -> Any:
        speech = self._call.speeches.of(compat.speech())
        source = Source(f"speech_{uuid4().hex[:12]}", speech)
        made = await _made(inner(self._words(text, source), how))
        return self._frames(made, source) if isinstance(made, AsyncIterable) else made

    async def _words(self, text: AsyncIterable[str], source: Source) -> AsyncIterator[str]:
        call = self._call
        async for piece in text:
            call.guarded("playout ledger", call.words_made, source.stream, piece)
            yield piece
        call.guarded("critical message lock", self._lock_hosts_own, source)

    def _lock_hosts_own(self, source: Source) -> None:
        """A text that the application lets nobody interrupt must be heard, too."""
        speech, text = source.speech, self._call.script(source.stream)
        if speech is None or not speech.said or speech.locked or speech.began:
            return
        if not speech.handle.allow_interruptions and has_words(text):
            speech.message = must_hear(text, source.stream)
            self._call.lock(speech.message)

    async def _frames(
        self, made: AsyncIterable[rtc.AudioFrame], source: Source
    ) -> AsyncIterator[rtc.AudioFrame]:
        fit = _Fit(self._rate())
        async for frame in made:
            for fitting in fit(frame):
                fitting.userdata[SOURCE] = source
                yield fitting
        for fitting in fit.rest():
            fitting.userdata[SOURCE] = source
            yield fitting

    def _rate(self) -> int | None:
        output = self.session.output.audio if self.session else None
        return output.sample_rate if output else None

    async def _transcript(
        self, inner: Callable[..., Any], text: AsyncIterable[str], how: ModelSettings
    ) -> Any:
        speech = self._call.speeches.of(compat.speech())
        made = await _made(inner(text, how))
        if speech is None or not isinstance(made, AsyncIterable):
            return made
        return self._read(made, speech)

    async def _read(self, made: AsyncIterable[str], speech: Speech) -> AsyncIterator[str]:
        async for piece in made:
            speech.transcript += piece
            if speech.on_words is not None:
                speech.on_words(piece)
            yield piece


class _Fit:
    """Frames at the rate of the output: made so by the session, they would lose their words."""

    def __init__(self, rate: int | None) -> None:
        self._rate = rate
        self._resampler: rtc.AudioResampler | None = None
        self._userdata: dict[str, Any] = {}

    def __call__(self, frame: rtc.AudioFrame) -> list[rtc.AudioFrame]:
        if self._rate is None or frame.sample_rate == self._rate:
            return [frame]
        if self._resampler is None:
            self._resampler = rtc.AudioResampler(
                input_rate=frame.sample_rate,
                output_rate=self._rate,
                num_channels=frame.num_channels,
            )
        words = self._userdata.pop(USERDATA_TIMED_TRANSCRIPT, [])
        self._userdata = dict(frame.userdata)
        if words := [*words, *frame.userdata.get(USERDATA_TIMED_TRANSCRIPT, [])]:
            self._userdata[USERDATA_TIMED_TRANSCRIPT] = words
        return self._dressed(self._resampler.push(frame))

    def rest(self) -> list[rtc.AudioFrame]:
        return self._dressed(self._resampler.flush()) if self._resampler else []

    def _dressed(self, frames: list[rtc.AudioFrame]) -> list[rtc.AudioFrame]:
        if frames:
            frames[0].userdata.update(self._userdata)
            self._userdata = {}
        return frames


async def _made(node: Any) -> Any:
    return await node if inspect.isawaitable(node) else node


async def _behind(text: str, made: AsyncIterable[Any]) -> AsyncIterator[Any]:
    yield text
    async for chunk in made:
        yield chunk


async def _one(text: str) -> AsyncIterator[str]:
    yield text

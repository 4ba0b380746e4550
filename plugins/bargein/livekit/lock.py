"""How is something said that must be heard? And what in a reply must be?"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from dataclasses import replace
from typing import Any
from uuid import uuid4

from livekit.agents import AgentSession, llm, utils
from livekit.agents.types import FlushSentinel
from livekit.agents.voice.speech_handle import SpeechHandle

from bargein.core.decisions import Decision, SpeakAgain
from bargein.core.events import MessageLocked, OnCut
from bargein.core.locks import must_hear
from bargein.core.marked import Marked, Pattern, Piece
from bargein.core.playout import has_words

from . import compat
from .call import LiveKitCall


class Lock:
    """Says what must be heard in full, so that nothing but its own policy breaks it off."""

    def __init__(
        self,
        call: LiveKitCall,
        *,
        tag: str,
        patterns: Iterable[Pattern],
        on_cut: OnCut,
        broken_by: tuple[str, ...],
    ) -> None:
        """Make the lock of a call. `Bargein` does it for you.

        Args:
            call: the call whose messages they are.
            tag: around what must be heard of a reply, as in ``<must-hear>...</must-hear>``.
            patterns: sentences in which one is found must be heard.
            on_cut: for marked speech and patterns.
            broken_by: the same.
        """
        self._call = call
        self._tag, self._patterns = tag, tuple(patterns)
        self._on_cut, self._broken_by = on_cut, broken_by
        self.session: AgentSession[Any] | None = None
        Marked(tag=tag, patterns=self._patterns)  # refuses a bad one before the call
        call.decided.append(self._obey)

    def say(
        self, message: MessageLocked, *, lock: bool = True, add_to_chat_ctx: bool = True
    ) -> None:
        """Say a message that must be heard, behind what is being said.

        Args:
            message: what.
            lock: False where the floor knows of it.
            add_to_chat_ctx: whether it becomes part of the history once it was spoken.

        Raises:
            RuntimeError: the session does not run, or has no voice for it.
        """
        session, call = self.session, self._call
        if session is None:
            raise RuntimeError("no session is attached")
        try:
            call.speeches.say(
                message,
                lambda: session.say(
                    message.text, allow_interruptions=False, add_to_chat_ctx=add_to_chat_ctx
                ),
            )
        except RuntimeError:
            if not (call.ending() or call.drops_turns()):
                raise
            # Too late for this call: its receipt says so, and the next one may say it.
        if lock:
            call.lock(message)

    async def reply(
        self, made: AsyncIterable[Any], handle: SpeechHandle | None
    ) -> AsyncIterator[Any]:
        """A reply as it streams in, up to the first of it that must be heard.

        From there on its parts are speeches of their own: LiveKit locks a whole speech or none.
        """
        marked = Marked(tag=self._tag, patterns=self._patterns)
        parts = _Parts(self, handle)
        try:
            async for chunk in made:
                content = _content(chunk)
                if content is None:
                    if isinstance(chunk, FlushSentinel) and (mine := parts.take(marked.end())):
                        yield mine
                    yield chunk
                    continue
                mine = parts.take(marked.feed(content)) if content else ""
                if mine or not isinstance(chunk, str):
                    yield _with_content(chunk, mine)
            if mine := parts.take(marked.end()):
                yield mine
        finally:
            parts.end()

    def of_reply(self, text: str) -> MessageLocked:
        """A part of a reply that must be heard."""
        return must_hear(text, str(uuid4()), on_cut=self._on_cut, broken_by=self._broken_by)

    def spawn(self, rest: _Rest) -> None:
        """Say the rest of a reply, beside all else."""
        self._call.spawn(rest.said())

    def _obey(self, decision: Decision) -> None:
        if isinstance(decision, SpeakAgain):
            message = must_hear(decision.text, decision.message_id)
            with contextlib.suppress(RuntimeError):  # the session ends: the next call says it
                self.say(replace(message, text=decision.text), lock=False)


class _Parts:
    """Tells what the reply itself says from what follows the first of it that must be heard."""

    def __init__(self, lock: Lock, handle: SpeechHandle | None) -> None:
        self._lock = lock
        self._handle = handle
        self._rest: _Rest | None = None
        self._gap = ""  # white space that belongs to the reply only if the reply goes on

    def take(self, pieces: Iterable[Piece]) -> str:
        """The reply's own share of these."""
        mine = ""
        for piece in pieces:
            if self._rest is None and not piece.must_hear:
                text = self._gap + piece.text
                mine += text.rstrip()
                self._gap = text[len(text.rstrip()) :]
                continue
            if self._rest is None:
                self._rest = _Rest(self._lock, self._handle)
            self._rest.add(piece)
        return mine

    def end(self) -> None:
        """There is no more of it."""
        if self._rest is not None:
            self._rest.end()


class _Rest:
    """What follows in a reply from the first of it that must be heard."""

    def __init__(self, lock: Lock, handle: SpeechHandle | None) -> None:
        self._lock = lock
        self._handle = handle
        self._parts: asyncio.Queue[MessageLocked | utils.aio.Chan[str] | None] = asyncio.Queue()
        self._open: utils.aio.Chan[str] | None = None
        lock.spawn(self)

    def add(self, piece: Piece) -> None:
        """The next piece of it."""
        if piece.must_hear and has_words(piece.text):
            self._close()
            self._parts.put_nowait(self._lock.of_reply(piece.text))
        elif self._open is not None:
            self._open.send_nowait(piece.text)
        elif piece.text.strip():
            self._open = utils.aio.Chan[str]()
            self._open.send_nowait(piece.text.lstrip())
            self._parts.put_nowait(self._open)

    def end(self) -> None:
        """There is no more of it."""
        self._close()
        self._parts.put_nowait(None)

    async def said(self) -> None:
        """Ask for the parts, once it is sure that the reply is wanted."""
        handle, session = self._handle, self._lock.session
        if session is None or (handle is not None and not await compat.scheduled(handle)):
            return
        while (part := await self._parts.get()) is not None:
            if isinstance(part, MessageLocked):
                self._lock.say(part)
            else:
                session.say(part)

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


def _content(chunk: object) -> str | None:
    """The text of a chunk; None where it has no place for one."""
    if isinstance(chunk, str):
        return chunk
    if isinstance(chunk, llm.ChatChunk) and chunk.delta is not None:
        return chunk.delta.content or ""
    return None


def _with_content(chunk: Any, content: str) -> Any:
    if isinstance(chunk, str) or chunk.delta.content == content:
        return content if isinstance(chunk, str) else chunk
    delta = chunk.delta.model_copy(update={"content": content or None})
    return chunk.model_copy(update={"delta": delta})

"""What must be heard in full? LLM -> **here** -> TTS."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import uuid4

from pipecat.frames.frames import (
    DataFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    StartFrame,
    TTSSpeakFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from bargein.core.decisions import Decision, SpeakAgain
from bargein.core.events import BROKEN_BY, MessageLocked, OnCut
from bargein.core.locks import must_hear
from bargein.core.marked import Marked, Pattern, Piece
from bargein.core.playout import has_words

from .begin import begins_when_interrupted, voices_in
from .call import PipecatCall
from .messages import HOST_MARKS

try:
    from pipecat.frames.frames import BotBackchannelFrame
except ImportError:  # pipecat-ai < 1.13
    BotBackchannelFrame = None  # type: ignore[assignment,misc]


Life: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


@dataclass
class MustHearFrame(DataFrame):
    """Speak this text, and let nobody talk over it. Queue it where a `TTSSpeakFrame` would go.

    Parameters:
        text: what must be heard.
        message_id: names it in its receipts; made up where it is empty.
        on_cut: what becomes of it if it is cut: ``"repeat"``, ``"resume"`` or ``"report"``.
        broken_by: what may break it off: ``"emergency"`` (the caller tells of one), controls such
            as ``"emergency_stop"`` and ``"handoff"``, and keys such as ``"dtmf:#"``.
        append_to_context: whether it becomes part of the LLM's context once it was spoken.
    """

    text: str = ""
    message_id: str = ""
    on_cut: OnCut | str = OnCut.REPORT
    broken_by: Iterable[str] = BROKEN_BY
    append_to_context: bool = True
    locked: MessageLocked = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be spoken.

        Raises:
            LockError: an empty text, or no such policy.
        """
        super().__post_init__()  # type: ignore[no-untyped-call]
        self.message_id = self.message_id or str(uuid4())
        self.interruptible = False
        self.locked = must_hear(
            self.text, self.message_id, on_cut=self.on_cut, broken_by=self.broken_by
        )


class CriticalMessageLock(FrameProcessor):
    """Turns what must be heard into speech that nothing but its own policy breaks off.

    Marked spans of a reply, sentences with a pattern in them, `MustHearFrame`, and every
    `TTSSpeakFrame` with ``interruptible=False``. Around a message the reply is ended and begun
    anew: within one reply the host would speak it last. LLM runs that come from below, such as
    those after a function call, wait here until it has been heard.
    """

    def __init__(
        self,
        call: PipecatCall,
        *,
        tag: str = "must-hear",
        patterns: Iterable[Pattern] = (),
        on_cut: OnCut = OnCut.REPORT,
        broken_by: tuple[str, ...] = BROKEN_BY,
        begins: Life | None = None,
        ends: Life | None = None,
        **kwargs: Any,
    ) -> None:
        """Make the lock of a call. `Bargein` does it for you.

        Args:
            call: the call whose messages they are.
            tag: around what must be heard of a reply, as in ``<must-hear>...</must-hear>``.
            patterns: sentences in which one is found must be heard.
            on_cut: for marked speech and patterns.
            broken_by: the same.
            begins: run when the call has begun; it brings what earlier calls left.
            ends: run when it is over; it stores what this one leaves.
            **kwargs: for `FrameProcessor`.
        """
        super().__init__(enable_direct_mode=True, **kwargs)
        self._bargein_call = call
        self._marked = Marked(tag=tag, patterns=patterns)
        self._on_cut = on_cut
        self._broken_by = broken_by
        self._begins_call, self._ends_call = begins, ends
        self._begins: LLMFullResponseStartFrame | None = None
        self._replying = False  # between the LLM's start and end
        self._open = False  # the same, as those below us see it
        self._waiting: deque[Frame] = deque()
        self._up = False
        self._locked: set[int] = set()  # frames whose message has been told of
        call.decided.append(self._obey)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Lock what must be heard, and let everything else pass in order."""
        await super().process_frame(frame, direction)
        if direction is FrameDirection.UPSTREAM:
            held = isinstance(frame, LLMContextFrame) and self._bargein_call.held_run.hold(
                frame, self, direction
            )
            if not held:
                await self.push_frame(frame, direction)
            return
        match frame:
            case StartFrame():
                # All of the call's: we may be in a pipeline within the one that they are in.
                for voice in voices_in(self.pipeline_worker.pipeline):
                    begins_when_interrupted(voice)
                await self.push_frame(frame)
                self._up = True
                if self._begins_call is not None:
                    self.create_task(self._begins_call())
                await self._said()
            case LLMFullResponseStartFrame():
                self._marked.reset()
                self._replying, self._begins = True, frame
            case LLMTextFrame() if not frame.skip_tts:
                await self._text(frame)
            case LLMFullResponseEndFrame():
                await self._reply_ends(frame)
            case MustHearFrame() | TTSSpeakFrame():
                await self.say(frame)
            case InterruptionFrame():
                self._marked.reset()
                self._replying, self._open, self._begins = False, False, None
                # Before 1.13 text-to-speech forgets what nobody may interrupt, too.
                if HOST_MARKS or not self._bargein_call.only_locked():
                    await self.push_frame(frame)
                await self._said()
            case EndFrame():
                await self._said()
                await self.push_frame(frame)
            case _:
                await self.push_frame(frame)

    async def cleanup(self) -> None:
        """Let the last receipts be stored."""
        await super().cleanup()  # type: ignore[no-untyped-call]
        if self._ends_call is not None:
            await self._ends_call()

    async def say(self, frame: Frame) -> None:
        """Speak this behind the reply that is being made, or at once.

        It is locked from now on: what the call does not come to say has a receipt all the same.
        """
        self._told(frame)
        self._waiting.append(frame)
        if self._up and not self._replying:
            await self._said()

    # --- a reply ---

    async def _text(self, frame: LLMTextFrame) -> None:
        pieces = self._marked.feed(frame.text)
        if len(pieces) == 1 and not pieces[0].must_hear and pieces[0].text == frame.text:
            await self._opened()
            await self.push_frame(frame)
        else:
            await self._pieces(pieces, frame)

    async def _pieces(self, pieces: Iterable[Piece], like: LLMTextFrame) -> None:
        for piece in pieces:
            if piece.must_hear:
                await self._closed()
                await self._speak(
                    MustHearFrame(piece.text, on_cut=self._on_cut, broken_by=self._broken_by)
                    if has_words(piece.text)
                    else TTSSpeakFrame(piece.text)
                )
            elif self._open or piece.text.strip():
                await self._opened()
                text = copy.copy(like)
                text.text = piece.text
                await self.push_frame(text)

    async def _reply_ends(self, frame: LLMFullResponseEndFrame) -> None:
        await self._pieces(self._marked.end(), LLMTextFrame(""))
        if self._begins is not None:
            await self._opened()  # a reply without a word, such as a function call's
        if self._open:
            await self.push_frame(frame)
        self._replying = self._open = False
        await self._said()

    async def _opened(self) -> None:
        """Those below us hear of the reply as soon as it says something that is not locked."""
        if self._open:
            return
        begins, self._begins = self._begins, None
        self._open = True
        await self.push_frame(begins or LLMFullResponseStartFrame())

    async def _closed(self) -> None:
        self._begins = None
        if self._open:
            self._open = False
            await self.push_frame(LLMFullResponseEndFrame())

    # --- speaking ---

    async def _said(self) -> None:
        while self._waiting:
            await self._speak(self._waiting.popleft())

    async def _speak(self, frame: Frame) -> None:
        self._told(frame)
        self._locked.discard(frame.id)
        if isinstance(frame, MustHearFrame):
            speech = _protected(frame.locked.text, append_to_context=frame.append_to_context)
            speech.transport_destination = frame.transport_destination
            speech.metadata = dict(frame.metadata)
            frame = speech
        await self.push_frame(frame)

    def _told(self, frame: Frame) -> None:
        """Tell the floor of a message, once."""
        if frame.id in self._locked:
            return
        if isinstance(frame, MustHearFrame):
            message = frame.locked
        elif (
            isinstance(frame, TTSSpeakFrame)
            and not frame.interruptible
            and not _listens(frame)
            and has_words(frame.text)
        ):
            message = MustHearFrame(frame.text).locked
        else:
            return
        self._locked.add(frame.id)
        self._lock(message)

    def _lock(self, message: MessageLocked) -> None:
        call = self._bargein_call
        call.messages.expect(message.message_id, message.text)
        call.lock(message)

    def _obey(self, decision: Decision) -> None:
        if isinstance(decision, SpeakAgain):
            self._bargein_call.messages.expect(decision.message_id, decision.text)
            self.create_task(self.push_frame(_protected(decision.text)))


def _protected(text: str, *, append_to_context: bool = True) -> TTSSpeakFrame:
    speech = TTSSpeakFrame(text, append_to_context=append_to_context)
    speech.interruptible = False
    return speech


def _listens(frame: TTSSpeakFrame) -> bool:
    """The bot's own "mm-hm" is not cut either, and nobody has to hear it."""
    return BotBackchannelFrame is not None and isinstance(frame, BotBackchannelFrame)

"""What really left? transport.output() -> **here** -> assistant aggregator."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from loguru import logger
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    LLMAssistantPushAggregationFrame,
    LLMContextAssistantTurnFrame,
    OutputAudioRawFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import (
    FrameDirection,
    FrameProcessor,
    FrameProcessorSetup,
)

from bargein.core.events import (
    CallEnded,
    PlayoutStarted,
    PlayoutStopped,
    PlayoutWorded,
)
from bargein.microphone import Microphone
from bargein.progress import Progress

from .call import PipecatCall
from .messages import HOST_MARKS

_NOTHING_HEARD_S = 0.08
"""How long the assistant aggregator may take to write down what was heard of a cut message."""
_LOST_MS = 250
"""More than this never stays behind in a transport: a line that could not be written to lost it."""
_WRITING_S = 0.01
"""And to take in the last words of it."""


class PlayoutLedger(FrameProcessor):
    """Tells the floor when a message began to sound, how far it came and when it ended.

    It counts what the transport wrote, not what was generated: the words of `TTSTextFrame` where
    the text-to-speech times them, else the share of the audio.
    """

    def __init__(
        self,
        call: PipecatCall,
        *,
        max_lock_ms: int = 30_000,
        microphone: Microphone | None = None,
        **kwargs: Any,
    ) -> None:
        """Make the ledger of a call. `Bargein` does it for you.

        Args:
            call: the call whose playout it tells of.
            max_lock_ms: a message that is locked for longer is warned of, once.
            microphone: told of what was written, which may come back in it.
            **kwargs: for `FrameProcessor`.
        """
        super().__init__(enable_direct_mode=True, **kwargs)
        self._max_lock_ms = max_lock_ms
        self._microphone = microphone
        self._too_long: asyncio.TimerHandle | None = None
        self._bargein_call = call
        self._stream = ""  # the context whose bracket is open
        self._started = False
        self._progress = Progress(call)
        # Before 1.13 a message runs into what the same reply says behind it.
        self._behind_lock = False
        self._appends = True  # whether what is heard goes into the LLM\'s context
        # Of a message that was cut, a chunk or a word may still trickle out behind the cut.
        self._over: deque[str] = deque([""], maxlen=16)
        call.has_ledger = True
        call.closing.append(self._watch_no_more)

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Learn which turn the pipeline traces, if it traces any."""
        await super().setup(setup)
        if (traced := setup.tracing_context) is not None:
            self._bargein_call.host_turn = lambda: (
                traced.get_turn_context() or traced.get_conversation_context()
            )

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Read what was played, and pass everything on."""
        await super().process_frame(frame, direction)
        call = self._bargein_call
        if direction is FrameDirection.DOWNSTREAM:
            if isinstance(frame, InterruptionFrame) and (unwritten := self._unwritten()):
                await self.push_frame(unwritten)
                # An interruption overtakes what waits in the aggregator's queue, and would leave
                # these words at the head of the next message.
                await asyncio.sleep(_WRITING_S)
            if isinstance(frame, TTSStartedFrame) and self._behind_lock:
                self._behind_lock = False
                await self.push_frame(LLMAssistantPushAggregationFrame())
            if self._microphone is not None and isinstance(frame, OutputAudioRawFrame):
                self._microphone.wrote(
                    frame.audio,
                    frame.sample_rate,
                    frame.num_channels,
                    frame.transport_destination or "",
                )
            call.guarded("playout ledger", self._played, frame)
        await self.push_frame(frame, direction)
        if not call.cutting:
            return
        if isinstance(frame, LLMContextAssistantTurnFrame):
            call.cut_heard()
        elif isinstance(frame, InterruptionFrame) and direction is FrameDirection.DOWNSTREAM:
            # The aggregator answers with the frame above, unless nothing was heard at all.
            asyncio.get_running_loop().call_later(_NOTHING_HEARD_S, call.cut_heard)

    def _played(self, frame: Frame) -> None:
        if isinstance(frame, OutputAudioRawFrame):
            self._bargein_call.audio_written(frame)
        match frame:
            case TTSAudioRawFrame() if self._stream:
                self._begin(self._stream, must_hear=not frame.interruptible)
                self._share()
            case TTSTextFrame() if (frame.context_id or self._stream) not in self._over:
                if self._is_silent_lock(frame.context_id or self._stream):
                    return  # its words without its sound are no proof of anything
                self._begin(frame.context_id or self._stream, must_hear=not frame.interruptible)
                left_ms = self._bargein_call.voice_left_ms()
                played_ms, _ = self._bargein_call.voice_played_ms(self._stream)
                timed = bool(frame.pts)
                self._progress.word(frame.text, left_ms, timed=timed, played_ms=played_ms)
            case TTSStartedFrame():
                if (stream := frame.context_id or "") in self._over:
                    self._over.remove(stream)  # it stalled, and goes on
                self._follow(stream)
                self._appends = frame.append_to_context
            case TTSStoppedFrame():
                locked = self._bargein_call.messages.of(frame.context_id or "") is not None
                self._behind_lock = locked and not HOST_MARKS
                if not self._bargein_call.speech_queued():
                    self._end(completed=True)
            case BotStoppedSpeakingFrame():
                paused = self._bargein_call.voice_paused()
                if not paused and not self._bargein_call.voice_queued():
                    self._end(completed=True)
            case InterruptionFrame():
                if self._started or self._bargein_call.messages.of(self._stream) is None:
                    self._end(completed=False)  # a locked message survives one before its sound
            case EndFrame():
                # Everything has been let out; a call that is cancelled ends at its first part.
                if self._started:
                    self._end(completed=True)
                self._bargein_call.feed(CallEnded(at_ms=self._bargein_call.now_ms))
            case _:
                pass

    def _unwritten(self) -> TTSTextFrame | None:
        """What was heard of a text that the service has not passed on, because it does so when it
        has made all of its sound: the context would lack it."""
        stream = self._stream
        heard = self._progress.unworded.strip()
        if not heard or not self._appends:
            return None
        frame = TTSTextFrame(heard, "sentence")  # the kind of text has had two names
        frame.context_id, frame.append_to_context = stream, True
        return frame

    def _follow(self, stream: str) -> None:
        """Another message's bracket opens; it counts from its first sound."""
        if stream != self._stream:
            self._turn_to(stream)

    def _turn_to(self, stream: str) -> None:
        """Forget the open bracket; this one is open now, or none."""
        self._bargein_call.drop_script(self._stream)
        self._watch_no_more()
        self._stream, self._started = stream, False
        self._progress = Progress(self._bargein_call, stream)

    def _watch_no_more(self) -> None:
        """Nobody waits for the message that is locked."""
        if self._too_long is not None:
            self._too_long.cancel()
            self._too_long = None

    def _begin(self, stream: str, *, must_hear: bool) -> None:
        self._follow(stream)
        if self._started:
            return
        call = self._bargein_call
        self._started = True
        call.speaking_stream = stream
        message_id = call.messages.of(stream)
        call.feed(
            PlayoutStarted(
                at_ms=call.now_ms,
                message_id=message_id or stream,
                must_hear=must_hear or message_id is not None or not call.interruptible,
            )
        )
        if script := call.script(stream):
            call.feed(PlayoutWorded(at_ms=call.now_ms, text=script))
        self._progress.begun(call.voice_left_ms())
        if message_id is not None:
            loop = asyncio.get_running_loop()
            self._too_long = loop.call_later(self._max_lock_ms / 1000, self._warn, message_id)

    def _warn(self, message_id: str) -> None:
        logger.warning(
            f"bargein: the message {message_id} has been locked for {self._max_lock_ms / 1000:g} s"
            " and is not over; nobody can interrupt it: is it meant to be so long?"
        )

    def _share(self) -> None:
        call = self._bargein_call
        played_ms, whole_ms = call.voice_played_ms(self._stream)
        self._progress.share(played_ms, whole_ms, call.voice_left_ms())

    def _is_silent_lock(self, stream: str) -> bool:
        return not self._started and self._bargein_call.messages.of(stream) is not None

    def _end(self, *, completed: bool) -> None:
        call = self._bargein_call
        if completed and call.messages.of(self._stream) is not None:
            if not self._started:
                return  # a voice that is slow, or has failed: the floor waits for it, not for ever
            completed = self._progress.is_whole(call.voice_played_ms(self._stream)[0])
            completed = completed and call.voice_unwritten_ms() <= _LOST_MS
        started, stream = self._started, self._stream
        if started:
            call.last_said = call.script(stream)[: None if completed else self._progress.cursor]
        self._turn_to("")
        call.speaking_stream = None
        if stream:
            self._over.append(stream)
        if not started:
            return
        call.feed(PlayoutStopped(at_ms=call.now_ms, completed=completed))

"""What becomes of the caller's words? STT -> **here** -> user aggregator."""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from loguru import logger
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InputDTMFFrame,
    InterimTranscriptionFrame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    ServiceMetadataFrame,
    StartFrame,
    TranscriptionFrame,
    UserMuteStartedFrame,
    UserMuteStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.stt_service import STTService
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from bargein.core.decisions import (
    Decision,
    DeferTurn,
    DeliverTurn,
    Kind,
    PassFloor,
    ReportBackchannel,
    YieldFloor,
)
from bargein.core.events import CallEnded, UserSpeechStarted, UserSpeechStopped
from bargein.detect import Detector
from bargein.hearing import Hearing
from bargein.lastwords import LastWords
from bargein.microphone import Microphone

from .call import PipecatCall
from .frames import read, write
from .vad import EarlyEar

try:
    from pipecat.frames.frames import UserBackchannelFrame
except ImportError:  # pipecat-ai 1.12 has no such frame; there, acknowledgements just stay out
    UserBackchannelFrame = None  # type: ignore[assignment,misc]

_Words: TypeAlias = TranscriptionFrame | InterimTranscriptionFrame


@dataclass(slots=True)
class _Kept:
    """Final transcripts that wait for a decision, in the order they came."""

    frames: list[TranscriptionFrame] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join(frame.text.strip() for frame in self.frames)


class BackchannelFilter(FrameProcessor):
    """Acknowledgements leave the stream as `UserBackchannelFrame`; nothing else is lost.

    While the agent has the floor every transcript waits here for the floor's decision: reported as
    a backchannel, kept until the agent has finished, or released into the user's turn.
    """

    def __init__(
        self,
        call: PipecatCall,
        *,
        recommend: Callable[[], UserTurnStrategies] | None = None,
        early: EarlyEar | None = None,
        detectors: Sequence[Detector] = (),
        microphone: Microphone | None = None,
        **kwargs: Any,
    ) -> None:
        """Make the filter of a call. `Bargein` does it for you.

        Args:
            call: the call whose floor decides.
            recommend: makes turn strategies for a user aggregator that was given none.
            early: hears onsets in the caller's audio, unless the host's own analyzer is ours.
            detectors: hear from the caller's sound what they are up to.
            microphone: knows which words are the agent's own, come back.
            **kwargs: for `FrameProcessor`.
        """
        super().__init__(enable_direct_mode=True, **kwargs)
        self._bargein_call = call
        self._recommends = recommend
        self._strategies: UserTurnStrategies | None = None
        self._early = early
        self._microphone = microphone
        self._hearing = Hearing(call, detectors)
        self._last_words = LastWords(call, self._take_for_final, close=self._propose_the_end)
        self._partial: InterimTranscriptionFrame | None = None
        self._proposed = False  # a service has told that a turn began, and not yet that it ended
        self._waiting = _Kept()
        self._deferred: list[_Kept] = []
        self._outbox: deque[Frame] = deque()
        self._pushing = asyncio.Lock()
        self._flushing: asyncio.Task[None] | None = None
        self._warned = False
        call.decided.append(self._obey)
        call.cut_done.append(self._flush_soon)
        call.failed.append(self._give_up)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Tell the floor what the caller does, and hold back what it has not decided."""
        await super().process_frame(frame, direction)
        call = self._bargein_call
        if isinstance(frame, TranscriptionFrame | InterimTranscriptionFrame):
            callers = self._callers(frame)
            if callers is None:
                return
            frame = callers
        if isinstance(frame, InputAudioRawFrame):
            if self._early is not None and not self._early.adopted:
                self._early.hear(frame.audio, frame.sample_rate)
                await self._flush()
            self._hearing.hear(frame.audio, frame.sample_rate)
        elif isinstance(frame, InterimTranscriptionFrame):
            if await self._heard(frame):
                return
        elif isinstance(frame, TranscriptionFrame):
            if frame.text.strip() and await self._heard_final(frame):
                return
        elif isinstance(frame, CancelFrame):
            call.feed(CallEnded(at_ms=call.now_ms))
        elif isinstance(frame, InputDTMFFrame):
            call.raise_control(f"dtmf:{frame.button.value}")
        elif isinstance(frame, EndFrame):
            # What still waits was said by somebody: it goes into the record of the call.
            call.ending = True
            self._last_words.give_up()
            self._release_all()
            call.cut_heard()
            await self._flush()
        elif isinstance(frame, UserMuteStartedFrame | UserMuteStoppedFrame):
            call.mute(isinstance(frame, UserMuteStartedFrame))
        elif isinstance(frame, ServiceMetadataFrame) and direction is FrameDirection.DOWNSTREAM:
            self._recommend(frame)
        else:
            if isinstance(
                frame, ProposedUserStartedSpeakingFrame | ProposedUserStoppedSpeakingFrame
            ):
                self._proposed = isinstance(frame, ProposedUserStartedSpeakingFrame)
            event = read(frame, call.now_ms)
            if isinstance(event, UserSpeechStarted | UserSpeechStopped):
                # An aggregator that owns the VAD sends us copies upstream; it has told the turn
                # strategy already, and told late the same onset would look like another.
                if direction is FrameDirection.DOWNSTREAM:
                    call.told.append(frame.id)
                    call.speech(event, "host")
                    await self._flush()
            elif event is not None:
                call.feed(event)
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame):
            await self._started()

    async def cleanup(self) -> None:
        """Forget what still waits: the call is over."""
        await super().cleanup()  # type: ignore[no-untyped-call]
        self._hearing.close()
        if self._flushing is not None:
            await self.cancel_task(self._flushing)
        self._flushing = None
        self._bargein_call.close()

    # --- words ---

    def _callers(self, frame: _Words) -> _Words | None:
        """The frame without the agent's own words, and without those that were taken for final
        before; None if it has no others."""
        if not frame.text.strip() or not self._in_charge():
            return frame
        text = frame.text
        if self._microphone is not None:
            text = self._microphone.callers_words(text)
        if isinstance(frame, TranscriptionFrame):
            text = self._last_words.final(text)
        elif text:
            self._partial = frame
            self._last_words.partial(text)
        if text == frame.text:
            return frame
        if not text:
            return None
        callers = copy.copy(frame)
        callers.text = text
        return callers

    async def _heard(self, frame: InterimTranscriptionFrame) -> bool:
        """Judge a partial; True if the host should not see it (yet)."""
        call = self._bargein_call
        if not self._in_charge():
            return False
        call.settle()
        if not call.agent_has_floor:
            await self._flush()
            return call.locked
        event = read(frame, call.now_ms)
        assert event is not None
        call.feed(event)
        await self._flush()
        return call.agent_has_floor

    async def _heard_final(self, frame: TranscriptionFrame) -> bool:
        """Judge final words; True if they wait here or have been released in order."""
        call = self._bargein_call
        if not self._in_charge():
            return False
        call.settle()
        if not call.decides_words:
            if not call.cutting and not self._outbox:
                await self._flush()
                return False
            self._release([frame])  # behind the words of the yield that is being played out
            await self._flush()
            return True
        self._waiting.frames.append(frame)
        event = read(frame, call.now_ms)
        assert event is not None
        call.feed(event)
        await self._flush()
        return True

    def _take_for_final(self, text: str) -> None:
        """The recogniser will say no more of this."""
        call, partial = self._bargein_call, self._partial
        if partial is None or not self._in_charge():
            return
        frame = TranscriptionFrame(
            text, partial.user_id, partial.timestamp, language=partial.language
        )
        call.settle()
        if call.decides_words:
            self._waiting.frames.append(frame)
            event = read(frame, call.now_ms)
            assert event is not None
            call.feed(event)
        else:
            self._release([frame])
        self._flush_soon()

    async def _recogniser_failed(self, *_: object) -> None:
        """Its errors go up the pipeline, away from here."""
        self._bargein_call.guarded("last words", self._last_words.give_up)

    def _propose_the_end(self) -> None:
        """The service that told of the turn's beginning will not tell of its end."""
        if self._proposed and self._in_charge():
            self._proposed = False
            self._outbox.append(ProposedUserStoppedSpeakingFrame())
            self._flush_soon()

    def _obey(self, decision: Decision) -> None:
        if not self._bargein_call.in_charge:
            return
        moved = None if self._bargein_call.ending else write(decision)
        if isinstance(decision, PassFloor) and not self._worth_a_turn():
            moved = None
        if moved is not None:
            self._outbox.append(moved)
        match decision:
            case YieldFloor(kind=Kind.HOLD):
                pass  # "hang on": what they said begins the turn that they will take
            case YieldFloor():
                self._release_all()
            case DeliverTurn():
                self._release_all()
            case DeferTurn():
                self._deferred.append(self._taken())
            case ReportBackchannel():
                self._report(decision.text)
            case PassFloor():
                pass
            case _:
                return
        self._flush_soon()

    def _worth_a_turn(self) -> bool:
        """An onset that only we heard may be a click: the host opens the turn if it confirms it."""
        waiting = bool(self._deferred or self._waiting.frames)
        return waiting or self._bargein_call.host_hears_user

    def _taken(self) -> _Kept:
        waiting, self._waiting = self._waiting, _Kept()
        return waiting

    def _report(self, text: str) -> None:
        """These words were a backchannel: tell, and keep them out of the turn."""
        if self._waiting.frames and self._waiting.text == text:
            kept = self._taken()
        else:
            found = next((kept for kept in self._deferred if kept.text == text), None)
            if found is None:
                return
            self._deferred.remove(found)
            kept = found
        if UserBackchannelFrame is None:
            return
        last = kept.frames[-1]
        self._outbox.append(
            UserBackchannelFrame(text=text, user_id=last.user_id, timestamp=last.timestamp)
        )

    def _release_all(self) -> None:
        """Everything that waited is the user's turn."""
        for kept in self._deferred:
            self._release(kept.frames)
        self._deferred.clear()
        self._release(self._taken().frames)

    def _give_up(self) -> None:
        """The floor has failed: from here on the host hears everything at once."""
        self._release_all()
        self._flush_soon()

    def _release(self, frames: list[TranscriptionFrame]) -> None:
        for frame in frames:
            # Several transcripts released together: the first opens the turn, and the turn's own
            # interruption would sweep the others out of the aggregator's queue.
            frame.interruptible = False
            self._outbox.append(frame)

    # --- pushing ---

    def _flush_soon(self) -> None:
        """For decisions that fall outside `process_frame`, by a timer or in the gate."""
        if self._flushing is None or self._flushing.done():
            self._flushing = self.create_task(self._flush())

    async def _flush(self) -> None:
        async with self._pushing:
            while self._outbox:
                if self._bargein_call.cutting and isinstance(self._outbox[0], TranscriptionFrame):
                    # Not before the agent's last word is out and written down: the answer must
                    # not be made from a context that lacks it.
                    return
                await self.push_frame(self._outbox.popleft())

    # --- turn strategies ---

    async def _started(self) -> None:
        call = self._bargein_call
        part = self.previous
        while part is not None:
            if isinstance(part, STTService):
                part.add_event_handler("on_error", self._recogniser_failed)
            part = part.previous
        missing = [
            name
            for name, there in (
                ("InterruptionGate", call.has_gate),
                ("PlayoutLedger", call.has_ledger),
            )
            if not there
        ]
        if missing:
            logger.error(
                f"bargein: no {' and no '.join(missing)} in this pipeline, so the call runs as it"
                " would without bargein: use Bargein.wrap([...])"
            )
        elif call.remembers and not call.has_memory:
            logger.error(
                "bargein: no ResumptionMemory in this pipeline, so nobody goes on with what was"
                " left unsaid: use Bargein.wrap([...]), or Bargein(resume='off')"
            )
        if self._recommends is not None and not call.has_strategy:
            # As a service recommends its own; strategies that the application chose always win.
            frame = ServiceMetadataFrame(service_name="bargein")
            if hasattr(frame, "user_turn_strategies"):
                self._strategies = self._recommends()
                self._recommend(frame)
                await self.push_frame(frame)

    def _recommend(self, frame: ServiceMetadataFrame) -> None:
        """Let no service's recommendation replace ours, once ours are in use."""
        if self._strategies is None:
            return
        ours = frame.service_name == "bargein"
        if ours or getattr(frame, "user_turn_strategies", None) is not None:
            frame.user_turn_strategies = self._strategies

    def _in_charge(self) -> bool:
        """Without all its parts the floor only watches, and the host runs the call."""
        call = self._bargein_call
        if call.in_charge:
            return not call.muted
        if not self._warned and call.has_gate and call.has_ledger:
            self._warned = True
            logger.error(
                "bargein: the user aggregator runs other turn strategies, so the call runs as it"
                " would without bargein: pass user_turn_strategies=manners.turn_strategies() in"
                " LLMUserAggregatorParams"
            )
        return False

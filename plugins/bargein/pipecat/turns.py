"""When does the user's turn begin, and is there anything to interrupt?"""

from __future__ import annotations

from typing import Any

from pipecat.frames.frames import (
    Frame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.turns.types import ProcessFrameResult
from pipecat.turns.user_start import BaseUserTurnStartStrategy
from pipecat.turns.user_stop import ExternalUserTurnStopStrategy

from bargein.core.events import UserSpeechStarted, UserSpeechStopped

from .call import PipecatCall
from .frames import FloorMovedFrame, read


class FloorTurnStart(BaseUserTurnStartStrategy):
    """Opens the user's turn when the floor is theirs; never while the agent keeps it.

    On a floor that the agent does not hold it behaves as Pipecat's default does: voice activity,
    a proposal or a transcript opens the turn and interrupts what is being prepared.
    """

    def __init__(self, call: PipecatCall, **kwargs: Any) -> None:
        """Make the strategy of a call. `Bargein.turn_strategies` does it for you."""
        super().__init__(**kwargs)
        self._bargein_call = call
        self._turn_open = False

    @property
    def resolves_proposed_turn_start_frames(self) -> bool:
        """Yes: what a service proposes, the floor decides."""
        return True

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """The aggregator runs us: from now on the floor decides."""
        await super().setup(setup)
        self._bargein_call.has_strategy = True

    async def handle_user_turn_started(self) -> None:
        """A turn is open, whoever opened it."""
        self._turn_open = True

    async def handle_user_turn_stopped(self) -> None:
        """The turn is over."""
        self._turn_open = False

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        """Open the turn, or leave it shut."""
        call = self._bargein_call
        match frame:
            case FloorMovedFrame():
                await self._moved(frame)
                return ProcessFrameResult.STOP
            case VADUserStartedSpeakingFrame() | ProposedUserStartedSpeakingFrame():
                self._tell(frame)
            case VADUserStoppedSpeakingFrame() | ProposedUserStoppedSpeakingFrame():
                self._tell(frame)
                return ProcessFrameResult.CONTINUE
            case TranscriptionFrame() | InterimTranscriptionFrame() if frame.text.strip():
                pass
            case _:
                return ProcessFrameResult.CONTINUE
        held = call.agent_has_floor or call.locked or call.ending
        if not (call.in_charge and held):
            await self.trigger_user_turn_started()
        return ProcessFrameResult.STOP

    def _tell(self, frame: Frame) -> None:
        """An aggregator that owns the VAD makes these frames itself: the filter never saw them."""
        call = self._bargein_call
        event = read(frame, call.now_ms)
        if isinstance(event, UserSpeechStarted | UserSpeechStopped) and frame.id not in call.told:
            call.speech(event, "host")

    async def _moved(self, frame: FloorMovedFrame) -> None:
        if frame.interrupt and self._turn_open:
            # A turn that never closed cannot be opened again, and would not interrupt.
            await self.broadcast_frame(InterruptionFrame)
        else:
            await self.trigger_user_turn_started(enable_interruptions=frame.interrupt)


class ProposedTurnStop(ExternalUserTurnStopStrategy):
    """Ends the turn where a service with its own turn detection proposes it.

    Asleep until the first proposal: beside a VAD it would end turns on transcripts alone.
    """

    def __init__(self, **kwargs: Any) -> None:
        """Make it; arguments as for `ExternalUserTurnStopStrategy`."""
        super().__init__(**kwargs)
        self._proposed = False

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        """Hand on to the host's own strategy, once a service proposes turns."""
        if isinstance(frame, ProposedUserStartedSpeakingFrame | ProposedUserStoppedSpeakingFrame):
            self._proposed = True
        if not self._proposed:
            return ProcessFrameResult.CONTINUE
        result: ProcessFrameResult = await super().process_frame(frame)
        return result

"""Which run of the LLM waits: for a locked message, or for a caller who asked for a moment?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pipecat.frames.frames import LLMContextFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from bargein.core.decisions import Decision, DeliverTurn, FileReceipt, YieldFloor

_WRITTEN_S = 0.05
"""How long the assistant aggregator may take to write down a message that has just ended."""


class HeldRun:
    """The newest run that would answer too early, or from a context which lacks the message.

    One a call, whichever way it came: runs share one context, so that the newest says it all, and
    a turn of the caller's that comes in the meantime makes a run of its own.
    """

    def __init__(self, waits: Callable[[], bool], user_speaks: Callable[[], bool]) -> None:
        """Hold while ``waits`` says so."""
        self._waits = waits
        self._user_speaks = user_speaks
        self._held: tuple[LLMContextFrame, FrameProcessor, FrameDirection] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def hold(self, frame: LLMContextFrame, at: FrameProcessor, direction: FrameDirection) -> bool:
        """Keep this run if it must wait; one that need not makes a held one needless."""
        # A speculative run reaches nobody until its turn is confirmed.
        if getattr(frame, "speculation", False):
            return False
        self.drop()
        if not self._waits():
            return False
        self._held = (frame, at, direction)
        return True

    def drop(self) -> None:
        """The run has been overtaken."""
        self._held = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def decided(self, decision: Decision) -> None:
        """The message has ended, or the caller has the floor."""
        if self._held is None:
            return
        if isinstance(decision, DeliverTurn) or (
            isinstance(decision, YieldFloor) and self._user_speaks()
        ):
            self.drop()
        elif isinstance(decision, FileReceipt) and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_WRITTEN_S, self._release)

    def _release(self) -> None:
        self._timer = None
        if self._held is None or self._waits():
            return
        (frame, at, direction), self._held = self._held, None
        at.create_task(at.push_frame(frame, direction))

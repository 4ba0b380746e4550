"""When may the LLM answer? User aggregator -> **here** -> LLM."""

from __future__ import annotations

import asyncio
from typing import Any

from pipecat.frames.frames import Frame, InterruptionFrame, LLMContextFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from bargein.core.decisions import Decision, FileReceipt

from .call import Call

_WRITTEN_S = 0.05
"""How long the assistant aggregator may take to write down a message that has just ended."""


class HeldRun:
    """A run of the LLM that waits until a locked message has been heard, and is in the context."""

    def __init__(self, call: Call, at: FrameProcessor, direction: FrameDirection) -> None:
        """Hold runs at a processor, on their way in one direction."""
        self._bargein_call = call
        self._at = at
        self._direction = direction
        self._held: LLMContextFrame | None = None
        self._timer: asyncio.TimerHandle | None = None
        call.decided.append(self._decided)

    def hold(self, frame: LLMContextFrame) -> bool:
        """Keep this run if it must wait. The newest counts: runs share one context."""
        # A speculative run reaches nobody until its turn is confirmed.
        if not self._bargein_call.locked or getattr(frame, "speculation", False):
            return False
        self._held = frame
        return True

    def drop(self) -> None:
        """The run has been overtaken."""
        self._held = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _decided(self, decision: Decision) -> None:
        if isinstance(decision, FileReceipt) and self._held is not None:
            self._timer = asyncio.get_running_loop().call_later(_WRITTEN_S, self._release)

    def _release(self) -> None:
        self._timer = None
        if self._bargein_call.locked:
            return
        held, self._held = self._held, None
        if held is not None:
            self._at.create_task(self._at.push_frame(held, self._direction))


class ResumptionMemory(FrameProcessor):
    """Holds the LLM's answer while a message is locked, so that the answer knows the message."""

    def __init__(self, call: Call, **kwargs: Any) -> None:
        """Make the memory of a call. `Bargein` does it for you."""
        super().__init__(enable_direct_mode=True, **kwargs)
        self._runs = HeldRun(call, self, FrameDirection.DOWNSTREAM)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Hold a run, or let it pass."""
        await super().process_frame(frame, direction)
        if direction is FrameDirection.DOWNSTREAM:
            if isinstance(frame, LLMContextFrame) and self._runs.hold(frame):
                return
            if isinstance(frame, InterruptionFrame):
                self._runs.drop()
        await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Forget what is held."""
        await super().cleanup()  # type: ignore[no-untyped-call]
        self._runs.drop()

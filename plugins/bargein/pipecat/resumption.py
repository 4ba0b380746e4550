"""When may the LLM answer? User aggregator -> **here** -> LLM."""

from __future__ import annotations

from typing import Any

from pipecat.frames.frames import Frame, LLMContextFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from .call import Call


class ResumptionMemory(FrameProcessor):
    """Holds the LLM's answer while a message is locked, so that the answer knows the message."""

    def __init__(self, call: Call, **kwargs: Any) -> None:
        """Make the memory of a call. `Bargein` does it for you."""
        super().__init__(enable_direct_mode=True, **kwargs)
        self._bargein_call = call

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Hold a run, or let it pass."""
        await super().process_frame(frame, direction)
        down = direction is FrameDirection.DOWNSTREAM
        run = self._bargein_call.held_run
        if down and isinstance(frame, LLMContextFrame) and run.hold(frame, self, direction):
            return
        await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Forget what is held."""
        await super().cleanup()  # type: ignore[no-untyped-call]
        self._bargein_call.held_run.drop()

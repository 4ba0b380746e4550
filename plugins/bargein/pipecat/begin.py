"""When may text-to-speech begin with what must be heard? Not while it is being interrupted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from pipecat.frames.frames import Frame, InterruptionFrame
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.tts_service import TTSService

_INTERRUPTED_S = 2.0
"""No service takes longer to throw away what was interrupted."""


def voices_in(processor: FrameProcessor) -> Iterator[TTSService]:
    """The text-to-speech services in a pipeline, those in branches, too."""
    if isinstance(processor, TTSService):
        yield processor
    for part in processor.processors:
        yield from voices_in(part)


def begins_when_interrupted(voice: TTSService) -> None:
    """Let a service finish with an interruption before it begins with what outlives that.

    Pipecat keeps a speech that nobody may interrupt in the service's queue, but begins with it in
    the middle of clearing up: at times its audio is thrown away as well, and the next reply is
    made in a context that is no more.
    """
    over = asyncio.Event()
    over.set()

    async def before(_: FrameProcessor, frame: Frame) -> None:
        if isinstance(frame, InterruptionFrame):
            over.clear()
        elif not over.is_set():
            try:
                await asyncio.wait_for(over.wait(), _INTERRUPTED_S)
            except TimeoutError:
                over.set()  # it failed, and nobody says so

    async def after(_: FrameProcessor, frame: Frame) -> None:
        if isinstance(frame, InterruptionFrame):
            over.set()

    voice.add_event_handler("on_before_process_frame", before)
    voice.add_event_handler("on_after_process_frame", after)

"""A real pipeline around a real client: what comes out of it, and what the far end got."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from pipecat.frames.frames import EndFrame, ErrorFrame, Frame, InputAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

RATE = 16000
Kind = TypeVar("Kind", bound=Frame)


class Tap(FrameProcessor):
    """Keeps what passes."""

    def __init__(self, frames: list[Frame]) -> None:
        super().__init__()
        self._frames = frames

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self._frames.append(frame)
        await self.push_frame(frame, direction)


class Line:
    """A running pipeline."""

    def __init__(self, worker: PipelineWorker, above: list[Frame], below: list[Frame]) -> None:
        self.worker = worker
        self.above = above
        self.below = below

    async def push(self, *frames: Frame) -> None:
        await self.worker.queue_frames(list(frames))

    async def talk(self, ms: int) -> None:
        """The caller's audio, as fast as the line takes it."""
        for _ in range(ms // 20):
            frame = InputAudioRawFrame(bytes(RATE // 25), RATE, 1)
            await self.worker.queue_frame(frame)
            await asyncio.sleep(0)

    def got(self, kind: type[Kind]) -> list[Kind]:
        """What came out at the end."""
        return [frame for frame in self.below if isinstance(frame, kind)]

    def back(self, kind: type[Kind]) -> list[Kind]:
        """What came back at the start."""
        return [frame for frame in self.above if isinstance(frame, kind)]

    @property
    def errors(self) -> list[str]:
        return [frame.error for frame in self.back(ErrorFrame)]


async def until(true: Callable[[], Any], within_s: float = 8) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def pipeline(*parts: FrameProcessor, cancel: bool = False) -> AsyncIterator[Line]:
    """Run the parts; end as an application does, or cancel."""
    above: list[Frame] = []
    below: list[Frame] = []
    worker = PipelineWorker(
        Pipeline([Tap(above), *parts, Tap(below)]),
        params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=24000),
        enable_rtvi=False,
        cancel_on_idle_timeout=False,
    )
    started = asyncio.Event()

    async def on_started(*_: object) -> None:
        started.set()

    worker.add_event_handler("on_pipeline_started", on_started)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    try:
        await asyncio.wait_for(started.wait(), 30)
        yield Line(worker, above, below)
    finally:
        await (worker.cancel() if cancel else worker.queue_frame(EndFrame()))
        await asyncio.wait_for(running, 20)

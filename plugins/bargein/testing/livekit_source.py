"""LiveKit's audio source in virtual time: its queue and its pace, without the native clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
from livekit import rtc

from .tones import PCM

_TICK_S = 0.01
"""The native source sends pieces of this length."""


class VirtualSource(rtc.AudioSource):
    """Plays 10 ms every 10 ms of the loop's clock, silence where nothing is queued.

    As the native one does: a frame is taken at once, whole, and `capture_frame` returns when no
    more than the queue's length is waiting.
    """

    def __init__(self, rate: int, queue_size_ms: int, take: Callable[[PCM], None]) -> None:
        """Make a source for mono audio; ``take`` is given what is heard, 10 ms at a time."""
        super().__init__(rate, 1, queue_size_ms)
        self._limit = rate * queue_size_ms // 1000
        self._take = take
        self._queued = np.zeros(0, np.int16)
        self._room = asyncio.Event()
        self._playing = asyncio.ensure_future(self._play())

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Queue a frame; wait while too much is queued."""
        if not frame.samples_per_channel:
            return
        now_s = self._loop.time()
        elapsed_s = now_s - self._last_capture if self._last_capture else 0.0
        self._q_size += frame.samples_per_channel / self.sample_rate - elapsed_s
        self._last_capture = now_s
        if self._join_handle:
            self._join_handle.cancel()
        if self._join_fut is None:
            self._join_fut = self._loop.create_future()
        self._join_handle = self._loop.call_later(self._q_size, self._release_waiter)
        self._queued = np.concatenate([self._queued, np.frombuffer(frame.data, np.int16)])
        while len(self._queued) > self._limit:
            self._room.clear()
            await self._room.wait()

    def clear_queue(self) -> None:
        """Forget what is queued."""
        self._queued = self._queued[:0]
        self._room.set()
        self._release_waiter()

    async def aclose(self) -> None:
        """Stop playing."""
        self._playing.cancel()
        await super().aclose()

    async def _play(self) -> None:
        size, due_s = int(self.sample_rate * _TICK_S), self._loop.time()
        while True:
            due_s += _TICK_S
            await asyncio.sleep(due_s - self._loop.time())
            piece, self._queued = self._queued[:size], self._queued[size:]
            heard = np.zeros(size, np.int16)
            heard[: len(piece)] = piece
            self._take(heard)
            if len(self._queued) <= self._limit:
                self._room.set()

"""What is on the caller's line, and how fast is it written down?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import numpy as np

from .speech import PCM
from .utterance import FINAL_DELAY_S, LINE_NOISE_DB, PARTIAL_DELAY_S, RATE, Utterance

FRAME_MS = 20


class Line:
    """A telephone line at 16 kHz: quiet noise, and a caller now and then."""

    def __init__(self) -> None:
        """Open the line."""
        self._clip: PCM | None = None
        self._place = 0
        self._said: asyncio.Future[float] | None = None
        self._noise = np.random.default_rng(0)
        self.noise_db: float = LINE_NOISE_DB
        self.spoken: list[tuple[float, PCM]] = []
        """When each clip began, on ``time.monotonic``, and the clip."""

    async def say(self, clip: PCM) -> float:
        """Play a clip into the line; returns when its first sample went in."""
        self._clip, self._place = clip, 0
        self._said = asyncio.get_running_loop().create_future()
        began_s = await self._said
        self.spoken.append((began_s, clip))
        return began_s

    def frame(self, from_s: float) -> PCM:
        """The next 20 ms, which began at that instant of ``time.monotonic``."""
        size = RATE * FRAME_MS // 1000
        heard = self._noise.standard_normal(size) * 32767 * 10 ** (self.noise_db / 20)
        if self._clip is not None:
            if self._said is not None and not self._said.done():
                self._said.set_result(from_s)
            piece = self._clip[self._place : self._place + size]
            heard[: len(piece)] += piece
            self._place += size
            if self._place >= len(self._clip):
                self._clip = None
        clipped: PCM = np.clip(heard, -32768, 32767).astype(np.int16)
        return clipped


async def written_down(said: Utterance, began_s: float) -> AsyncIterator[tuple[str, bool]]:
    """What a streaming recogniser writes of a clip, when it does, and whether that is final.

    Args:
        said: what the caller says; of a mere sound nothing is written.
        began_s: when the clip began, on ``time.monotonic``.
    """
    for count, (_, ends_s) in enumerate(said.words, start=1):
        await asyncio.sleep(max(0.0, began_s + ends_s + PARTIAL_DELAY_S - time.monotonic()))
        if count < len(said.words) or PARTIAL_DELAY_S < FINAL_DELAY_S:
            yield " ".join(word for word, _ in said.words[:count]), False
    if said.words:
        await asyncio.sleep(max(0.0, began_s + said.ends_s + FINAL_DELAY_S - time.monotonic()))
        yield said.text, True

"""What did a listener hear, and when?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .tones import PCM


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One chunk that went out to the listener."""

    at_s: float
    """When writing began, on ``time.monotonic``."""
    plays_at_s: float
    """When its first sample is heard by a listener without a jitter buffer."""
    pcm: bytes


def recording(written: Iterable[Written], rate: int, from_s: float, until_s: float) -> PCM:
    """What was heard between two instants of ``time.monotonic``, silence included."""
    length = max(0, round((until_s - from_s) * rate))
    track = np.zeros(length, dtype=np.int16)
    for chunk in written:
        start = round((chunk.plays_at_s - from_s) * rate)
        first, last = max(0, start), min(length, start + len(chunk.pcm) // 2)
        if first < last:
            samples = np.frombuffer(chunk.pcm, dtype="<i2")
            track[first:last] = samples[first - start : last - start]
    return track

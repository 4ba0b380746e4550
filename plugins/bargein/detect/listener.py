"""When is a detector asked, and about which sound?"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from .heard import LONGEST_MS, RATE, Detector, DetectorError, Heard, Samples, is_window
from .level import level_db
from .names import named

EVERY_MS = 100
"""How often, while both talk."""
TURN_LEVEL_MS = 5_000
"""The usual level follows the caller's turns with about this much memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A piece of the call as it came: making samples of it is left to the detectors' thread."""

    pcm: bytes
    rate: int
    overlap_ms: int
    usual_db: float | None

    def heard(self) -> Heard:
        """What detectors are given.

        Raises:
            ModuleNotFoundError: another rate than 16000, and no resampler.
        """
        samples = _samples(self.pcm)
        if self.rate != RATE:
            samples = import_module("soxr").resample(samples, self.rate, RATE)
        return Heard(samples=samples, overlap_ms=self.overlap_ms, usual_db=self.usual_db)


class Listener:
    """Keeps a caller's last seconds, and says when there is something to judge."""

    def __init__(self, detectors: Sequence[Detector]) -> None:
        """Listen to one call for these detectors.

        Raises:
            DetectorError: one looks at an impossible stretch of sound.
        """
        self.detectors = named(detectors)
        """By the names of their scores."""
        self._keep_ms = 0
        for name, detector in self.detectors.items():
            window_ms = detector.window_ms
            if not is_window(window_ms):
                raise DetectorError(
                    f"window_ms of detector {name} must be a whole number from 0 to {LONGEST_MS},"
                    f" not {window_ms!r}"
                )
            self._keep_ms = max(self._keep_ms, window_ms)
        self._pieces: deque[bytes] = deque()
        self._kept_ms = 0.0
        self._rate = 0
        self._overlap_ms = 0.0
        self._since_ms = 0.0
        self._turn = b""
        self._usual_db: float | None = None

    def hear(self, pcm: bytes, rate: int, *, speaking: bool, contested: bool) -> Recording | None:
        """Take the next piece of the caller's audio.

        Args:
            pcm: mono, signed 16-bit little-endian.
            rate: its samples a second.
            speaking: does the caller speak?
            contested: does the agent, too?

        Returns:
            What detectors are to be asked about, ten times a second while the floor is contested.
        """
        if not pcm or rate <= 0:
            return None
        if rate != self._rate:
            self._pieces.clear()
            self._rate, self._kept_ms, self._turn = rate, 0.0, b""
        ms = len(pcm) * 500 / rate
        self._pieces.append(pcm)
        self._kept_ms += ms
        while len(self._pieces) > 1 and self._kept_ms - self._oldest_ms >= self._keep_ms:
            self._kept_ms -= self._oldest_ms
            self._pieces.popleft()
        if not contested:
            self._overlap_ms = self._since_ms = 0.0
            if speaking:
                self._in_a_turn(pcm)
            return None
        self._overlap_ms += ms
        self._since_ms += ms
        if not speaking or self._since_ms < EVERY_MS:
            return None
        self._since_ms = 0.0
        return Recording(
            pcm=b"".join(self._pieces),
            rate=rate,
            overlap_ms=round(self._overlap_ms),
            usual_db=self._usual_db,
        )

    @property
    def _oldest_ms(self) -> float:
        return len(self._pieces[0]) * 500 / self._rate

    def _in_a_turn(self, pcm: bytes) -> None:
        self._turn += pcm
        ms = len(self._turn) * 500 / self._rate
        if ms < EVERY_MS:
            return
        db = level_db(_samples(self._turn))
        self._turn = b""
        if self._usual_db is None:
            self._usual_db = db
        else:
            self._usual_db += (db - self._usual_db) * min(1.0, ms / TURN_LEVEL_MS)


def _samples(pcm: bytes) -> Samples:
    whole = np.frombuffer(pcm[: len(pcm) // 2 * 2], dtype="<i2").astype(np.float32)
    return whole / np.float32(32768)

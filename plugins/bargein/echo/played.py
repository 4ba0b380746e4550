"""What did the loudspeaker play, and when? The last seconds of the agent's voice."""

from __future__ import annotations

import numpy as np

from .resampled import RATE, Resampled, Wave

KEPT_S = 4
_SAME_MS = 1
"""A piece that begins so near to the last one's end goes on from it."""


class Played:
    """Remembers what was let out, at 8 kHz, by the time on the play clock."""

    def __init__(self) -> None:
        self._ring: Wave = np.zeros(KEPT_S * RATE, np.float32)
        self._to = 0  # samples since the clock began: everything before this is known
        self._ends: dict[str, tuple[int, Resampled]] = {}
        self.sounded_to_ms = -1e9
        """When the last of it that was no silence ends."""

    def add(self, pcm: bytes, rate: int, channels: int, at_ms: float, voice: str = "") -> None:
        """Audio was let out, 16-bit, that sounds from ``at_ms`` on; voices are added up."""
        samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32)
        if channels > 1:
            samples = samples.reshape(-1, channels).mean(axis=1)
        wave: Wave = samples / np.float32(32768)
        at = round(at_ms * RATE / 1000)
        end, stream = self._ends.get(voice, (-1, None))
        if stream is None or stream.rate != rate or abs(at - end) > _SAME_MS * RATE // 1000:
            stream = Resampled(rate)
        else:
            at = end
        made = stream(wave)
        self._ends[voice] = (at + len(made), stream)
        if samples.any():
            self.sounded_to_ms = max(self.sounded_to_ms, (at + len(made)) * 1000 / RATE)
        self._mix(made, at)

    def _mix(self, wave: Wave, at: int) -> None:
        size = len(self._ring)
        to = at + len(wave)
        if to > self._to:
            fresh = np.arange(max(self._to, to - size), to) % size
            self._ring[fresh] = 0.0
            self._to = to
        late = max(0, self._to - size - at)
        self._ring[np.arange(at + late, to) % size] += wave[late:]

    def read(self, to: int, count: int) -> Wave:
        """So many samples up to sample ``to`` of the clock; what is not known is silence."""
        size = len(self._ring)
        places = np.arange(to - count, to)
        known = (places < self._to) & (places >= max(0, self._to - size))
        wave: Wave = np.where(known, self._ring[places % size], np.float32(0))
        return wave

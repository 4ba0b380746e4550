"""How does the agent sound in the microphone of somebody who listens on a loudspeaker?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .speech import PCM, agent_voice

Wave: TypeAlias = npt.NDArray[np.float64]
RATE = 16_000
TAIL_S = 0.4
"""No room of ours sounds longer."""
_RINGS_S = 0.01
_SAYS = "The quick brown fox jumps over the lazy dog, and away it goes."


@dataclass(frozen=True)
class Speakerphone:
    """A small loudspeaker, a room and a microphone, at 16 kHz."""

    echo_db: float = -12
    """How loud the agent comes back, beside what was played."""
    delay_ms: float = 150
    reverb_s: float = 0.3
    """How long until the room's sound has gone down by 60 dB."""
    direct_db: float = 3
    """How much stronger the direct way is than all reflections."""
    low_hz: float = 300
    high_hz: float = 3_400
    drive: float = 3
    """How hard the loudspeaker is driven: more clips more."""
    seed: int = 0

    def comes_back(self, played: Wave) -> Wave:
        """The echo of a whole recording, its delay in front; samples between -1 and 1."""
        late = np.zeros(max(0, round((self.delay_ms / 1000 - _RINGS_S) * RATE)))
        return np.concatenate((late, self.coloured(np.concatenate((self._before, played)))))

    def coloured(self, played: Wave) -> Wave:
        """The echo of the newest sound, 10 ms late; the first `TAIL_S` are its past."""
        return self._in_room(played)[len(self._before) : len(played)] * self._gain

    def _in_room(self, played: Wave) -> Wave:
        clipped = np.tanh(played * self.drive) / self.drive
        whole = len(clipped) + len(self._response) - 1
        size = 1 << whole.bit_length()
        spectrum = np.fft.rfft(clipped, size) * np.fft.rfft(self._response, size)
        echo: Wave = np.fft.irfft(spectrum, size)[:whole]
        return echo

    @property
    def _before(self) -> Wave:
        return np.zeros(round(TAIL_S * RATE))

    @cached_property
    def _response(self) -> Wave:
        dice = np.random.default_rng(self.seed)
        size = round(min(self.reverb_s, TAIL_S - 0.05) * RATE)
        room = dice.standard_normal(size) * 10 ** (-3 * np.arange(size) / RATE / self.reverb_s)
        room[: RATE // 500] = 0
        room *= 10 ** (-self.direct_db / 20) / np.sqrt(np.sum(room**2))
        room[0] = 1.0
        full = round(TAIL_S * RATE)
        hertz = np.maximum(np.fft.rfftfreq(full, 1 / RATE), 1.0)
        shape = 1 / (1 + (self.low_hz / hertz) ** 4) / (1 + (hertz / self.high_hz) ** 8)
        made: Wave = np.fft.irfft(np.fft.rfft(room, full) * shape, full)
        # A filter without phase rings before its time, too, which is the end of the array.
        return np.roll(made, round(_RINGS_S * RATE))

    @cached_property
    def _gain(self) -> float:
        voice = as_wave(agent_voice(_SAYS, RATE)[0])
        wanted = loudness(voice) * 10 ** (self.echo_db / 20)
        return float(wanted / loudness(self._in_room(voice)))


def as_wave(pcm: PCM) -> Wave:
    """Samples between -1 and 1."""
    wave: Wave = pcm.astype(np.float64) / 32768
    return wave


def as_pcm(wave: Wave) -> PCM:
    """16-bit samples."""
    pcm: PCM = np.clip(np.rint(wave * 32768), -32768, 32767).astype(np.int16)
    return pcm


def loudness(wave: Wave) -> float:
    """The root mean square of what is no silence."""
    sound = wave[np.abs(wave) > 0.02 * np.abs(wave).max(initial=0)]
    return float(np.sqrt(np.mean(sound**2))) if len(sound) else 0.0


def as_loud(wave: Wave, db: float) -> Wave:
    """The same sound at so many dBFS."""
    found = loudness(wave)
    louder: Wave = wave * (10 ** (db / 20) / found) if found else wave
    return louder

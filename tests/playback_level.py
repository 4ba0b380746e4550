"""How loud may a paced voice be from sample to sample?"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

PCM: TypeAlias = npt.NDArray[np.int16]
RAMP_MS, FADE_MS = 40.0, 6.0
DUCK_GAIN = 10 ** (-12 / 20)


def samples(dice: np.random.Generator, frames: int, channels: int) -> PCM:
    """Loud noise: no stretch of it can be taken for another, at whatever level."""
    return dice.integers(4000, 24000, (frames, channels)).astype("<i2")


@dataclass(slots=True)
class Level:
    """The level of a voice, and the one that was asked for."""

    gain: float = 1.0
    aims: float = 1.0
    aimed_ms: float = 0.0
    """So much has been let out since the level was last asked for."""

    def aimed(self, gain: float) -> None:
        """The voice is to have this level."""
        self.aims, self.aimed_ms = gain, 0.0

    def full(self) -> None:
        """The voice has its full level with its next sample."""
        self.gain = 1.0
        self.aimed(1.0)

    def same(self, heard: PCM, source: PCM, rate: int, *, stopping: bool) -> None:
        """The same samples, at a level that goes where it was asked to, and never in a step."""
        self.aimed_ms += len(heard) * 1000 / rate
        if self.gain == self.aims == 1 and np.array_equal(heard, source):
            return
        gains = heard / source
        for each in gains.T[1:]:
            assert np.allclose(each, gains[:, 0], atol=5e-4)  # all channels alike
        level = np.concatenate([[self.gain], gains[:, 0]])
        assert level.min() > -1e-9
        assert level.max() <= 1 + 1e-9
        if stopping:
            aims = min(self.aims, float(level[-1]))  # it may be fading out
        else:
            aims = self.aims
            ramped_ms = self.aimed_ms - len(heard) * 1000 / rate
            assert ramped_ms <= RAMP_MS + 1 or abs(level[0] - aims) < 1e-3
        low, high = sorted((float(level[0]), aims))
        assert level.min() >= low - 1e-3
        assert level.max() <= high + 1e-3
        shortest_ms = 1.0 if stopping else FADE_MS
        assert np.abs(np.diff(level)).max() <= 1.01 * 1000 / rate / shortest_ms + 1e-3
        self.gain = float(level[-1])

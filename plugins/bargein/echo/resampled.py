"""How does audio of any rate become 8 kHz, piece by piece?"""

from __future__ import annotations

from functools import cache
from math import gcd
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

RATE = 8_000
"""Enough for a voice: what is told apart here lies between 300 and 3600 Hz."""
_ZEROS = 8
"""Zero crossings of the sinc on either side."""

Wave: TypeAlias = npt.NDArray[np.float32]


class Resampled:
    """One stream on its way to 8 kHz; it comes out a millisecond late, whatever its rate."""

    def __init__(self, rate: int) -> None:
        """Begin a stream of so many samples a second."""
        self.rate = rate
        self._phases, self._firsts, self._step = _kernels(rate)
        self._kept: Wave = np.zeros(self._phases.shape[1], np.float32)
        self._place = 0  # which output sample comes next, within one round of phases

    def __call__(self, samples: Wave) -> Wave:
        """The next piece."""
        if self.rate == RATE:
            return samples
        kept = np.concatenate((self._kept, samples))
        rounds, taps = self._phases.shape
        fits = len(kept) - taps
        if rounds == 1:
            whole = np.convolve(kept, self._phases[0][::-1], "valid")[:: self._step]
            self._kept = kept[len(whole) * self._step :]
            even: Wave = whole.astype(np.float32, copy=False)
            return even
        # Output n reads from firsts[n % rounds] + step * (n // rounds) on.
        most = self._place + fits * rounds // self._step + 2
        places = np.arange(self._place, most)
        firsts = self._firsts[places % rounds] + self._step * (places // rounds)
        firsts = firsts[firsts <= fits]
        phases = self._phases[places[: len(firsts)] % rounds]
        made: Wave = np.einsum(
            "nt,nt->n", kept[firsts[:, None] + np.arange(taps)], phases, dtype=np.float32
        )
        self._place += len(firsts)
        whole = self._place // rounds
        self._place -= whole * rounds
        self._kept = kept[whole * self._step :]
        return made


@cache
def _kernels(rate: int) -> tuple[Wave, npt.NDArray[np.intp], int]:
    """The windowed sinc of each phase, where each begins to read, and what a round reads."""
    shared = gcd(rate, RATE)
    rounds, step = RATE // shared, rate // shared
    widening = max(1.0, rate / RATE)
    taps = 2 * int(np.ceil(_ZEROS * widening))
    at = np.arange(rounds) * step / rounds
    firsts = np.floor(at).astype(np.intp)
    apart = (np.arange(taps)[None, :] - (taps / 2 - 1) - (at - firsts)[:, None]) / widening
    shape = np.cos(np.clip(apart / (_ZEROS + 1 / widening), -1, 1) * np.pi / 2) ** 2
    phases = np.sinc(apart) * shape
    phases /= phases.sum(axis=1, keepdims=True)
    return phases.astype(np.float32), firsts, step

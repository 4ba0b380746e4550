"""How much of the microphone is the loudspeaker's sound? By delay, and by a filter a band.

Two measures, neither of which a caller can teach anything wrong. The delay is where the whitened
cross-correlation of half a second has its peak: unrelated voices reach 12 times its mean, an echo
20 to 40. The filters are fitted to the last 0.8 s, and what they say of the next sounds is held
against those: a fit to somebody's voice foretells nothing of what they say next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .drift import Drift
from .played import Played
from .resampled import RATE, Wave

HOP = 128
HOP_MS = HOP * 1000 // RATE
HOPS = 2
"""They are looked at in pairs, which costs half as much."""
BLOCK = HOPS * HOP
_SIZE = 256
_BINS = np.arange(10, 116, 2)
_PLACES = np.arange(_SIZE)
_TURN = (-2j * np.pi / _SIZE * _BINS[:, None]).astype(np.complex64)
"""What a delay of one sample does to a band."""
_WINDOW: Wave = np.hanning(_SIZE + 1)[:_SIZE].astype(np.float32)
_TAPS = 6
"""Frames of a filter: with the frame itself, 110 ms of a room."""
_FRAMES = 48
_FIT_BLOCKS = 2
_FIT_FROM = 6
_RIDGE = 0.01

_NEWEST = np.arange(-HOPS, 0)[:, None] - np.arange(_TAPS)
_LAGGED = np.arange(_FRAMES) + np.arange(_TAPS - 1, -1, -1)[:, None]

_LOOK = 4_096
"""Samples of the microphone that are looked for in what was played."""
_LEAD = 40
"""Samples before the peak where the filters begin: the strongest way is not always the first."""
_EARLY = RATE // 10
"""A transport may play what it was given before the play clock says so."""
_SAME = 24
_CERTAIN = 18.0
_LIKELY = 14.0
"""How far the peak must stand out: once so far, or twice running at one place."""

_GOOD_HOPS = 25
_GOOD = 0.55
"""A filter is kept that left no more than this of the last 0.4 s."""

Bands = npt.NDArray[np.complex64]


@dataclass(frozen=True, slots=True)
class Hop:
    """16 ms of the microphone, as powers in the band of a voice."""

    heard: float
    unexplained: float
    foretold: float
    """What the echo should be."""


class EchoPath:
    """The way from the loudspeaker to the microphone, if there is one."""

    def __init__(self, played: Played, *, reach_ms: int) -> None:
        """Look for one in what was played.

        Args:
            played: what was let out.
            reach_ms: the longest delay.
        """
        self._played = played
        self._lags = _EARLY + reach_ms * RATE // 1000
        self._fft = -(-(_LOOK + self._lags) // 1000) * 1000  # no prime factor above 13
        hertz = np.fft.rfftfreq(self._fft, 1 / RATE)
        self._voiced = slice(*np.searchsorted(hertz, (300, 3600)))
        self.lag: int | None = None
        """Samples from being played to being heard, counted from 100 ms early; None: no echo."""
        self._candidate = -_SAME * 2
        self._drift = Drift()
        self._slip = 0.0  # so much of a sample is missing in the lag
        self._mic: Wave = np.zeros(_LOOK, np.float32)
        self._heard: Bands = np.zeros((len(_BINS), _FRAMES), np.complex64)
        self._sound: Bands = np.zeros((len(_BINS), _FRAMES + _TAPS - 1), np.complex64)
        self._fitted: Bands | None = None
        self._kept: Bands | None = None
        self._powers: list[tuple[float, float]] = []
        self._since_fit = 0

    @property
    def learned(self) -> bool:
        """Has it foretold the echo once?"""
        return self._kept is not None

    @property
    def delay_ms(self) -> int | None:
        """From the play clock to the microphone."""
        return None if self.lag is None else (self.lag + _LEAD - _EARLY) * 1000 // RATE

    def restart(self) -> None:
        """What was heard is another moment's; the room is the same."""
        self._mic[:] = 0
        self._heard[:] = 0
        self._sound[:] = 0
        self._fitted = None
        self._powers.clear()
        self._since_fit = 0

    def redate(self, by: int) -> None:
        """What was heard is by so many samples later than was said; the sounds are the same."""
        self._candidate += by
        self._drift.redate(by)
        if self.lag is not None:
            self.lag += by

    def hear(self, mic: Wave, to: int) -> list[Hop]:
        """Take the next `BLOCK` of the microphone, which ended at sample ``to`` of the clock."""
        self._mic = np.concatenate((self._mic[BLOCK:], mic))
        heard = _bands(self._mic[-_SIZE - HOP * (HOPS - 1) :])
        self._heard = np.concatenate((self._heard[:, HOPS:], heard), axis=1)
        powers = _powers(heard)
        if self.lag is None:
            return [Hop(power, power, 0.0) for power in powers]
        count = _SIZE + HOP * (HOPS - 1)
        slips = round(self._slip + self._drift.rate * BLOCK)
        self._slip += self._drift.rate * BLOCK - slips
        self.lag += slips
        sound = _bands(_sharp(self._played.read(to + _EARLY - self.lag, count + 1)))
        if self._slip:
            sound = sound * np.exp(_TURN * np.float32(self._slip))
        self._sound = np.concatenate((self._sound[:, HOPS:], sound), axis=1)
        newest = self._sound[:, _NEWEST]
        best = [Hop(power, power, 0.0) for power in powers]
        for filters in (self._fitted, self._kept):
            if filters is not None:
                echo = (newest * filters[:, None, :]).sum(axis=2)
                left, foretold = _powers(heard - echo), _powers(echo)
                for place, hop in enumerate(best):
                    if left[place] < hop.unexplained:
                        best[place] = Hop(hop.heard, left[place], foretold[place])
        self._powers += [(hop.heard, hop.unexplained) for hop in best]
        del self._powers[:-_GOOD_HOPS]
        self._since_fit += 1
        if self._since_fit % _FIT_BLOCKS == 0 and self._since_fit >= _FIT_FROM:
            self._fit()
        return best

    def find(self, to: int, *, doubted: bool = False) -> None:
        """Look for the delay again; the microphone has been heard up to sample ``to``.

        Args:
            to: as for `hear`.
            doubted: the delay that was found explains nothing now.
        """
        count = _LOOK + self._lags
        played = self._played.read(to + _EARLY, count + 1)
        if not played.any():
            return
        size, band = self._fft, self._voiced
        cross = np.fft.rfft(self._mic, size) * np.fft.rfft(_sharp(played), size).conj()
        white = np.zeros_like(cross)
        white[band] = cross[band] / (np.abs(cross[band]) + 1e-12)
        lags = np.arange(self._lags)
        alike = np.abs(np.fft.irfft(white, size)[(lags - self._lags) % size])
        found = int(alike.argmax())
        stands_out = alike[found] / (np.sqrt(np.mean(alike**2)) + 1e-12)
        again = abs(found - self._candidate) <= _SAME
        self._candidate = found if stands_out >= _LIKELY else -_SAME * 2
        if not (stands_out >= _CERTAIN or (stands_out >= _LIKELY and again)):
            return
        lag = max(0, found - _LEAD)
        if self.lag is not None and abs(lag - self.lag) <= _SAME and 0 < found < len(alike) - 1:
            was = self._drift.rate
            self._drift.found(to, found + _summit(*alike[found - 1 : found + 2]))
            self._turn(self._drift.rate - was)
        sure = again or (doubted and stands_out >= _CERTAIN)
        if self.lag is None or (abs(lag - self.lag) > _SAME and sure):
            self._move(lag, to)

    def _move(self, lag: int, to: int) -> None:
        self.lag, self._slip = lag, 0.0
        self._drift.restart()
        self._fitted = None  # but not what was kept: the delay has changed, the room has not
        self._since_fit = 0
        self._powers.clear()
        frames = _FRAMES + _TAPS - 1
        sound = _sharp(self._played.read(to + _EARLY - lag, _SIZE + HOP * (frames - 1) + 1))
        self._sound = _bands(sound)

    def _turn(self, rate: float) -> None:
        """The delay has changed so much faster than was thought: what is fitted to was nearer."""
        if rate:
            ages = HOP * np.arange(self._sound.shape[1] - 1, -1, -1)
            self._sound = self._sound * np.exp(_TURN * (-rate * ages).astype(np.float32))

    def _fit(self) -> None:
        """Least squares in each band, over the last 0.8 s."""
        taps = self._sound[:, _LAGGED]
        conjugate = taps.conj()
        normal = conjugate @ taps.transpose(0, 2, 1)
        alike = conjugate @ self._heard[:, :, None]
        load = _RIDGE * np.trace(normal, axis1=1, axis2=2).real / _TAPS + 1e-7
        normal = normal + load[:, None, None] * np.eye(_TAPS, dtype=np.float32)
        self._fitted = np.linalg.solve(normal, alike)[:, :, 0].astype(np.complex64)
        if len(self._powers) == _GOOD_HOPS:
            whole, left = np.sum(self._powers, axis=0)
            if left < _GOOD * whole:
                self._kept = self._fitted


def _bands(wave: Wave) -> Bands:
    """Frames of 32 ms, each 16 after the last, in the bands of a voice."""
    begins = np.arange(0, len(wave) - _SIZE + 1, HOP)
    frames = wave[begins[:, None] + _PLACES] * _WINDOW
    bands: Bands = np.fft.rfft(frames, axis=1)[:, _BINS].T.astype(np.complex64)
    return bands


def _sharp(wave: Wave) -> Wave:
    """The high notes lifted, as there is less of them in a voice; one sample shorter."""
    sharp: Wave = wave[1:] - np.float32(0.9) * wave[:-1]
    return sharp


def _summit(before: float, at: float, behind: float) -> float:
    """Where a parabola through a peak and its neighbours is highest, beside the peak."""
    return (before - behind) / (2 * (before + behind - 2 * at))


def _powers(bands: Bands) -> list[float]:
    powers: list[float] = (bands.real**2 + bands.imag**2).sum(axis=0).tolist()
    return powers

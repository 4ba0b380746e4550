"""Is this the caller, or the agent's own voice in their microphone?"""

from __future__ import annotations

from collections import deque

import numpy as np

from .dated import Dated
from .noise import Noise
from .path import BLOCK, HOP_MS, EchoPath, Hop
from .played import Played
from .resampled import RATE, Resampled, Wave

_TAIL_MS = 400
"""So long behind the longest delay a room still sounds."""
_SILENCE = 5e-4
"""The power of -70 dBFS in a hop."""
_ACTIVE = 4.0
"""A sound is so many times as strong as the quietest there was."""
_DECAY = 10 ** (-0.12 * HOP_MS / 10)
"""What an echo leaves in a room goes down by 120 dB a second."""

_UNSURE_HOPS = 15
"""For so long (240 ms) a first sound may be withheld: by then an echo has been recognised."""
_ANEW = 16.0
"""What is so many times stronger than that was is another first sound: a line may hiss before."""
_CLEAR_HOPS = 63
"""An agent that was not heard in its first second of talk is in no microphone."""
_LEARN_HOPS = 80
_VOTES = 4
_OPENS = 3
_SLOW_VOTES = 16
_SLOW_OPENS = 12
_SURE_HOPS = 31
_SURE = 6
"""An echo that was explained for so many hops of the last half second has the delay that it had.
One that begins again behind a pause may have another, which takes a while to be found."""
_HANG_HOPS = 16


class EchoGate:
    """Lets the caller's audio through, and gives silence for the agent's own voice."""

    def __init__(self, played: Played, *, reach_ms: int, times: float) -> None:
        """Listen to one call. `EchoDetector.gate` does it for you.

        Args:
            played: what the agent's voice was.
            reach_ms: the longest delay of an echo.
            times: how many times stronger than what is left of an echo a caller is.
        """
        self._played = played
        self._reach_ms = reach_ms
        self._times = times
        self._path = EchoPath(played, reach_ms=reach_ms)
        self._resampled: Resampled | None = None
        self._waiting: Wave = np.zeros(0, np.float32)
        self._last = np.float32(0)
        self._dated = Dated()
        self._to: int | None = None  # the sample of the clock that `_waiting` ends with
        self._noise = Noise(least=_SILENCE / 10)
        self._around: deque[float] = deque(maxlen=3)
        self._left: deque[float] = deque(maxlen=3)
        self._echo = 0.0
        self._votes: deque[bool] = deque(maxlen=_SLOW_VOTES)
        self._sure: deque[bool] = deque(maxlen=_SURE_HOPS)
        self._open_hops = 0
        self._unsure_hops = 0
        self._unsure_of = 0.0
        self._quiet_hops = 0
        self._clear_hops = 0
        self._learning_hops = 0
        self._blocks = 0
        self._active = False
        self._open = True
        self.echo_at_ms: float | None = None
        """When an echo was last heard."""

    @property
    def delay_ms(self) -> int | None:
        """From the play clock to the microphone; None where no echo was heard."""
        return self._path.delay_ms

    def hear(self, pcm: bytes, rate: int, now_ms: float) -> bytes:
        """The next piece of the microphone's audio, 16-bit mono.

        Returns:
            The piece as it came where the caller may be in it, as much silence where only the
            agent is.
        """
        moved_ms = self._dated.take(len(pcm) * 500 / rate, now_ms)
        ends_ms = self._dated.ends_ms
        if moved_ms:
            moved = round(moved_ms * RATE / 1000)
            self._path.redate(moved)
            if self._to is not None:
                self._to += moved
        if ends_ms - self._played.sounded_to_ms > self._reach_ms + _TAIL_MS:
            self._to = None  # nothing of the agent is in the air
            self._open = True
            return pcm
        if self._resampled is None or self._resampled.rate != rate:
            self._resampled, self._to = Resampled(rate), None
        samples: Wave = np.frombuffer(pcm, dtype="<i2").astype(np.float32) / np.float32(32768)
        wave = self._resampled(samples)
        sharp = wave - np.float32(0.9) * np.concatenate(([self._last], wave[:-1]))
        self._last = wave[-1] if len(wave) else self._last
        if moved_ms is None or self._to is None:
            self._restart()
            self._to = round(ends_ms * RATE / 1000) - len(sharp)
        self._to += len(sharp)
        self._waiting = np.concatenate((self._waiting, sharp.astype(np.float32)))
        while len(self._waiting) >= BLOCK:
            piece, self._waiting = self._waiting[:BLOCK], self._waiting[BLOCK:]
            self._block(piece, self._to - len(self._waiting))
        return pcm if self._open else bytes(len(pcm))

    def _restart(self) -> None:
        self._path.restart()
        self._waiting = self._waiting[:0]
        self._votes.clear()
        self._sure.clear()
        self._around.clear()
        self._left.clear()
        self._echo = 0.0
        self._open_hops = self._unsure_hops = 0
        self._unsure_of = 0.0

    def _block(self, piece: Wave, to: int) -> None:
        path = self._path
        for hop in path.hear(piece, to):
            self._look(hop, to)
        self._blocks += 1
        if self._active and self._blocks % self._search_blocks == 0:
            lag = path.lag
            path.find(to, doubted=any(self._votes))
            if path.lag != lag:
                self._learning_hops = 0
                self._votes.clear()
        if not self._open and self._active and path.lag is not None:
            self.echo_at_ms = to * 1000 / RATE

    @property
    def _search_blocks(self) -> int:
        """How often a delay is looked for."""
        if self._path.lag is not None:
            learns = not self._path.learned and self._learning_hops < _LEARN_HOPS
            return 1 if any(self._votes) else 2 if learns else 8
        return 4 if self._clear_hops >= _CLEAR_HOPS else 1

    def _look(self, hop: Hop, to: int) -> None:
        self._around.append(hop.heard)
        self._left.append(hop.unexplained)
        self._echo = max(hop.foretold, self._echo * _DECAY)
        heard = sum(self._around) / len(self._around)
        self._noise.heard(heard)
        self._active = heard > max(_ACTIVE * self._noise.power, _SILENCE)
        self._open = self._unknown(heard, to) if self._path.lag is None else self._judged()

    def _unknown(self, heard: float, to: int) -> bool:
        """No echo has been found yet: soon enough there is none."""
        if to * 1000 / RATE <= self._played.sounded_to_ms:
            self._clear_hops += 1
        if self._clear_hops >= _CLEAR_HOPS:
            return True
        if self._active:
            if heard * self._unsure_hops > _ANEW * self._unsure_of:
                self._unsure_hops, self._unsure_of = 0, 0.0
            self._unsure_hops += 1
            self._unsure_of += heard
            self._quiet_hops = 0
        else:
            self._quiet_hops += 1
            if self._quiet_hops >= _UNSURE_HOPS:
                self._unsure_hops, self._unsure_of = 0, 0.0
        return self._unsure_hops >= _UNSURE_HOPS

    def _judged(self) -> bool:
        """There is an echo; is there more?"""
        if not self._path.learned and self._learning_hops < _LEARN_HOPS:
            self._learning_hops += self._active
            return False
        left = sum(self._left) / len(self._left)
        self._votes.append(left > self._times * (self._echo + _ACTIVE * self._noise.power))
        self._sure.append(self._active and left < self._echo)
        newest = sum(list(self._votes)[-_VOTES:])
        sure = sum(self._sure) >= _SURE
        if ((self._open_hops or sure) and newest >= _OPENS) or sum(self._votes) >= _SLOW_OPENS:
            self._open_hops = _HANG_HOPS
        else:
            self._open_hops = max(0, self._open_hops - 1)
        return self._open_hops > 0

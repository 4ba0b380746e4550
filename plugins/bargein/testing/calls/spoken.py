"""What does a text-to-speech of the agent's own say, and when does each word of it begin?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bargein.core.spread import spread, weight

from .subject import Voiced

LOUD = 300
WEIGHT_S = 0.065
"""What a letter takes, of a voice that was cut off before it had made all of its sound."""


@dataclass(kw_only=True)
class Saying:
    """A text that a service was given, and the sound that it made of it until now."""

    at_s: float = field(default_factory=time.monotonic)
    text: str = ""
    rate: int = 24_000
    pcm: bytearray = field(default_factory=bytearray)
    timed: list[tuple[str, float]] = field(default_factory=list)
    """Pieces of the text that the service gave a time to, with their spaces, in seconds."""
    is_whole: bool = False
    """Whether it made all of its sound."""

    def voiced(self) -> Voiced:
        """The words with the service's own times; without any, spread over the sound."""
        text = " ".join(self.text.split())
        pcm = np.frombuffer(bytes(self.pcm), "<i2")
        words = self._timed(text.split(), len(pcm) / self.rate) or self._spread(text, pcm)
        return Voiced(at_s=self.at_s, text=text, pcm=pcm, rate=self.rate, words=tuple(words))

    def _timed(self, words: Sequence[str], ends_s: float) -> list[tuple[str, float]]:
        told = "".join(piece for piece, _ in self.timed).split()
        # A service that writes "two" where the text has "2" cannot be matched.
        if not told or told[:-1] != list(words[: len(told) - 1]):
            return []
        onsets, is_inside = list[float](), False
        for piece, at_s in self.timed:
            for character in piece:
                if not character.isspace() and not is_inside:
                    onsets.append(at_s)
                is_inside = not character.isspace()
        # What it has not told the time of, it has not said yet.
        onsets += [ends_s] * (len(words) - len(onsets))
        return list(zip(words, onsets, strict=False))

    def _spread(
        self, text: str, pcm: np.ndarray[tuple[int], np.dtype[np.int16]]
    ) -> list[tuple[str, float]]:
        loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > LOUD)
        first_s, last_s = (loud[0] / self.rate, loud[-1] / self.rate) if len(loud) else (0.0, 0.0)
        if not self.is_whole:
            guess_s = sum(weight(word) for word in text.split()) * WEIGHT_S
            last_s = max(last_s, first_s + guess_s)
        pieces = spread(text, first_s * 1000, last_s * 1000)
        return [(piece.strip(), at_ms / 1000) for piece, at_ms in pieces]

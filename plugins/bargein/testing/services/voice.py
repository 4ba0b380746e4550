"""How does a service sound that has no model? A tone for each word, 300 ms long."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

PCM: TypeAlias = npt.NDArray[np.int16]
Voice: TypeAlias = Callable[[str, int], tuple[PCM, list[tuple[str, float]]]]
"""Speaks a text at a sample rate: mono samples, and each word with its onset in seconds."""

WORD_MS = 300


def tones(text: str, rate: int) -> tuple[PCM, list[tuple[str, float]]]:
    """Speak: a soft tone a word, its pitch the word's own."""
    each = rate * WORD_MS // 1000
    pieces, words = [], []
    for place, word in enumerate(text.split()):
        pitch = 180 + 20 * (sum(word.encode()) % 12)
        wave = 6000 * np.sin(2 * np.pi * pitch * np.arange(each) / rate)
        pieces.append(wave.astype(np.int16))
        words.append((word, place * WORD_MS / 1000))
    return (np.concatenate(pieces) if pieces else np.zeros(0, np.int16)), words


def mu_law(pcm: PCM) -> bytes:
    """The samples as G.711 mu-law."""
    wide = pcm.astype(np.int32)
    sign = np.where(wide < 0, 0x80, 0)
    size = np.minimum(np.abs(wide), 32635) + 132
    exponent = np.floor(np.log2(size)).astype(np.int32) - 7
    mantissa = (size >> (exponent + 3)) & 0x0F
    coded: bytes = (~(sign | exponent << 4 | mantissa) & 0xFF).astype(np.uint8).tobytes()
    return coded


def from_mu_law(coded: bytes) -> PCM:
    """The samples that G.711 mu-law stands for."""
    bits = (~np.frombuffer(coded, np.uint8)).astype(np.int32) & 0xFF
    size = ((bits & 0x0F) * 8 + 132) << (bits >> 4 & 7)
    return np.where(bits & 0x80, 132 - size, size - 132).astype(np.int16)

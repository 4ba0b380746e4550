"""What does a scripted agent sound like?"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

PCM: TypeAlias = npt.NDArray[np.int16]
Voice: TypeAlias = Callable[[str, int], tuple[PCM, list[tuple[str, float]]]]
"""Speaks a text at a sample rate: mono samples, and each word with its onset in seconds."""

WORD_S = 0.3


def metronome(text: str, rate: int) -> tuple[PCM, list[tuple[str, float]]]:
    """A voice that takes 300 ms a word, as the scenes' agent does: a soft tone for each."""
    pieces, words = [], []
    each = round(WORD_S * rate)
    for place, word in enumerate(text.split()):
        pitch = 180 + 20 * (sum(word.encode()) % 12)
        wave = 6000 * np.sin(2 * np.pi * pitch * np.arange(each) / rate)
        pieces.append(wave.astype(np.int16))
        words.append((word, place * WORD_S))
    return (np.concatenate(pieces) if pieces else np.zeros(0, np.int16)), words


def noise(text: str, rate: int) -> tuple[PCM, list[tuple[str, float]]]:
    """A voice of which every sample is loud and no two stretches are alike."""
    words = text.split()
    size = round(len(words) * WORD_S * rate)
    dice = np.random.default_rng(len(text))
    pcm = dice.integers(2_000, 12_000, size) * dice.choice((-1, 1), size)
    return pcm.astype(np.int16), [(word, place * WORD_S) for place, word in enumerate(words)]

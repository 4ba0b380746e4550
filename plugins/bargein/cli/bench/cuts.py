"""A voice of which every word can be told apart: how many words is a context off?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from importlib.util import find_spec
from random import Random
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from bargein.testing.tones import PCM, WORD_S

from .row import Row, percentile

Side: TypeAlias = Literal["ours", "stock"]
Cut: TypeAlias = Callable[[Side, float, bool], Awaitable[int]]
"""Interrupts the agent after so many seconds, with word times or without; how many words the
context is off."""

TEXT = (
    "Items bought online can be returned within thirty days, provided you still have the receipt"
    " and their original packaging. Shoes must not show marks of wear outside your own house."
    " Refunds reach most banks after about four working weeks; gift cards need slightly more time"
    " than that."
)
"""No word comes twice, so that each can have a tone of its own."""
WORDS = TEXT.split()
SENTENCES = TEXT.replace(". ", ".\n").split("\n")
"""As a text-to-speech is given it."""
STOPS = "no wait I meant boots"
LOWEST_HZ, STEP_HZ = 400, 100
WINDOW_S = 0.02


def tones(text: str, rate: int) -> tuple[PCM, list[tuple[str, float]]]:
    """A voice with eSpeak's rhythm in which every word is a tone that nothing else is.

    Without eSpeak every word takes as long as every other.
    """
    loud, words = _rhythm(text, rate)
    ends_s = [at_s for _, at_s in words[1:]] + [len(loud) / rate]
    pcm = np.zeros(len(loud), dtype=np.int16)
    for (word, at_s), end_s in zip(words, ends_s, strict=True):
        part = slice(round(at_s * rate), round(end_s * rate))
        pitch = LOWEST_HZ + STEP_HZ * WORDS.index(word)
        wave = 9000 * np.sin(2 * np.pi * pitch * np.arange(part.stop - part.start) / rate)
        pcm[part] = (wave * loud[part]).astype(np.int16)
    return pcm, words


def _rhythm(text: str, rate: int) -> tuple[npt.NDArray[np.bool_], list[tuple[str, float]]]:
    """Where there is sound, and when each word begins."""
    written = text.split()
    if find_spec("espeakng_loader") is None:
        sounds = np.ones(round(len(written) * WORD_S * rate), dtype=np.bool_)
        return sounds, [(word, place * WORD_S) for place, word in enumerate(written)]
    from bargein.testing.speech import speak

    pcm, words = speak(text, rate)
    size = round(WINDOW_S * rate)
    pieces = np.abs(np.pad(pcm, (0, -len(pcm) % size)).astype(np.int32)).reshape(-1, size)
    sounds = np.repeat(pieces.max(axis=1) > 300, size)[: len(pcm)]
    onsets = [at_s for _, at_s in words]
    if len(onsets) != len(written):  # it may say two written words as one; those share its time
        places = np.linspace(0, len(onsets) - 1, len(written))
        onsets = [float(at) for at in np.interp(places, range(len(onsets)), onsets)]
    return sounds, list(zip(written, onsets, strict=True))


def sounded(pcm: PCM, rate: int) -> npt.NDArray[np.int64]:
    """For how many windows each word sounds."""
    size = round(WINDOW_S * rate)
    pieces = pcm[: len(pcm) // size * size].reshape(-1, size).astype(np.float64)
    loud = pieces[np.abs(pieces).max(axis=1) > 60] * np.hanning(size)
    pitches = np.abs(np.fft.rfft(loud, n=8 * size)).argmax(axis=1) * rate / 8 / size
    found = np.round((pitches - LOWEST_HZ) / STEP_HZ).astype(int)
    return np.bincount(found[(found >= 0) & (found < len(WORDS))], minlength=len(WORDS))


def words_off(said: PCM, rate: int, whole: PCM, written: int) -> int:
    """How many words were written too many or too few.

    Heard are those of which at least half sounded; one that broke off within a tenth of its middle
    may count as either.

    Args:
        said: what came out of the loudspeaker.
        rate: its samples a second.
        whole: what would have, uncut.
        written: how many words of the agent's the context holds.
    """
    shares = sounded(said, rate) / np.maximum(1, sounded(whole, rate))
    least, most = int(np.count_nonzero(shares >= 0.6)), int(np.count_nonzero(shares >= 0.4))
    return max(least - written, written - most, 0)


async def rows(
    cut: Cut, *, count: int, at_once: int, until_s: float, stock_is: str, stock_count: int
) -> list[Row]:
    """Both kinds of voices, and what the host makes of some of the same cuts."""
    dice = Random(7)
    places = [dice.uniform(0.2, until_s) for _ in range(count)]
    free = asyncio.Semaphore(at_once)

    async def off(side: Side, at_s: float, word_times: bool) -> float:
        async with free:
            return float(await cut(side, at_s, word_times))

    async def all_off(side: Side, places: Sequence[float], word_times: bool) -> list[float]:
        return list(await asyncio.gather(*(off(side, at, word_times) for at in places)))

    made: list[Row] = []
    for word_times in (True, False):
        ours = await all_off("ours", places, word_times)
        stock = await all_off("stock", places[:stock_count], word_times)
        voice = "with word times" if word_times else "without word times"
        how = f"{count} random places in {len(WORDS)} words, cut by {STOPS!r}"
        most, percent = (0, 99) if word_times else (2, 95)
        made += [
            Row(
                name=f"heard, {voice}: words off, {percent} % of cuts",
                unit="words",
                ours=percentile(ours, percent),
                stock=percentile(stock, percent),
                stock_is=stock_is,
                budget=most,
                n=count,
                how=how,
            ),
            Row(
                name=f"heard, {voice}: words off, worst",
                unit="words",
                ours=max(ours),
                stock=max(stock),
                stock_is=stock_is,
                budget=1 if word_times else None,
                n=count,
                how=how,
            ),
        ]
    return made

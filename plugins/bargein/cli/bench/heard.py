"""Does the context hold exactly what was heard, wherever the agent is cut?"""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from random import Random

import numpy as np
import numpy.typing as npt

from bargein.testing.pipecat_parts import PacedOutput
from bargein.testing.tones import PCM, WORD_S

from .host import Parts, Who, on_call, parts, until
from .overlaps import say_over
from .row import Row, percentile

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
AT_ONCE = 8


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


def words_heard(output: PacedOutput) -> tuple[int, int]:
    """How many words came out of the transport for at least half of their length: at least, and
    at most, where one broke off within a tenth of its middle."""
    whole = np.concatenate([tones(sentence, output.rate)[0] for sentence in SENTENCES])
    said = np.frombuffer(b"".join(chunk.pcm for chunk in output.written), "<i2")
    shares = sounded(said, output.rate) / np.maximum(1, sounded(whole, output.rate))
    return int(np.count_nonzero(shares >= 0.6)), int(np.count_nonzero(shares >= 0.4))


def words_written(made: Parts) -> int:
    """How many words of the agent's the context holds."""
    said = [
        str(message.get("content", ""))
        for message in made.context.get_messages()
        if isinstance(message, dict) and message.get("role") == "assistant"
    ]
    return len(" ".join(said).split())


async def cut(who: Who, at_s: float, *, word_times: bool) -> int:
    """Interrupt the agent after so long; how many words the context is off."""
    made = parts(who, speaks=tones, word_times=word_times)
    async with on_call(made) as call:
        await call.say(TEXT)
        began_s = await call.first_heard()
        await say_over(call, STOPS, began_s + at_s)
        await until(began_s + at_s + len(STOPS.split()) * WORD_S + 1.0)
    least, most = words_heard(made.output)
    written = words_written(made)
    return max(least - written, written - most, 0)


async def rows(*, quick: bool, count: int = 100) -> list[Row]:
    """Both kinds of voices, and what the host makes of the same cuts."""
    count = 20 if quick else count
    whole_s = sum(len(tones(sentence, 24_000)[0]) for sentence in SENTENCES) / 24_000
    dice = Random(7)
    # Cuts in the first half: the later the cut the longer it takes, and all words are alike.
    places = [dice.uniform(0.2, whole_s / 2) for _ in range(count)]
    free = asyncio.Semaphore(AT_ONCE)

    async def off(who: Who, at_s: float, *, word_times: bool) -> int:
        async with free:
            return await cut(who, at_s, word_times=word_times)

    made: list[Row] = []
    for word_times in (True, False):
        ours = await asyncio.gather(*(off("ours", at, word_times=word_times) for at in places))
        stock = await asyncio.gather(
            *(off("stock", at, word_times=word_times) for at in places[: max(5, count // 10)])
        )
        voice = "with word times" if word_times else "without word times"
        how = f"{count} random places in {len(WORDS)} words, cut by {STOPS!r}"
        most, percent = (0, 99) if word_times else (2, 95)
        made += [
            Row(
                name=f"heard, {voice}: words off, {percent} % of cuts",
                unit="words",
                ours=percentile([float(one) for one in ours], percent),
                stock=percentile([float(one) for one in stock], percent),
                stock_is="default strategies",
                budget=most,
                n=count,
                how=how,
            ),
            Row(
                name=f"heard, {voice}: words off, worst",
                unit="words",
                ours=float(max(ours)),
                stock=float(max(stock)),
                stock_is="default strategies",
                budget=1 if word_times else None,
                n=count,
                how=how,
            ),
        ]
    return made

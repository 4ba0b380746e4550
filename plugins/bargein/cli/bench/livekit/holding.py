"""How long is the agent still heard after a pause is decided, and is any sample lost to it?"""

from __future__ import annotations

import asyncio
import time
from itertools import chain
from random import Random
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from bargein.core.decisions import DuckPlayout, PausePlayout, Reason, ResumePlayout, StopAt
from bargein.testing.livekit_parts import VOICE_RATE
from bargein.testing.tones import PCM, WORD_S, noise

from ..row import Row, middle, quartiles
from ..script import AUDIBLE
from .host import OnCall, on_call

MEDIAN_MS, WORST_MS = 40, 80
HELD_S = 0.4
DUCKED_S = 0.15
"""How long after the onset the pause comes: the voice is ducked at once."""
AT_ONCE = 4
_WINDOW = 48
_SURE = 0.9
_SHIFTS = 64
Who: TypeAlias = Literal["ours", "stock"]


def _order(call: OnCall, pauses: bool) -> None:
    if call.who != "ours":
        output = call.session.output.audio
        assert output is not None
        if pauses:
            output.pause()
        else:
            output.resume()
        return
    now_ms = call.studio.manners.now_ms
    if pauses:
        call.decide(PausePlayout(at_ms=now_ms, reason=Reason.STILL_UNDECIDED, stop_at=StopAt.NOW))
    else:
        call.decide(ResumePlayout(at_ms=now_ms, reason=Reason.BACKCHANNEL))


async def held(who: Who, times: int, seed: int) -> tuple[list[float], int]:
    """Pause a message some times; milliseconds from each to silence, and the samples lost."""
    dice, took = Random(seed), list[float]()
    text = " ".join(f"word{place}" for place in range(4 + 3 * times))
    speaks = Noise(seed)
    async with on_call(who, speaks=speaks, word_times=False) as call:
        handle = call.session.say(text)
        await call.first_heard()
        # So far that a text-to-speech that is ten times faster than the ear has finished.
        await asyncio.sleep(0.2)
        for _ in range(times):
            # Any phase of the room's chunks must be hit.
            await asyncio.sleep(dice.uniform(0.2, 0.35))
            if who == "ours":
                call.decide(
                    DuckPlayout(at_ms=call.studio.manners.now_ms, reason=Reason.OVERLAP_BEGAN)
                )
            await asyncio.sleep(DUCKED_S)
            decided_s = time.monotonic()
            _order(call, True)
            await asyncio.sleep(HELD_S)
            took.append(silent_after_ms(call, decided_s))
            _order(call, False)
        await asyncio.wait_for(handle, len(text.split()) * WORD_S + 10)
        await asyncio.sleep(0.3)
        said = call.recording.pcm
    whole = np.concatenate([speaks(word, VOICE_RATE)[0] for word in text.split()])
    return took, lost(whole, said)


class Noise:
    """A voice of which every sample is loud and no two words are alike."""

    def __init__(self, seed: int) -> None:
        """Another one for every seed."""
        self._seed = seed

    def __call__(self, text: str, rate: int) -> tuple[PCM, list[tuple[str, float]]]:
        """Speak a text."""
        pcm, words = noise(text.strip(), rate)
        own = int(text.strip().removeprefix("word")) + 1_000 * self._seed
        return np.random.default_rng(own).permutation(pcm), words


def silent_after_ms(call: OnCall, decided_s: float) -> float:
    """When the last audible sample was heard so far, counted from the decision."""
    recording = call.recording
    loud = np.flatnonzero(np.abs(recording.pcm.astype(np.int32)) > AUDIBLE)
    return float(recording.from_s + (loud[-1] + 1) / VOICE_RATE - decided_s) * 1_000


def lost(whole: PCM, said: PCM) -> int:
    """How many samples of a message are nowhere in what was heard, at whatever gain.

    Where what was heard runs along with the message, the two differ by a constant shift; every
    pause makes another one.
    """
    found = np.zeros(len(whole), np.bool_)
    while said.any() and (new := _found(np.where(found, 0, whole).astype(np.int16), said)).any():
        found |= new  # a short stretch is told from noise only without the long ones
    return int(np.count_nonzero(~found))


def _found(whole: PCM, said: PCM) -> npt.NDArray[np.bool_]:
    """Which samples of the message run along with what was heard, at its clearest shifts."""
    size = 1 << (len(whole) + len(said)).bit_length()
    theirs, ours = np.fft.rfft(said, size), np.fft.rfft(whole, size)
    alike = np.fft.irfft(theirs * np.conj(ours), size)
    floor = 8 * float(np.median(np.abs(alike))) / 0.6745
    found = np.zeros(len(whole), np.bool_)
    for shift in np.argsort(alike)[: -_SHIFTS - 1 : -1]:
        if alike[shift] <= floor:
            break
        by = int(shift) if shift <= len(said) else int(shift) - size
        found |= _along(whole, said, by)
    return np.asarray(found & (whole != 0))


def _along(whole: PCM, said: PCM, shift: int) -> npt.NDArray[np.bool_]:
    """Which samples of the message are heard at this shift, told in small windows."""
    at = np.arange(len(whole)) + shift
    heard = np.where((at >= 0) & (at < len(said)), said[np.clip(at, 0, len(said) - 1)], 0)
    ours, theirs = whole.astype(np.float64), heard.astype(np.float64)

    def summed(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(np.convolve(values, np.ones(_WINDOW), "full"))

    both = summed(ours * theirs)
    power = np.sqrt(summed(ours**2) * summed(theirs**2))
    sure = both > _SURE * np.maximum(power, 1.0)
    # A sample is heard if any window with it in it is.
    return np.asarray(np.convolve(sure, np.ones(_WINDOW), "valid") > 0)[: len(whole)]


async def rows(*, quick: bool) -> list[Row]:
    """The median, the worst, and what was lost."""
    each, stock_each = (3, 3) if quick else (25, 6)
    ours = await asyncio.gather(*(held("ours", each, seed) for seed in range(AT_ONCE)))
    stock = await asyncio.gather(*(held("stock", stock_each, seed) for seed in range(AT_ONCE)))
    ours_ms = list(chain.from_iterable(took for took, _ in ours))
    stock_ms = list(chain.from_iterable(took for took, _ in stock))
    stock_is = "RoomIO's pause()"
    how = f"{each} holds of {HELD_S * 1000:.0f} ms a call, in what a listener to the track hears"
    return [
        Row(
            name="hold decided -> last audible sample, median",
            unit="ms",
            ours=middle(ours_ms),
            stock=middle(stock_ms),
            stock_is=stock_is,
            budget=MEDIAN_MS,
            spread=quartiles(ours_ms),
            n=len(ours_ms),
            how=how,
        ),
        Row(
            name="hold decided -> last audible sample, worst",
            unit="ms",
            ours=max(ours_ms),
            stock=max(stock_ms),
            stock_is=stock_is,
            budget=WORST_MS,
            n=len(ours_ms),
            how=how,
        ),
        Row(
            name="lost over a hold and its resume",
            unit="samples",
            ours=max(missed for _, missed in ours) / each,
            stock=middle([missed / stock_each for _, missed in stock]),
            stock_is=stock_is,
            budget=0,
            n=len(ours_ms),
            how="samples of the message that were never heard, a hold; of the worst call of ours",
        ),
    ]

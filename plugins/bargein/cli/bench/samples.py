"""Is any sample lost or heard twice, through ducks, pauses, resumes and a yield?"""

from __future__ import annotations

import asyncio
import time
from random import Random
from typing import Any

import numpy as np
from pipecat.frames.frames import Frame

from bargein.core.decisions import (
    Decision,
    DuckPlayout,
    PausePlayout,
    Reason,
    ResumePlayout,
    StopAt,
    YieldFloor,
)
from bargein.playback import AudioOut, CutOut, Out, Playback
from bargein.testing.tones import PCM, WORD_S, noise

from .host import on_call, parts
from .row import Row
from .script import until


class Watched(Playback[Frame]):
    """A playback that compares every sample it lets out with the one that came in."""

    def __init__(self) -> None:
        """With the usual numbers."""
        super().__init__()
        self.came = bytearray()
        """All that came in and was not turned away at once."""
        self.went = bytearray()
        """All that was let out, silence of ours included."""
        self._refused = 0
        self._skipped = 0  # dropped so far from what lies before the next sample
        self.exact_samples = 0
        """Let out at full gain, and byte for byte what came in."""
        self.wrong_samples = 0
        """Not what came in at that place: changed at full gain, or no scaled copy of it."""

    def put_audio(self, pcm: bytes, **options: Any) -> None:
        """Remember what came in; the rest of a message that was cut is turned away."""
        dropped = self.dropped_samples
        super().put_audio(pcm, **options)
        if self.dropped_samples == dropped:
            self.came += pcm
        else:
            self._refused += self.dropped_samples - dropped

    def drop(self, **options: Any) -> None:
        """What was queued is not the next thing to go out."""
        super().drop(**options)
        self._skipped = self.dropped_samples - self._refused

    def take(self, now_ms: float) -> list[Out[Frame]]:
        """Compare what goes out."""
        place = 2 * (self.released_samples + self._skipped)
        full = self._gain == self._target == 1.0
        taken = super().take(now_ms)
        audio = [out for out in taken if isinstance(out, AudioOut)]
        full = full and self._gain == self._target == 1.0 and all(out.source for out in audio)
        for out in audio:
            self.went += out.pcm
            if not out.source:
                continue
            source = bytes(self.came[place : place + len(out.pcm)])
            place += len(out.pcm)
            if full and out.pcm == source:
                self.exact_samples += len(source) // 2
            else:
                self.wrong_samples += _wrong(out.pcm, source, full=full)
        if any(isinstance(out, CutOut) for out in taken):
            self._skipped = self.dropped_samples - self._refused
        return taken

    @property
    def queued_samples(self) -> int:
        """What came in and has neither gone out nor been dropped."""
        return sum(len(getattr(item, "pcm", b"")) // 2 for item in self._items)

    @property
    def unaccounted_samples(self) -> int:
        """Lost or repeated, by the playback's own count."""
        kept = self.received_samples - self.dropped_samples - self.queued_samples
        return abs(kept - self.released_samples)


def _wrong(went: bytes, came: bytes, *, full: bool) -> int:
    if len(went) != len(came):
        return len(went) // 2
    out = np.frombuffer(went, "<i2").astype(np.int32)
    source = np.frombuffer(came, "<i2").astype(np.int32)
    if full:
        return int(np.count_nonzero(out != source))
    # Ducked or faded: a scaled copy has the same sign, is no louder, and its gain hardly moves
    # from one sample to the next.
    gains = out / source
    steps = np.abs(np.diff(gains, prepend=gains[0]))
    return int(np.count_nonzero((gains < -1e-3) | (gains > 1 + 1e-9) | (steps > 0.02)))


async def talked_over(seed: int) -> tuple[Watched, bytes]:
    """A call with everything the floor can order; its playback, and what the transport wrote."""
    dice, voices = Random(seed), list[Watched]()

    def made() -> Watched:
        voices.append(Watched())
        return voices[-1]

    async with on_call(parts("ours", speaks=noise, voice=made)) as call:
        manners = call.parts.manners
        assert manners is not None
        await call.say(" ".join(f"word{place}" for place in range(40)))
        await call.first_heard()
        zero_s = time.monotonic()
        for at_s, order in _orders():
            await until(zero_s + at_s + dice.uniform(0, 0.15))
            call.decide(order(at_ms=manners.now_ms, reason=Reason.STILL_UNDECIDED))
        await asyncio.sleep(0.8)
        began_s = time.monotonic()
        await call.say("and this is the last thing that is said")
        await call.first_heard(after_s=began_s)
        await asyncio.sleep(9 * WORD_S + 0.6)
        written = b"".join(chunk.pcm for chunk in call.parts.output.written)
    return voices[0], written


def _orders() -> list[tuple[float, Any]]:
    def pause(stop_at: StopAt) -> Any:
        def order(**stamp: Any) -> Decision:
            return PausePlayout(stop_at=stop_at, **stamp)

        return order

    return [
        (0.5, DuckPlayout),
        (0.9, ResumePlayout),
        (1.2, DuckPlayout),
        (1.4, pause(StopAt.WORD)),
        (2.0, ResumePlayout),
        (2.4, pause(StopAt.NOW)),
        (2.8, ResumePlayout),  # goes back to the beginning of the word that broke
        (3.2, DuckPlayout),
        (3.4, pause(StopAt.PHRASE)),
        (3.45, ResumePlayout),  # before the stop was reached
        (3.8, pause(StopAt.NOW)),
        (3.85, ResumePlayout),
        (4.4, DuckPlayout),
        (4.8, YieldFloor),
    ]


def astray(went: bytes, written: bytes) -> int:
    """Samples of what was let out that the transport did not write, or wrote twice."""
    ours = np.frombuffer(went, "<i2")
    theirs = np.frombuffer(written, "<i2")
    # Silence is padding, of ours or of the transport's.
    ours, theirs = ours[ours != 0], theirs[theirs != 0]
    lost = 0
    place = 0
    while place < len(ours) and place < len(theirs):
        differ = np.flatnonzero(ours[place : len(theirs)] != theirs[place : len(ours)])
        if not len(differ):
            break
        # Go on behind what was lost, so that one gap is counted as one gap.
        place += int(differ[0])
        gap = _gap(ours[place:], theirs[place : place + 64])
        if gap is None:
            return lost + max(len(ours), len(theirs)) - place
        lost += gap
        ours = np.delete(ours, np.s_[place : place + gap])
    return lost + abs(len(ours) - len(theirs))


def _gap(ours: PCM, key: PCM) -> int | None:
    """How many samples in front of ``key`` are missing from the other side."""
    found = np.flatnonzero(ours == key[0])
    return next((int(at) for at in found if np.array_equal(ours[at : at + len(key)], key)), None)


async def rows(*, quick: bool) -> list[Row]:
    """What is unaccounted for, what is wrong, and what the transport did not get."""
    calls = await asyncio.gather(*(talked_over(seed) for seed in range(2 if quick else 6)))
    exact = sum(voice.exact_samples for voice, _ in calls)
    ordered = "6 resumes, 4 pauses, 4 ducks and a yield"
    return [
        Row(
            name="samples lost or repeated",
            unit="samples",
            ours=sum(voice.unaccounted_samples for voice, _ in calls),
            budget=0,
            n=len(calls),
            how=f"a call each with {ordered}: received - dropped - queued - released",
        ),
        Row(
            name="samples let out that differ from those that came",
            unit="samples",
            ours=sum(voice.wrong_samples for voice, _ in calls),
            budget=0,
            n=len(calls),
            how=f"{exact} were byte-exact at full gain; the others must be a scaled copy",
        ),
        Row(
            name="samples let out that the transport lost or repeated",
            unit="samples",
            ours=sum(astray(bytes(voice.went), written) for voice, written in calls),
            budget=0,
            n=len(calls),
            how="all that the gate let out beside all that was written, silence left out",
        ),
    ]

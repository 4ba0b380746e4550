"""How soon does a caller who begins to speak hear the agent give way?"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from random import Random

import numpy as np
from pipecat.frames.frames import InputAudioRawFrame

from bargein.testing.pipecat_parts import PacedOutput
from bargein.testing.tones import PCM, WORD_S
from bargein.testing.utterance import RATE, Utterance, utterance

from .host import OnCall, Who, on_call, parts
from .row import Row, middle, quartiles
from .script import until

WITHIN_MS = 120
FRAME_S = 0.02
UTTERANCES = ("wait, I meant Thursday", "uh-huh", "no, not that one", "can you say that again")
PEAK = 5_700
"""The bench's voice is a tone that reaches 6000 in every period; this is 0.4 dB less."""
GAP_S = 0.012
"""Without such a peak for this long, twice its longest period, the tone has become quieter."""
GIVEN_UP_S = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Quieter:
    """The last sample at full voice before the agent became quieter, or silent."""

    written_s: float
    """When it was handed to the transport, its place in the chunk added; ``time.monotonic``."""
    heard_s: float
    """When it sounds at the far end."""


def quieter(output: PacedOutput, from_s: float) -> Quieter | None:
    """The first change of the voice after an instant; None if there was none."""
    track = output.recording(from_s, from_s + GIVEN_UP_S)
    loud = np.flatnonzero(np.abs(track.astype(np.int32)) >= PEAK)
    gaps = np.flatnonzero(np.diff(loud) > GAP_S * output.rate)
    if len(gaps):
        last = int(loud[gaps[0]])
    elif len(loud) and len(track) - loud[-1] > GAP_S * output.rate:
        last = int(loud[-1])
    else:
        return None
    heard_s = from_s + (last + 1) / output.rate
    chunk = next(one for one in reversed(output.written) if one.plays_at_s < heard_s)
    return Quieter(written_s=chunk.at_s + heard_s - chunk.plays_at_s, heard_s=heard_s)


async def gives_way(who: Who, says: Utterance, seed: int) -> Quieter | None:
    """When the agent becomes quieter, counted from the caller's first sound; real Silero."""
    dice = np.random.default_rng(seed)
    before = round(Random(seed).uniform(0.9, 1.2) * RATE)
    line = np.concatenate([np.zeros(before, np.int16), says.pcm, np.zeros(RATE // 2, np.int16)])
    line = (line + dice.normal(0, 10, len(line))).astype(np.int16)  # no line is quite silent
    async with on_call(parts(who, vad=True)) as call:
        await call.say(" ".join(["word"] * round(6 / WORD_S)))
        await call.first_heard()
        began_s = time.monotonic()
        await _listen(call, line, began_s)
        onset_s = began_s + before / RATE + says.begins_s
        found = quieter(call.parts.output, onset_s)
    if found is None:
        return None
    return Quieter(written_s=found.written_s - onset_s, heard_s=found.heard_s - onset_s)


async def _listen(call: OnCall, line: PCM, began_s: float) -> None:
    """Hand the line in as it comes: a frame when its last sample has been spoken."""
    size = round(RATE * FRAME_S)
    for place in range(len(line) // size):
        await until(began_s + (place + 1) * FRAME_S)
        piece = line[place * size : (place + 1) * size].tobytes()
        await call.worker.queue_frame(InputAudioRawFrame(piece, RATE, 1))


async def rows(*, quick: bool) -> list[Row]:
    """By the transport's writes and at the far end, ours beside the default strategies."""
    took: dict[Who, list[Quieter]] = {"ours": [], "stock": []}
    for seed in range(1 if quick else 3):
        for text in UTTERANCES[:2] if quick else UTTERANCES:
            says = utterance(text, text)
            found = await asyncio.gather(*(gives_way(who, says, seed) for who in took))
            for who, one in zip(took, found, strict=True):
                # Not heard at all: as slow as this measurement can tell.
                late = Quieter(written_s=GIVEN_UP_S, heard_s=GIVEN_UP_S)
                took[who].append(one or late)
    made: list[Row] = []
    for name, field, budget in (
        ("quieter, by the transport's writes", "written_s", None),
        ("quieter at the far end", "heard_s", WITHIN_MS),
    ):
        ms = {who: [getattr(one, field) * 1_000 for one in took[who]] for who in took}
        made.append(
            Row(
                name=f"speech onset -> {name}",
                unit="ms",
                ours=middle(ms["ours"]),
                stock=middle(ms["stock"]),
                stock_is="its first reaction: silence, at its own detector's word",
                budget=budget,
                spread=quartiles(ms["ours"]),
                n=len(ms["ours"]),
                how="eSpeak callers over a tone, real Silero on both sides: manners.vad() and"
                " the host's own",
            )
        )
    return made

"""How soon does a caller who begins to speak hear the agent give way?"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from random import Random

from bargein.testing.pipecat_parts import PacedOutput
from bargein.testing.tones import WORD_S
from bargein.testing.utterance import Utterance, utterance

from .host import Who, on_call, parts
from .interruptions import listen, on_a_line
from .quieter import full_until
from .row import Row, beside

WITHIN_MS = 120
UTTERANCES = ("wait, I meant Thursday", "uh-huh", "no, not that one", "can you say that again")
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
    last = full_until(track, output.rate)
    if last is None:
        return None
    heard_s = from_s + (last + 1) / output.rate
    chunk = next(one for one in reversed(output.written) if one.plays_at_s < heard_s)
    return Quieter(written_s=chunk.at_s + heard_s - chunk.plays_at_s, heard_s=heard_s)


async def gives_way(who: Who, says: Utterance, seed: int) -> Quieter | None:
    """When the agent becomes quieter, counted from the caller's first sound; real Silero."""
    before_s = Random(seed).uniform(0.9, 1.2)
    line = on_a_line(says, before_s, 0.5, seed)
    async with on_call(parts(who, vad=True)) as call:
        await call.say(" ".join(["word"] * round(6 / WORD_S)))
        await call.first_heard()
        began_s = time.monotonic()
        await listen(call, line, began_s)
        onset_s = began_s + before_s + says.begins_s
        found = quieter(call.parts.output, onset_s)
    if found is None:
        return None
    return Quieter(written_s=found.written_s - onset_s, heard_s=found.heard_s - onset_s)


async def rows(*, quick: bool) -> list[Row]:
    """By the transport's writes and at the far end, ours beside the default strategies."""
    took: dict[Who, list[Quieter]] = {"ours": [], "stock": []}
    for seed in range(1 if quick else 6):
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
            beside(
                f"speech onset -> {name}",
                ms["ours"],
                ms["stock"],
                unit="ms",
                stock_is="its first reaction: silence, at its own detector's word",
                budget=budget,
                how="eSpeak callers over a tone, real Silero on both sides: manners.vad() and"
                " the host's own",
            )
        )
    return made

"""What is said over the agent, when, and what was heard of it meanwhile? On any host."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from bargein.testing.tones import PCM

T = TypeVar("T")

REPLY = (
    "Your appointment is on Tuesday at nine with Doctor Hale in the main building and you should"
    " bring your insurance card and arrive ten minutes early because there is a form that has to"
    " be filled in"
)
"""Long enough for three overlaps, and no question, which a "yes" would answer."""
VAD_S = 0.2
"""How long after the onset Pipecat's detector says so."""
LATENCY_S = 0.25
"""How long after a word's end the recogniser's partial comes."""
BACKCHANNELS = ((1.5, "uh-huh"), (4.0, "right okay"), (6.5, "yeah okay sure"))
"""When, from the agent's first sound, and what."""
INTERRUPTIONS = (
    "no wait I meant Thursday",
    "sorry can you say that again",
    "actually make it Friday please",
    "hold on I need to check",
    "wait that is the wrong doctor",
    "but I already have an appointment",
)


class LongTalk:
    """What happens over and over in a long call, whatever the host."""

    every_s = 10.0
    reply = "is the number of what I tell you now and you should write it down for later"

    @staticmethod
    def said(place: int) -> tuple[tuple[float, str], ...]:
        """When the caller says what, from the beginning of the agent's turn or so."""
        if place % 3 == 2:
            return ((1.5, "no wait I meant Thursday"),)
        return ((1.0, "uh-huh"), (7.0, "and what else should I bring"))


LONG_TALK = LongTalk()
AUDIBLE = 60
"""Louder than this is heard: half a thousandth of full scale, under the tail of a fade."""


def silent_ms(pcm: PCM, rate: int) -> float:
    """For how long nothing is audible, in windows of 20 ms."""
    window = rate // 50
    pieces = np.abs(pcm[: len(pcm) // window * window].astype(np.int32)).reshape(-1, window)
    return float(np.count_nonzero(pieces.max(axis=1, initial=0) <= AUDIBLE) * 20)


def turned(hosts: Sequence[T], by: int) -> list[T]:
    """In another order every time, so that nobody is always first."""
    return [*hosts[by % len(hosts) :], *hosts[: by % len(hosts)]]


async def until(at_s: float) -> None:
    """Sleep until this instant of ``time.monotonic``."""
    await asyncio.sleep(max(0.0, at_s - time.monotonic()))

"""A caller on a loudspeaker: what the agent plays comes back, and what they say is mixed in."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count

import numpy as np

from bargein.testing.speakerphone import RATE, TAIL_S, Speakerphone, Wave, as_loud, as_pcm, as_wave
from bargein.testing.speech import PCM, agent_voice, speak

STEP_S = 0.02
_VOICE_DB = -23


def voice(text: str, rate: int) -> tuple[PCM, list[tuple[str, float]]]:
    """The agent, at a caller's loudness."""
    pcm, words = agent_voice(text, rate)
    return as_pcm(as_loud(as_wave(pcm), _VOICE_DB)), words


def caller(text: str) -> Wave:
    """Somebody else, as loud."""
    return as_loud(as_wave(speak(text, RATE, voice="en-us+f3")[0]), _VOICE_DB)


@dataclass(frozen=True, kw_only=True)
class Way:
    """How frames come from the microphone to the host."""

    late_ms: Callable[[int], float] = lambda _place: 0
    """How long the frame at that place is on its way; none overtakes another."""
    drift: float = 0.0
    """By how much of the time that has passed the echo comes later."""


STEADY = Way()
ROUGH = Way(
    # Up to 200 ms late, and then all at once; 20 ms more delay in a minute's call.
    late_ms=lambda place: max(40.0, 200 - 20 * (place % 10)) if place % 50 < 30 else 0,
    drift=0.020 / 60,
)


class EchoingLine:
    """Makes the microphone's audio, a frame of 20 ms after the other, for as long as it is asked.

    What is in a frame follows from how many came before it, never from when it was made.
    """

    def __init__(
        self,
        played: Callable[[float, float], tuple[PCM, int]],
        hand_in: Callable[[PCM], Awaitable[None]],
        *,
        phone: Speakerphone | None = None,
        way: Way = STEADY,
    ) -> None:
        """Set it up.

        Args:
            played: what sounded between two instants on ``time.monotonic``, and its rate.
            hand_in: takes a frame.
            phone: the loudspeaker and its room.
            way: how the frames come.
        """
        self._phone = phone or Speakerphone(echo_db=-12, delay_ms=150)
        self._played, self._hand_in, self._way = played, hand_in, way
        self._says: Wave = np.zeros(0)
        self._noise = np.random.default_rng(1)

    def says(self, sound: Wave) -> None:
        """The caller begins to say something."""
        self._says = sound

    @asynccontextmanager
    async def open(self) -> AsyncIterator["EchoingLine"]:
        """Talk until the end of the block."""
        running = asyncio.ensure_future(self._run())
        try:
            yield self
        finally:
            running.cancel()

    async def _run(self) -> None:
        began_s = time.monotonic()
        for place in count():
            ends_s = began_s + (place + 1) * STEP_S
            comes_s = ends_s + self._way.late_ms(place) / 1000
            await asyncio.sleep(max(0.0, comes_s - time.monotonic()))
            await self._hand_in(as_pcm(self._step(ends_s, place * STEP_S)))

    def _step(self, ends_s: float, at_s: float) -> Wave:
        size = round(STEP_S * RATE)
        heard_s = ends_s - self._phone.delay_ms / 1000 - at_s * self._way.drift
        pcm, rate = self._played(heard_s - STEP_S - TAIL_S, heard_s)
        places = np.arange(round((TAIL_S + STEP_S) * RATE)) * rate / RATE
        wave = np.interp(places, np.arange(len(pcm)), as_wave(pcm))
        mixed = self._phone.coloured(wave) + self._noise.standard_normal(size) * 10**-3.25
        said, self._says = self._says[:size], self._says[size:]
        mixed[: len(said)] += said
        return mixed

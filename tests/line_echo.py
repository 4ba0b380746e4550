"""A caller on a loudspeaker: what the agent plays comes back, and what they say is mixed in."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from bargein.testing.speakerphone import RATE, TAIL_S, Speakerphone, Wave, as_loud, as_pcm, as_wave
from bargein.testing.speech import PCM, agent_voice, speak

STEP_S = 0.06
_FRAMES = 3
_LATE_S = 0.04
_VOICE_DB = -23


def voice(text: str, rate: int) -> tuple[PCM, list[tuple[str, float]]]:
    """The agent, at a caller's loudness."""
    pcm, words = agent_voice(text, rate)
    return as_pcm(as_loud(as_wave(pcm), _VOICE_DB)), words


def caller(text: str) -> Wave:
    """Somebody else, as loud."""
    return as_loud(as_wave(speak(text, RATE, voice="en-us+f3")[0]), _VOICE_DB)


class EchoingLine:
    """Makes the microphone's audio, three frames of 20 ms at a time, for as long as it is asked."""

    def __init__(
        self,
        phone: Speakerphone,
        played: Callable[[float, float], tuple[PCM, int]],
        hand_in: Callable[[PCM], Awaitable[None]],
    ) -> None:
        """Set it up.

        Args:
            phone: the loudspeaker and its room.
            played: what sounded between two instants on ``time.monotonic``, and its rate.
            hand_in: takes a frame.
        """
        self._phone, self._played, self._hand_in = phone, played, hand_in
        self._says: Wave = np.zeros(0)
        self._noise = np.random.default_rng(1)
        self._late_s = 0.0

    def says(self, sound: Wave) -> None:
        """The caller begins to say something."""
        self._says = sound

    def judge(self) -> None:
        """Skip where this machine could not keep a line up: its gaps are in no room's echo."""
        if self._late_s > _LATE_S:
            pytest.skip(f"the line stood still for {self._late_s * 1e3:.0f} ms: machine too busy")

    async def run(self) -> None:
        """Talk until cancelled; frames that are late follow at once, as on any line."""
        began_s = time.monotonic()
        count = 0
        while True:
            count += 1
            ends_s = began_s + count * STEP_S
            await asyncio.sleep(max(0.0, ends_s - time.monotonic()))
            self._late_s = max(self._late_s, time.monotonic() - ends_s)
            for frame in np.split(as_pcm(self._step(ends_s)), _FRAMES):
                await self._hand_in(frame)

    def _step(self, ends_s: float) -> Wave:
        size = round(STEP_S * RATE)
        heard_s = ends_s - self._phone.delay_ms / 1000
        pcm, rate = self._played(heard_s - STEP_S - TAIL_S, heard_s)
        places = np.arange(round((TAIL_S + STEP_S) * RATE)) * rate / RATE
        wave = np.interp(places, np.arange(len(pcm)), as_wave(pcm))
        mixed = self._phone.coloured(wave) + self._noise.standard_normal(size) * 10**-3.25
        said, self._says = self._says[:size], self._says[size:]
        mixed[: len(said)] += said
        return mixed

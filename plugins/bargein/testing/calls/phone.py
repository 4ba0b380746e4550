"""How is any bot on any stack tried? Over a provider's media stream, as a telephone calls it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ..phone import PHONE_RATE, Phone, Provider
from ..services.voice import from_mu_law
from ..speech import PCM, resampled
from ..steps import ScriptError
from ..utterance import RATE, Utterance
from .subject import BargeIn, Capabilities, Message, Ran, Voiced, VoiceLog, WordTimes


class Heard(Protocol):
    """A recogniser that is told what the caller says."""

    def heard(self, said: Utterance, began_s: float, /) -> None:
        """The clip began at that instant, on ``time.monotonic``."""


class PhoneAgent:
    """A bot behind a websocket in Twilio's protocol, Telnyx's or Plivo's.

    What it says and thinks is unknown, as far as it is not told. Then `Call.heard` and its like are
    `Unsupported`; when it falls silent is measured all the same.
    """

    def __init__(
        self,
        url: str,
        *,
        provider: Provider = "twilio",
        parameters: Mapping[str, str] | None = None,
        voice: VoiceLog | None = None,
        stt: Heard | None = None,
        context: Callable[[], list[Message]] | None = None,
        runs: Callable[[], Sequence[Ran]] | None = None,
    ) -> None:
        """Take an agent.

        Args:
            url: the websocket that the provider would open, ``ws://...``.
            provider: whose protocol.
            parameters: what the provider hands to the stream; Twilio's only.
            voice: what its text-to-speech was given, where that runs in this process.
            stt: its recogniser, where that is a scripted one.
            context: its LLM's messages, where they can be had.
            runs: its LLM's runs, where they can be had.
        """
        self._url, self._provider, self._parameters = url, provider, dict(parameters or {})
        self._voice, self._stt, self._context, self._runs = voice, stt, context, runs

    def __call__(self) -> _OnThePhone:
        """Call it."""
        phone = Phone(self._url, self._provider, self._parameters)
        return _OnThePhone(phone, self._voice, self._stt, self._context, self._runs)


class _OnThePhone:
    """One call, on the telephone's own clock: the audio that it played."""

    rate = PHONE_RATE

    def __init__(
        self,
        phone: Phone,
        voice: VoiceLog | None,
        stt: Heard | None,
        context: Callable[[], list[Message]] | None,
        runs: Callable[[], Sequence[Ran]] | None,
    ) -> None:
        self._phone, self._voice, self._stt = phone, voice, stt
        self._context, self._runs = context, runs
        self._said = len(voice.said) if voice is not None else 0
        self._noise: float | None = None
        self._began_s = 0.0
        self._saying: asyncio.Task[None] | None = None
        self.capabilities = Capabilities(
            host=f"a websocket in {phone.provider}'s protocol",
            barge_in=BargeIn.VAD,
            word_times=WordTimes.VOICE if voice is not None else WordTimes.NONE,
            dtmf=True,
            context=context is not None,
            runs=runs is not None,
        )

    async def start(self) -> None:
        await self._phone.__aenter__()
        self._began_s = time.monotonic()

    async def say(self, sound: Utterance) -> float:
        if self._saying is not None:
            await self._saying
        began_s = self.now_s
        self._saying = asyncio.create_task(self._phone.say(resampled(sound.pcm, RATE, PHONE_RATE)))
        if self._stt is not None:
            self._stt.heard(sound, began_s)
        return began_s

    async def press(self, key: str) -> None:
        await self._phone.press(key)

    def noise(self, db: float) -> None:
        self._phone.noise_db = db

    async def hang_up(self) -> None:
        if self._saying is not None:
            self._saying.cancel()
        await self._phone.hang_up()

    async def end(self) -> None:
        await self.hang_up()

    async def speak(self, text: str) -> None:
        raise ScriptError(f"nobody can make this agent say {text!r} from the outside")

    @property
    def now_s(self) -> float:
        return self._began_s + len(self._phone.played) / PHONE_RATE

    def recording(self, from_s: float, until_s: float) -> PCM:
        first, last = (round((one - self._began_s) * PHONE_RATE) for one in (from_s, until_s))
        heard = from_mu_law(bytes(self._phone.played[max(0, first) : max(0, last)]))
        track = np.zeros(max(0, last - first), np.int16)
        at = max(0, -first)
        track[at : at + len(heard)] = heard[: len(track) - at]
        return track

    @property
    def voiced(self) -> Sequence[Voiced]:
        return self._voice.said[self._said :] if self._voice is not None else ()

    @property
    def runs(self) -> Sequence[Ran]:
        return self._runs() if self._runs is not None else ()

    def context(self) -> list[Message]:
        found: list[dict[str, Any]] = self._context() if self._context is not None else []
        return found

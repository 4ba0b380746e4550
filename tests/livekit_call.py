"""A call on LiveKit with the real clients of three services, whose far ends are on loopback."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import numpy as np
from aiohttp import ClientSession
from livekit import agents
from livekit.plugins import deepgram, elevenlabs, openai, silero

from bargein.livekit import Bargein
from bargein.memory import Receipt
from bargein.testing import written
from bargein.testing.livekit_parts import VOICE_RATE, Studio
from bargein.testing.services import Deepgram, ElevenLabs, Fault, OpenAIChat
from livekit_rig import Log
from spoken import PAUSE_MS, spoken

WORD_S = 0.3
OPTIONS = agents.APIConnectOptions(max_retry=2, retry_interval=0.2, timeout=2)


class PhoneCall:
    """One call: its services, its caller, and what came of it."""

    def __init__(
        self,
        answers: Mapping[str, str],
        *,
        flux: bool = False,
        manners: Bargein | None = None,
        faults: Mapping[str, Sequence[Fault | None]] | None = None,
    ) -> None:
        faults = faults or {}
        self.deepgram = Deepgram(faults=faults.get("deepgram", ()))
        self.elevenlabs = ElevenLabs(times_from_chunk=False, faults=faults.get("elevenlabs", ()))
        self.openai = OpenAIChat(answers, faults=faults.get("openai", ()))
        self.manners = manners or Bargein(detectors=())
        self.decided: list[str] = []
        self.receipts: list[Receipt] = []
        self.host_errors: list[str] = []
        self.manners.add_event_handler(
            "on_decision", lambda _, d: self.decided.append(written(d).partition(" ")[2])
        )
        self.manners.add_event_handler("on_receipt", lambda _, r: self.receipts.append(r))
        self._flux = flux
        self.hangs_up = False
        self._log = Log()
        self._loud = self._counted = 0

    async def run(self, script: Callable[["PhoneCall"], Awaitable[None]]) -> "PhoneCall":
        """Run the script, then end the call as an application does."""
        ours = logging.getLogger("bargein")
        ours.addHandler(self._log)
        async with ClientSession() as http, self.deepgram, self.elevenlabs, self.openai:
            self.studio = self._studio(http)
            self.studio.session.on(
                "error", lambda e: self.host_errors.append(type(e.source).__name__)
            )
            try:
                await self.studio.start(agents.Agent(instructions="You answer the phone."))
                try:
                    await script(self)
                finally:
                    await self.studio.end(drain=not self.hangs_up)
            finally:
                await self.studio.close()
                ours.removeHandler(self._log)
        return self

    def _failed(self, event: Any) -> None:
        self.host_errors.append(type(event.source).__name__)

    def _studio(self, http: ClientSession) -> Studio:
        if self._flux:
            ear: Any = deepgram.STTv2(
                api_key="any",
                base_url=self.deepgram.flux_url,
                eager_eot_threshold=0.5,
                http_session=http,
            )
        else:
            ear = deepgram.STT(api_key="any", base_url=self.deepgram.nova_url, http_session=http)
        voice: Any = elevenlabs.TTS(
            api_key="any",
            base_url=f"{self.elevenlabs.url}/v1",
            voice_id="any",
            encoding="pcm_24000",
            http_session=http,
        )
        return Studio(
            self.manners,
            stt=ear,
            tts=voice,
            llm=openai.LLM(model="any", api_key="any", base_url=self.openai.base_url),
            vad=silero.VAD.load(min_silence_duration=0.3),
            conn_options=agents.voice.agent_session.SessionConnectOptions(
                stt_conn_options=OPTIONS, llm_conn_options=OPTIONS, tts_conn_options=OPTIONS
            ),
            turn_handling={
                "turn_detection": "stt" if self._flux else "vad",
                "endpointing": {"min_delay": 0.25, "max_delay": 0.5},
                "preemptive_generation": {"enabled": False},
            },
        )

    async def speaks(self, text: str, *, must_hear: bool = False) -> None:
        """The agent says something of its own accord."""
        await self.manners.say(None, text, must_hear=must_hear, on_cut="repeat")

    # --- the caller ---

    def begins(self, text: str) -> None:
        """The caller begins to say something."""
        self._saying = asyncio.create_task(self.says(text))

    async def says(self, text: str) -> None:
        """The caller says something; returns when they are silent again."""
        clip, word_ms = spoken(text)
        self.studio.microphone.play(clip)
        self.deepgram.says(text, word_ms=word_ms, pause_ms=PAUSE_MS)
        await asyncio.sleep(len(clip) / 16000)

    async def asks(self, text: str, words: int = 3) -> None:
        """The caller says something, and hears the first words of the answer."""
        before = self.words_heard
        await self.says(text)
        await self.hears(before + words)

    async def hears(self, words: float) -> None:
        """Wait until the agent has said so many words in this call."""
        await self.until(lambda: self.words_heard >= words)

    async def until(self, true: Callable[[], Any], within_s: float = 20) -> None:
        """Wait for something to become true."""
        async with asyncio.timeout(within_s):
            while not true():
                await asyncio.sleep(0.02)

    async def quiet(self) -> None:
        """Wait until the agent has said all that it is going to."""
        rounds, before = 0, 0.0
        async with asyncio.timeout(25):
            while rounds < 12:
                await asyncio.sleep(0.1)
                now = self.words_heard
                busy = self.manners.busy or now != before
                rounds, before = 0 if busy else rounds + 1, now

    # --- what came of it ---

    @property
    def words_heard(self) -> float:
        """How many words of the agent's were audible."""
        chunks = self.studio.room.recording.chunks
        for pcm in chunks[self._counted :]:
            self._loud += int(np.count_nonzero(np.abs(pcm.astype(np.int32)) > 30))
            self._counted += 1
        return self._loud / VOICE_RATE / WORD_S * 1.006  # a tone is quiet where it crosses zero

    def said(self, who: str) -> list[str]:
        """What the history says that somebody said."""
        return self.studio.said(who)

    @property
    def log(self) -> list[str]:
        """Our errors and warnings in the log."""
        return [one.getMessage() for one in self._log.records if one.levelno >= logging.WARNING]

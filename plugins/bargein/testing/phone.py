"""Who is at the other end of the telephone? A caller who speaks as a provider's media stream does.

async with Phone("ws://127.0.0.1:8765/media") as phone:
    await phone.say(babble(900, PHONE_RATE))
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeAlias

import aiohttp
import numpy as np

from .services.voice import PCM, mu_law

Provider: TypeAlias = Literal["twilio", "telnyx", "plivo"]
Message: TypeAlias = dict[str, Any]

PHONE_RATE = 8000
FRAME_MS = 20
STREAM = "loopback-stream"
CALL_SID = "loopback-call"
_QUIET = 0x7C
"""Of a mu-law sample without its sign: as quiet as this, it is silence."""
_FRAME_BYTES = PHONE_RATE * FRAME_MS // 1000
_VOWELS = np.array(
    [(730, 1090, 2440), (270, 2290, 3010), (570, 840, 2410), (530, 1840, 2480), (300, 870, 2240)]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """The agent had audio thrown away."""

    at_ms: int
    """When, on the phone's own clock."""
    lost_ms: int
    """How much was thrown away that had come and not been played."""


@dataclass(slots=True, eq=False)
class Phone:
    """A caller, and the provider's buffer that plays what the agent sends.

    Every 20 ms it sends 20 ms of the caller's audio and plays 20 ms of the agent's, so that its
    clock is the audio's own. What it plays before there is any is silence.
    """

    url: str
    provider: Provider = "twilio"
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What the TwiML hands to the stream; Twilio's only."""
    acknowledges: bool = True
    """Whether marks come back."""
    holds: bool = False
    """True while its buffer is stuck, and plays nothing."""
    noise_db: float | None = None
    """How noisy its line is, in dBFS; a silent one unless said."""

    received: list[Message] = field(default_factory=list, init=False)
    """What the agent sent, without its audio."""
    cleared: list[Cleared] = field(default_factory=list, init=False)
    played: bytearray = field(default_factory=bytearray, init=False)
    """All that was played so far, mu-law at 8 kHz; silence where nothing was."""
    came_back: list[tuple[int, str]] = field(default_factory=list, init=False)
    """When each mark was sent back, on the phone's own clock, and its name."""
    is_over: bool = field(default=False, init=False)
    """The agent has hung up, or we have."""
    _buffer: deque[bytes | str] = field(default_factory=deque, init=False)
    _clip: bytes = field(default=b"", init=False)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list, init=False)
    _dice: Any = field(default_factory=lambda: np.random.default_rng(0), init=False)
    _session: aiohttp.ClientSession | None = field(default=None, init=False)
    _ws: Any = field(default=None, init=False)

    async def __aenter__(self) -> Self:
        """Call."""
        self._session = aiohttp.ClientSession()
        self._ws = await self._session.ws_connect(self.url)
        for message in self._greeting():
            await self.send(message)
        self._tasks = [asyncio.create_task(self._line()), asyncio.create_task(self._hears())]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.hang_up()

    @property
    def quiet_ms(self) -> int:
        """For how long nothing but silence has been played."""
        loud = np.flatnonzero((np.frombuffer(bytes(self.played), np.uint8) & 0x7F) < _QUIET)
        last = int(loud[-1]) + 1 if len(loud) else 0
        return (len(self.played) - last) * 1000 // PHONE_RATE

    @property
    def now_ms(self) -> int:
        """How long the call has lasted, by the audio played."""
        return len(self.played) * 1000 // PHONE_RATE

    async def say(self, pcm: PCM) -> None:
        """Say this from now on; 16-bit samples at 8 kHz. It takes the audio's time."""
        self._clip = mu_law(pcm)
        while self._clip and not self.is_over:
            await asyncio.sleep(0.005)

    async def press(self, key: str) -> None:
        """Press a key, such as ``"#"``."""
        await self.send({"event": "dtmf", **self._named(), "dtmf": {"digit": key}})

    async def hang_up(self) -> None:
        """End the call, as a caller does who has had enough."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        if self._session is not None:
            if not self.is_over:
                await self.send({"event": "stop", **self._named(), "stop": {}})
            await self._ws.close()
            await self._session.close()
            self._session = None
        self.is_over = True

    def sent(self, event: str) -> list[Message]:
        """The agent's messages of one kind, such as ``"clear"`` or ``"mark"``."""
        return [message for message in self.received if message.get("event") == event]

    # --- the provider's protocol ---

    def _named(self) -> Message:
        key = {"twilio": "streamSid", "telnyx": "stream_id", "plivo": "streamId"}[self.provider]
        return {key: STREAM}

    def _greeting(self) -> list[Message]:
        if self.provider == "twilio":
            start: Message = {
                "streamSid": STREAM,
                "accountSid": "loopback-account",
                "callSid": CALL_SID,
                "tracks": ["inbound"],
                "customParameters": dict(self.parameters),
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            }
            hello: Message = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
        elif self.provider == "telnyx":
            start = {
                "call_control_id": CALL_SID,
                "from": self.parameters.get("from_number", ""),
                "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
            }
            hello = {"event": "connected", "version": "1.0.0"}
        else:
            start = {"streamId": STREAM, "callId": CALL_SID, "tracks": ["inbound"]}
            return [{"event": "start", "sequenceNumber": 0, "start": start}]
        return [hello, {"event": "start", "sequenceNumber": "1", **self._named(), "start": start}]

    async def _hears(self) -> None:
        async for raw in self._ws:
            if raw.type is not aiohttp.WSMsgType.TEXT:
                continue
            message = json.loads(raw.data)
            if message["event"] in ("media", "playAudio"):
                self._buffer.append(base64.b64decode(message["media"]["payload"]))
                continue
            self.received.append(message)
            if message["event"] == "mark":
                self._buffer.append(message["mark"]["name"])
            elif message["event"] == "checkpoint":
                self._buffer.append(message["name"])
            elif message["event"] in ("clear", "clearAudio"):
                await self._clear()
        self.is_over = True

    async def _clear(self) -> None:
        marks = [item for item in self._buffer if isinstance(item, str)]
        lost = sum(len(item) for item in self._buffer if isinstance(item, bytes))
        self._buffer.clear()
        lost_ms = lost * 1000 // PHONE_RATE
        self.cleared.append(Cleared(at_ms=self.now_ms, lost_ms=lost_ms))
        if self.provider == "plivo":
            await self.send({"event": "clearedAudio", **self._named()})
            return  # its checkpoints are gone with the audio
        for name in marks:
            await self._mark(name)

    async def _mark(self, name: str) -> None:
        if not self.acknowledges:
            return
        self.came_back.append((self.now_ms, name))
        if self.provider == "plivo":
            await self.send({"event": "playedStream", **self._named(), "name": name})
        else:
            await self.send({"event": "mark", **self._named(), "mark": {"name": name}})

    # --- the audio ---

    async def _line(self) -> None:
        silence = mu_law(np.zeros(_FRAME_BYTES, np.int16))
        due_s = time.monotonic()
        while not self.is_over:
            due_s += FRAME_MS / 1000  # a provider's clock waits for nobody, so late is made up for
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            frame, self._clip = self._clip[:_FRAME_BYTES], self._clip[_FRAME_BYTES:]
            frame += silence[len(frame) :] if self.noise_db is None else self._hiss(len(frame))
            payload = base64.b64encode(frame).decode()
            media = {"track": "inbound", "payload": payload}
            await self.send({"event": "media", **self._named(), "media": media})
            await self._play(silence)

    def _hiss(self, begins: int) -> bytes:
        size = _FRAME_BYTES - begins
        loud = 32767 * 10 ** ((self.noise_db or 0.0) / 20)
        wave = self._dice.standard_normal(size) * loud
        return mu_law(np.clip(wave, -32768, 32767).astype(np.int16))

    async def _play(self, silence: bytes) -> None:
        left = _FRAME_BYTES
        while self._buffer and not self.holds:
            item = self._buffer[0]
            if isinstance(item, bytes) and not left:
                break
            self._buffer.popleft()
            if isinstance(item, str):
                await self._mark(item)
                continue
            self.played += item[:left]
            if len(item) > left:
                self._buffer.appendleft(item[left:])
            left -= min(left, len(item))
        self.played += silence[:left]

    async def send(self, message: Message) -> None:
        """Send anything at all."""
        try:
            await self._ws.send_str(json.dumps(message))
        except (ConnectionError, RuntimeError):
            self.is_over = True


@asynccontextmanager
async def served(application: Callable[[str], Any]) -> AsyncIterator[str]:
    """Serve a web application on a free port of this machine, made for its ``127.0.0.1:PORT``."""
    import uvicorn

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(application(address), log_level="error", lifespan="off")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started and not serving.done():
                await asyncio.sleep(0.01)
            yield address
        finally:
            server.should_exit = True
            await serving


def babble(ms: int, rate: int = PHONE_RATE) -> PCM:
    """A voice that says nothing: vowels that glide into each other, which a detector takes for
    somebody speaking. Mere tones are not enough."""
    at_s = np.arange(rate * ms // 1000) / rate
    pitch = 160 * (1 + 0.12 * np.sin(2 * np.pi * 0.9 * at_s) + 0.015 * np.sin(35 * at_s))
    phase = np.cumsum(pitch) / rate
    beat = at_s * 4.5  # syllables a second
    number, within = beat.astype(int), beat % 1
    glide = np.clip((within - 0.6) / 0.4, 0, 1)[:, None]
    formants = _VOWELS[number % 5] * (1 - glide) + _VOWELS[(number + 1) % 5] * glide
    wave = np.zeros(len(at_s))
    for harmonic in range(1, int(rate / 2 / 200)):
        hz = harmonic * pitch
        loud = sum(
            gain / (1 + ((hz - formants[:, place]) / width) ** 2)
            for place, (width, gain) in enumerate([(70, 1.0), (100, 0.5), (140, 0.25)])
        )
        wave += loud / harmonic**0.5 * np.sin(2 * np.pi * harmonic * phase)
    wave *= 0.25 + 0.75 * np.clip(np.sin(np.pi * within) * 1.6, 0, 1)
    pcm: PCM = (wave / np.abs(wave).max() * 16000).astype(np.int16)
    return pcm

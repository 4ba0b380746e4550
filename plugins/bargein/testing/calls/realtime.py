"""How is OpenAI Realtime tried? As its client, with a loudspeaker that plays in real time."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp
import numpy as np

from bargein.core.spread import spread
from bargein.realtime import Play, Realtime, Send

from ..line import Line
from ..speech import PCM, resampled
from ..steps import ScriptError
from ..utterance import RATE as CALLER_RATE
from ..utterance import Utterance
from .subject import BargeIn, Capabilities, Message, Ran, Voiced, WordTimes

RATE = 24_000
TICK_S = 0.02
TICK_BYTES = round(RATE * TICK_S) * 2
READY_S = 20.0


class Hearing(Protocol):
    """A server on this machine that is told what the caller says."""

    def hear(self, words: str, lasts_ms: int) -> None:
        """From now on, in the audio that comes."""


class RealtimeAgent:
    """A model on OpenAI Realtime, with `bargein.realtime` before it or without.

    Without, the client does what OpenAI's guide says: the server detects turns, and whatever is
    still to be played is thrown away, and truncated, when the caller begins to speak.
    """

    def __init__(
        self,
        url: str = "wss://api.openai.com/v1/realtime?model=gpt-realtime",
        *,
        api_key: str = "",
        session: Mapping[str, Any] | None = None,
        gate: Callable[[], Realtime] | None = None,
        server: Hearing | None = None,
    ) -> None:
        """Take an agent.

        Args:
            url: where, ``wss://...``.
            api_key: whose.
            session: settings of the session, such as ``instructions``.
            gate: makes the manners for a call.
            server: a loopback server, which hears nothing by itself.
        """
        self._url, self._key, self._session = url, api_key, dict(session or {})
        self._gate, self._server = gate, server

    def __call__(self) -> _OnRealtime:
        """Make it for one call."""
        gate = self._gate() if self._gate is not None else None
        return _OnRealtime(self._url, self._key, self._session, gate, self._server)


@dataclass(slots=True)
class _Item:
    """Something in the conversation."""

    role: str
    at_s: float
    text: str = ""
    pcm: bytearray = field(default_factory=bytearray)
    kept_ms: int | None = None

    def voiced(self) -> Voiced:
        pcm = np.frombuffer(bytes(self.pcm), "<i2")
        loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > 300)
        from_s, to_s = (loud[0] / RATE, loud[-1] / RATE) if len(loud) else (0.0, 0.0)
        words = tuple(
            (piece.strip(), at_s / 1000)
            for piece, at_s in spread(self.text.strip(), from_s * 1000, to_s * 1000)
        )
        return Voiced(at_s=self.at_s, text=self.text.strip(), pcm=pcm, rate=RATE, words=words)

    def known(self) -> str:
        if self.kept_ms is None:
            return self.text.strip()
        return " ".join(word for word, at_s in self.voiced().words if at_s * 1000 < self.kept_ms)


class _OnRealtime:
    """One call."""

    rate = RATE

    def __init__(
        self,
        url: str,
        key: str,
        session: dict[str, Any],
        gate: Realtime | None,
        server: Hearing | None,
    ) -> None:
        self._url, self._key, self._asked = url, key, session
        self._gate, self._server = gate, server
        self._line = Line()
        self._items: dict[str, _Item] = {}
        self._buffer: list[tuple[str, bytearray]] = []
        self._played: dict[str, int] = {}
        self._track = bytearray()
        self._began_s = 0.0
        self._ready = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._http: aiohttp.ClientSession | None = None
        self._ws: Any = None
        self._ran: list[Ran] = []
        self.capabilities = Capabilities(
            host="OpenAI Realtime" + (" behind bargein" if gate is not None else ""),
            barge_in=BargeIn.NATIVE if gate is None else BargeIn.VAD,
            word_times=WordTimes.SPREAD,
            dtmf=False,
            context=True,
            runs=True,
        )

    async def start(self) -> None:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        self._http = aiohttp.ClientSession()
        self._ws = await self._http.ws_connect(self._url, headers=headers)
        self._tasks = [asyncio.create_task(self._receive())]
        if self._gate is not None:
            await self._send(self._gate.session(**self._asked))
            self._tasks.append(asyncio.create_task(self._outwards(self._gate)))
        else:
            await self._send({"type": "session.update", "session": _settings(self._asked)})
        await asyncio.wait_for(self._ready.wait(), READY_S)
        self._began_s = time.monotonic()
        self._tasks.append(asyncio.create_task(self._tick()))

    async def say(self, sound: Utterance) -> float:
        began_s = await self._line.say(sound.pcm)
        if self._server is not None:
            self._server.hear(sound.text or "*", round((sound.ends_s - sound.begins_s) * 1000))
        return began_s

    async def press(self, key: str) -> None:
        raise NotImplementedError(f"no key {key!r} on OpenAI Realtime")

    def noise(self, db: float) -> None:
        self._line.noise_db = db

    async def hang_up(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        http, self._http = self._http, None
        if http is not None:
            async with http:
                await self._ws.close()
                if self._gate is not None:
                    await self._gate.aclose()

    async def end(self) -> None:
        await self.hang_up()

    async def speak(self, text: str) -> None:
        raise ScriptError(f"a Realtime model says what it likes, not {text!r}")

    @property
    def now_s(self) -> float:
        return self._began_s + len(self._track) / 2 / RATE

    def recording(self, from_s: float, until_s: float) -> PCM:
        first, last = (round((one - self._began_s) * RATE) for one in (from_s, until_s))
        heard = np.frombuffer(bytes(self._track[2 * max(0, first) : 2 * max(0, last)]), "<i2")
        track = np.zeros(max(0, last - first), np.int16)
        at = max(0, -first)
        track[at : at + len(heard)] = heard[: len(track) - at]
        return track

    @property
    def voiced(self) -> list[Voiced]:
        return [one.voiced() for one in self._items.values() if one.pcm and one.text.strip()]

    @property
    def runs(self) -> list[Ran]:
        return self._ran

    def context(self) -> list[Message]:
        return [{"role": one.role, "content": one.known()} for one in self._items.values()]

    # --- the socket ---

    async def _send(self, event: Mapping[str, Any]) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self._ws.send_str(json.dumps(event))
            self._sent(event)

    async def _receive(self) -> None:
        async for raw in self._ws:
            if raw.type is not aiohttp.WSMsgType.TEXT:
                continue
            event = json.loads(raw.data)
            if self._gate is not None:
                self._gate.received(event)
            await self._happened(event)

    async def _outwards(self, gate: Realtime) -> None:
        async for out in gate:
            match out:
                case Send(event=event):
                    await self._send(event)
                case Play(pcm=pcm):
                    self._buffer.append(("", bytearray(pcm)))

    async def _happened(self, event: Message) -> None:
        item_id = str(event.get("item_id", ""))
        match event["type"]:
            case "session.updated":
                self._ready.set()
            case "response.created":
                said = [one for one in self._items.values() if one.role == "user"]
                self._ran.append(Ran(at_s=time.monotonic(), asked=said[-1].text if said else ""))
            case "conversation.item.added":
                item = event["item"]
                if item.get("type") == "message":
                    text = " ".join(
                        part.get("transcript") or part.get("text") or ""
                        for part in item.get("content") or []
                    )
                    one = _Item(item["role"], time.monotonic(), text)
                    self._items.setdefault(item["id"], one)
            case "conversation.item.deleted":
                self._items.pop(item_id, None)
            case "conversation.item.input_audio_transcription.completed":
                if item_id in self._items:
                    self._items[item_id].text = event.get("transcript", "")
            case "response.output_audio_transcript.delta" if item_id in self._items:
                self._items[item_id].text += event["delta"]
            case "response.output_audio.delta" if item_id in self._items:
                pcm = base64.b64decode(event["delta"])
                self._items[item_id].pcm += pcm
                if self._gate is None:
                    self._buffer.append((item_id, bytearray(pcm)))
            case "input_audio_buffer.speech_started" if self._gate is None:
                await self._interrupted()

    async def _interrupted(self) -> None:
        """What a client does whose server has noticed the caller."""
        waiting = [item_id for item_id, _ in self._buffer]
        self._buffer.clear()
        if waiting:
            heard_ms = self._played.get(waiting[0], 0) * 1000 // (2 * RATE)
            kind = "conversation.item.truncate"
            about = {"item_id": waiting[0], "content_index": 0, "audio_end_ms": heard_ms}
            await self._send({"type": kind, **about})

    def _sent(self, event: Mapping[str, Any]) -> None:
        if event["type"] == "conversation.item.truncate" and event["item_id"] in self._items:
            self._items[event["item_id"]].kept_ms = int(event["audio_end_ms"])

    # --- the audio ---

    async def _tick(self) -> None:
        due_s = self._began_s
        while True:
            due_s += TICK_S
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            pcm = resampled(self._line.frame(due_s - TICK_S), CALLER_RATE, RATE)
            audio = pcm.astype("<i2").tobytes()
            if self._gate is not None:
                self._gate.hear(audio)  # and it sends them on
            else:
                coded = base64.b64encode(audio).decode()
                await self._send({"type": "input_audio_buffer.append", "audio": coded})
            self._play()

    def _play(self) -> None:
        left = TICK_BYTES
        while self._buffer and left:
            item_id, pcm = self._buffer[0]
            piece = pcm[:left]
            del pcm[:left]
            if not pcm:
                self._buffer.pop(0)
            self._track += piece
            self._played[item_id] = self._played.get(item_id, 0) + len(piece)
            left -= len(piece)
        self._track += bytes(left)


def _settings(asked: dict[str, Any]) -> Message:
    """The server detects turns, and writes down what the caller says."""
    form = {"type": "audio/pcm", "rate": RATE}
    heard = {
        "format": form,
        "turn_detection": {"type": "server_vad"},
        "transcription": {"model": "gpt-4o-transcribe"},
    }
    audio = {"input": heard, "output": {"format": form}}
    return {"type": "realtime", "output_modalities": ["audio"], "audio": audio, **asked}

"""Somebody who calls over WebRTC, and writes down what they hear."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from typing import Any
from uuid import uuid4

import numpy as np
from livekit import api, rtc

from bargein.testing.livekit_parts import VOICE_RATE, Recording
from bargein.testing.tones import PCM, WORD_S
from bargein.testing.utterance import FINAL_DELAY_S, LINE_NOISE_DB, PARTIAL_DELAY_S, RATE, Utterance
from livekit_server import LiveKitServer

_FRAME = RATE // 50
_HOP = VOICE_RATE // 50
_CHUNKS_A_WORD = round(WORD_S * 100)
_PAUSE = 2 * _CHUNKS_A_WORD


class Caller:
    """One call: the line, and what came out of it."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.recording = Recording()
        self.spoken: list[tuple[float, float]] = []
        """When each utterance was audible, on ``time.monotonic``."""
        self._source = rtc.AudioSource(RATE, 1, queue_size_ms=100)
        self._tasks: list[asyncio.Task[None]] = []
        self._answered = asyncio.Event()
        self._noise = np.random.default_rng(0)
        self._clip: PCM = np.zeros(0, np.int16)
        self._began: asyncio.Future[float] | None = None
        self._agent = ""

    async def call(self, server: LiveKitServer, *, stock: dict[str, Any] | None) -> None:
        """Dial; returns when the agent's line is open."""
        loop = asyncio.get_running_loop()

        @self.room.on("track_subscribed")
        def _(track: rtc.Track, __: Any, whose: rtc.RemoteParticipant) -> None:
            self._agent = whose.identity
            self._tasks.append(loop.create_task(self._listen(track)))
            self._answered.set()

        agent = api.RoomAgentDispatch(agent_name="bargein", metadata=json.dumps(stock))
        name = f"call-{uuid4()}"
        token = (
            api.AccessToken(server.key, server.secret)
            .with_identity("caller")
            .with_grants(api.VideoGrants(room_join=True, room=name))
            .with_room_config(api.RoomConfiguration(agents=[agent]))
            .to_jwt()
        )
        await self.room.connect(server.url, token)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self.room.local_participant.publish_track(track, options)
        self._tasks.append(loop.create_task(self._talk()))
        await self._answered.wait()
        await asyncio.sleep(0.5)  # whatever the line crackles with at first

    async def hang_up(self) -> None:
        """End the call."""
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self.room.disconnect()
        await self._source.aclose()

    async def asks(self, method: str, **options: Any) -> Any:
        """Have the worker do something."""
        answer = await self.room.local_participant.perform_rpc(
            destination_identity=self._agent, method=method, payload=json.dumps(options)
        )
        return json.loads(answer) if method == "tell" else answer

    async def says(self, what: Utterance) -> None:
        """Say something; the recogniser writes it down as fast as a streaming service would."""
        self._began = asyncio.get_running_loop().create_future()
        self._clip = what.pcm
        began_s = await self._began
        self.spoken.append((began_s + what.begins_s, began_s + what.ends_s))
        for count, (_, ends_s) in enumerate(what.words[:-1], start=1):
            await _until(began_s + ends_s + PARTIAL_DELAY_S)
            text = " ".join(word for word, _ in what.words[:count])
            await self.asks("hears", text=text, final=False)
        await _until(began_s + what.ends_s + FINAL_DELAY_S)
        await self.asks("hears", text=what.text, final=True)

    async def hears(self, count: int) -> None:
        """Wait until the agent has been heard for so many words, from now on."""
        chunks, begin = self.recording.chunks, len(self.recording.chunks)
        while sum(map(_audible, chunks[begin:])) < count * _CHUNKS_A_WORD:
            await asyncio.sleep(0.02)

    async def told(self, answered: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until the worker's side of the story is this, and silence on the line."""
        while True:
            told: dict[str, Any] = await self.asks("tell")
            if answered(told) and not any(map(_audible, self.recording.chunks[-_PAUSE:])):
                return told
            await asyncio.sleep(0.1)

    def heard(self) -> list[int]:
        """The agent's words, as their pitches: the other way round than `pitches`."""
        return words_of(self.recording.pcm)

    def longest_gap_s(self) -> float:
        """The longest silence between the first sound and the last."""
        runs = self.recording.heard(apart_s=0.01)
        return max((begun - ended for (_, ended), (begun, _) in pairwise(runs)), default=0.0)

    def silent_after_s(self) -> float:
        """How long the agent was heard after the newest utterance had begun."""
        begun_s = self.spoken[-1][0]
        runs = self.recording.heard(apart_s=0.05)
        return next(to for _, to in runs if to > begun_s) - begun_s

    async def _listen(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=VOICE_RATE, num_channels=1, frame_size_ms=10)
        try:
            async for event in stream:
                self.recording.take(np.frombuffer(event.frame.data, np.int16).copy())
        finally:
            await stream.aclose()

    async def _talk(self) -> None:
        due_s = time.monotonic()
        while True:
            heard = self._noise.standard_normal(_FRAME) * 32767 * 10 ** (LINE_NOISE_DB / 20)
            piece, self._clip = self._clip[:_FRAME], self._clip[_FRAME:]
            heard[: len(piece)] += piece
            if len(piece) and self._began is not None and not self._began.done():
                self._began.set_result(due_s)
            pcm = np.clip(heard, -32768, 32767).astype("<i2").tobytes()
            await self._source.capture_frame(rtc.AudioFrame(pcm, RATE, 1, _FRAME))
            due_s += 0.02
            await _until(due_s)


def _audible(chunk: PCM) -> bool:
    return int(np.abs(chunk.astype(np.int32)).max(initial=0)) > 60


def pitches(text: str) -> list[int]:
    """What a text sounds like, in the voice of `testing.tones.metronome`."""
    return [180 + 20 * (sum(word.encode()) % 12) for word in text.split()]


def words_of(pcm: PCM) -> list[int]:
    """The words in a sound: each is a tone, and lasts as long as any other."""
    window = 3 * _HOP
    shape = np.hanning(window)
    runs: list[list[int]] = []  # pitch, hops
    for place in range(0, len(pcm) - window, _HOP):
        piece = pcm[place : place + window].astype(np.float64)
        pitch = 0
        if np.abs(piece).max() > 200:
            spectrum = np.abs(np.fft.rfft(piece * shape, 8 * window))
            pitch = 20 * round(float(spectrum.argmax()) * VOICE_RATE / (8 * window) / 20)
        if runs and runs[-1][0] == pitch:
            runs[-1][1] += 1
        else:
            runs.append([pitch, 1])
    each = WORD_S * VOICE_RATE / _HOP
    return [pitch for pitch, hops in runs if pitch for _ in range(round(hops / each))]


@asynccontextmanager
async def calling(
    server: LiveKitServer, *, stock: dict[str, Any] | None = None
) -> AsyncIterator[Caller]:
    """A call, hung up in the end; without manners if LiveKit's options are given."""
    caller = Caller()
    try:
        async with asyncio.timeout(30):
            await caller.call(server, stock=stock)
        async with asyncio.timeout(60):
            yield caller
    finally:
        await caller.hang_up()


async def _until(at_s: float) -> None:
    await asyncio.sleep(max(0.0, at_s - time.monotonic()))

"""Who calls a LiveKit session? Caller audio as it comes, a recogniser that knows the script, and
what the caller hears."""

from __future__ import annotations

import asyncio
import time

from livekit import rtc
from livekit.agents.voice import io

from .line import FRAME_MS, Line, written_down
from .livekit_parts import VOICE_RATE, RoomOutput
from .livekit_parts import ScriptedSTT as Told
from .recorded import Written, recording
from .speech import PCM
from .utterance import RATE, Utterance


class CallerInput(io.AudioInput):
    """A telephone line: 20 ms frames in real time, with quiet noise, and a caller now and then."""

    def __init__(self) -> None:
        """Open the line."""
        super().__init__(label="caller")
        self._line = Line()
        self._next_s = 0.0
        self.spoken = self._line.spoken
        """When each clip began, on ``time.monotonic``, and the clip."""

    async def say(self, clip: PCM) -> float:
        """Play a clip into the line; returns when its first sample went in."""
        return await self._line.say(clip)

    def noise(self, db: float) -> None:
        """The line is this noisy from now on, in dBFS."""
        self._line.noise_db = db

    async def __anext__(self) -> rtc.AudioFrame:
        """The next 20 ms, when they have passed."""
        now_s = time.monotonic()
        # A session that begins to listen late does not hear what it missed, all at once.
        self._next_s = max(self._next_s, now_s - 0.2) + FRAME_MS / 1000
        await asyncio.sleep(max(0.0, self._next_s - now_s))
        pcm = self._line.frame(self._next_s - FRAME_MS / 1000)
        return rtc.AudioFrame(pcm.astype("<i2").tobytes(), RATE, 1, len(pcm))


class ScriptedSTT(Told):
    """Knows what the caller says, and writes it down as fast as a streaming service would."""

    def __init__(self) -> None:
        """Make the service."""
        super().__init__()
        self._writing: set[asyncio.Task[None]] = set()

    def heard(self, said: Utterance, began_s: float) -> None:
        """The clip began at that instant: write partials as its words end, then the final."""
        task = asyncio.create_task(self._write(said, began_s))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write(self, said: Utterance, began_s: float) -> None:
        async for text, final in written_down(said, began_s):
            self.hears(text, final=final)


class Earpiece:
    """What the caller hears of a room's output, as chunks of 10 ms that have a sound in them."""

    rate = VOICE_RATE

    def __init__(self, room: RoomOutput) -> None:
        """Listen to it."""
        self._heard = room.recording
        self._written: list[Written] = []
        self._from_s = room.recording.from_s
        self._chunks = self._samples = 0

    @property
    def written(self) -> list[Written]:
        """All of them so far."""
        # On the recording's own count of samples: when a chunk is read depends on the machine.
        if self._heard.from_s != self._from_s:  # it knows better now
            self._from_s = self._heard.from_s
            self._written = []
            self._chunks = self._samples = 0
        for pcm in self._heard.chunks[self._chunks :]:
            at_s = self._from_s + self._samples / self.rate
            self._chunks += 1
            self._samples += len(pcm)
            if pcm.any():
                self._written.append(Written(at_s=at_s, plays_at_s=at_s, pcm=pcm.tobytes()))
        return self._written

    def recording(self, from_s: float, until_s: float) -> PCM:
        """What was heard between two instants, silence included."""
        return recording(self.written, self.rate, from_s, until_s)

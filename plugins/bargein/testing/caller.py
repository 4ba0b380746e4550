"""Who calls? Caller audio in real time, and recognisers that hear it without a cloud."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    StartFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import STTService
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.utils.time import time_now_iso8601

from .line import FRAME_MS, Line, written_down
from .speech import PCM
from .utterance import FINAL_DELAY_S, RATE, Utterance


class CallerInput(BaseInputTransport):
    """A telephone line: 20 ms frames in real time, with quiet noise, and a caller now and then."""

    def __init__(self) -> None:
        """Open the line."""
        super().__init__(TransportParams(audio_in_enabled=True, audio_in_sample_rate=RATE))
        self._line = Line()
        self._running: asyncio.Task[None] | None = None
        self.spoken = self._line.spoken
        """When each clip began, on ``time.monotonic``, and the clip."""

    async def start(self, frame: StartFrame) -> None:
        """Ready at once: nobody has to connect."""
        await super().start(frame)
        await self.set_transport_ready(frame)
        self._running = self.create_task(self._run())

    async def stop(self, frame: EndFrame) -> None:
        """The caller hangs up."""
        await self._hang_up()
        await super().stop(frame)

    async def cancel(self, frame: CancelFrame) -> None:
        """The line is cut."""
        await self._hang_up()
        await super().cancel(frame)

    async def say(self, clip: PCM) -> float:
        """Play a clip into the line; returns when its first sample went in."""
        return await self._line.say(clip)

    def noise(self, db: float) -> None:
        """The line is this noisy from now on, in dBFS."""
        self._line.noise_db = db

    async def _hang_up(self) -> None:
        if self._running is not None:
            await self.cancel_task(self._running)
            self._running = None

    async def _run(self) -> None:
        next_s = time.monotonic()
        while True:
            next_s += FRAME_MS / 1000
            await asyncio.sleep(max(0.0, next_s - time.monotonic()))
            pcm = self._line.frame(next_s - FRAME_MS / 1000).astype("<i2").tobytes()
            await self.push_audio_frame(InputAudioRawFrame(pcm, RATE, 1))


class ScriptedSTT(STTService):
    """Knows what the caller says, and writes it down as fast as a streaming service would."""

    def __init__(self) -> None:
        """Make the service."""
        super().__init__(
            ttfs_p99_latency=FINAL_DELAY_S + 0.05,
            settings=STTSettings(model="scripted", language=None),
        )

    def can_generate_metrics(self) -> bool:
        """No: nothing here is worth measuring."""
        return False

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:  # noqa: ARG002
        """Listen, for the look of it."""
        yield None

    def heard(self, said: Utterance, began_s: float) -> None:
        """The clip began at that instant: write partials as its words end, then the final."""
        if said.words:
            self.create_task(self._write(said, began_s))

    async def _write(self, said: Utterance, began_s: float) -> None:
        async for text, final in written_down(said, began_s):
            if final:
                frame = TranscriptionFrame(text, "caller", time_now_iso8601(), finalized=True)
                await self.push_frame(frame)
            else:
                await self.push_frame(InterimTranscriptionFrame(text, "caller", time_now_iso8601()))


class PocketSTT(STTService):
    """Recognises for real, with PocketSphinx and a grammar of everything this caller may say.

    A grammar hears one of its phrases in anything, so it only listens while the VAD hears a voice:
    good for a known script, useless for an open microphone.
    """

    def __init__(self, phrases: Sequence[str]) -> None:
        """Make the service; phrases in lower case, without punctuation."""
        super().__init__(
            ttfs_p99_latency=0.4, settings=STTSettings(model="pocketsphinx", language=None)
        )
        try:
            from pocketsphinx import Decoder
        except ImportError as error:
            raise ImportError(
                '--stt pocketsphinx needs PocketSphinx: pip install "bargein[demo]"'
            ) from error
        self._decoder: Any = Decoder(samprate=RATE, logfn="/dev/null")
        for word, sound in _SOUNDS.items():
            if self._decoder.lookup_word(word) is None:
                self._decoder.add_word(word, sound, True)
        self._phrases = frozenset(phrases)
        choices = " | ".join(sorted(self._phrases))
        self._decoder.add_jsgf_string(
            "caller", f"#JSGF V1.0; grammar caller; public <it> = {choices};"
        )
        self._decoder.activate_search("caller")
        self._before: deque[bytes] = deque(maxlen=30)  # 600 ms, for what the VAD confirmed late
        self._listening = False
        self._partial = ""
        self._frames = 0

    def can_generate_metrics(self) -> bool:
        """No: nothing here is worth measuring."""
        return False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Begin and end with the caller's voice."""
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStartedSpeakingFrame) and not self._listening:
            self._listening, self._partial, self._frames = True, "", 0
            self._decoder.start_utt()
            self._decoder.process_raw(b"".join(self._before), False, False)
        elif isinstance(frame, VADUserStoppedSpeakingFrame) and self._listening:
            self._listening = False
            self._decoder.end_utt()
            # A path that does not reach the end of any phrase is no result, only a hope.
            if (text := self._text()) in self._phrases:
                await self.push_frame(
                    TranscriptionFrame(text, "caller", time_now_iso8601(), finalized=True)
                )

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Hear 20 ms; write a partial every 100 ms, if it has changed."""
        self._before.append(audio)
        if self._listening:
            self._decoder.process_raw(audio, False, False)
            self._frames += 1
            if self._frames % 5 == 0 and (text := self._text()) and text != self._partial:
                self._partial = text
                yield InterimTranscriptionFrame(text, "caller", time_now_iso8601())
        yield None

    def recognised(self, pcm: PCM) -> str:
        """What a whole clip says."""
        self._decoder.start_utt()
        self._decoder.process_raw(pcm.astype("<i2").tobytes(), False, True)
        self._decoder.end_utt()
        return self._text()

    def _text(self) -> str:
        guess = self._decoder.hyp()
        return guess.hypstr.strip() if guess is not None else ""


_SOUNDS = {"mm-hm": "M HH M"}
"""How to pronounce what PocketSphinx's dictionary does not have."""

"""What does a Pipecat pipeline need to run without a cloud? Scripted services, and a paced sink."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    OutputAudioRawFrame,
    StartFrame,
    TTSAudioRawFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings, TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams

from .recorded import Written, recording
from .tones import PCM, Voice, metronome


class PacedOutput(BaseOutputTransport):
    """A sink that takes audio at the speed a websocket transport does, and keeps all of it."""

    def __init__(self, rate: int = 24000, **options: Any) -> None:
        """Make the sink for mono audio of ``rate`` Hz; ``options`` go to `TransportParams`."""
        super().__init__(
            TransportParams(
                audio_out_enabled=True,
                audio_out_sample_rate=rate,
                audio_out_end_silence_secs=0,
                **options,
            )
        )
        self.rate = rate
        self.written: list[Written] = []
        self._next_send_s = 0.0
        self._plays_until_s = 0.0

    async def start(self, frame: StartFrame) -> None:
        """Ready at once: nobody has to connect."""
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Keep a chunk and take as long as it lasts, but never more than one chunk ahead."""
        now_s = time.monotonic()
        lasts_s = len(frame.audio) / 2 / self.rate
        plays_at_s = max(now_s, self._plays_until_s)
        self._plays_until_s = plays_at_s + lasts_s
        self.written.append(Written(at_s=now_s, plays_at_s=plays_at_s, pcm=frame.audio))
        wait_s = max(0.0, self._next_send_s - now_s)
        await asyncio.sleep(wait_s)
        base_s = self._next_send_s if wait_s else time.monotonic()
        self._next_send_s = base_s + lasts_s
        return True

    def heard(self, until_s: float, *, threshold: int = 60) -> list[tuple[float, float]]:
        """The stretches in which something was audible: (from, to), on ``time.monotonic``."""
        runs: list[tuple[float, float]] = []
        for chunk in self.written:
            samples = np.frombuffer(chunk.pcm, dtype="<i2")
            loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > threshold)
            if not len(loud):
                continue
            begins_s = chunk.plays_at_s + loud[0] / self.rate
            ends_s = min(chunk.plays_at_s + (loud[-1] + 1) / self.rate, until_s)
            if runs and begins_s - runs[-1][1] < 0.15:
                runs[-1] = (runs[-1][0], ends_s)
            else:
                runs.append((begins_s, ends_s))
        return runs

    def recording(self, from_s: float, until_s: float) -> PCM:
        """What was heard between two instants, silence included."""
        return recording(self.written, self.rate, from_s, until_s)


class ScriptedTTS(TTSService):
    """Speaks with a `Voice`, ten times faster than the ear, as cloud services do."""

    def __init__(
        self,
        voice: Voice = metronome,
        *,
        word_times: bool = True,
        rate: int = 24000,
        speed: float = 10.0,
    ) -> None:
        """Make the service; without ``word_times`` it pushes whole sentences of text instead."""
        super().__init__(
            push_text_frames=not word_times,
            push_start_frame=True,
            push_stop_frames=True,
            stop_frame_timeout_s=0.4,
            sample_rate=rate,
            settings=TTSSettings(model="scripted", voice="scripted", language=None),
        )
        self._voice = voice
        self._word_times = word_times
        self._speed = speed
        self._spoken_s: dict[str, float] = {}
        self.samples = 0
        """How many samples of speech were made."""

    def can_generate_metrics(self) -> bool:
        """No: nothing here is worth measuring."""
        return False

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speak a sentence."""
        pcm, words = self._voice(text, self.sample_rate)
        before_s = self._spoken_s.get(context_id, 0.0)
        self._spoken_s = {context_id: before_s + len(pcm) / self.sample_rate}
        self.samples += len(pcm)
        if self._word_times:
            times = [(word, before_s + at_s) for word, at_s in words]
            await self.add_word_timestamps(times, context_id)
        step = self.sample_rate // 10
        for start in range(0, len(pcm), step):
            piece = pcm[start : start + step]
            yield TTSAudioRawFrame(
                audio=piece.tobytes(),
                sample_rate=self.sample_rate,
                num_channels=1,
                context_id=context_id,
            )
            await asyncio.sleep(len(piece) / self.sample_rate / self._speed)


Reply: TypeAlias = Callable[[list[Any]], str]
"""Makes a reply from the context's messages; an empty one says nothing."""


class ScriptedLLM(LLMService):
    """Answers the n-th run with the n-th reply, word by word, and keeps what it was shown."""

    def __init__(
        self, replies: Sequence[str] | Reply, *, first_token_s: float = 0.25, token_s: float = 0.02
    ) -> None:
        """Make the service; after its last reply it says nothing."""
        super().__init__(
            settings=LLMSettings(
                model="scripted",
                system_instruction=None,
                temperature=None,
                max_tokens=None,
                top_p=None,
                top_k=None,
                frequency_penalty=None,
                presence_penalty=None,
                seed=None,
                filter_incomplete_user_turns=None,
                user_turn_completion_config=None,
            )
        )
        self._replies = replies
        self._first_token_s = first_token_s
        self._token_s = token_s
        self.runs: list[tuple[float, list[Any]]] = []
        """When each run began, on ``time.monotonic``, and the messages it saw."""

    def can_generate_metrics(self) -> bool:
        """No: nothing here is worth measuring."""
        return False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer a context, and pass on everything else."""
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        messages = copy.deepcopy(list(frame.context.get_messages()))
        self.runs.append((time.monotonic(), messages))
        reply = self._reply(messages)
        await self.push_frame(LLMFullResponseStartFrame())
        try:
            if reply:
                await asyncio.sleep(self._first_token_s)
            for word in reply.split():
                await self.push_frame(LLMTextFrame(word + " "))
                await asyncio.sleep(self._token_s)
        finally:
            await self.push_frame(LLMFullResponseEndFrame())

    def _reply(self, messages: list[Any]) -> str:
        if callable(self._replies):
            return self._replies(messages)
        place = len(self.runs) - 1
        return self._replies[place] if place < len(self._replies) else ""


__all__ = [
    "PacedOutput",
    "Reply",
    "ScriptedLLM",
    "ScriptedTTS",
    "Voice",
    "Written",
    "metronome",
]

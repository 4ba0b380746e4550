"""What can be seen of a Pipecat pipeline from outside? Its LLM's runs, and what its voice says."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from typing import Any

from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseStartFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.llm_service import LLMService
from pipecat.services.tts_service import TTSService

from .spoken import Saying
from .subject import Ran, Voiced, text_of


class Ear(BaseObserver):
    """Sees the LLM run, whichever it is, and hears text-to-speech services."""

    def __init__(self) -> None:
        """Nothing has happened."""
        super().__init__()
        self.runs: list[Ran] = []
        self.context: LLMContext | None = None
        self._asked = ""
        self._seen: set[int] = set()
        self._voices: set[TTSService] = set()
        self._sayings: dict[str, Saying] = {}
        self._began_ns: dict[str, int] = {}

    @property
    def voiced(self) -> list[Voiced]:
        """What the services said that are listened to."""
        return [one.voiced() for one in self._sayings.values() if one.text.strip()]

    def listen_to(self, voice: TTSService) -> None:
        """Note what this service is given, and what it makes of it."""
        self._voices.add(voice)
        run_tts = voice.run_tts

        def noted(text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
            saying = self._sayings.setdefault(context_id, Saying())
            saying.text = f"{saying.text} {text}"
            return run_tts(text, context_id)

        voice.run_tts = noted  # type: ignore[method-assign]

    async def on_push_frame(self, data: FramePushed) -> None:
        """Every frame, from each processor to the next."""
        frame = data.frame
        if data.source in self._voices:
            self._says(data, frame)
        elif isinstance(frame, LLMContextFrame) and frame.id not in self._seen:
            self._seen.add(frame.id)
            self.context = frame.context
            self._asked = last_of(frame.context.get_messages())
        elif (
            isinstance(frame, LLMFullResponseStartFrame)
            and isinstance(data.source, LLMService)
            and frame.id not in self._seen
        ):
            self._seen.add(frame.id)
            self.runs.append(Ran(at_s=time.monotonic(), asked=self._asked))

    def _says(self, data: FramePushed, frame: Frame) -> None:
        context_id = getattr(frame, "context_id", None) or ""
        saying = self._sayings.get(context_id)
        if saying is None or frame.id in self._seen:
            return
        self._seen.add(frame.id)
        if isinstance(frame, TTSAudioRawFrame):
            self._began_ns.setdefault(context_id, data.timestamp)
            saying.rate = frame.sample_rate
            saying.pcm += frame.audio
        elif isinstance(frame, TTSStoppedFrame):
            saying.is_whole = True
        elif isinstance(frame, TTSTextFrame) and frame.pts and context_id in self._began_ns:
            space = "" if frame.includes_inter_frame_spaces else " "
            at_s = (frame.pts - self._began_ns[context_id]) / 1e9
            saying.timed.append((frame.text + space, max(0.0, at_s)))


def last_of(messages: list[Any]) -> str:
    """The text of the last message."""
    return text_of(messages[-1]) if messages else ""

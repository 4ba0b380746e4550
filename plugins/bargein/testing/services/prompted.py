"""Who answers somebody who really speaks, without a model? A Realtime server that knows the script.

It hears that something is said, as a server's turn detection does, and takes it for the next line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

import numpy as np

from .openai_chat import Script
from .openai_realtime import OpenAIRealtime
from .realtime_ear import Ear, Found, Turn
from .wire import Message

LOUD_DB = -38.0
"""What is louder is somebody speaking; a sentence at an arm's length has some -25 dB."""
SHORTEST_MS = 60
"""What is shorter is a click."""


class PromptedRealtime(OpenAIRealtime):
    """OpenAI Realtime for a caller with a microphone: whatever they say is their next line."""

    def __init__(self, lines: Sequence[str], answers: Script, **options: Any) -> None:
        """Prepare it.

        Args:
            lines: what a caller says, in order; behind the last they begin again.
            answers: in order, or by the caller's last words.
            **options: as for `OpenAIRealtime`.
        """
        super().__init__((), answers, **options)
        self.lines = lines

    def ear(self) -> Ear:
        """What hears the caller of one connection: each begins with the first line."""
        return _Listening(cycle(self.lines))


class _Listening(Ear):
    """Hears by loudness when somebody speaks, in 16 bit PCM."""

    def __init__(self, lines: Iterator[str]) -> None:
        super().__init__((), 0)
        self._lines = lines
        self._loud_ms = 0

    def take(self, audio: bytes, settings: Message) -> Iterator[Found]:
        """Hear some audio; what is found on the way."""
        before_ms = self.now_ms
        yield from super().take(audio, settings)
        if not _is_loud(audio):
            self._loud_ms = 0
            if self._in_turn and self._silent_at_ms is None:
                self._silent_at_ms, self._understood = before_ms, True
            return
        self._silent_at_ms = None
        self._loud_ms += self.now_ms - before_ms
        detects = settings["audio"]["input"]["turn_detection"] is not None
        if detects and not self._in_turn and self._loud_ms >= SHORTEST_MS:
            self._in_turn = True
            self.words = [next(self._lines)]
            yield Turn.BEGAN, self.now_ms - self._loud_ms


def _is_loud(audio: bytes) -> bool:
    samples = np.frombuffer(audio, dtype="<i2").astype(np.float64) / 32768
    return len(samples) > 0 and bool(10 * np.log10(np.mean(samples**2) + 1e-12) > LOUD_DB)

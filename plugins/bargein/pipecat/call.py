"""What do the processors of one call share on Pipecat?"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from loguru import logger
from pipecat.frames.frames import Frame, OutputAudioRawFrame

from bargein.call import Call
from bargein.core.overlap import Rules
from bargein.core.unfinished import Resumption

from .held import HeldRun
from .messages import Messages


class PipecatCall(Call):
    """One call's floor, and what only a pipeline has to know."""

    def __init__(self, rules: Rules, resumption: Resumption | None = None) -> None:
        super().__init__(rules, resumption, error=lambda text: logger.error(text))
        self.told: deque[int] = deque(maxlen=32)
        """Speech frames that the filter has fed, so that the turn strategy does not again."""
        self.voice_paused: Callable[[], bool] = lambda: False
        self.speech_queued: Callable[[], bool] = lambda: False
        """Is there speech that has not been let out?"""
        self.only_locked: Callable[[], bool] = lambda: False
        """Is nothing on its way that may be interrupted, but a message that must be heard?"""
        self.voice_left_ms: Callable[[], float | None] = lambda: None
        self.voice_played_ms: Callable[[str], tuple[float, float | None]] = lambda _: (0.0, None)
        """The same as ``played_ms``, by the voice's own context."""
        self.played_ms = lambda message_id: self.voice_played_ms(
            self.messages.stream_of(message_id)
        )
        self.voice_unwritten_ms: Callable[[], float] = lambda: 0.0
        """How much of what was let out the transport has not written."""
        self.audio_written: Callable[[OutputAudioRawFrame], None] = lambda _: None
        """Told of all audio that the transport has written."""
        self.speaking_stream: str | None = None
        """The message that is being heard."""
        self.held_run = HeldRun(
            lambda: self.locked or self.waits_a_moment, lambda: self.user_speaks
        )
        self.decided.append(self.held_run.decided)
        self.messages = Messages()
        """Which audio says what must be heard."""
        self.ending = False
        """True once the application has ended the call: what it still says is its farewell. An
        interruption now would leave Pipecat's text-to-speech waiting for ever for that to end."""
        self.mark: Callable[[str], Frame | None] = lambda _: None
        """What to send behind a message that must be heard, so that the far end says when it has
        played it; None where it cannot."""
        self.core_failed = False
        self.failed.append(self._failed)
        self.has_memory = False
        self.has_gate = False
        self.has_ledger = False
        self.has_strategy = False

    def _failed(self) -> None:
        self.core_failed = True

    @property
    def in_charge(self) -> bool:
        """Are all the parts in place, so that the floor may decide?"""
        return self.has_gate and self.has_ledger and self.has_strategy

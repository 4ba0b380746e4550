"""When does a Realtime server find that somebody began, or stopped, talking?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import TypeAlias

from .said import AudioClock, Cue, Failed, Heard, Said, hearing, timeline
from .wire import Message

UNDERSTOOD_MS = 300
"""How long ``semantic_vad`` waits when it understood that the turn is over."""


class Turn(StrEnum):
    """What turn detection finds."""

    BEGAN = "somebody began to talk"
    ENDED = "the turn is over"


Found: TypeAlias = tuple[Turn, int] | Failed
"""What was found, and at which ms of the connection's audio."""


class Ear:
    """The caller's audio of one session."""

    def __init__(self, script: Sequence[Said | Failed], began_ms: int) -> None:
        self.words: list[str] = []
        """What was said since the last commit."""
        self.is_empty = True
        """No audio came since the last commit."""
        self.now_ms = began_ms
        """How much audio came over all connections."""
        self._began_ms = began_ms
        self._due = timeline(script, began_ms)
        self._clock: AudioClock | None = None
        self._in_turn = False
        self._silent_at_ms: int | None = None
        self._understood = False

    def take(self, audio: bytes, settings: Message) -> Iterator[Found]:
        """Hear some audio; what is found on the way, one after the other."""
        if self._clock is None:
            form = settings["audio"]["input"]["format"]
            self._clock = AudioClock(form["type"], form.get("rate", 8000))
        self.is_empty = self.is_empty and not audio
        self.now_ms = self._began_ms + self._clock.take(audio)
        detection: Message | None = settings["audio"]["input"]["turn_detection"]
        while True:
            due = self._due[0] if self._due else None
            ends_ms = self._turn_ends_ms(detection)
            if ends_ms <= self.now_ms and (due is None or ends_ms < due.at_ms):
                self._in_turn = False
                yield Turn.ENDED, ends_ms - self._began_ms
            elif due is not None and due.at_ms <= self.now_ms:
                self._due.pop(0)
                if isinstance(due, Failed):
                    yield due
                elif self._notice(due) and detection is not None:
                    self._in_turn = True
                    padding_ms = int(detection.get("prefix_padding_ms", 0))
                    yield Turn.BEGAN, max(0, due.at_ms - self._began_ms - padding_ms)
            else:
                return

    def expect(self, said: Said) -> None:
        """Something more is said; what is expected already comes as it was."""
        self._due = sorted([*self._due, *hearing(said)], key=lambda one: one.at_ms)

    def commit(self) -> str:
        """What was said since the last time."""
        text, self.words, self.is_empty, self._in_turn = " ".join(self.words), [], True, False
        return text

    def _notice(self, heard: Heard) -> bool:
        """Take one thing in; whether it may begin a turn."""
        if heard.word is not None:
            self.words.append(heard.word.text)
        elif heard.cue in (Cue.PAUSE, Cue.END):
            self._silent_at_ms = heard.at_ms
            self._understood = heard.cue is Cue.END
        elif heard.cue is Cue.VOICE:
            self._silent_at_ms = None
            return not self._in_turn
        return False

    def _turn_ends_ms(self, detection: Message | None) -> int:
        never = self.now_ms + 1
        if detection is None or not self._in_turn or self._silent_at_ms is None:
            return never
        if detection["type"] == "semantic_vad":
            return self._silent_at_ms + UNDERSTOOD_MS if self._understood else never
        return self._silent_at_ms + int(detection["silence_duration_ms"])

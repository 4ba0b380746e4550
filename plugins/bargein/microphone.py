"""What in the microphone is the caller's, where the agent's own voice comes back in it?"""

from __future__ import annotations

from typing import Any

from bargein.call import Call
from bargein.core.events import (
    Event,
    PlayoutProgressed,
    PlayoutStarted,
    PlayoutStopped,
    PlayoutWorded,
    UserSpeechStarted,
    UserSpeechStopped,
)
from bargein.echo import EchoDetector, Played
from bargein.echo.words import OwnWords
from bargein.playback import AudioOut

_WORDS_MS = 8_000
"""So long behind an echo a recogniser may still come with its words."""
_SPOKE_MS = 2_000
"""And so long behind a caller's voice with theirs."""
_AHEAD_CHARS = 24
"""A word may come back before it counts as heard."""


class Microphone:
    """One call's: knows what the agent played and said, and takes it for nobody's speech."""

    def __init__(self, call: Call, detector: EchoDetector | None) -> None:
        """Listen to one call; with no detector everything is the caller's."""
        self._call = call
        self._played = Played()
        self._gate = detector.gate(self._played) if detector is not None else None
        self._words = OwnWords()
        self._written_to_ms: dict[str, float] = {}
        self._text = ""
        self._heard_chars = 0
        self._caller_at_ms: int | None = None
        self._caller_speaks = False
        if self._gate is not None:
            call.happened.append(self._happened)

    def played(self, out: AudioOut[Any], voice: str = "") -> None:
        """A piece of the agent's voice was let out."""
        if self._gate is not None and out.source:
            self._call.guarded("echo detector", self._add, out, voice)

    def wrote(self, pcm: bytes, rate: int, channels: int, voice: str = "") -> None:
        """A transport has just written a piece of the agent's voice.

        It plays behind what was written before, or at once if that is over. Nothing less follows a
        transport that falls behind: every gap of its makes the echo later.
        """
        if self._gate is not None and pcm:
            self._call.guarded("echo detector", self._write, pcm, rate, channels, voice)

    def caller(self, pcm: bytes, rate: int) -> bytes:
        """The next piece of the microphone's audio, 16-bit mono, without the agent's own voice."""
        if self._gate is None or not pcm:
            return pcm
        try:
            return self._gate.hear(pcm, rate, self._call.clock_ms())
        except Exception as error:
            self._gate = None
            self._call.report("echo detector", error)
            return pcm

    def callers_words(self, text: str) -> str:
        """What of a recogniser's words the caller said; empty where it was only the agent."""
        gate, now_ms = self._gate, self._call.now_ms
        if gate is None or gate.echo_at_ms is None or now_ms - gate.echo_at_ms > _WORDS_MS:
            return text
        try:
            left = self._words.left_of(text, self._text[: self._heard_chars + _AHEAD_CHARS])
        except Exception as error:
            self._call.report("echo detector", error)
            return text
        if not left and self._caller_spoke(now_ms):
            return text  # they repeat what the agent says; the rules know what that means
        return left

    def _caller_spoke(self, now_ms: int) -> bool:
        at_ms = self._caller_at_ms
        return self._caller_speaks or (at_ms is not None and now_ms - at_ms <= _SPOKE_MS)

    def _add(self, out: AudioOut[Any], voice: str) -> None:
        self._played.add(out.pcm, out.rate, out.channels, out.at_ms, voice)

    def _write(self, pcm: bytes, rate: int, channels: int, voice: str) -> None:
        ms = len(pcm) * 500 / (rate * channels)
        at_ms = max(self._call.clock_ms() - ms, self._written_to_ms.get(voice, 0.0))
        self._written_to_ms[voice] = at_ms + ms
        self._played.add(pcm, rate, channels, at_ms, voice)

    def _happened(self, event: Event) -> None:
        match event:
            case PlayoutStarted():
                self._remember()
                self._text, self._heard_chars = "", 0
            case PlayoutWorded():
                self._text += event.text
            case PlayoutProgressed():
                self._heard_chars = max(self._heard_chars, event.heard_chars)
            case PlayoutStopped():
                if event.completed:
                    self._heard_chars = len(self._text)
                self._remember()
            case UserSpeechStarted():
                self._caller_speaks = True
            case UserSpeechStopped():
                self._caller_speaks, self._caller_at_ms = False, event.at_ms
            case _:
                pass

    def _remember(self) -> None:
        self._words.said(self._text[: self._heard_chars + _AHEAD_CHARS])
        self._text, self._heard_chars = "", 0

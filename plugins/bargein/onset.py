"""Has somebody begun to speak? As early as a window of sound can tell."""

from __future__ import annotations

from bargein.call import Call
from bargein.core.events import UserSpeechStarted, UserSpeechStopped

EARLY_CONFIDENCE = 0.5
"""Silero's own threshold for speech. One window of it is enough to lower a voice."""
QUIET_CONFIDENCE = 0.35
"""Below this a window is silence: Silero's threshold less its customary hysteresis of 0.15."""
QUIET_WINDOWS = 4
"""So many windows of silence (128 ms) take an early onset back."""


class EarlyOnset:
    """Hears an onset within a window or two, long before a detector would confirm it."""

    def __init__(self, call: Call) -> None:
        """Tell this call."""
        self._call = call
        self._on = False
        self._quiet = 0

    def reset(self) -> None:
        """The detector begins anew: so does whoever speaks on."""
        self._on = False
        self._quiet = 0

    def scored(self, probability: float, window_ms: float) -> None:
        """One window's probability of speech, from whoever computed it."""
        if probability >= EARLY_CONFIDENCE:
            self._quiet = 0
            if not self._on:
                self._on = True
                now_ms = self._call.now_ms
                onset_ms = max(0, now_ms - round(window_ms))
                self._call.speech(UserSpeechStarted(at_ms=now_ms, onset_at_ms=onset_ms), "early")
        elif probability < QUIET_CONFIDENCE:
            self._quiet += 1
            if self._on and self._quiet >= QUIET_WINDOWS:
                self._on = False
                self._call.speech(UserSpeechStopped(at_ms=self._call.now_ms), "early")

"""Was the rest of a text said, whose words nobody timed? Only if there is sound for it."""

from __future__ import annotations

from bargein.core.playout import MS_PER_CHARACTER

_KNOWN_CHARS = 8
"""A voice's own pace is known after so many characters."""
_PATIENCE = 0.6
"""A voice may say the rest in that share of the time that it took for as much before."""


class Pace:
    """How fast one context's words follow each other.

    At the end of a context Pipecat tells of everything that is left of its text, at the time of the
    last word that was timed: the last word itself where no space ended it, and all that was never
    spoken where the service has failed.
    """

    def __init__(self) -> None:
        """Nothing has been said."""
        self._chars = 0  # of the words before the last one
        self._last_chars = 0
        self._last_ms: float | None = None

    def word(self, text: str, at_ms: float) -> None:
        """A word begins there."""
        self._chars += self._last_chars
        self._last_chars = len(text.strip()) + 1
        self._last_ms = at_ms

    def is_rest(self, text: str, at_ms: float) -> bool:
        """Is this the rest of the text? It has the time of the word before, and several words.

        A single word with that time is the last one, or one of two that the service gave the same.
        """
        same = self._last_ms is not None and abs(at_ms - self._last_ms) < 1e-3
        return same and len(text.split()) > 1

    def rest(self, text: str, received_ms: float) -> str:
        """As much of the rest as there is sound for, in whole words.

        Args:
            text: the rest.
            received_ms: how much sound the context has made.
        """
        assert self._last_ms is not None
        known = self._chars >= _KNOWN_CHARS
        pace = self._last_ms / self._chars if known else float(MS_PER_CHARACTER)
        there_ms = received_ms - self._last_ms
        if there_ms >= _PATIENCE * pace * (self._last_chars + len(text.strip())):
            return text
        said, words = 0, text.split()
        ends_ms = pace * self._last_chars
        for word in words:
            if ends_ms + pace * len(word) / 2 > there_ms:
                break
            ends_ms += pace * (len(word) + 1)
            said += 1
        return " ".join(words[:said])

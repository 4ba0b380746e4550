"""When does each word of a Realtime answer sound? The service does not say.

Text and sound come in pieces, the text first. So no word sounds before the audio that was there
when its text came; from there on a word takes its usual time. As soon as all of the sound is there,
which is long before it is heard, the words that are still to come have their share of the whole.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from bargein.core.spread import spread, weight

_SETTLES_MS = 400
"""A word whose usual time came so much earlier than the end of the sound is timed for good."""
_FIRST_MS = 50
"""Per character of `weight`, which counts the pauses in."""
_ENOUGH = 20
"""Shorter messages teach nothing about it."""
_FASTEST_MS = 5
"""Per character: no text is spoken faster, so the sound is not all of it."""
_LEARNS = 0.5
"""How much of the newest message's pace goes into the pace that is expected of the next."""

# Looked for in place: a copy of the rest for every word of a long text takes minutes.
_WHOLE = re.compile(r"\s*\S+(?=\s)")
_LETTER = re.compile(r"\S")


class Pace:
    """How fast this voice speaks; learned from message to message."""

    def __init__(self) -> None:
        self.ms_per_character = float(_FIRST_MS)

    def learn(self, text: str, whole_ms: float) -> None:
        """A message was made to its end."""
        if len(text) * _FASTEST_MS > whole_ms:
            return
        characters = sum(map(weight, text.split()))
        if characters >= _ENOUGH and whole_ms > 0:
            newest = min(max(whole_ms / characters, 25.0), 200.0)
            self.ms_per_character += _LEARNS * (newest - self.ms_per_character)


class Timing:
    """The words of one message, each with the instant of its audio when it begins to sound."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self.text = ""
        self.whole_ms = 0.0
        """How much audio came."""
        self.ended = False
        self.onsets: list[tuple[int, float]] = []
        """Where in the text each timed word begins, and when; in order."""
        self._not_before: list[tuple[int, float]] = [(0, 0.0)]
        self._done = 0  # where in the text the timed words end

    def word(self, text: str) -> list[tuple[str, float]]:
        """More text; the words that are timed by that."""
        self._not_before.append((len(self.text), self.whole_ms))
        self.text += text
        return self._ripe()

    def audio(self, ms: float) -> list[tuple[str, float]]:
        """More audio; the words that are timed by that."""
        self.whole_ms += ms
        return self._ripe()

    def end(self) -> list[tuple[str, float]]:
        """All of it is there: every word anew, by its share of the whole."""
        self.ended = True
        self._pace.learn(self.text, self.whole_ms)
        self.onsets, self._done = [], 0
        words: list[tuple[str, float]] = []
        latest_ms, last_came_ms = 0.0, self._not_before[-1][1]
        for piece, at_ms in spread(self.text, 0.0, self.whole_ms):
            latest_ms = max(latest_ms, at_ms)
            if latest_ms < last_came_ms:
                latest_ms = max(latest_ms, self._came_ms(self._done))
            latest_ms = min(latest_ms, self.whole_ms)
            words.append((piece, latest_ms))
            self._timed(piece, latest_ms)
        return words

    def at(self, place: int) -> float:
        """When what is at this place of the text begins to sound."""
        found = bisect_right(self.onsets, (place, float("inf"))) - 1
        return self.onsets[found][1] if found >= 0 else 0.0

    def _ripe(self) -> list[tuple[str, float]]:
        words: list[tuple[str, float]] = []
        while found := _WHOLE.match(self.text, self._done):
            at_ms = self._next_ms(self._done)
            if at_ms + _SETTLES_MS > self.whole_ms:
                break
            words.append((found[0], at_ms))
            self._timed(found[0], at_ms)
        return words

    def _next_ms(self, place: int) -> float:
        """When a word sounds that begins here, behind those that are timed."""
        came_ms = self._came_ms(place)
        if not self.onsets:
            return came_ms
        before, before_ms = self.onsets[-1]
        lasts_ms = weight(self.text[before:place]) * self._pace.ms_per_character
        return max(came_ms, before_ms + lasts_ms)

    def _came_ms(self, place: int) -> float:
        """How much audio was there when the text came that is here."""
        found = _LETTER.search(self.text, place)
        begins = found.start() if found else len(self.text)
        came = bisect_right(self._not_before, (begins, float("inf"))) - 1
        return self._not_before[came][1]

    def _timed(self, piece: str, at_ms: float) -> None:
        self.onsets.append((self._done, at_ms))
        self._done += len(piece)

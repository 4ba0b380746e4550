"""How far has the ear come in what is being said?"""

from __future__ import annotations

from bargein.call import Call
from bargein.core.events import PlayoutProgressed, PlayoutWorded
from bargein.core.playout import MS_PER_CHARACTER, reached

_FASTEST_MS = 20
"""No voice says a character in less: that would be 50 a second, four times a brisk speaker."""
_LAST_WORD_CHARS = 24
"""Services leave out or respell a last word; of a message that ended too early more is missing."""
_PACED_CHARS = 8
_HURRY = 0.88
"""A voice may say the end in that share of the time that the rest of it leads one to expect."""
_SHARE_EVERY_MS = 100
"""How often hearing is estimated for a voice that sends no word times: twice a word or so."""


class Progress:
    """Follows one message, by its words where they are timed, else by its share of the audio."""

    def __init__(self, call: Call, stream: str = "") -> None:
        """Follow a message from its beginning."""
        self._call = call
        self._stream = stream
        self.cursor = 0
        """How many characters have been heard."""
        self._by_words = 0  # where the words alone have come to: they may begin late
        self._worded = False
        self._shared_at_ms = 0
        self._pace = 0.0  # ms of sound a character, once some words have been timed

    @property
    def unworded(self) -> str:
        """What has been heard by its share of the audio, and of which no word has told."""
        return self._call.script(self._stream)[self._by_words : self.cursor]

    def begun(self, left_ms: float | None) -> None:
        """It begins to sound: nothing is heard yet, but how much is to come may be known."""
        self._come_to(0, left_ms)

    def word(
        self, word: str, left_ms: float | None, *, timed: bool, played_ms: float = 0.0
    ) -> None:
        """A word has been heard, at the middle of it; so much of its message has been played."""
        self._worded = self._worded or timed
        script = self._call.script(self._stream)
        if len(script) - self._by_words < len(word.strip()):
            # A service that does not announce its text: what is said is all that is known.
            added = self._call.add_script(self._stream, word)
            self._call.feed(PlayoutWorded(at_ms=self._call.now_ms, text=added))
            script += added
        self._by_words = reached(script, self._by_words, word)
        middle = self._by_words - len(word.strip()) / 2
        if timed and middle >= _PACED_CHARS:
            self._pace = played_ms / middle
        self._come_to(self._by_words, left_ms)

    def share(self, played_ms: float, whole_ms: float | None, left_ms: float | None) -> None:
        """So much of the audio has been played. Without word times that is all there is."""
        now_ms = self._call.now_ms
        if self._worded or now_ms < self._shared_at_ms + _SHARE_EVERY_MS:
            return
        self._shared_at_ms = now_ms
        script = self._call.script(self._stream)
        if not script or not played_ms:
            return
        whole_ms = whole_ms or max(played_ms, len(script) * MS_PER_CHARACTER)
        cursor = round(min(1.0, played_ms / whole_ms) * len(script))
        while 0 < cursor < len(script) and not script[cursor].isspace():
            cursor += 1  # whole words only
        self._come_to(cursor, left_ms)

    def is_whole(self, played_ms: float) -> bool:
        """Can this have been all of it? A voice that fails in mid-message ends as any other."""
        script = self._call.script(self._stream).strip()
        if self._worded and len(script) - self._by_words > _LAST_WORD_CHARS:
            return False
        if self._pace and self._by_words < len(script):
            # Nobody has told of its last words: was there sound for them?
            return played_ms >= _HURRY * self._pace * len(script)
        return not played_ms or played_ms >= len(script) * _FASTEST_MS

    def _come_to(self, cursor: int, left_ms: float | None) -> None:
        self.cursor = max(self.cursor, cursor)
        self._call.feed(
            PlayoutProgressed(
                at_ms=self._call.now_ms,
                heard_chars=self.cursor,
                left_ms=None if left_ms is None else round(left_ms),
            )
        )

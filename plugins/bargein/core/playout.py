"""What did the user hear of what the agent is saying, and what is still unsaid?"""

from __future__ import annotations

from dataclasses import dataclass, replace

MS_PER_CHARACTER = 60
"""A guess at speaking speed, used only while the audio's own length is unknown: about 16
characters a second, the middle of what common text-to-speech voices do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Playout:
    """The agent message now in the user's ear. ``heard + unheard == text``, always."""

    message_id: str = ""
    must_hear: bool = False
    text: str = ""
    heard_chars: int = 0
    audible_ms: int = 0
    """How long it has sounded, pauses left out, up to ``since_ms``."""
    left_ms: int | None = None
    """Audio to come after ``since_ms``; None while its end is not known."""
    since_ms: int
    """The instant that ``audible_ms`` and ``left_ms`` were true."""
    paused: bool = False

    @property
    def heard(self) -> str:
        return self.text[: self.heard_chars]

    @property
    def unheard(self) -> str:
        return self.text[self.heard_chars :]

    def at(self, at_ms: int) -> Playout:
        """The same playout as of a later instant; time only counts while it sounds."""
        went_ms = 0 if self.paused else max(0, at_ms - self.since_ms)
        left_ms = None if self.left_ms is None else max(0, self.left_ms - went_ms)
        return replace(self, audible_ms=self.audible_ms + went_ms, left_ms=left_ms, since_ms=at_ms)

    def progressed(self, heard_chars: int, left_ms: int | None) -> Playout:
        """Hearing never runs backwards and never past the text that is known."""
        heard_chars = min(max(heard_chars, self.heard_chars), len(self.text))
        return replace(
            self, heard_chars=heard_chars, left_ms=self.left_ms if left_ms is None else left_ms
        )

    def ends_within(self, ms: int) -> bool:
        """Could this playout be over ``ms`` from now, for all we know?"""
        if self.left_ms is not None:
            return self.left_ms <= ms
        return len(self.unheard) * MS_PER_CHARACTER <= ms


def has_words(text: str) -> bool:
    """Is there anything in it to say? Punctuation alone is not."""
    return any(map(str.isalnum, text))


def reached(text: str, cursor: int, word: str) -> int:
    """Where in ``text`` the ear is after hearing ``word``, searching from ``cursor``.

    Text-to-speech services report words as they said them, with other case, spaces or spelling
    than the text they were given; a word that is not found nearby moves the cursor by one
    written word, so that one odd spelling does not freeze it.
    """
    word = word.strip()
    if not word or cursor >= len(text):
        return cursor
    window = text[cursor : cursor + len(word) + 24]
    found = window.casefold().find(word.casefold())
    if found >= 0:
        return min(len(text), cursor + found + len(word))
    start = cursor + len(window) - len(window.lstrip())
    end = start
    while end < len(text) and not text[end].isspace():
        end += 1
    return end

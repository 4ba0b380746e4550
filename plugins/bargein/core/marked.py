"""Which parts of a reply must be heard in full? Read while it streams in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

Pattern: TypeAlias = str | re.Pattern[str]

_APART = r"(?:\.\.\. |[ \-–.,…]{0,2})"
_DATING = (
    "in of since until year en em im seit bis Jahr January February March April May June July "
    "August September October November December"
)
_UNDATED = "".join(rf"(?<!\b{word} \d)" for word in _DATING.split())
_YEAR = rf"(?:(?<=1)9|(?<=2)0)\d\d(?!{_APART}\d)"
# It begins with the digit, and looks back from there: a search skips all else at once.
DIGIT_CODES = re.compile(
    rf"\d(?<!\d\d)(?:(?!{_YEAR})|{_UNDATED})(?:{_APART}\d){{3,}}(?!\d)", re.IGNORECASE
)
"""Four digits and more, together or apart, such as "4 2 7 1"; not a lone year behind "in", a
month and the like."""
MONEY = re.compile(
    r"[$€£¥₹₩₽₺]\s?\d|(?<!\d)\d[\d., \xa0\u202f]{0,20}+\s?"
    r"(?:[$€£¥₹₩₽₺]|(?:US |dollar|euro|pound|cent|rupee|yen|won|"
    r"peso|real|reais|lira|złot|rubl|рубл|USD|EUR|GBP|CHF|JPY|CNY|INR|BRL|PLN|TRY|RUB)\w*)",
    re.IGNORECASE,
)
"""An amount with its currency, before or behind it."""
PHONE_NUMBERS = re.compile(r"(?<!\d)\+?\d(?:[ \-–./()]{0,2}\d){6,14}(?!\d)")
"""Seven to fifteen digits, as E.164 allows, in the usual groups."""

_LONE_DIGIT = r"(?:(?<=\d[.…])(?<!\w\d[.…])|(?<=\d\.\.\.)(?<!\w\d\.\.\.))"
_ENDS = re.compile(
    rf"(?<=[.!?…؟।])(?!{_LONE_DIGIT}\s+(?:\d|\Z))[\"'”»)\]]*(?=\s)|(?<=[。！？])[」』”]*"
)
"""Behind a sentence. A full stop ends one only if a space follows: "4.50" goes on, and so does
"4. 2. 7. 1."."""
_LONGEST_SENTENCE = 2_000
"""A reply without punctuation is not held back for ever."""
_GAP = re.compile(r"(?<=[^\W\d])\s")
"""Where a sentence that is too long may be parted: not inside a code."""
_NAME = re.compile(r"[A-Za-z][\w\-]{0,40}\Z")
_LONGEST_TAG = 120


class MarkError(ValueError):
    """A tag or a pattern that cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of a reply, as far as it is known what it is."""

    text: str
    must_hear: bool


@dataclass(slots=True, kw_only=True)
class Marked:
    """Reads one reply after the other.

    Text between ``<must-hear>`` and ``</must-hear>`` must be heard; the tags are never spoken. A
    tag may be split anywhere; one that is opened again inside counts with its own end; one that is
    never closed ends with the reply; an end without a beginning is nothing. Only a reply is read,
    never a caller's words; but a reply that repeats their tag is locked like any other, for as long
    as it lasts. With patterns, every
    sentence in which one is found must be heard too, so that text is handed on a sentence at a
    time; one without an end is parted after 2,000 characters.

    Args:
        tag: the name of the tag.
        patterns: regular expressions, as strings or compiled; `DIGIT_CODES`, `MONEY` and
            `PHONE_NUMBERS` are ready-made.

    Raises:
        MarkError: no name for a tag, or no regular expression.
    """

    tag: str = "must-hear"
    patterns: Iterable[Pattern] = ()
    _patterns: tuple[re.Pattern[str], ...] = field(init=False, repr=False)
    _tags: re.Pattern[str] = field(init=False, repr=False)
    _raw: str = field(init=False, repr=False, default="")
    """What may still become a tag."""
    _depth: int = field(init=False, repr=False, default=0)
    _inside: str = field(init=False, repr=False, default="")
    _sentence: str = field(init=False, repr=False, default="")

    def __post_init__(self) -> None:
        if not isinstance(self.tag, str) or not _NAME.match(self.tag):
            raise MarkError(f"tag must be a name such as 'must-hear', not {self.tag!r}")
        self._tags = re.compile(rf"<(/?)\s*{re.escape(self.tag)}(?:\s[^<>]*)?>", re.IGNORECASE)
        patterns = self.patterns
        if isinstance(patterns, str | re.Pattern):
            patterns = (patterns,)
        self._patterns = tuple(_compiled(pattern) for pattern in patterns)

    @property
    def open(self) -> bool:
        """Is something held back?"""
        return bool(self._raw or self._depth or self._sentence)

    def feed(self, text: str) -> list[Piece]:
        """More of the reply; returns what is known of it by now."""
        pieces: list[Piece] = []
        self._raw += text
        while found := next(filter(_is_short, self._tags.finditer(self._raw)), None):
            self._text(self._raw[: found.start()], pieces)
            self._raw = self._raw[found.end() :]
            if not found[1]:
                if not self._depth:
                    self._sentences(pieces, to_end=True)
                self._depth += 1
            elif self._depth:
                self._depth -= 1
                if not self._depth:
                    self._locked(pieces)
        ready = len(self._raw) - self._may_be_tag()
        self._text(self._raw[:ready], pieces)
        self._raw = self._raw[ready:]
        return pieces

    def end(self) -> list[Piece]:
        """The reply is over; returns the rest of it."""
        pieces: list[Piece] = []
        # What began like a tag of ours and never became one is an unfinished tag, not speech.
        raw, self._raw = self._raw, ""
        if not re.match(rf"</?\s*{re.escape(self.tag)}", raw, re.IGNORECASE):
            self._text(raw, pieces)
        if self._depth:
            self._locked(pieces)
        self._sentences(pieces, to_end=True)
        self._depth = 0
        return pieces

    def reset(self) -> None:
        """The reply was cut off: forget what was held back."""
        self._raw = self._inside = self._sentence = ""
        self._depth = 0

    def _text(self, text: str, pieces: list[Piece]) -> None:
        if self._depth:
            self._inside += text
        elif self._patterns:
            self._sentence += text
            self._sentences(pieces, to_end=False)
        elif text:
            pieces.append(Piece(text=text, must_hear=False))

    def _locked(self, pieces: list[Piece]) -> None:
        text, self._inside = self._inside, ""
        while self._tags.search(text):  # what was left around a tag inside may be one again
            text = self._tags.sub("", text)
        text = text.strip()
        if text:
            pieces.append(Piece(text=text, must_hear=True))

    def _sentences(self, pieces: list[Piece], *, to_end: bool) -> None:
        while self._sentence:
            found = _ENDS.search(self._sentence)
            cut = len(self._sentence) if found is None else found.end()
            if cut > _LONGEST_SENTENCE:
                gaps = [gap.end() for gap in _GAP.finditer(self._sentence, 0, _LONGEST_SENTENCE)]
                cut = gaps[-1] if gaps else _LONGEST_SENTENCE
            elif found is None and not to_end:
                return
            sentence, self._sentence = self._sentence[:cut], self._sentence[cut:]
            if any(pattern.search(sentence) for pattern in self._patterns):
                pieces.append(Piece(text=sentence.strip(), must_hear=True))
            else:
                pieces.append(Piece(text=sentence, must_hear=False))

    def _may_be_tag(self) -> int:
        """How many characters at the end could be the beginning of a tag."""
        at = self._raw.rfind("<")
        if at < 0 or len(self._raw) - at > _LONGEST_TAG:
            return 0
        begun = self._raw[at + 1 :].lower()
        name = begun.removeprefix("/").lstrip()
        tag = self.tag.lower()
        fits = tag.startswith(name) or (
            name.startswith(tag) and (len(name) == len(tag) or name[len(tag)].isspace())
        )
        return len(self._raw) - at if fits else 0


def _is_short(tag: re.Match[str]) -> bool:
    """One that is longer would be a tag or not by how its text happens to be cut in pieces."""
    return len(tag[0]) <= _LONGEST_TAG + 1


def _compiled(pattern: Pattern) -> re.Pattern[str]:
    if isinstance(pattern, re.Pattern):
        return pattern
    try:
        return re.compile(pattern)
    except (re.error, TypeError) as problem:
        raise MarkError(f"{pattern!r} is no regular expression: {problem}") from problem

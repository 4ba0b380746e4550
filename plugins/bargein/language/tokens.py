"""Which words are in this text?

However a recogniser spells them: "Mm-hm.", "MM HM", "yeahhh" and "don’t" must come out alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from unicodedata import normalize

LOOK_CHARS = 300
"""How much of each end of a text is looked at. Nobody's backchannel is longer."""
LOOK_WORDS = 40
"""How many words of each end of a list are looked at."""

# `\w` leaves out the combining marks that Hindi, Arabic or Thai cannot be spelled without.
_MARKS = (
    "\u0300-\u036f\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0903\u093a-\u094f\u0951-\u0957"
    "\u0962\u0963\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u200c\u200d"
)
_LETTER = rf"(?:[^\W_]|[{_MARKS}])"
_WORD = re.compile(rf"{_LETTER}+(?:'{_LETTER}+)*'?")
_PLAIN_WORD = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*'?")
# Han, kana, Thai, Lao, Khmer and Burmese stand without spaces; Hangul and all others do not.
SPACED_RUN = re.compile(
    r"[^\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff]+"
)
"""Words of scripts that separate them, in a text of those that do not: "OK" in "OKです"."""
_APOSTROPHES = dict.fromkeys(map(ord, "’‘ʼ´`＇"), "'")
_DRAWN_OUT = re.compile(r"(\w)\1{2,}")
_QUESTION_MARKS = frozenset("?？؟")


def ends_of(words: str | Sequence[str]) -> str:
    """The words as one text, cut down to its two ends when there is too much of it."""
    if not isinstance(words, str):
        if not isinstance(words, Sequence) or isinstance(words, bytes | bytearray | memoryview):
            raise TypeError(f"words must be a string or a list of strings, not {_kind_of(words)}")
        if len(words) > 2 * LOOK_WORDS:
            words = [*words[:LOOK_WORDS], *words[-LOOK_WORDS:]]
        for word in words:
            if not isinstance(word, str):
                raise TypeError(f"every word must be a string, not {_kind_of(word)}")
        words = " ".join([word[:LOOK_CHARS] for word in words])
    if len(words) > 2 * LOOK_CHARS:
        return f"{words[:LOOK_CHARS]} {words[-LOOK_CHARS:]}"
    return words


def phrases_of(name: str, value: Iterable[str] | str) -> tuple[str, ...]:
    """The phrases of an application's list; a single string is one of them."""
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, Iterable):
        raise TypeError(f"{name} must be a phrase or a list of them, not {_kind_of(value)}")
    phrases = tuple(value)
    for phrase in phrases:
        if not isinstance(phrase, str):
            raise TypeError(f"{name} must hold strings, not {_kind_of(phrase)}")
    return phrases


def is_asked(text: str) -> bool:
    """True when the recogniser put a question mark at the end."""
    return text.rstrip(" \"'”»)")[-1:] in _QUESTION_MARKS


def undrawn(token: str) -> Iterable[str]:
    """Shorter spellings of a word that was drawn out: "yeahhh", "nooo", "okayy"."""
    for spelling in (_DRAWN_OUT.sub(r"\1\1", token), _DRAWN_OUT.sub(r"\1", token)):
        yield spelling
        yield spelling.rstrip(spelling[-1]) + spelling[-1]


def fold_table(pairs: Mapping[str, str]) -> dict[int, str]:
    """Both cases of every pair, so that folding may come before lowering."""
    upper = {char.upper(): to for char, to in pairs.items() if len(char.upper()) == 1}
    return {ord(char): to for char, to in (upper | dict(pairs)).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How a language is written, as far as finding its words goes."""

    fold: Mapping[int, str] = field(default_factory=dict)
    """Characters that count as others, such as "ё" as "е"."""
    endings: tuple[str, ...] = ()
    """Endings that are words of their own: "'s" in "that's"."""
    beginnings: tuple[str, ...] = ()
    """The same at the front: "c'" in "c'est"."""
    spaced: bool = True
    """False where words are written without spaces between them."""

    def words(self, text: str) -> list[str]:
        """What stands between spaces and punctuation, in lower case."""
        if self.fold:
            text = text.translate(self.fold)
        if text.isascii():
            found: list[str] = _PLAIN_WORD.findall(text.lower())
        else:
            text = normalize("NFKC", text.translate(_APOSTROPHES))
            found = _WORD.findall(text.lower())
        if "'" in text:
            return [
                piece
                for word in found
                for piece in (self._pieces(word) if "'" in word else (word,))
            ]
        return found

    def entry(self, phrase: str) -> list[str]:
        """The words of a phrase in a word list, where an ending may stand alone: "'s been"."""
        alone = (*self.endings, *self.beginnings)
        return [
            word
            for part in phrase.split()
            for word in ([part] if part in alone else self.words(part))
        ]

    def _pieces(self, word: str) -> list[str]:
        pieces: list[str] = []
        at = 0
        while self.beginnings and word.find("'", at) >= 0:
            for front in self.beginnings:
                if word.startswith(front, at) and len(word) > at + len(front):
                    break
            else:
                break
            pieces.append(front)
            at += len(front)
        word = word[at:]
        if "'" in word:
            for end in self.endings:
                if word.endswith(end) and len(word) > len(end):
                    return [*pieces, word[: -len(end)], end]
        return [*pieces, word.rstrip("'")]


def _kind_of(value: object) -> str:
    return type(value).__name__

"""Which of these words are the agent's own, as a recogniser heard them in the microphone?"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from difflib import SequenceMatcher

_WORD = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff]"
    r"|[^\W_]+(?:['’][^\W_]+)*"
)
"""A letter of scripts without spaces counts as a word."""
_KEPT = 120
"""So many of the agent's last words may still come back."""
_RUN = 2
"""Fewer words in a row may be anybody's."""
_MISHEARD = 3
"""Between two such runs, so many words are the recogniser's mistake."""
_ALIKE = 0.5


@dataclass(frozen=True, slots=True)
class _Spoken:
    word: str
    begins: int
    ends: int


class OwnWords:
    """The agent's last words."""

    def __init__(self) -> None:
        self._said: deque[str] = deque(maxlen=_KEPT)

    def said(self, text: str) -> None:
        """The agent said that, behind what it said before."""
        self._said.extend(one.word for one in _spoken(text))

    def left_of(self, text: str, ahead: str = "") -> str:
        """What is left of a recogniser's words without the agent's own; empty if it is nothing.

        Args:
            text: the recogniser's words.
            ahead: what the agent is just saying.
        """
        heard = _spoken(text)
        ours = [*self._said, *(one.word for one in _spoken(ahead))]
        words = [one.word for one in heard]
        if not words or not ours:
            return text
        blocks = SequenceMatcher(None, ours, words, autojunk=False).get_matching_blocks()
        runs = [one for one in blocks if one.size >= min(_RUN, len(words))]
        if not runs:
            return text
        own = [False] * len(words)
        for place, run in enumerate(runs):
            own[run.b : run.b + run.size] = [True] * run.size
            if place:
                before = runs[place - 1]
                gap = run.b - before.b - before.size
                missed = run.a - before.a - before.size
                if gap <= _MISHEARD and 0 < missed <= 2 * _MISHEARD:
                    own[before.b + before.size : run.b] = [True] * gap
        first, last = runs[0], runs[-1]
        after, begins = last.b + last.size, first.b
        # A word that has not been said to its end is often taken for another.
        if after == len(words) - 1 and _alike(ours, last.a + last.size, words[-1]):
            own[-1] = True
        if begins == 1 and first.a > 0 and _alike(ours, first.a - 1, words[0]):
            own[0] = True
        return _pieces(text, heard, own)


def _spoken(text: str) -> list[_Spoken]:
    return [
        _Spoken(found.group().casefold().replace("’", "'"), found.start(), found.end())
        for found in _WORD.finditer(text)
    ]


def _alike(ours: list[str], place: int, word: str) -> bool:
    if place >= len(ours):
        return False
    return SequenceMatcher(None, ours[place], word).ratio() >= _ALIKE


def _pieces(text: str, heard: list[_Spoken], own: list[bool]) -> str:
    """The text of the words that are not our own, with what stands behind each."""
    ends = [one.begins for one in heard[1:]] + [len(text)]
    kept = [
        text[one.begins : end] for one, end, ours in zip(heard, ends, own, strict=True) if not ours
    ]
    return "".join(kept).strip()

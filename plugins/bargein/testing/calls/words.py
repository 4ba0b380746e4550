"""Are these words in those? As a listener compares them, without case and punctuation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


def words_of(text: str) -> list[str]:
    """Its words, in lower case."""
    return _WORD.findall(text.lower().replace("’", "'"))


def place_of(wanted: Sequence[str], words: Sequence[str]) -> int | None:
    """Where some words stand in others, one after the other; None if they do not."""
    size = len(wanted)
    for at in range(len(words) - size + 1):
        if size and list(words[at : at + size]) == list(wanted):
            return at
    return None


def difference(one: Sequence[str], other: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words that only the first has, and those that only the second has."""
    only_one, only_other = list[str](), list[str]()
    for what, a, b, c, d in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if what != "equal":
            only_one += one[a:b]
            only_other += other[c:d]
    return only_one, only_other


def repeated(before: Sequence[str], after: Sequence[str], least: int) -> list[str]:
    """The longest run of words that was said before and is said again, if it is so long."""
    same = SequenceMatcher(None, before, after, autojunk=False).find_longest_match()
    return list(after[same.b : same.b + same.size]) if same.size >= least else []

"""What do the agent's own words say about the caller's?

Whether a question is open, whether "no" would agree, and which words the caller would only repeat.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from .grammar import Grammar

LOOK_BACK_CHARS = 240
LOOK_AHEAD_CHARS = 120

_ENDS = frozenset(".?!;…。？！؟।\n")
_QUESTION_MARKS = frozenset("?？؟")
_SENTENCE = re.compile(r"[^.?!;…。？！؟।\n]+[.?!;…。？！؟।\n]*")
_NO_WORDS = " \t\r\"'”’»)"
_SHORT_SENTENCE_WORDS = 3
_BEGINNING_WORDS, _ENDING_WORDS = 8, 16
"""How much of a long sentence is read. What makes it a question stands at one of its ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How people ask and repeat in a language: what finds it, and how near it must be."""

    sentences: Grammar
    """Finds "question" where a sentence begins, "inversion" and "negation" anywhere in it, "tag"
    and "closing" at its end; "lead_in" is skipped at the beginning."""
    digits: Mapping[str, str]
    short_addition_words: int = 8
    """A question stays open while no more than this was said after it."""
    unheard_words: int = 4
    """An unfinished question counts as asked when no more than this is missing."""
    echo_words: int = 16
    """How many of the agent's last words a caller may be repeating."""


class AgentSide:
    """The agent's words as evidence. Each kind of it is worked out when it is first asked for."""

    def __init__(self, said: str, unsaid: str, has_finished: bool, habits: Habits) -> None:
        self._said = said[-LOOK_BACK_CHARS:]
        self._unsaid = unsaid[:LOOK_AHEAD_CHARS]
        self._has_finished = has_finished
        self._habits = habits

    @cached_property
    def is_asking(self) -> bool:
        """True while a question is open: asked, nearly asked, or asked a few words ago."""
        sentences = self._sentences
        if not sentences:
            return False
        last = sentences[-1]
        if _asks_in_writing(last):
            return True
        room = self._habits.short_addition_words
        if last[-1] in _ENDS or self._has_finished:
            is_question = _asks(self._last_classes)
        else:
            is_question = self._will_ask(last)
            room //= 2
        if is_question:
            return True
        for place in range(len(sentences) - 1, 0, -1):
            room -= len(self._habits.sentences.tokens(sentences[place]))
            if room < 0:
                return False
            if _asks_in_writing(sentences[place - 1]):
                return True
        return False

    @cached_property
    def is_negative(self) -> bool:
        """True when it was just said that something is not so: "no" agrees with that."""
        if "negation" in self._last_classes:
            return True
        if len(self._sentences) < 2 or len(self._last_classes) > _SHORT_SENTENCE_WORDS:
            return False
        return "negation" in self._classes(self._sentences[-2])

    def would_be_echoed(self, words: Iterable[str]) -> bool:
        """True when the words are a stretch of the agent's last words."""
        spelled = _spell_digits(words, self._habits.digits)
        count, first, last_words = len(spelled), spelled[0], self._last_words
        return any(
            word == first and last_words[place : place + count] == spelled
            for place, word in enumerate(last_words)
        )

    @cached_property
    def _sentences(self) -> list[str]:
        return [part for part in _SENTENCE.findall(self._said) if part.strip(_NO_WORDS)]

    @cached_property
    def _last_classes(self) -> list[str]:
        return self._classes(self._sentences[-1]) if self._sentences else []

    @cached_property
    def _last_words(self) -> list[str]:
        count = self._habits.echo_words
        if not count:
            return []
        words = self._habits.sentences.tokens(self._said)[-count:]
        return _spell_digits(words, self._habits.digits)[-count:]

    def _classes(self, sentence: str) -> list[str]:
        grammar = self._habits.sentences
        words = grammar.tokens(sentence)
        if len(words) > _BEGINNING_WORDS + _ENDING_WORDS:
            words = words[:_BEGINNING_WORDS] + words[-_ENDING_WORDS:]
        units = grammar.units(grammar.symbols(words), is_final=True)
        return [name for name, *_ in units]

    def _will_ask(self, heard: str) -> bool:
        """Whether a sentence that is still being spoken is a question, and nearly out."""
        if "¿" in heard:
            return True
        rest = _SENTENCE.match(self._unsaid)
        if rest is None or rest[0][-1] not in _ENDS:
            return "inversion" in self._last_classes
        if not _asks_in_writing(rest[0]):
            return False
        words = self._habits.sentences.tokens
        spoken, missing = len(words(heard)), len(words(rest[0]))
        return spoken >= 2 * missing or (missing <= self._habits.unheard_words and spoken > 1)


def _asks_in_writing(sentence: str) -> bool:
    return not _QUESTION_MARKS.isdisjoint(sentence[-3:])


def _asks(classes: Sequence[str]) -> bool:
    if not classes:
        return False
    if "inversion" in classes or classes[-1] in ("tag", "closing"):
        return True
    for name in classes:
        if name not in ("lead_in", "closing"):
            return name in ("question", "tag")
    return False


def _spell_digits(words: Iterable[str], digits: Mapping[str, str]) -> list[str]:
    """Numbers as single digits, so that "421" and "four two one" are the same words."""
    spelled: list[str] = []
    for word in words:
        if word in digits:
            spelled.append(digits[word])
        elif word.isdecimal():
            spelled += word
        else:
            spelled.append(word)
    return spelled

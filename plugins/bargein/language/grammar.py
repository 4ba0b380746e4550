"""Which of a language's phrases are these words?

A phrase is a few words, some of them slots: "that's <degree>* <quality>". All phrases of a language
make one automaton. It is drawn while it is used: the first caller to say a word pays for its arrow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from .tokens import SPACED_RUN, Writing, undrawn

UNKNOWN = ""
"""Stands for every word that no phrase and no word list mentions."""
BEGUN = "…"
"""Stands for the beginning of a word that is not all there yet, where nothing separates words."""
WORD = "word"
"""The class of a word that begins no phrase."""
PREFIX = "prefix"
"""The class of last words that could still become a phrase."""

_STATES_KEPT = 20_000
_WORDS_KEPT = 20_000
_LONGEST_KEPT = 40
_LONGEST_PHRASE_WORDS = 40
"""So far is a phrase followed once words are stranded; only a word said over and over is longer."""
_ELEMENT = re.compile(r"(?:<([^<>]+)>|([^\s?*+<>]+))([?*+]?)")


class PhraseError(ValueError):
    """A phrase that cannot be read."""

    def __init__(self, phrase: str, problem: str) -> None:
        super().__init__(f"{phrase!r} {problem}")
        self.phrase = phrase


@dataclass(slots=True, eq=False)
class _Node:
    """A place inside a phrase."""

    phrase_class: str
    arrows: dict[str, list[_Node]] = field(default_factory=dict)
    stems: list[tuple[str, _Node]] = field(default_factory=list)
    unknown: list[_Node] = field(default_factory=list)
    is_end: bool = False
    decides: bool = False
    """True at the end of a phrase that does not wait for a longer one."""

    def ahead(self, symbol: str) -> Iterable[_Node]:
        if symbol == UNKNOWN:
            yield from self.unknown
            return
        yield from self.arrows.get(symbol, ())
        for stem, node in self.stems:
            if symbol.startswith(stem):
                yield node


class _State:
    """All the places one may be in; one arrow a word."""

    __slots__ = ("may_grow", "nodes", "phrase_class", "step")

    def __init__(
        self, nodes: Iterable[_Node], rank: Mapping[str, int], awaited: frozenset[str]
    ) -> None:
        self.nodes = tuple(nodes)
        self.step: dict[str, _State] = {}
        ends = [node.phrase_class for node in self.nodes if node.is_end]
        self.phrase_class = min(ends, key=rank.__getitem__) if ends else None
        self.may_grow = not any(node.decides for node in self.nodes) and any(
            node.phrase_class in awaited and (node.arrows or node.stems or node.unknown)
            for node in self.nodes
        )


Unit: TypeAlias = tuple[str, int, int, bool]
"""A stretch of words that is one phrase: its class, first word, end, and whether it may grow.

What may grow are last words that could still become a longer phrase worth waiting for. A plain
tuple, because a judgement makes a dozen and has microseconds.
"""


class Grammar:
    """All phrases of a language, ready to be found.

    Args:
        phrases: phrases by class, the most telling class first: it wins where two share a phrase.
        slots: word lists by name, for ``<name>`` in a phrase.
        writing: how the language is written.
        awaited: classes of phrases whose missing last words are worth waiting for.
        weak: classes that give way to others when words can be read in two ways.
    """

    def __init__(
        self,
        phrases: Mapping[str, Iterable[str]],
        slots: Mapping[str, Iterable[str]],
        writing: Writing,
        awaited: Iterable[str] = (),
        weak: Iterable[str] = (),
    ) -> None:
        self._writing = writing
        self._awaited = frozenset(awaited)
        self._stranded = frozenset({WORD, *weak})
        self._rank = {name: place for place, name in enumerate(phrases)}
        self._vocabulary: set[str] = set()
        self._stems: set[str] = set()
        self._spelled: dict[str, list[tuple[str, ...]]] = {}
        self._slots = {name: [s for e in slots[name] for s in self._listed(e)] for name in slots}
        self._root = _Node("")
        for name, entries in phrases.items():
            for entry in entries:
                self._add(name, entry)
        self._unspelled = {
            word.replace("'", ""): word for word in self._vocabulary if "'" in word.strip("'")
        }
        self._symbol_of = {word: word for word in self._vocabulary}
        self._longest = max(map(len, self._vocabulary), default=0)
        self._beginnings = (
            set()
            if writing.spaced
            else {word[:end] for word in self._vocabulary for end in range(1, len(word))}
        )
        self._dead = _State((), self._rank, self._awaited)
        self._begin()

    def tokens(self, text: str, is_final: bool = True) -> list[str]:
        """The words of a text, as they are spelled; of a growing text the last may be half said."""
        words = self._writing.words(text)
        if self._writing.spaced:
            return words
        return [piece for word in words for piece in self._segments(word, is_final)]

    def symbols(self, tokens: Sequence[str]) -> list[str]:
        """Each word as the grammar knows it, `UNKNOWN` where it does not."""
        known = self._symbol_of
        symbols = [known[token] if token in known else self._learn(token) for token in tokens]
        if self._beginnings and tokens and tokens[-1] in self._beginnings:
            symbols[-1] = symbols[-1] or BEGUN
        return symbols

    def units(self, symbols: Sequence[str], is_final: bool) -> list[Unit]:
        """The words as phrases: the longest at every place, unless that strands the words after it.

        "right I think so" begins with "right I think", yet it is "right" and "I think so".
        """
        units: list[Unit] = []
        start, dead, stranded = self._start, self._dead, self._stranded
        at, count, before = 0, len(symbols), 1
        while at < count:
            state, reached, name, end, may_grow = start, at, WORD, at + 1, False
            while reached < count:
                symbol = symbols[reached]
                before_it = state
                state = state.step.get(symbol) or self._draw(state, symbol)
                if state is dead:
                    if symbol == BEGUN and before_it.may_grow and reached > at and not is_final:
                        name, end, may_grow = PREFIX, count, True
                    break
                reached += 1
                if state.phrase_class is not None:
                    name, end = state.phrase_class, reached
            else:
                if not is_final and state.may_grow:
                    may_grow = True
                    if end < count or name is WORD:
                        name, end = PREFIX, count
            if reached == at == count - 1 and symbols[at] == BEGUN and not is_final:
                name, may_grow = PREFIX, True
            if name in stranded:
                if before > 1:
                    return self._least_stranded(symbols, is_final)
                before = 0
            elif before:
                before = end - at
            units.append((name, at, end, may_grow))
            at = end
        return units

    def _phrases(self, symbols: Sequence[str], at: int, is_final: bool) -> list[Unit]:
        """All that can begin here, the longest last; a lone word where nothing can."""
        state, dead, count = self._start, self._dead, len(symbols)
        units: list[Unit] = []
        reached, furthest = at, min(count, at + _LONGEST_PHRASE_WORDS)
        while reached < furthest:
            symbol = symbols[reached]
            before_it = state
            state = state.step.get(symbol) or self._draw(state, symbol)
            if state is dead:
                if symbol == BEGUN and before_it.may_grow and reached > at and not is_final:
                    units.append((PREFIX, at, count, True))
                break
            reached += 1
            if state.phrase_class is not None:
                units.append((state.phrase_class, at, reached, False))
        else:
            if reached == count and not is_final and state.may_grow:
                if units and units[-1][2] == count:
                    units[-1] = (units[-1][0], at, count, True)
                else:
                    units.append((PREFIX, at, count, True))
        if not units and symbols[at] == BEGUN and not is_final:
            return [(PREFIX, at, count, True)]
        return units or [(WORD, at, at + 1, False)]

    def _least_stranded(self, symbols: Sequence[str], is_final: bool) -> list[Unit]:
        count = len(symbols)
        stranded = self._stranded
        fewest = [0] * (count + 1)
        chosen: dict[int, Unit] = {}
        for at in range(count - 1, -1, -1):
            fewest[at] = count + 1
            for unit in reversed(self._phrases(symbols, at, is_final)):
                strands = fewest[unit[2]] + (unit[0] in stranded)
                if strands < fewest[at]:
                    fewest[at], chosen[at] = strands, unit
        units: list[Unit] = []
        at = 0
        while at < count:
            units.append(chosen[at])
            at = chosen[at][2]
        return units

    def _begin(self) -> None:
        self._start = _State((self._root,), self._rank, self._awaited)
        self._states: dict[frozenset[int], _State] = {}

    def _draw(self, state: _State, symbol: str) -> _State:
        nodes = {id(reached): reached for node in state.nodes for reached in node.ahead(symbol)}
        if not nodes:
            state.step[symbol] = self._dead
            return self._dead
        key = frozenset(nodes)
        reached = self._states.get(key)
        if reached is None:
            if len(self._states) > _STATES_KEPT:
                self._begin()
            reached = self._states[key] = _State(nodes.values(), self._rank, self._awaited)
        state.step[symbol] = reached
        return reached

    def _learn(self, token: str) -> str:
        symbol = self._symbol(token)
        if len(token) <= _LONGEST_KEPT:
            if len(self._symbol_of) > len(self._vocabulary) + _WORDS_KEPT:
                self._symbol_of = {word: word for word in self._vocabulary}
            self._symbol_of[token] = symbol
        return symbol

    def _symbol(self, token: str) -> str:
        if token in self._unspelled:
            return self._unspelled[token]
        for spelling in undrawn(token):
            if spelling in self._vocabulary:
                return spelling
        for length in range(min(len(token), _LONGEST_KEPT), 0, -1):
            if token[:length] in self._stems:
                return f"{token[:length]}~"
        return UNKNOWN

    def _segments(self, text: str, is_final: bool) -> Iterable[str]:
        """The longest known words, from the left. Only scripts without spaces are cut up."""
        at, count = 0, len(text)
        while at < count:
            run = SPACED_RUN.match(text, at)
            if run:
                yield run[0]
                at = run.end()
                continue
            rest = text[at:]
            if not is_final and rest in self._beginnings and rest not in self._vocabulary:
                yield rest
                return
            for end in range(min(count, at + self._longest), at, -1):
                if text[at:end] in self._vocabulary:
                    break
            else:
                end = at + 1
            yield text[at:end]
            at = end

    def _spellings(self, entry: str) -> list[tuple[str, ...]]:
        """An entry as sequences of words: "mm-hm" is also "mm hm" and "mmhm"."""
        if entry in self._spelled:
            return self._spelled[entry]
        spellings = {entry.replace("-", " "): None, entry.replace("-", ""): None}
        found = self._spelled[entry] = []
        for spelling in spellings:
            words = tuple(self._writing.entry(spelling.removesuffix("~")))
            if spelling.endswith("~") and words:
                self._stems.add(words[-1])
                words = (*words[:-1], f"{words[-1]}~")
            self._vocabulary.update(word for word in words if not word.endswith("~"))
            if words:
                found.append(words)
        return found

    def _listed(self, entry: str) -> list[tuple[str, ...]]:
        spellings = self._spellings(entry)
        if not spellings:
            raise PhraseError(entry, "has no word in it: leave it out of the list")
        return spellings

    def _add(self, name: str, entry: str) -> None:
        decides = entry.endswith("!")
        phrase = entry.removesuffix("!")
        elements = _ELEMENT.findall(phrase)
        if not elements or _ELEMENT.sub("", phrase).strip():
            raise PhraseError(
                entry, "cannot be read: write words, <lists>, | ? * + and ! at the end"
            )
        froms = [self._root]
        for slot, literal, times in elements:
            node = _Node(name)
            choices = self._choices(slot, literal, entry)
            loops = [node] if times in ("*", "+") else []
            self._connect(froms + loops, choices, node, name)
            froms = [*froms, node] if times in ("?", "*") else [node]
        if self._root in froms:
            raise PhraseError(entry, "needs at least one word that must be there")
        for node in froms:
            node.is_end = True
            node.decides = decides

    def _choices(self, slot: str, literal: str, entry: str) -> list[tuple[str, ...]]:
        choices: list[tuple[str, ...]] = []
        for choice in literal.split("|") if literal else ():
            spellings = self._spellings(choice)
            if not spellings or "!" in choice or "~" in choice[:-1]:
                raise PhraseError(
                    entry,
                    f"cannot be read at {literal!r}: write words, a|b, stem~ and ! at the end",
                )
            choices += spellings
        if literal:
            return choices
        for name in slot.split("|"):
            if name == "*":
                choices.append((UNKNOWN,))
            elif name in self._slots:
                choices += self._slots[name]
            else:
                raise PhraseError(entry, f"uses <{name}>, which is no list in [words]")
        return choices

    def _connect(
        self, starts: Sequence[_Node], choices: Iterable[tuple[str, ...]], end: _Node, name: str
    ) -> None:
        """Lead from each start to the end, by any of the choices; they share what they can."""
        between: dict[tuple[str, ...], _Node] = {}
        for words in dict.fromkeys(choices):
            sources = starts
            for place, word in enumerate(words, start=1):
                begun = words[:place]
                is_last = place == len(words)
                if is_last:
                    node = end
                elif begun in between:
                    sources = (between[begun],)
                    continue
                else:
                    node = between[begun] = _Node(name)
                for source in sources:
                    if word == UNKNOWN:
                        source.unknown.append(node)
                    elif word.endswith("~"):
                        source.stems.append((word[:-1], node))
                    else:
                        source.arrows.setdefault(word, []).append(node)
                sources = (node,)

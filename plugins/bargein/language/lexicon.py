"""What does a language's TOML file say, and is it fit to use?"""

from __future__ import annotations

import difflib
import re
import reprlib
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias

from .agent import Habits
from .grammar import Grammar, PhraseError
from .speech import PLAIN
from .tokens import Writing, fold_table, phrases_of

Tables: TypeAlias = Mapping[str, Any]

ALWAYS, IGNORED = "always", "ignored"
HOLDS = ("go_on", "assent", "assessment", "acknowledgement", "continuer", "filler")
SHIFTS = (
    "emergency", "stop", "cancellation", "correction", "redirect", "resume", "clarification",
    "objection", "question", "answer", "hold", "opening", "statement", "refusal",
)  # fmt: skip
"""Classes of phrases that take the floor, the most telling first."""
WEAK = ("opening", "statement")
"""What gives way when the same words can be read in two ways."""
ASKS = ("inversion", "tag", "question", "closing", "lead_in", "negation")
"""What can be found in a sentence of the agent's."""

_LISTS = {
    "writing": {"beginnings", "endings"},
    "hold": set(HOLDS),
    "shift": set(SHIFTS),
    "agent": set(ASKS),
}
_NUMBERS = {
    "agent": {"short_addition_words", "unheard_words", "echo_words"},
    "timing": {"settle_ms", "backchannel_ms"},
}
_PAIRS = {"writing": {"fold"}, "words": {"digits"}}
_SIGN = re.compile(r"[<>|*+?!]|~(?!$)")
"""What means something in a phrase, and would be taken for a letter in a word list."""
_TEXTS = {"speech": set(PLAIN)}
_LONG_FOLD = "must name single characters"
_TABLES = {"language", "words", "examples", *_LISTS, *_NUMBERS, *_TEXTS}


class LanguageError(ValueError):
    """A language that is unknown, or whose TOML cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """One language, ready to judge with."""

    tag: str
    name: str
    tables: Tables = field(repr=False)
    """All of its TOML, with what was merged into it."""
    habits: Habits = field(repr=False, compare=False)
    function_words: frozenset[str] = field(repr=False, compare=False)
    """Words too common to be an echo by themselves."""
    settle_ms: int = field(repr=False, compare=False)
    """How long a half-said phrase may wait for its other half."""
    backchannel_ms: int = field(repr=False, compare=False)
    """95 % of the backchannels are over by then."""

    def __hash__(self) -> int:
        return hash(self.tag)

    _plain: Grammar = field(repr=False, compare=False)

    @property
    def speech(self) -> Mapping[str, str]:
        """What the agent says itself, in `bargein.language.speech`'s words for it."""
        texts: Mapping[str, str] = self.tables.get("speech", {})
        return texts

    def grammar(self, ignore: Iterable[str] = (), always_interrupt: Iterable[str] = ()) -> Grammar:
        """Everything a caller may say, and on top the phrases of one application."""
        ignore = phrases_of("ignore", ignore)
        always = phrases_of("always_interrupt", always_interrupt)
        if not ignore and not always:
            return self._plain
        writing = _writing(self.tables)
        # Where nothing separates words, only the language's own can tell those of a phrase: taken
        # whole, it would swallow them wherever it is said.
        words_of = writing.words if writing.spaced else self._plain.tokens
        return _grammar(
            self.tables,
            always=[_bare(phrase, words_of) for phrase in always],
            ignored=[_bare(phrase, words_of) for phrase in ignore],
        )


def available_languages() -> tuple[str, ...]:
    """Tags of the languages that come with the package."""
    files = resources.files(__package__).joinpath("languages").iterdir()
    return tuple(sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml")))


def load_language(tag: str, extra: Path | Tables | None = None) -> Language:
    """The language for a tag such as "en" or "en-US", or a mixture of some: "hi+en".

    Args:
        tag: region and script are ignored: "zh-Hans-CN" is "zh". People who mix languages within
            a sentence get a grammar that knows the words of all of them.
        extra: a TOML file or the same as a dict. Its lists are added to ours, its other values
            replace ours. For a tag we do not have it is the whole language.
    """
    name = base_tag(tag)
    if extra is None:
        return _ours(name)
    tables, where, source = extra, "the tables given", ""
    if not isinstance(tables, Mapping):
        where, source = str(extra), _read(Path(str(extra)))
        tables = _parse(source, where)
    _check(tables, where, source)
    if name in available_languages() or "+" in name:
        tables = _merged(_ours(name).tables, tables)
    return _language(name, tables, where, source)


def base_tag(tag: str) -> str:
    """ "en-US" is "en", "hi-IN + en-IN" is "hi+en"."""
    if not isinstance(tag, str):
        raise TypeError(f"a language is named by a string such as 'en', not {type(tag).__name__}")
    return "+".join(re.split(r"[-_]", part.strip().lower())[0] for part in tag.split("+"))


@lru_cache(maxsize=64)
def _ours(name: str) -> Language:
    if "+" in name:
        return _mixed(name, [_ours(part) for part in name.split("+")])
    if name not in available_languages():
        raise LanguageError(_unknown(name))
    file = resources.files(__package__).joinpath("languages", f"{name}.toml")
    source = file.read_text(encoding="utf-8")
    return _language(name, _parse(source, file.name), file.name, source)


def _unknown(name: str) -> str:
    have = available_languages()
    near = difflib.get_close_matches(name, have, n=1, cutoff=0.1) or have[:1]
    return f"no language {name!r}; did you mean {near[0]!r}? There are: {', '.join(have)}"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as problem:
        raise LanguageError(f"{path} cannot be read: {problem}") from problem


def _parse(source: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(source)
    except ValueError as problem:
        raise LanguageError(f"{where} is not TOML: {problem}") from problem
    except RecursionError as problem:
        raise LanguageError(f"{where} nests its values too deeply to be read") from problem


def _merged(ours: Any, theirs: Any) -> Any:
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        both = {key: _merged(ours[key], theirs[key]) for key in ours.keys() & theirs.keys()}
        return {**ours, **theirs, **both}
    if isinstance(ours, list) and isinstance(theirs, list):
        return [*ours, *theirs]
    return theirs


def _mixed(tag: str, languages: Sequence[Language]) -> Language:
    """The words of all; what is a number is the most patient one's."""
    tables: Tables = {}
    for language in languages:
        tables = _merged(tables, language.tables)
    return _language(
        tag,
        {
            **tables,
            "language": {"name": " + ".join(language.name for language in languages)},
            "writing": {
                **tables.get("writing", {}),
                "spaced": all(_writing(language.tables).spaced for language in languages),
            },
            "timing": {
                "settle_ms": max(language.settle_ms for language in languages),
                "backchannel_ms": max(language.backchannel_ms for language in languages),
            },
        },
        tag,
    )


def _bare(phrase: str, words_of: Callable[[str], list[str]]) -> str:
    """A phrase somebody typed, such as "What's up?", where "?" is no more than a question mark."""
    words = words_of(phrase)
    if not words:
        raise LanguageError(f"{phrase!r} has no words to listen for")
    return " ".join(words)


def _language(tag: str, tables: Tables, where: str, source: str = "") -> Language:
    _check(tables, where, source)
    agent = tables.get("agent", {})
    numbers = {name: agent[name] for name in _NUMBERS["agent"] if name in agent}
    asking = {name: agent.get(name, ()) for name in ASKS}
    try:
        return Language(
            tag=tag,
            name=tables.get("language", {}).get("name", tag),
            tables=tables,
            habits=Habits(
                sentences=Grammar(asking, _slots(tables), _writing(tables)),
                digits=tables.get("words", {}).get("digits", {}),
                **numbers,
            ),
            function_words=frozenset(_function_words(tables)),
            settle_ms=tables.get("timing", {}).get("settle_ms", 800),
            backchannel_ms=tables.get("timing", {}).get("backchannel_ms", 750),
            _plain=_grammar(tables),
        )
    except PhraseError as problem:
        table, key = _home_of(problem.phrase, tables)
        line = _line_of(source, table, key, problem.phrase)
        raise LanguageError(f"{where}{line}: {table}.{key}: {problem}") from problem


def _grammar(tables: Tables, *, always: Iterable[str] = (), ignored: Iterable[str] = ()) -> Grammar:
    phrases: dict[str, Iterable[str]] = {ALWAYS: always, IGNORED: ignored}
    phrases |= {name: tables.get("hold", {}).get(name, ()) for name in HOLDS}
    phrases |= {name: tables.get("shift", {}).get(name, ()) for name in SHIFTS}
    return Grammar(phrases, _slots(tables), _writing(tables), awaited=HOLDS, weak=WEAK)


def _check(tables: Tables, where: str, source: str) -> None:
    """Raise `LanguageError` for the first table, key or value that means nothing."""
    for table, keys in tables.items():
        if not isinstance(table, str):
            raise LanguageError(f"{where}: a table is named by a string, not {table!r}")
        line = _line_of(source, table)
        if table not in _TABLES:
            known = ", ".join(sorted(_TABLES))
            raise LanguageError(f"{where}{line}: no table {table!r}; have {known}")
        if not isinstance(keys, Mapping):
            raise LanguageError(f"{where}{line}: {table} must be a table")
        if table not in ("examples", "language"):
            for key, value in keys.items():
                if not isinstance(key, str):
                    raise LanguageError(f"{where}: a key of {table} must be a string, not {key!r}")
                problem = _problem(table, key, value)
                if problem:
                    line = _line_of(source, table, key)
                    raise LanguageError(f"{where}{line}: {table}.{key} {problem}")


def _problem(table: str, key: str, value: object) -> str:
    if key in _PAIRS.get(table, ()):
        pairs: Iterable[Any] = value.items() if isinstance(value, Mapping) else [(0, 0)]
        if not all(isinstance(text, str) for pair in pairs for text in pair):
            return "must be pairs of strings"
        return "" if key != "fold" or all(len(char) == 1 for char, _ in pairs) else _LONG_FOLD
    if key in _NUMBERS.get(table, ()):
        is_fit = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        return "" if is_fit else "must be a whole number >= 0"
    if (table, key) == ("writing", "spaced"):
        return "" if isinstance(value, bool) else "must be true or false"
    if key in _TEXTS.get(table, ()):
        return "" if isinstance(value, str) else f"must be a text, not {reprlib.repr(value)}"
    if table != "words" and key not in _LISTS.get(table, ()):
        known = sorted(
            name for kinds in (_LISTS, _NUMBERS, _PAIRS, _TEXTS) for name in kinds.get(table, ())
        )
        return f"means nothing; have {', '.join(known)}"
    if not isinstance(value, list):
        return f"must be a list of strings, not {reprlib.repr(value)}"
    for entry in value:
        if not isinstance(entry, str):
            return f"must be a list of strings, and {reprlib.repr(entry)} is none"
        if table == "writing" and not entry:
            return "must not hold an empty string"
        if table == "words" and (sign := _SIGN.search(entry)):
            return (
                f"must hold plain words, not {entry!r}: {sign[0]!r} is for phrases, so write its"
                " choices out"
            )
    return ""


def _home_of(phrase: str, tables: Tables) -> tuple[str, str]:
    """The table and the list which a phrase is from."""
    for table in ("hold", "shift", "agent", "words"):
        for key, entries in tables.get(table, {}).items():
            if isinstance(entries, list) and phrase in entries:
                return table, key
    return "words", ""


def _line_of(source: str, table: str, key: str = "", entry: str = "") -> str:
    """Where a table, a key of it or an entry of that stands; the nearest of them that is found."""
    steps = [rf"\s*\[?\"?{re.escape(table)}\b"]
    if key:
        steps.append(rf"\s*(\[?{re.escape(table)}\.)?\"?{re.escape(key)}\"?\s*[=\]]")
    if entry:
        steps.append(rf".*[\"']{re.escape(entry)}[\"']")
    lines, found = source.splitlines(), -1
    for step in steps:
        place = next((n for n in range(max(found, 0), len(lines)) if re.match(step, lines[n])), -1)
        found = max(found, place)
    return f", line {found + 1}" if found >= 0 else ""


def _slots(tables: Tables) -> dict[str, list[str]]:
    return {name: list(entries) for name, entries in tables.get("words", {}).items()}


def _function_words(tables: Tables) -> Iterable[str]:
    writing = _writing(tables)
    for entry in tables.get("words", {}).get("function", ()):
        yield from writing.entry(entry)


def _writing(tables: Tables) -> Writing:
    writing = tables.get("writing", {})
    return Writing(
        fold=fold_table(writing.get("fold", {})),
        endings=tuple(writing.get("endings", ())),
        beginnings=tuple(writing.get("beginnings", ())),
        spaced=writing.get("spaced", True),
    )

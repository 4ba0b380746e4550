"""Which settings of `Bargein` does a file hold? TOML to keyword arguments, checked key by key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeAlias

from bargein.core.events import OnCut
from bargein.core.locks import LockError, policy_of
from bargein.core.marked import DIGIT_CODES, MONEY, PHONE_NUMBERS, Marked, MarkError, Pattern
from bargein.core.overlap import RuleError
from bargein.core.unfinished import Mode
from bargein.language import LanguageError
from bargein.language.speech import ACKNOWLEDGED, PLAIN
from bargein.language.standard import PRESETS, Preset, standard_rules

_PATTERNS: dict[str, Pattern] = {
    "digit_codes": DIGIT_CODES,
    "money": MONEY,
    "phone_numbers": PHONE_NUMBERS,
}
_OFF = "off"
"""In a table of numbers, where the number may be None; TOML has no such thing."""

_LONGEST_MS = 1_000_000_000
"""Eleven days: longer than any call, and no timer fails at it."""

Check: TypeAlias = Callable[[Any], Any]


class SettingsError(ValueError):
    """A file of settings that cannot be read, or that says something impossible."""


class _WrongError(ValueError):
    """What was expected instead."""


def settings(path: str | Path) -> dict[str, Any]:
    """Read a file of settings: ``Bargein(**settings("clinic.toml"), caller=number)``.

    Its keys are `Bargein`'s own, except for what a call brings along (``caller``) and what no file
    can hold. A ``[preset]`` table holds numbers of `Preset`, in milliseconds, and ``base`` names
    the preset that all the others are taken from. ``must_hear_patterns`` holds ``"digit_codes"``,
    ``"money"``, ``"phone_numbers"``, and regular expressions.

    Raises:
        SettingsError: no such file, no TOML, an unknown key, a wrong type, an impossible value.
    """
    path = Path(path)
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: must be written in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: is no TOML: {error}") from None
    except (ValueError, RecursionError):  # Python's own limits: 4300 digits, so many brackets
        raise SettingsError(f"{path}: holds a number too long or a list too deep to read") from None
    try:
        read = _table(found, _CHECKS, "")
        _together(read)
    except _WrongError as error:
        raise SettingsError(f"{path}: {error}") from None
    return read


def _table(found: Mapping[str, Any], checks: Mapping[str, Check], name: str) -> dict[str, Any]:
    read = {}
    for key, value in found.items():
        full = f"{name}.{key}" if name else key
        check = checks.get(key)
        if check is None:
            near = get_close_matches(key, checks, n=1)
            hint = f"do you mean {near[0]}?" if near else f"there are {', '.join(checks)}"
            raise _WrongError(f"{full} is no setting; {hint}")
        try:
            read[key] = check(value)
        except _WrongError as error:
            # What is wrong further down has its name already.
            wrong = str(error)
            raise _WrongError(wrong if wrong.startswith(full) else f"{full} {wrong}") from None
    return read


def _together(read: dict[str, Any]) -> None:
    """What only shows once rules are made of it, such as a language that there is not."""
    taken = ("language", "preset", "min_speak_ms", "ignore", "always_interrupt")
    try:
        standard_rules(**{name: read[name] for name in taken if name in read})
        policy = {name: read[name] for name in ("on_cut", "broken_by") if name in read}
        policy_of(policy.get("on_cut", OnCut.REPORT), policy.get("broken_by", ()))
        if "must_hear_tag" in read:
            Marked(tag=read["must_hear_tag"])
    except (LanguageError, LockError, MarkError, RuleError) as error:
        raise _WrongError(str(error)) from None


# --- one value ---


def _must(be: str, value: Any) -> _WrongError:
    try:
        return _WrongError(f"must be {be}, not {value!r}")
    except ValueError:  # Python writes no number of so many digits
        return _WrongError(f"must be {be}, not such a long number")


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _must("true or false", value)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _must("a text", value)
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise _must('a list of texts, such as ["let me think"]', value)
    return tuple(value)


def _text_or_texts(value: Any) -> str | tuple[str, ...]:
    return _texts(value) if isinstance(value, list) else _text(value)


def _ms(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _must("whole milliseconds, 0 or more", value)
    if value > _LONGEST_MS:
        raise _must(f"at most {_LONGEST_MS} milliseconds", value)
    return value


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise _must("seconds, more than 0", value)
    return value


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise _must("from 0 to 1", value)
    return float(value)


def _one_of(*names: str) -> Check:
    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in names:
            raise _must(f"one of {', '.join(names)}", value)
        return value

    return check


def _some_of(*names: str) -> Check:
    def check(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(one in names for one in value):
            raise _must(f"a list, of {', '.join(names)}", value)
        return tuple(value)

    return check


def _patterns(value: Any) -> tuple[Pattern, ...]:
    patterns = []
    for text in _texts(value):
        try:
            patterns.append(_PATTERNS.get(text) or re.compile(text))
        except (re.error, OverflowError, RecursionError) as error:
            raise _WrongError(
                f"must hold {', '.join(_PATTERNS)} or regular expressions, not {text!r}: {error}"
            ) from None
    return tuple(patterns)


def _speech(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _must("a table of texts", value)
    return _table(value, dict.fromkeys(PLAIN, _text), "speech")


def _or_off(check: Check) -> Check:
    return lambda value: None if value == _OFF else check(value)


_NUMBERS: dict[str, Check] = {
    **{field.name: _ms for field in fields(Preset)},
    "yield_without_words_ms": _or_off(_ms),
    "yield_below": _or_off(_share),
}


def _preset(value: Any) -> str | Preset:
    names = _one_of(*PRESETS)
    if not isinstance(value, dict):
        checked: str = names(value)
        return checked
    read = _table(value, {"base": names, **_NUMBERS}, "preset")
    return Preset(**{**asdict(PRESETS[read.pop("base", "balanced")]), **read})


_CHECKS: dict[str, Check] = {
    "language": _text_or_texts,
    "preset": _preset,
    "min_speak_ms": _ms,
    "ignore": _texts,
    "always_interrupt": _texts,
    "early_onset": _flag,
    "interruptible": _flag,
    "must_hear_tag": _text,
    "must_hear_patterns": _patterns,
    "on_cut": _one_of(*(one.value for one in OnCut)),
    "broken_by": _texts,
    "max_lock_ms": _ms,
    "resume": _one_of(*(one.value for one in Mode)),
    "resume_ttl_s": _seconds,
    "acknowledge": _some_of(*(kind.value for kind in ACKNOWLEDGED)),
    "speech": _speech,
    "tell_llm": _flag,
    "handler_timeout_s": _seconds,
    "store": _text,
}

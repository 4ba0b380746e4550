"""Does what was read from outside fit the fields that it is for?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, get_args, get_origin, get_type_hints

_hints: dict[type[Any], dict[str, Any]] = {}


def misfit(kind: type[Any], values: Mapping[str, object]) -> str:
    """The name of the first value that is not of its field's type; empty where all are.

    A number with a fraction must be a number: "not a number" and infinity are none. Names that are
    no fields are left to the class itself.
    """
    hints = _hints.get(kind)
    if hints is None:
        hints = _hints[kind] = get_type_hints(kind)
    return next((n for n, one in values.items() if n in hints and not _fits(one, hints[n])), "")


def _fits(value: object, hint: Any) -> bool:
    if hint is int:
        return type(value) is int
    if hint is float:
        return type(value) is int or (type(value) is float and math.isfinite(value))
    if isinstance(hint, type):
        return isinstance(value, hint)
    if get_origin(hint) is not tuple:
        return any(_fits(value, one) for one in get_args(hint))  # one of several
    parts = get_args(hint)
    if not isinstance(value, tuple):
        return False
    if parts[-1] is ...:
        return all(_fits(one, parts[0]) for one in value)
    return len(value) == len(parts) and all(map(_fits, value, parts))

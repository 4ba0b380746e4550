"""What does a line of an evaluation file say?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DAY_S = 86_400
"""No call has words, or waits for them, longer than this."""
LABELS = ("backchannel", "floor_taking", "answer")
_MOST_WORDS = 1_000_000


class ItemError(ValueError):
    """A line that is no item, or that nothing can be measured with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Something a caller said while, or just after, the agent spoke."""

    id: str
    where: str
    """The file and the line, for those who have to mend it."""
    label: str
    """``"backchannel"`` (the agent should go on), ``"floor_taking"`` or ``"answer"``."""
    words: tuple[str, ...]
    word_end_s: tuple[float, ...] | None = None
    """When each word ends, in seconds from the first one's onset."""
    floor_onset_word: int = 0
    """The word with which the floor is taken: 1 in "yeah but"."""
    agent: str = ""
    punctuated: str = ""
    is_cut: bool = False
    """True for a text that goes on beyond what is here, so that it has no final."""
    lang: str = ""
    kind: str = ""
    sets: tuple[str, ...] = ()


def load(path: Path) -> Iterator[Item]:
    """Every item of a file.

    Raises:
        ItemError: a line that is no item, with its number and what is wrong.
        OSError: the file cannot be read.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                where = f"{path}:{number}"
                try:
                    yield _item(json.loads(line.decode("utf-8")), where, f"line {number}")
                except UnicodeDecodeError as error:
                    raise ItemError(f"{where}: no UTF-8; save the file as UTF-8") from error
                except (ValueError, RecursionError) as error:
                    raise ItemError(f"{where}: {error}") from error


def _item(line: Any, where: str, name: str) -> Item:
    if not isinstance(line, dict):
        raise ItemError("an item is a JSON object")
    words: Any = line.get("words", line.get("text"))
    if isinstance(words, str):
        words = words.split()
    if not _strings(words):
        raise ItemError("words must be a list of strings, or a text")
    if line.get("label") not in LABELS:
        raise ItemError(f"label must be one of {', '.join(LABELS)}, not {line.get('label')!r}")
    ends = line.get("word_end_s") or None
    if ends is not None and not (
        isinstance(ends, list)
        and all(isinstance(at_s, int | float) and 0 <= at_s <= DAY_S for at_s in ends)
    ):
        raise ItemError(f"word_end_s must be a list of seconds from 0 to {DAY_S}")
    onset, sets = line.get("floor_onset_word") or 0, line.get("sets") or []
    if not isinstance(onset, int) or not 0 <= onset <= _MOST_WORDS or not _strings(sets):
        raise ItemError(
            f"floor_onset_word must be a whole number from 0 to {_MOST_WORDS},"
            " and sets a list of names"
        )
    return Item(
        id=str(line.get("id", name)),
        where=where,
        label=line["label"],
        words=tuple(words),
        word_end_s=tuple(ends[: len(words)]) if ends else None,
        floor_onset_word=onset,
        agent=_text(line, "agent_prev_text"),
        punctuated=_text(line, "user_text_punct"),
        is_cut=bool(line.get("truncated")),
        lang=_text(line, "lang"),
        kind=_text(line, "kind") or _text(line, "subtype"),
        sets=tuple(sets),
    )


def _strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


def _text(line: dict[str, Any], key: str) -> str:
    value = line.get(key)
    if value is not None and not isinstance(value, str):
        raise ItemError(f"{key} must be a text, not {value!r}")
    return value or ""

"""What would have become of this item in a call?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bargein.core.overlap import Ruling
from bargein.language import Judgement, judge

from .items import Item

WORD_S = 0.30
"""How long a word takes where an item has no times."""
_FILLERS = frozenset({"uh", "um"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """How the recogniser is imagined."""

    punct: bool = False
    drop_fillers: bool = False
    stt_delay_s: float = 0.0
    endpoint_s: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Whether the agent stopped, and when."""

    stopped: bool
    words: int
    """How many words had come by then."""
    at_s: float | None
    judgement: Judgement | None
    """The one that stopped the agent, or else the last."""


Taken: TypeAlias = tuple[bool, Judgement | None]
"""Does the agent stop, and if ours decided, why?"""
Stopper: TypeAlias = Callable[[Item, Sequence[str], bool, int], Taken]
"""Decides on an item's words so far: are they final, and how many ms old is the overlap?"""


def ours(item: Item, words: Sequence[str], is_final: bool, elapsed_ms: int) -> Taken:
    """The judgement of this package."""
    judgement = judge(
        words,
        agent_said=item.agent,
        is_final=is_final,
        elapsed_ms=elapsed_ms,
        language=item.lang or "en",
    )
    return judgement.ruling is Ruling.SHIFT, judgement


def replay(item: Item, how: Replay, stops: Stopper = ours) -> Outcome:
    """Judge the growing prefixes, each at its time; the first stop is for good."""
    words, ends = _timed(item, how)
    looks = sorted((at_s + how.stt_delay_s, n, False) for n, at_s in enumerate(ends, start=1))
    if not item.is_cut:
        last_s = ends[-1] if ends else WORD_S
        late_s = max(how.endpoint_s, how.stt_delay_s + 0.01)
        looks.append((last_s + late_s, len(words), True))
    judgement: Judgement | None = None
    for at_s, count, is_final in looks:
        stopped, judgement = stops(item, words[:count], is_final, int(at_s * 1000))
        if stopped:
            return Outcome(stopped=True, words=count, at_s=round(at_s, 3), judgement=judgement)
    return Outcome(stopped=False, words=len(words), at_s=None, judgement=judgement)


def _timed(item: Item, how: Replay) -> tuple[list[str], list[float]]:
    words = list(item.words)
    known = item.word_end_s or [WORD_S * (n + 1) for n in range(len(words))]
    ends = list(known[: len(words)])
    if how.drop_fillers:
        kept = [n for n, word in enumerate(words) if word not in _FILLERS and n < len(ends)]
        words, ends = [words[n] for n in kept], [ends[n] for n in kept]
    if how.punct and item.punctuated.split():
        words, was = item.punctuated.split(), ends or [WORD_S]
        # Punctuated texts may have more or fewer words than times: each takes its share of them.
        share = len(was) / len(words)
        ends = [
            was[min(len(was) - 1, max(0, int((n + 1) * share + 1e-9) - 1))]
            for n in range(len(words))
        ]
    return words, ends

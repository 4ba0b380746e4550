"""Is "mm-hm" all the user said?"""

from __future__ import annotations

from dataclasses import dataclass

from ..overlap import Overlap, Ruling, Verdict, WordsGo, not_negative
from .words import Judge, read


@dataclass(frozen=True, slots=True, kw_only=True)
class Backchannel:
    """A listener's "mm-hm" keeps the agent talking and stays out of the turn."""

    judge: Judge
    settle_ms: int = 800
    """A user who is still making sound gets this long to add words to the "yeah"."""

    def __post_init__(self) -> None:
        not_negative("settle_ms", self.settle_ms)

    def __call__(self, overlap: Overlap, /) -> Verdict | None:
        if not overlap.words or overlap.words_at_ms is None:
            return None
        reading = read(self.judge, overlap)
        if reading.ruling is not Ruling.HOLD:
            return None
        settled_at_ms = overlap.words_at_ms + self.settle_ms
        if overlap.user_speaking and overlap.seen_at_ms < settled_at_ms:
            return Verdict(ruling=Ruling.WAIT, reason=reading.reason, ask_again_at_ms=settled_at_ms)
        return Verdict(
            ruling=Ruling.HOLD,
            reason=reading.reason,
            kind=reading.kind,
            words=WordsGo.WEIGHED if reading.may_answer else WordsGo.REPORTED,
        )

"""Must the user hear this to the end?"""

from __future__ import annotations

from dataclasses import dataclass

from ..decisions import Kind, Reason
from ..overlap import Overlap, Ruling, Verdict, WordsGo
from .words import Judge, read


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticalMessage:
    """Nothing takes the floor from a message marked ``must_hear``; words are answered after it."""

    judge: Judge | None = None
    """Tells a listener's noises, which nobody has to answer, from words that are kept."""

    def __call__(self, overlap: Overlap, /) -> Verdict | None:
        if not overlap.must_hear:
            return None
        words, kind = WordsGo.DELIVERED, None
        if self.judge and overlap.words and read(self.judge, overlap).ruling is Ruling.HOLD:
            words, kind = WordsGo.REPORTED, Kind.BACKCHANNEL
        return Verdict(ruling=Ruling.HOLD, reason=Reason.CRITICAL_MESSAGE, kind=kind, words=words)

"""Do these words answer what the agent is asking?"""

from __future__ import annotations

from dataclasses import dataclass

from ..decisions import Kind, StopAt
from ..overlap import Overlap, Ruling, Verdict
from .words import Judge, read


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A "yes" to a question is an answer, however early it comes."""

    judge: Judge
    stop_at: StopAt = StopAt.PHRASE
    """The rest of a question is short, and whole it sounds less rude than half."""

    def __call__(self, overlap: Overlap, /) -> Verdict | None:
        if not overlap.words:
            return None
        reading = read(self.judge, overlap)
        if reading.ruling is Ruling.SHIFT and reading.kind is Kind.ANSWER:
            return Verdict(
                ruling=Ruling.SHIFT, reason=reading.reason, kind=Kind.ANSWER, stop_at=self.stop_at
            )
        return None

"""Is the agent about to finish anyway?"""

from __future__ import annotations

from dataclasses import dataclass

from ..decisions import Reason
from ..overlap import Later, Overlap, Ruling, Verdict, WordsGo, not_negative


@dataclass(frozen=True, slots=True, kw_only=True)
class NearlyDone:
    """What is almost over is not cut; the words said meanwhile are weighed when it is."""

    max_left_ms: int = 400
    """A word and a half of speech: cutting it would take as long as letting it end."""

    def __post_init__(self) -> None:
        not_negative("max_left_ms", self.max_left_ms)

    def __call__(self, overlap: Overlap, /) -> Verdict | Later | None:
        left_ms = overlap.agent_left_ms
        if left_ms is None or overlap.agent_finished or overlap.paused:
            return None
        if left_ms > self.max_left_ms:
            return Later(at_ms=overlap.seen_at_ms + left_ms - self.max_left_ms)
        return Verdict(ruling=Ruling.HOLD, reason=Reason.NEARLY_DONE, words=WordsGo.WEIGHED)

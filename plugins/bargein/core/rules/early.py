"""May the agent be interrupted yet, or here?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..decisions import Reason
from ..overlap import Overlap, Ruling, Verdict, WordsGo, not_negative


@dataclass(frozen=True, slots=True, kw_only=True)
class MinAgentSpeech:
    """Conditional interruption: the agent says at least this much, or as long as you say so."""

    min_speak_ms: int = 0
    """The agent is not interrupted before it has been audible this long."""
    interruptible: Callable[[Overlap], bool] | None = None
    """Your own condition; False keeps the floor. Asked whenever the overlap changes."""

    def __post_init__(self) -> None:
        not_negative("min_speak_ms", self.min_speak_ms)

    def __call__(self, overlap: Overlap, /) -> Verdict | None:
        if overlap.agent_finished:
            return None
        missing_ms = self.min_speak_ms - overlap.agent_spoke_ms
        if missing_ms > 0:
            return Verdict(
                ruling=Ruling.HOLD,
                reason=Reason.EARLY_IN_SPEECH,
                words=WordsGo.DELIVERED,
                ask_again_at_ms=overlap.seen_at_ms + missing_ms,
            )
        if self.interruptible is not None and not self.interruptible(overlap):
            return Verdict(
                ruling=Ruling.HOLD, reason=Reason.NOT_INTERRUPTIBLE, words=WordsGo.DELIVERED
            )
        return None

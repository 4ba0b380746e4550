"""Was that speech at all?"""

from __future__ import annotations

from dataclasses import dataclass

from ..decisions import Kind, Reason
from ..overlap import Later, Overlap, Ruling, Verdict, not_negative


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Sound that brings no words does not take the floor: a cough, a door, a radio."""

    words_late_ms: int = 600
    """How long after silence words may still come: streaming recognisers need 250-500 ms."""
    max_wordless_ms: int = 4_000
    """Sound without a single word for this long is a noisy place, and the agent talks on. Raise it
    for a recogniser that sends no partials."""

    def __post_init__(self) -> None:
        not_negative("words_late_ms", self.words_late_ms)
        not_negative("max_wordless_ms", self.max_wordless_ms)

    def __call__(self, overlap: Overlap, /) -> Verdict | Later | None:
        if overlap.words:
            return None
        if overlap.silent_since_ms is None:
            if overlap.lasted_ms >= self.max_wordless_ms:
                return Verdict(ruling=Ruling.HOLD, reason=Reason.NOISE, kind=Kind.NOISE)
            return Later(at_ms=overlap.began_at_ms + self.max_wordless_ms)
        due_at_ms = overlap.silent_since_ms + self.words_late_ms
        if overlap.seen_at_ms < due_at_ms:
            return Verdict(
                ruling=Ruling.WAIT, reason=Reason.OVERLAP_BEGAN, ask_again_at_ms=due_at_ms
            )
        return Verdict(ruling=Ruling.HOLD, reason=Reason.NOISE, kind=Kind.NOISE)

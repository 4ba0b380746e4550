"""What does it sound like, as long as the words do not tell?"""

from __future__ import annotations

from dataclasses import dataclass

from ..decisions import Kind, Reason, StopAt
from ..overlap import Overlap, RuleError, Ruling, Verdict, WordsGo
from .words import Judge, read


@dataclass(frozen=True, slots=True, kw_only=True)
class Acoustic:
    """Detectors' scores count until the words are clear; then the words win.

    A sound that ended and was a listener's needs no words to be let go: the agent goes on without
    waiting for them. If words come after all, they are judged as ever.
    """

    judge: Judge
    hold_above: float = 0.8
    """The backchannel probability from which a sound that has ended is let go."""
    yield_below: float | None = None
    """The probability up to which a sound takes the floor without words; None never does."""
    min_ms: int = 300
    """A yield takes at least so much sound: half of English backchannels are over by then."""
    stop_at: StopAt = StopAt.WORD

    def __post_init__(self) -> None:
        for name in ("hold_above", "yield_below"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise RuleError(f"{name} must be a probability from 0 to 1, not {value!r}")

    def __call__(self, overlap: Overlap, /) -> Verdict | None:
        probability = overlap.backchannel_probability
        if probability is None:
            return None
        if overlap.words and read(self.judge, overlap).ruling is not Ruling.WAIT:
            return None
        if probability >= self.hold_above and not overlap.user_speaking:
            return Verdict(
                ruling=Ruling.HOLD,
                reason=Reason.SOUNDS_LIKE_LISTENING,
                kind=Kind.BACKCHANNEL,
                words=WordsGo.WEIGHED,
            )
        if (
            self.yield_below is not None
            and probability <= self.yield_below
            and overlap.lasted_ms >= self.min_ms
        ):
            return Verdict(
                ruling=Ruling.SHIFT, reason=Reason.SOUNDS_LIKE_A_TURN, stop_at=self.stop_at
            )
        return None

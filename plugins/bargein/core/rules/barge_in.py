"""Does the user mean to take the floor?"""

from __future__ import annotations

from dataclasses import dataclass

from ..decisions import Reason, StopAt
from ..overlap import Overlap, RuleError, Ruling, Verdict, WordsGo, not_negative
from .words import Judge, read


@dataclass(frozen=True, slots=True, kw_only=True)
class BargeIn:
    """The decider: words that claim the floor get it; until there are any, duck, then pause.

    A pause can be taken back and a yield cannot, so length alone does not stop the agent unless
    you say so with ``yield_without_words_ms``.
    """

    judge: Judge
    min_overlap_ms: int = 0
    """Words must come from an overlap at least this long. 0: one clear word is enough."""
    pause_after_ms: int = 1_000
    """Talked over for this long and still undecided, the agent falls silent and listens. 95 % of
    English backchannels are over after 750 ms (15,178 of them in the MRDA meeting corpus), and a
    partial that names one comes about 250 ms behind it."""
    words_pause_ms: int = 0
    """The same, this long after words came that may be the beginning of something: "no ...". A
    pause can be taken back, so it need not wait until the words are clear."""
    max_hold_ms: int = 1_500
    """Undecided and the user silent for this long: the agent goes on."""
    yield_without_words_ms: int | None = None
    """Yield to speech this long even if no words came; None never does."""
    stop_at: StopAt = StopAt.WORD

    def __post_init__(self) -> None:
        for name in ("min_overlap_ms", "pause_after_ms", "words_pause_ms", "max_hold_ms"):
            not_negative(name, getattr(self, name))
        if self.yield_without_words_ms is not None:
            not_negative("yield_without_words_ms", self.yield_without_words_ms)
        if not isinstance(self.stop_at, StopAt):
            raise RuleError(
                f"stop_at must be StopAt.NOW, StopAt.WORD or StopAt.PHRASE, not {self.stop_at!r}"
            )

    def __call__(self, overlap: Overlap, /) -> Verdict:
        if overlap.words:
            reading = read(self.judge, overlap)
            # A HOLD that reaches us was left alone by the rules before: nobody wants
            # backchannels filtered, so they are words like any other.
            if reading.ruling is not Ruling.WAIT:
                held = reading.ruling is Ruling.HOLD
                return self._take(
                    overlap,
                    Verdict(
                        ruling=Ruling.SHIFT,
                        reason=Reason.BARGE_IN if held else reading.reason,
                        kind=None if held else reading.kind,
                        stop_at=self.stop_at,
                    ),
                )
        elif self._long_enough(overlap):
            return Verdict(ruling=Ruling.SHIFT, reason=Reason.BARGE_IN, stop_at=self.stop_at)
        return self._wait(overlap)

    def _long_enough(self, overlap: Overlap) -> bool:
        enough_ms = self.yield_without_words_ms
        return enough_ms is not None and overlap.lasted_ms >= enough_ms

    def _take(self, overlap: Overlap, verdict: Verdict) -> Verdict:
        if overlap.agent_finished or overlap.lasted_ms >= self.min_overlap_ms:
            return verdict
        if overlap.user_speaking:
            ripe_at_ms = overlap.began_at_ms + self.min_overlap_ms
            return Verdict(
                ruling=Ruling.WAIT, reason=Reason.OVERLAP_BEGAN, ask_again_at_ms=ripe_at_ms
            )
        return Verdict(ruling=Ruling.HOLD, reason=Reason.USER_SILENT, words=WordsGo.DELIVERED)

    def _wait(self, overlap: Overlap) -> Verdict:
        if overlap.silent_since_ms is not None:
            give_up_at_ms = overlap.silent_since_ms + self.max_hold_ms
            if overlap.seen_at_ms >= give_up_at_ms:
                return Verdict(
                    ruling=Ruling.HOLD, reason=Reason.USER_SILENT, words=WordsGo.DELIVERED
                )
            return Verdict(
                ruling=Ruling.WAIT, reason=Reason.OVERLAP_BEGAN, ask_again_at_ms=give_up_at_ms
            )
        ask_again_at_ms = None
        if self.yield_without_words_ms is not None and not overlap.words:
            ask_again_at_ms = overlap.began_at_ms + self.yield_without_words_ms
        sounds = overlap.backchannel_probability
        # 0.5 tells nothing; a sound that is surely a turn need not be waited for, and one that is
        # surely a listener's gets twice the time.
        patience = 1.0 if sounds is None else 2 * sounds
        pause_at_ms = overlap.began_at_ms + round(self.pause_after_ms * patience)
        if overlap.words_at_ms is not None and overlap.words:
            pause_at_ms = min(pause_at_ms, overlap.words_at_ms + self.words_pause_ms)
        return Verdict(
            ruling=Ruling.WAIT,
            reason=Reason.OVERLAP_BEGAN,
            ask_again_at_ms=ask_again_at_ms,
            pause_at_ms=pause_at_ms,
        )

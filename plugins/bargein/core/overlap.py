"""What is known about one stretch of talking at once, and how does a rule answer?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol, TypeAlias

from .decisions import Kind, Reason, StopAt


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What an acoustic detector made of the overlap so far."""

    source: str
    backchannel_probability: float
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Everything known so far about one overlap. What a rule sees, and all it sees."""

    began_at_ms: int
    """Onset of the user's speech, as near as a detector can say."""
    seen_at_ms: int
    """The instant of this look."""
    user_speaking: bool = True
    silent_since_ms: int | None = None
    """When the user fell silent; None while they speak."""
    finals: str = ""
    """Final text of this overlap, in order."""
    partial: str = ""
    """The newest hypothesis behind the finals; it may still grow, shrink or change."""
    words_at_ms: int | None = None
    """When the words last changed."""
    language: str = ""
    """The recogniser's tag for the newest words, where it tells one."""
    scores: tuple[Score, ...] = ()
    """Newest score of each source."""
    controls: tuple[str, ...] = ()
    """Names raised by the application since the overlap began, e.g. ``"emergency_stop"``."""

    message_id: str = ""
    must_hear: bool = False
    """True for a message the user may not talk over, such as a recording notice."""
    broken_by: tuple[str, ...] | None = None
    """What may break that message off; None where it does not say."""
    agent_said: str = ""
    """What the user has heard of this playout so far."""
    agent_unsaid: str = ""
    """The rest of it, as far as the text is known."""
    agent_spoke_ms: int = 0
    """How long this playout has been audible."""
    agent_left_ms: int | None = None
    """How much audio is still to come; None while nobody knows."""
    agent_finished: bool = False
    agent_started_over: bool = False
    """True when the user was speaking first and the agent began on top."""
    user_led_ms: int = 0
    """How long the user had been speaking when the agent began on top."""
    paused: bool = False
    """True while the agent is silent, waiting for this overlap to be decided."""
    tools_running: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """All that the recogniser has heard in this overlap."""
        return f"{self.finals} {self.partial}".strip()

    @property
    def words_final(self) -> bool:
        """True when there are words and none of them can change any more."""
        return bool(self.finals) and not self.partial

    @property
    def backchannel_probability(self) -> float | None:
        """All detectors' newest scores as one, each taken as evidence of its own (their odds are
        multiplied); None without any. What is no probability, such as NaN, does not count."""
        told = [score.backchannel_probability for score in self.scores]
        told = [p for p in told if 0 <= p <= 1]
        if not told:
            return None
        odds = 1.0
        for p in told:
            # A detector may be sure, and never so sure that no other could say otherwise.
            p = min(max(p, 0.01), 0.99)
            odds *= p / (1 - p)
        return odds / (1 + odds)

    @property
    def lasted_ms(self) -> int:
        """From onset to silence, or to now."""
        ended = self.seen_at_ms if self.silent_since_ms is None else self.silent_since_ms
        return max(0, ended - self.began_at_ms)


class Ruling(Enum):
    """What may happen to a contested floor."""

    HOLD = "hold"
    SHIFT = "shift"
    WAIT = "wait"


class WordsGo(Enum):
    """Where the words of a held overlap go."""

    REPORTED = "reported"
    """They were a listener's noise; nobody has to answer them."""
    DELIVERED = "delivered"
    """They become the user's turn when the agent has finished."""
    WEIGHED = "weighed"
    """Too early to say: asked again when the agent finishes, reported if it just goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One rule's opinion."""

    ruling: Ruling
    reason: Reason
    kind: Kind | None = None
    stop_at: StopAt = StopAt.WORD
    """Where to stop, if the ruling is SHIFT."""
    ask_again_at_ms: int | None = None
    """Look again at this instant if nothing happens first; for HOLD, if the user still speaks."""
    pause_at_ms: int | None = None
    """For WAIT: from this instant on the agent should be silent while it waits."""
    words: WordsGo = WordsGo.REPORTED
    """For HOLD: where final words go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """No opinion yet; the next rule is asked, and this one again at ``at_ms``."""

    at_ms: int


class Rule(Protocol):
    """Judges one overlap. No opinion means the next rule is asked."""

    def __call__(self, overlap: Overlap, /) -> Verdict | Later | None: ...


Rules: TypeAlias = tuple[Rule, ...]
"""Asked in order; the first opinion counts. With none at all, any speech takes the floor."""


class RuleError(ValueError):
    """A rule built with numbers or names that can never work."""


def not_negative(name: str, value: int) -> None:
    """Raise `RuleError` unless ``value`` is a whole number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise RuleError(f"{name} must be a whole number >= 0, not {value!r}")


def ask(rules: Rules, overlap: Overlap) -> Verdict:
    """What the first rule says that knows; one that wants to be asked later is, if it still may."""
    later: list[int] = []
    for rule in rules:
        opinion = rule(overlap)
        if isinstance(opinion, Later):
            later.append(opinion.at_ms)
        elif opinion is not None:
            if later and opinion.ruling is Ruling.WAIT:
                known = () if opinion.ask_again_at_ms is None else (opinion.ask_again_at_ms,)
                return replace(opinion, ask_again_at_ms=min((*later, *known)))
            return opinion
    return Verdict(ruling=Ruling.SHIFT, reason=Reason.NO_RULE, stop_at=StopAt.NOW)

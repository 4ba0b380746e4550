"""What came of one overlap? From the onset to what the agent did about it, as data."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

from bargein.core.decisions import Kind, Reason


class Outcome(Enum):
    """Who had the floor in the end."""

    YIELD = "yield"
    HOLD = "hold"
    PASS = "pass"
    """The agent finished by itself meanwhile."""
    NONE = "none"
    """Nothing was decided before the call, or the overlap, was over."""


class Mistake(Enum):
    """Why a yield was for nothing."""

    NO_WORDS = "no words"
    BACKCHANNEL = "backchannel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One stretch of talking at once. Never holds a word of it."""

    number: int
    """Within the call, from 1."""
    onset_at_ms: int
    duck_at_ms: int | None = None
    pause_at_ms: int | None = None
    decided_at_ms: int | None = None
    """When it was first decided; where a hold was followed by a yield, that yield."""
    silent_at_ms: int | None = None
    """Behind a yield: the agent's last sound."""
    resumed_at_ms: int | None = None
    """When the agent went on: at full voice behind a hold, with the rest behind a yield."""
    outcome: Outcome = Outcome.NONE
    kind: Kind | None = None
    reason: Reason | None = None
    words_to_decision: int = 0
    caller_words: int = 0
    """All of them, by the time it was over."""
    heard_words: int = 0
    heard_chars: int = 0
    unheard_words: int = 0
    unheard_chars: int = 0
    message_id: str = ""
    must_hear: bool = False
    by_caller: bool = False
    """False where nobody spoke: the application stopped the agent."""
    mistake: Mistake | None = None
    over: bool = False
    """False while more may become of it."""

    @property
    def onset_to_duck_ms(self) -> int | None:
        return self._after_onset(self.duck_at_ms)

    @property
    def onset_to_pause_ms(self) -> int | None:
        return self._after_onset(self.pause_at_ms)

    @property
    def onset_to_decision_ms(self) -> int | None:
        return self._after_onset(self.decided_at_ms)

    @property
    def onset_to_silence_ms(self) -> int | None:
        return self._after_onset(self.silent_at_ms)

    @property
    def onset_to_resume_ms(self) -> int | None:
        return self._after_onset(self.resumed_at_ms)

    @property
    def silent_ms(self) -> int | None:
        """How long the agent was silent until it went on; None where it was not, or did not."""
        silent_at_ms = self.pause_at_ms if self.silent_at_ms is None else self.silent_at_ms
        if silent_at_ms is None or self.resumed_at_ms is None:
            return None
        return max(0, self.resumed_at_ms - silent_at_ms)

    @property
    def progress(self) -> float | None:
        """How far the agent was at the cut, from 0 to 1, by its text."""
        chars = self.heard_chars + self.unheard_chars
        return self.heard_chars / chars if chars else None

    @property
    def interrupts(self) -> bool:
        """Did a caller take the floor?"""
        return self.outcome is Outcome.YIELD and self.by_caller

    def _after_onset(self, at_ms: int | None) -> int | None:
        return None if at_ms is None else max(0, at_ms - self.onset_at_ms)


_MEASURES = (
    "onset_to_duck_ms",
    "onset_to_pause_ms",
    "onset_to_decision_ms",
    "onset_to_silence_ms",
    "onset_to_resume_ms",
    "silent_ms",
)
_INSTANTS = ("duck_at_ms", "pause_at_ms", "decided_at_ms", "silent_at_ms", "resumed_at_ms")


def summary(episode: Episode) -> dict[str, Any]:
    """An episode as the keys of a line; what is not known is left out."""
    line: dict[str, Any] = {"overlap": episode.number}
    for one in fields(episode):
        value = getattr(episode, one.name)
        if one.name not in ("number", "mistake", "over", *_INSTANTS) and value is not None:
            line[one.name] = value.value if isinstance(value, Enum) else value
    for name in _MEASURES:
        if (value := getattr(episode, name)) is not None:
            line[name] = value
    if episode.progress is not None:
        line["progress"] = round(episode.progress, 3)
    if episode.mistake is not None:
        line["false"] = episode.mistake.value
    return line

"""Does the agent hear itself? Its voice in the caller's microphone is nobody's speech."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from .gate import EchoGate
from .played import Played

__all__ = ["EchoDetector", "EchoError", "EchoGate", "Played"]


class EchoError(ValueError):
    """A detector with numbers that can never work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoDetector:
    """How an echo of the agent's voice is told from a caller."""

    reach_ms: int = 500
    """The longest delay, from the loudspeaker to the audio that comes in: 0 to 1000."""
    times: float = 7.0
    """A caller is so many times stronger (in power) than what is left of an echo that is taken
    away. Less hears a softer caller, and sooner the echo of a loudspeaker that rattles."""

    def __post_init__(self) -> None:
        if type(self.reach_ms) is not int or not 0 <= self.reach_ms <= 1000:
            raise EchoError(f"reach_ms must be from 0 to 1000, not {self.reach_ms!r}")
        if not 1 <= self.times < inf:
            raise EchoError(f"times must be at least 1, not {self.times!r}")

    def gate(self, played: Played) -> EchoGate:
        """What listens to one call."""
        return EchoGate(played, reach_ms=self.reach_ms, times=self.times)

"""Did the agent begin on top of somebody who was already talking?"""

from __future__ import annotations

from dataclasses import dataclass

from ..decisions import Reason, StopAt
from ..overlap import Overlap, Ruling, Verdict, not_negative


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedOver:
    """An agent that starts over a speaking user stops at once."""

    min_user_ms: int = 200
    """How long the user must have led. 200 ms is what the hosts' own VAD takes to confirm speech:
    below it an early onset may still turn out to be a click."""

    def __post_init__(self) -> None:
        not_negative("min_user_ms", self.min_user_ms)

    def __call__(self, overlap: Overlap, /) -> Verdict | None:
        if overlap.agent_started_over and overlap.user_led_ms >= self.min_user_ms:
            return Verdict(
                ruling=Ruling.SHIFT, reason=Reason.AGENT_STARTED_OVER, stop_at=StopAt.NOW
            )
        return None

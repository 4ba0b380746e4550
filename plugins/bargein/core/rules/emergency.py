"""Is something so urgent that nothing may go on?"""

from __future__ import annotations

from dataclasses import dataclass

from ..decisions import Kind, Reason, StopAt
from ..overlap import Overlap, Ruling, Verdict
from .words import Judge, read


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyStop:
    """An emergency, raised by the application or said by the caller, stops any message."""

    controls: frozenset[str] = frozenset({"emergency_stop"})
    """Names of raised controls that stop the agent."""
    judge: Judge | None = None
    """Reads emergency phrases; without one only controls count."""

    def __call__(self, overlap: Overlap, /) -> Verdict | None:
        raised = not self.controls.isdisjoint(overlap.controls)
        if not raised and self.judge and overlap.words:
            raised = read(self.judge, overlap).kind is Kind.EMERGENCY
        if raised:
            return Verdict(
                ruling=Ruling.SHIFT,
                reason=Reason.EMERGENCY_STOP,
                kind=Kind.EMERGENCY,
                stop_at=StopAt.NOW,
            )
        return None

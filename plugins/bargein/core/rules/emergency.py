"""Is something so urgent that nothing may go on?"""

from __future__ import annotations

from dataclasses import dataclass

from ..decisions import Kind, Reason, StopAt
from ..overlap import Overlap, Ruling, Verdict
from .words import Judge, read

_FOR: dict[str, tuple[Kind, Reason]] = {
    "handoff": (Kind.REDIRECT, Reason.HANDED_OFF),
    "dtmf": (Kind.CANCELLATION, Reason.KEY_PRESSED),
}
_EMERGENCY = (Kind.EMERGENCY, Reason.EMERGENCY_STOP)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyStop:
    """An emergency that the caller tells of, or a control, stops the agent at once.

    A message that must be heard says itself what may break it off (`Overlap.broken_by`):
    ``"emergency"`` is the caller's, every other name a control's.
    """

    controls: frozenset[str] = frozenset({"emergency_stop", "handoff"})
    """Names of raised controls that stop any other message."""
    judge: Judge | None = None
    """Reads emergency phrases; without one only controls count."""

    def __call__(self, overlap: Overlap, /) -> Verdict | None:
        breaking = self.controls if overlap.broken_by is None else frozenset(overlap.broken_by)
        raised = [name for name in overlap.controls if name in breaking]
        if raised:
            kind, reason = _FOR.get(raised[0].partition(":")[0], _EMERGENCY)
        elif (
            self.judge
            and overlap.words
            and (overlap.broken_by is None or "emergency" in breaking)
            and read(self.judge, overlap).kind is Kind.EMERGENCY
        ):
            kind, reason = _EMERGENCY
        else:
            return None
        return Verdict(ruling=Ruling.SHIFT, reason=reason, kind=kind, stop_at=StopAt.NOW)

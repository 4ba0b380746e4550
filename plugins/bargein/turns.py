"""What does the floor make of a turn of the caller's, once it is complete?"""

from __future__ import annotations

from bargein.call import Call
from bargein.core.decisions import AcknowledgeYield, Decision, Kind, ResumeSpeech, YieldFloor
from bargein.core.events import TurnTaken
from bargein.language import Judges


class Turns:
    """Tells the floor of the caller's turns, and knows which interruption one follows."""

    def __init__(self, call: Call, judges: Judges) -> None:
        """Watch a call.

        Args:
            call: the call whose turns they are.
            judges: tell "go on", yes and no.
        """
        self._call = call
        self._judges = judges
        self._decided: list[Decision] | None = None
        self.cut: YieldFloor | None = None
        """The interruption whose turn has not come yet, if it left anything unheard."""
        call.decided.append(self._obey)

    @property
    def deciding(self) -> bool:
        """Is a turn being decided about? What is decided then is said in its place."""
        return self._decided is not None

    def taken(self, text: str) -> tuple[list[Decision], YieldFloor | None]:
        """A turn is complete: what is decided about it, and the interruption it follows."""
        cut, self.cut = self.cut, None
        decided: list[Decision] = []
        self._decided = decided
        self._call.guarded("resumption memory", self._tell, text)
        self._decided = None
        return decided, cut

    def _tell(self, text: str) -> None:
        call = self._call
        kind, agrees = self._judges.turn(text, agent_said=call.last_said)
        call.feed(TurnTaken(at_ms=call.now_ms, text=text, kind=kind, agrees=agrees))

    def _obey(self, decision: Decision) -> None:
        match decision:
            case YieldFloor() if not decision.breaks_lock and decision.kind is not Kind.ANSWER:
                self.cut = decision if decision.unheard.strip() else None
            case ResumeSpeech() | AcknowledgeYield() if self._decided is not None:
                self._decided.append(decision)
            case _:
                pass

"""What does the core remember between events?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from .decisions import Decision, Kind, Reason
from .events import UserSpeechStarted, UserSpeechStopped
from .locks import Locks
from .overlap import Overlap, Verdict, WordsGo
from .playout import Playout
from .transitions import TRANSITIONS, Floor, Move
from .unfinished import Resumption

NO_LOCKS = Locks()
NOTHING_UNSAID = Resumption()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Final words that wait for the agent to finish."""

    text: str
    kind: Kind | None
    reason: Reason
    words: WordsGo
    until_ms: int | None = None
    """Reported as a backchannel at this instant if the agent just goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything the core remembers between events."""

    at_ms: int = 0
    floor: Floor = Floor.OPEN
    user_speaking: bool = False
    user_onset_ms: int = 0
    user_sign_ms: int = 0
    """When they last gave a sign: an onset, or words."""
    playout: Playout | None = None
    tools: tuple[str, ...] = ()

    overlap: Overlap | None = None
    """The evidence while the floor is contested, and afterwards, until the next one begins."""
    verdict: Verdict | None = None
    """What was last made of it."""
    ducked: bool = False
    paused_at_ms: int | None = None
    finals: tuple[str, ...] = ()
    """Final words of a contested floor that have no place yet."""
    kept: tuple[Kept, ...] = ()
    moment: tuple[Kept, ...] | None = None
    """Words since the user asked for a moment ("hang on"); None if they did not. Nobody answers
    them: they begin the turn that comes."""
    moment_said: str = ""
    """What the agent had said when they asked for it."""
    moment_until_ms: int | None = None
    """When their words are handed on after all; None while they speak."""

    locks: Locks = NO_LOCKS
    """The messages that must be heard in full."""

    resumption: Resumption = NOTHING_UNSAID
    """What was left unsaid."""

    due_at_ms: int | None = None
    """Send ``TimePassed`` at this instant if nothing happens first."""


Step: TypeAlias = tuple[State, tuple[Decision, ...]]


def quiet(state: State) -> State:
    """A floor nobody is talking on is open; a user who is talking has it."""
    move: Move = UserSpeechStarted if state.user_speaking else UserSpeechStopped
    if state.floor in (Floor.OPEN, Floor.USER):
        return replace(state, floor=TRANSITIONS[state.floor][move])
    return state

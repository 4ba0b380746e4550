"""What happened? Every input the core can receive, as frozen facts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from .decisions import Kind

BROKEN_BY = ("emergency", "emergency_stop", "handoff")
"""What may break a must-hear message off, unless it says otherwise: an emergency that the caller
tells of, and controls by their names."""


class OnCut(Enum):
    """What becomes of a must-hear message that was not heard in full."""

    REPEAT = "repeat"
    """It is spoken again, from its beginning, at the next chance: when the agent has finished
    something else and nobody speaks, in this call or the next."""
    RESUME = "resume"
    """The same with its unheard rest."""
    REPORT = "report"
    """The receipt says so, and that is all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stamped:
    at_ms: int
    """When we learned it: whole milliseconds on the call's own clock. Never decreases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSpeechStarted(_Stamped):
    """A voice activity detector heard the user begin. Said twice, it counts once."""

    onset_at_ms: int | None = None
    """When the speech really began, where the detector can tell; None means ``at_ms``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSpeechStopped(_Stamped):
    """The user fell silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserWordsHeard(_Stamped):
    """One recogniser hypothesis: a growing partial, or the final text of a stretch of speech."""

    text: str
    is_final: bool
    language: str = ""
    """The recogniser's tag for these words, such as ``"en-US"``, where it tells one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlapScored(_Stamped):
    """A detector's opinion of the overlap so far, from its sound."""

    source: str
    """Which detector; its newest opinion counts."""
    backchannel_probability: float
    """From 0, certainly taking the floor, to 1, certainly a listener; 0.5 tells nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayoutStarted(_Stamped):
    """Agent audio of a message became audible to the user."""

    message_id: str = ""
    must_hear: bool = False
    """True for words the user may not talk over, such as a recording notice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayoutWorded(_Stamped):
    """More text that the current playout will say became known; it goes behind what was known."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayoutProgressed(_Stamped):
    """Agent audio reached the user up to this many characters of the playout's text."""

    heard_chars: int
    left_ms: int | None = None
    """Audio still to come after this point; None while its end is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayoutStopped(_Stamped):
    """Agent audio ended: all of it played (``completed``), or cut."""

    completed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayoutLocked(_Stamped):
    """From now on the user may not talk over the current playout, or may again."""

    must_hear: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageLocked(_Stamped):
    """A message was handed in that must be heard in full; its playout has yet to start."""

    message_id: str
    text: str
    on_cut: OnCut = OnCut.REPORT
    broken_by: tuple[str, ...] = BROKEN_BY
    attempts: int = 0
    """How often it was begun before."""
    heard: str = ""
    """What was heard of it before, where only the rest is to be spoken."""
    pending: bool = False
    """True for a message of an earlier call, which is spoken at the next chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded(_Stamped):
    """Somebody hung up, or the call was handed on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolStarted(_Stamped):
    """The agent called a tool and waits for it."""

    name: str
    call_id: str = ""
    """Tells two calls of one tool apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFinished(_Stamped):
    """The tool answered, failed or was cancelled."""

    name: str
    call_id: str = ""
    result: str = ""
    """What it answered; empty where it was cancelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRaised(_Stamped):
    """The application raised a flag: ``"emergency_stop"``, ``"handoff"``, or a name of its own."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnTaken(_Stamped):
    """The user's turn is complete, and about to be answered."""

    text: str
    kind: Kind | None = None
    """``RESUME`` where they ask the agent to go on."""
    agrees: bool | None = None
    """Whether it is a yes or a no; None where it is neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicNamed(_Stamped):
    """The application says what the agent talks about from now on; empty for nothing special."""

    topic: str
    task: str = ""
    progress: float | None = None
    """How far it is, from 0 to 1, where the application knows that better."""
    context_note: str = ""
    """What the LLM should know when it goes on with it, in another call perhaps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumptionAsked(_Stamped):
    """The application, or the LLM, wants the agent to go on with what was left unsaid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumptionDropped(_Stamped):
    """Nobody wants to hear the rest of what was left unsaid, or it is another worker's to say."""

    message_id: str = ""
    """Which; the newest where it is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedRecalled(_Stamped):
    """Something was left unsaid in an earlier call, and nobody else goes on with it."""

    message_id: str
    text: str
    heard: str
    age_ms: int
    """How long ago it was cut."""
    kind: Kind | None = None
    caller_words: str = ""
    topic: str = ""
    task: str = ""
    progress: float = 0.0
    context_note: str = ""
    tools: tuple[tuple[str, str], ...] = ()
    """The names and results of what came too late."""
    offered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePassed(_Stamped):
    """Nothing happened, but it is later now."""


Event: TypeAlias = (
    UserSpeechStarted
    | UserSpeechStopped
    | UserWordsHeard
    | OverlapScored
    | PlayoutStarted
    | PlayoutWorded
    | PlayoutProgressed
    | PlayoutStopped
    | PlayoutLocked
    | MessageLocked
    | CallEnded
    | ToolStarted
    | ToolFinished
    | ControlRaised
    | TurnTaken
    | TopicNamed
    | ResumptionAsked
    | ResumptionDropped
    | UnfinishedRecalled
    | TimePassed
)
"""Every event there is. Closed: type checkers and tests read this list."""

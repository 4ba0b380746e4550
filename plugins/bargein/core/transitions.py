"""What moves the floor, and to whom?"""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from .events import (
    CallEnded,
    ControlRaised,
    Event,
    MessageLocked,
    OverlapScored,
    PlayoutLocked,
    PlayoutProgressed,
    PlayoutStarted,
    PlayoutStopped,
    PlayoutWorded,
    ResumptionAsked,
    ResumptionDropped,
    TimePassed,
    ToolFinished,
    ToolStarted,
    TopicNamed,
    TurnTaken,
    UnfinishedRecalled,
    UserSpeechStarted,
    UserSpeechStopped,
    UserWordsHeard,
)
from .overlap import Ruling


class Floor(Enum):
    """Who holds the floor."""

    OPEN = "open"
    AGENT = "agent"
    USER = "user"
    CONTESTED = "contested"


class Again(Enum):
    """An overlap that was decided once is looked at again."""

    REOPENED = "reopened"


class Voice(Enum):
    """What somebody turns out to be who was taken for a user."""

    WORDLESS = "wordless"


Move: TypeAlias = type[Event] | Ruling | Again | Voice

# One paragraph per floor; what happened -> whose floor it is now. Complete on purpose: a test
# fails if an event is missing from any paragraph. The interesting rows come first.
TRANSITIONS: dict[Floor, dict[Move, Floor]] = {
    Floor.OPEN: {
        UserSpeechStarted: Floor.USER,
        PlayoutStarted: Floor.AGENT,
        CallEnded: Floor.OPEN,
        UserSpeechStopped: Floor.OPEN,
        UserWordsHeard: Floor.OPEN,
        OverlapScored: Floor.OPEN,
        PlayoutWorded: Floor.OPEN,
        PlayoutProgressed: Floor.OPEN,
        PlayoutLocked: Floor.OPEN,
        MessageLocked: Floor.OPEN,
        TurnTaken: Floor.OPEN,
        TopicNamed: Floor.OPEN,
        ResumptionAsked: Floor.OPEN,
        ResumptionDropped: Floor.OPEN,
        UnfinishedRecalled: Floor.OPEN,
        PlayoutStopped: Floor.OPEN,
        ToolStarted: Floor.OPEN,
        ToolFinished: Floor.OPEN,
        ControlRaised: Floor.OPEN,
        TimePassed: Floor.OPEN,
    },
    Floor.USER: {
        UserSpeechStopped: Floor.OPEN,
        CallEnded: Floor.OPEN,
        PlayoutStarted: Floor.CONTESTED,  # the agent begins on top of the user
        Voice.WORDLESS: Floor.AGENT,  # or of a radio, or of a detector that hangs
        UserSpeechStarted: Floor.USER,
        UserWordsHeard: Floor.USER,
        OverlapScored: Floor.USER,
        PlayoutWorded: Floor.USER,
        PlayoutProgressed: Floor.USER,
        PlayoutLocked: Floor.USER,
        MessageLocked: Floor.USER,
        TurnTaken: Floor.USER,
        TopicNamed: Floor.USER,
        ResumptionAsked: Floor.USER,
        ResumptionDropped: Floor.USER,
        UnfinishedRecalled: Floor.USER,
        PlayoutStopped: Floor.USER,
        ToolStarted: Floor.USER,
        ToolFinished: Floor.USER,
        ControlRaised: Floor.USER,
        TimePassed: Floor.USER,
    },
    Floor.AGENT: {
        UserSpeechStarted: Floor.CONTESTED,  # someone talks over us
        Again.REOPENED: Floor.CONTESTED,  # a held overlap grew, or words came that no VAD heard
        PlayoutStopped: Floor.OPEN,
        CallEnded: Floor.OPEN,
        UserSpeechStopped: Floor.AGENT,
        UserWordsHeard: Floor.AGENT,
        OverlapScored: Floor.AGENT,
        PlayoutStarted: Floor.AGENT,  # the next message follows without a gap
        PlayoutWorded: Floor.AGENT,
        PlayoutProgressed: Floor.AGENT,
        PlayoutLocked: Floor.AGENT,
        MessageLocked: Floor.AGENT,
        TurnTaken: Floor.AGENT,
        TopicNamed: Floor.AGENT,
        ResumptionAsked: Floor.AGENT,
        ResumptionDropped: Floor.AGENT,
        UnfinishedRecalled: Floor.AGENT,
        ToolStarted: Floor.AGENT,
        ToolFinished: Floor.AGENT,
        ControlRaised: Floor.AGENT,
        TimePassed: Floor.AGENT,
    },
    Floor.CONTESTED: {
        Ruling.HOLD: Floor.AGENT,
        Ruling.SHIFT: Floor.USER,
        Ruling.WAIT: Floor.CONTESTED,
        PlayoutStopped: Floor.OPEN,
        CallEnded: Floor.OPEN,
        UserSpeechStarted: Floor.CONTESTED,
        UserSpeechStopped: Floor.CONTESTED,
        UserWordsHeard: Floor.CONTESTED,
        OverlapScored: Floor.CONTESTED,
        PlayoutStarted: Floor.CONTESTED,
        PlayoutWorded: Floor.CONTESTED,
        PlayoutProgressed: Floor.CONTESTED,
        PlayoutLocked: Floor.CONTESTED,
        MessageLocked: Floor.CONTESTED,
        TurnTaken: Floor.CONTESTED,
        TopicNamed: Floor.CONTESTED,
        ResumptionAsked: Floor.CONTESTED,
        ResumptionDropped: Floor.CONTESTED,
        UnfinishedRecalled: Floor.CONTESTED,
        ToolStarted: Floor.CONTESTED,
        ToolFinished: Floor.CONTESTED,
        ControlRaised: Floor.CONTESTED,
        TimePassed: Floor.CONTESTED,
    },
}

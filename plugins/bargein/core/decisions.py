"""What to do about it? Every output the core can produce."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


class Kind(Enum):
    """What the caller's words were for, once they are understood."""

    BACKCHANNEL = "backchannel"
    ANSWER = "answer"
    CORRECTION = "correction"
    CANCELLATION = "cancellation"
    REDIRECT = "redirect"
    CLARIFICATION = "clarification"
    HOLD = "hold"
    """The caller wants a moment: "hang on a second"."""
    RESUME = "resume"
    """The caller wants the agent to go on: "where were we?"."""
    EMERGENCY = "emergency"
    NOISE = "noise"


class StopAt(Enum):
    """Where a yield ends the agent's voice."""

    NOW = "now"
    WORD = "word"
    PHRASE = "phrase"


class Delivery(Enum):
    """How far a must-hear message came."""

    DELIVERED = "delivered"
    CUT = "cut"
    """It was begun, and not heard to its end."""
    UNDELIVERED = "undelivered"
    """Nothing of it was heard."""


class Reason(Enum):
    """Why the floor moved or stayed. Read by people, in logs and in scenes; never parsed."""

    OVERLAP_BEGAN = "overlap began"
    STILL_UNDECIDED = "still undecided"
    BACKCHANNEL = "only a backchannel"
    CONTINUER = "a continuer"
    ACKNOWLEDGEMENT = "an acknowledgement"
    ASSESSMENT = "an assessment"
    ECHO = "an echo of the agent"
    FILLER = "only a filler"
    GO_ON = "told to go on"
    ANSWER = "answers the question"
    NOISE = "no words came"
    SOUNDS_LIKE_LISTENING = "sounds like a listener"
    SOUNDS_LIKE_A_TURN = "sounds like a turn"
    NEARLY_DONE = "nearly done"
    CRITICAL_MESSAGE = "critical message"
    EARLY_IN_SPEECH = "agent has only begun"
    NOT_INTERRUPTIBLE = "not interruptible now"
    USER_SILENT = "user fell silent"
    HELD_TOO_LONG = "held too long"
    BARGE_IN = "floor taken"
    FLOOR_OPENING = "a floor opening"
    STOP_WORD = "a stop word"
    QUESTION = "a question"
    IGNORED = "on the ignore list"
    ALWAYS_INTERRUPTS = "on the interrupt list"
    EMERGENCY_STOP = "emergency stop"
    AGENT_STARTED_OVER = "agent started over the user"
    AGENT_FINISHED = "agent finished"
    AGENT_CUT = "agent was cut off elsewhere"
    NO_RULE = "no rule had an opinion"
    HANDED_OFF = "handed off"
    KEY_PRESSED = "a key was pressed"
    CALL_ENDED = "call ended"
    NEVER_SOUNDED = "it never sounded"
    NEXT_CHANCE = "next chance"
    TOLD_TO = "the application asks for it"
    UNDERSTOOD = "why it stopped is understood"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stamped:
    at_ms: int
    """When this was decided, in whole milliseconds on the call's own clock."""
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class DuckPlayout(_Stamped):
    """Lower the agent's voice while the overlap is judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PausePlayout(_Stamped):
    """Stop the agent's voice for now, at ``stop_at``; nothing is dropped."""

    stop_at: StopAt = StopAt.WORD


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumePlayout(_Stamped):
    """Full voice again, from the exact sample, or from the start of a word that was broken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldFloor(_Stamped):
    """The agent keeps the floor."""

    kind: Kind | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class YieldFloor(_Stamped):
    """The user takes the floor: stop at ``stop_at``, drop the rest. Irrevocable."""

    kind: Kind | None = None
    stop_at: StopAt = StopAt.WORD
    heard: str = ""
    """What it had said when the decision fell; the word in the air may still be finished."""
    unheard: str = ""
    """The rest of what is known of it. ``heard + unheard`` is all the playout said."""
    caller_words: str = ""
    """What the caller had said by then."""
    message_id: str = ""
    breaks_lock: bool = False
    """True where it ends a message that must be heard: those queued behind it end as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassFloor(_Stamped):
    """The agent finished by itself and the floor is the user's now; nothing has to be stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportBackchannel(_Stamped):
    """These final words were a listener's noise: they stay out of the turn."""

    text: str
    kind: Kind = Kind.BACKCHANNEL


@dataclass(frozen=True, slots=True, kw_only=True)
class DeferTurn(_Stamped):
    """Keep these final words while the agent goes on; delivered or reported later."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverTurn(_Stamped):
    """Words kept so far become the user's turn now."""

    text: str
    kind: Kind | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReceipt(_Stamped):
    """An attempt at a must-hear message is over: write down how far it came."""

    message_id: str
    state: Delivery
    heard: str
    unheard: str
    played_ms: int = 0
    total_ms: int | None = None
    """How long all of it takes, where that is known."""
    attempts: int = 1
    pending: bool = False
    """Whether it will be spoken again, in this call or the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakAgain(_Stamped):
    """Here is the chance to say a must-hear message again, or the rest of it."""

    message_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeSpeech(_Stamped):
    """Go on with what was left unsaid, instead of answering the user's turn."""

    message_id: str
    text: str
    """From the beginning of the clause that broke."""
    topic: str = ""
    in_own_words: bool = False
    """True where the LLM is to say it in its own words."""
    context_note: str = ""
    """What the application wants the LLM to know then."""
    tools: tuple[tuple[str, str], ...] = ()
    """The names and results of function calls that were answered after the agent was cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferResumption(_Stamped):
    """Ask the user whether the agent should go on with what was left unsaid."""

    message_id: str
    topic: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgeYield(_Stamped):
    """Say, before the user's turn is answered, that the agent has understood why it stopped."""

    kind: Kind
    instead: bool = False
    """True where there is nothing else to answer: they said no more than "stop"."""


Decision: TypeAlias = (
    DuckPlayout
    | PausePlayout
    | ResumePlayout
    | HoldFloor
    | YieldFloor
    | PassFloor
    | ReportBackchannel
    | DeferTurn
    | DeliverTurn
    | FileReceipt
    | SpeakAgain
    | ResumeSpeech
    | OfferResumption
    | AcknowledgeYield
)
"""Every decision there is. Closed, like ``Event``."""

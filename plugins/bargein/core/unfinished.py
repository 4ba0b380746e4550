"""What was left unsaid, and what is remembered of it?"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

from .decisions import Kind, YieldFloor
from .events import TopicNamed, UnfinishedRecalled
from .playout import has_words

RESULT_CHARS = 2_000
"""How much of a function call's late result is kept."""
_CLAUSE = re.compile(
    r"(?<![A-Z]\.)(?<!\b[A-Z][a-z]\.)(?<!\b[A-Z][a-z]{2}\.)"  # "J. Hale", "Dr. Hale", "Mrs. Hale"
    r"(?:(?<=[.!?…,;:؟।،])[\"'”’»)\]]*\s+|(?<=[。！？，；：।])\s*)"
)
"""Between clauses. A mark inside a word or a number ends none."""


class Mode(Enum):
    """How an agent goes on."""

    OFF = "off"
    VERBATIM = "verbatim"
    """When it is told to go on, it says the rest as it was, without the LLM."""
    LLM = "llm"
    """The LLM is told what was heard and what was not, and goes on in its own words."""
    OFFER = "offer"
    """As verbatim; and after a digression it offers once to go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function call that the agent waited for when it was cut."""

    name: str
    call_id: str = ""
    result: str | None = field(default=None, repr=False)
    """None while it is out; at most `RESULT_CHARS` of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """Something that the agent was saying when the floor was taken."""

    message_id: str
    text: str = field(repr=False)
    heard: str = field(repr=False)
    """What of it was heard."""
    kind: Kind | None
    """What the floor was taken for; None where nobody could tell, and for a call that ended."""
    cut_at_ms: int
    """On this call's clock; before 0 for an earlier call."""
    caller_words: str = field(default="", repr=False)
    """What the caller said instead."""
    topic: str = ""
    """What it was about, where the application named it."""
    task: str = ""
    """What the agent was doing."""
    progress: float = 0.0
    """How far it was, from 0 to 1: the share of its text, or what the application said."""
    context_note: str = field(default="", repr=False)
    """What the application wants the LLM to know when it goes on."""
    tools: tuple[Tool, ...] = ()
    """Function calls that were out when it was cut, with what they have answered since."""
    offered: bool = False
    recalled: bool = False
    """True where it comes from an earlier call."""

    @property
    def unheard(self) -> str:
        return self.text[len(self.heard) :]

    @property
    def rest(self) -> str:
        """What is said when it goes on: from the beginning of the clause that broke."""
        return self.text[self.resumes_at :].strip()

    @property
    def resumes_at(self) -> int:
        """Where in the text that is."""
        if not has_words(self.unheard):
            return len(self.text)
        heard = len(self.heard.rstrip())
        begins = 0
        for clause in _CLAUSE.finditer(self.text):
            if clause.start() > heard:
                break
            begins = clause.end()
        return begins


class Offer(Enum):
    """How far an offer to go on has come."""

    NONE = "none"
    MADE = "made"
    SOUNDS = "sounds"
    OUT = "out"
    """It was said, and waits for its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """What is remembered of speech that was cut."""

    mode: Mode = Mode.OFF
    ttl_ms: int = 300_000
    """How long it is worth going on with."""
    depth: int = 3
    """How much is kept: the newest so many."""
    acknowledged: frozenset[Kind] = frozenset()
    """Kinds of yields that are acknowledged before the user's turn is answered."""
    stack: tuple[Unfinished, ...] = ()
    """The newest last."""
    awaited: str = ""
    """The message that the agent has offered to go on with."""
    offer: Offer = Offer.NONE
    asked: bool = False
    """Whether the application wants the agent to go on as soon as nobody speaks."""
    resumed: Unfinished | None = None
    """What the agent goes on with just now."""
    sounded: bool = False
    """Whether that has begun to sound."""
    topic: TopicNamed | None = None
    tools: tuple[Tool, ...] = ()
    """Function calls that are out."""
    yielded: YieldFloor | None = None
    """How the floor was last taken, until the turn behind it is complete."""

    @property
    def pending(self) -> Unfinished | None:
        """What the agent is about to go on with, and has not begun to."""
        return None if self.sounded else self.resumed

    @property
    def newest(self) -> Unfinished | None:
        return self.stack[-1] if self.stack else None

    @property
    def kept(self) -> tuple[Unfinished, ...]:
        """Everything that would be lost if the call broke off here."""
        return (*self.stack, self.pending) if self.pending else self.stack


def recalled(left: Unfinished, *, at_ms: int, age_ms: int) -> UnfinishedRecalled:
    """What an earlier call left unsaid, as the event that tells this call of it."""
    return UnfinishedRecalled(
        at_ms=at_ms,
        message_id=left.message_id,
        text=left.text,
        heard=left.heard,
        age_ms=age_ms,
        kind=left.kind,
        caller_words=left.caller_words,
        topic=left.topic,
        task=left.task,
        progress=left.progress,
        context_note=left.context_note,
        tools=tuple((tool.name, tool.result) for tool in left.tools if tool.result),
        offered=left.offered,
    )

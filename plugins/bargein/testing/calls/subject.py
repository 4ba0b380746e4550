"""Which agent is tried, and what can be known of it? What every kind of agent offers a script."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol, TypeAlias

from ..tones import PCM
from ..utterance import Utterance

Message: TypeAlias = dict[str, Any]
Replies: TypeAlias = Sequence[str] | Mapping[str, str] | Callable[[list[Message]], str]
"""What a scripted LLM answers: in order; by words in the caller's last message, with ``""`` for
all others; or made from the messages."""


class BargeIn(Enum):
    """How an agent comes to know that the caller talks over it."""

    VAD = "VAD: the caller's audio, and nothing else"
    NATIVE = "native: its service detects the caller's turns"


class WordTimes(Enum):
    """How it is known which of the agent's words were heard."""

    VOICE = "the voice's own, found in the audio"
    SERVICE = "the service's own, or spread over its sound; found in the audio"
    SPREAD = "spread over the reply's audio, found in the audio"
    NONE = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a kind of agent lets a test do and see."""

    host: str
    barge_in: BargeIn
    word_times: WordTimes
    dtmf: bool
    context: bool
    """Whether its LLM's context can be seen."""
    runs: bool
    """Whether its LLM's runs can be counted."""

    def __str__(self) -> str:
        known = {True: "yes", False: "no"}
        return (
            f"{self.host}; barge-in: {self.barge_in.value}; word times: {self.word_times.value};"
            f" DTMF: {known[self.dtmf]}; context: {known[self.context]};"
            f" LLM runs: {known[self.runs]}"
        )


class Unsupported(RuntimeError):  # noqa: N818
    """A test asks what this kind of agent cannot tell or do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voiced:
    """A text that the agent's voice was given."""

    at_s: float
    """When, on ``time.monotonic``."""
    text: str
    pcm: PCM
    rate: int
    words: tuple[tuple[str, float], ...]
    """Each word with its onset in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A run of the agent's LLM."""

    at_s: float
    asked: str
    """The last message it was shown."""


@dataclass(kw_only=True)
class VoiceLog:
    """What the agent's voice was given to say."""

    said: list[Voiced] = field(default_factory=list)

    def __call__(self, text: str, rate: int) -> tuple[PCM, list[tuple[str, float]]]:
        """Speak a text, as a `Voice` does, and remember it."""
        from ..speech import agent_voice

        pcm, words = agent_voice(text, rate)
        self.said.append(
            Voiced(at_s=time.monotonic(), text=text, pcm=pcm, rate=rate, words=tuple(words))
        )
        return pcm, words


class Subject(Protocol):
    """An agent in one call. Its instants are those of ``time.monotonic``."""

    capabilities: Capabilities
    rate: int
    """Of `recording`."""

    async def start(self) -> None:
        """Pick up."""

    async def say(self, sound: Utterance) -> float:
        """The caller makes this sound; when its first sample went in."""

    async def press(self, key: str) -> None:
        """The caller presses a key."""

    def noise(self, db: float) -> None:
        """The line is this noisy from now on."""

    async def hang_up(self) -> None:
        """The caller hangs up."""

    async def end(self) -> None:
        """Put everything away, also after `hang_up`."""

    async def speak(self, text: str) -> None:
        """The application lets the agent say something."""

    @property
    def now_s(self) -> float:
        """Up to when the recording is complete."""

    def recording(self, from_s: float, until_s: float) -> PCM:
        """What the caller heard between two instants, silence included."""

    @property
    def voiced(self) -> Sequence[Voiced]:
        """What the agent's voice was given, in order."""

    @property
    def runs(self) -> Sequence[Ran]:
        """Every run of its LLM."""

    def context(self) -> list[Message]:
        """What its context says now: ``role`` and ``content``."""


def answer_of(replies: Replies, messages: list[Message], number: int) -> str:
    """What a scripted LLM says, asked for the ``number``-th time from 0."""
    if callable(replies):
        return replies(messages)
    if not isinstance(replies, Mapping):
        return replies[number] if number < len(replies) else ""
    said = [text_of(one) for one in messages if one.get("role") == "user"]
    last = said[-1].lower() if said else ""
    found = next((words for words in replies if words and words.lower() in last), "")
    return replies.get(found, "")


def text_of(message: Message) -> str:
    """The text of a message, whatever its content is made of."""
    content = message.get("content")
    if isinstance(content, list):
        parts = [one.get("text", "") if isinstance(one, dict) else str(one) for one in content]
        return " ".join(parts)
    return content if isinstance(content, str) else ""


async def until(true: Callable[[], bool], within_s: float) -> bool:
    """Wait for something to become true; whether it did in time."""
    loop = asyncio.get_running_loop()
    ends_s = loop.time() + within_s
    while not true():
        if loop.time() >= ends_s:
            return False
        await asyncio.sleep(0.04)
    return True

"""What happens in a scripted call? Steps as plain data, in two equal forms.

The sugar is its unrolled form: ``interrupt("Wait", after_words=6)`` is
``(agent(wait=False, after_words=6), user("Wait"))``, and `script` cannot tell them apart.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TypeAlias

REPLY_WITHIN_S = 10.0
"""How long a caller waits for an agent to begin."""
KEYS = frozenset("0123456789*#ABCD")


class ScriptError(ValueError):
    """A script that cannot be played."""


class Means(Enum):
    """What somebody means by a sound."""

    TURN = "a turn"
    LISTENING = "a backchannel"
    SOUND = "a sound that is no word"


@dataclass(frozen=True, slots=True, kw_only=True)
class Says:
    """The caller makes a sound, over the agent's voice where it speaks."""

    content: str | Path
    means: Means = Means.TURN
    peak_db: float = -6.0
    """How loud, in dBFS."""
    words_per_minute: int = 170
    telephone: bool = False
    """Whether only 300 to 3,400 Hz of it arrive."""
    written: str = ""
    """What a recogniser writes, of an audio file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpeaks:
    """The caller waits for the agent."""

    wait: bool = True
    """Until it has finished; else until it has begun."""
    after_words: int | None = None
    """So many words of its reply have been heard; and that ends the waiting."""
    after_ms: int | None = None
    """For so long the reply has been heard."""
    during: str | None = None
    """This word of the reply is being heard."""
    within_s: float = REPLY_WITHIN_S
    """When nothing is heard of the agent by then, the call goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """The caller is silent."""

    ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Presses:
    """The caller presses keys."""

    keys: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HangsUp:
    """The caller hangs up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseFromNow:
    """The caller's line is noisy from now on."""

    db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Announces:
    """The application lets the agent say something."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Nothing happens until so long after the agent was first heard."""

    ms: int


Step: TypeAlias = (
    Says | AgentSpeaks | Silence | Presses | HangsUp | NoiseFromNow | Announces | Moment
)
Steps: TypeAlias = Step | Iterable["Steps"]


def script(*steps: Steps) -> tuple[Step, ...]:
    """The steps of a call one by one, the sugar unrolled."""
    return tuple(_unrolled(steps))


def _unrolled(steps: Iterable[Steps]) -> Iterator[Step]:
    for one in steps:
        if isinstance(one, Step):
            yield one
        elif isinstance(one, str | bytes) or not isinstance(one, Iterable):
            raise ScriptError(f"a step is made by user(), agent() and the others, not {one!r}")
        else:
            yield from _unrolled(one)


def user(
    content: str | Path,
    *,
    peak_db: float = -6.0,
    words_per_minute: int = 170,
    telephone: bool = False,
    written: str = "",
) -> Says:
    """The caller says something; while the agent speaks, they talk over it.

    Args:
        content: a text, or the `Path` of a WAV file.
        peak_db: how loud, in dBFS, up to 0.
        words_per_minute: how fast a text is spoken, 80 to 450.
        telephone: whether only 300 to 3,400 Hz arrive.
        written: what a recogniser writes of an audio file.
    """
    return _says(content, Means.TURN, peak_db, words_per_minute, telephone, written)


def agent(
    *,
    wait: bool = True,
    after_words: int | None = None,
    after_ms: int | None = None,
    during: str | None = None,
    within_s: float = REPLY_WITHIN_S,
) -> AgentSpeaks:
    """The agent speaks: until it has finished, or, with ``wait=False``, has only begun.

    Args:
        wait: whether it may finish.
        after_words: go on when so many words of its reply have been heard.
        after_ms: go on when its reply has been heard for so long.
        during: go on while it says this.
        within_s: how long it may keep the caller waiting; then the call goes on without.
    """
    given = [one for one in (after_words, after_ms, during) if one is not None]
    if len(given) > 1:
        raise ScriptError("give one of after_words, after_ms and during, not several")
    if after_words is not None and after_words < 1:
        raise ScriptError(f"after_words must be >= 1, not {after_words}")
    if after_ms is not None and after_ms < 0:
        raise ScriptError(f"after_ms must be >= 0, not {after_ms}")
    if during is not None and not during.strip():
        raise ScriptError("during must be a word that the agent says, not an empty text")
    return AgentSpeaks(
        wait=wait and not given,
        after_words=after_words,
        after_ms=after_ms,
        during=during,
        within_s=within_s,
    )


def interrupt(
    content: str | Path,
    *,
    after_words: int | None = None,
    after_ms: int | None = None,
    during: str | None = None,
    **voice: float,
) -> tuple[Step, ...]:
    """Talk over the agent's reply: when it begins, or at a moment of it.

    Args:
        content: as in `user`.
        after_words: when so many of its words have been heard.
        after_ms: when it has been heard for so long.
        during: while it says this.
        **voice: as in `user`.
    """
    begins = agent(wait=False, after_words=after_words, after_ms=after_ms, during=during)
    return (begins, user(content, **voice))  # type: ignore[arg-type]


def backchannel(
    content: str | Path = "mm-hm",
    *,
    after_words: int | None = None,
    after_ms: int | None = None,
    during: str | None = None,
    **voice: float,
) -> tuple[Step, ...]:
    """A listener's noise over the agent's reply, one second into it unless said.

    Args:
        content: as in `user`, and so is ``voice``.
        after_words: as in `interrupt`.
        after_ms: as in `interrupt`.
        during: as in `interrupt`.
        **voice: as in `user`.
    """
    if after_words is None and after_ms is None and during is None:
        after_ms = 1000
    begins = agent(wait=False, after_words=after_words, after_ms=after_ms, during=during)
    said = user(content, **voice)  # type: ignore[arg-type]
    return (begins, replace(said, means=Means.LISTENING))


def cough(
    *,
    after_words: int | None = None,
    after_ms: int | None = None,
    during: str | None = None,
    peak_db: float = -6.0,
) -> tuple[Step, ...]:
    """A cough over the agent's reply, one second into it unless said."""
    if after_words is None and after_ms is None and during is None:
        after_ms = 1000
    begins = agent(wait=False, after_words=after_words, after_ms=after_ms, during=during)
    return (begins, _says("a cough", Means.SOUND, peak_db, 170, False, ""))


def silence(ms: int) -> Silence:
    """The caller says nothing for so long."""
    if ms < 0:
        raise ScriptError(f"ms must be >= 0, not {ms}")
    return Silence(ms=ms)


def dtmf(keys: str) -> Presses:
    """The caller presses keys, one after the other."""
    if wrong := [key for key in keys if key not in KEYS]:
        raise ScriptError(f"a telephone has no key {wrong[0]!r}; it has 0-9, *, # and A-D")
    return Presses(keys=keys)


def hang_up() -> HangsUp:
    """The caller hangs up."""
    return HangsUp()


def announce(text: str) -> Announces:
    """The application lets the agent say this, as a greeting; the script does not wait for it."""
    if not text.strip():
        raise ScriptError("text must be something to say, not an empty text")
    return Announces(text=text)


def moment(ms: int) -> Moment:
    """Wait until so long after the agent was first heard in this call."""
    if ms < 0:
        raise ScriptError(f"ms must be >= 0, not {ms}")
    return Moment(ms=ms)


def noise(db: float) -> NoiseFromNow:
    """The caller's line is this noisy from now on, in dBFS: -70 is quiet, -30 a busy street."""
    if db > 0:
        raise ScriptError(f"db must be <= 0, not {db}")
    return NoiseFromNow(db=db)


SAYINGS = (
    "Sorry, one question.",
    "No, that is not what I meant.",
    "Could you say that again, please?",
    "Hold on, there is something else.",
)
"""What a caller says who interrupts at random."""


def at_random(p: float, seed: int, *steps: Steps) -> tuple[Step, ...]:
    """These steps, with a probability; drawn here and now, so that a seed always says the same.

    Args:
        p: how probable, from 0 to 1.
        seed: of the draw.
        *steps: what happens; unless given, the caller interrupts, 0.5 to 3 s into the reply.
    """
    if not 0 <= p <= 1:
        raise ScriptError(f"p must be from 0 to 1, not {p}")
    dice = random.Random(seed)
    if dice.random() >= p:
        return ()
    if steps:
        return script(*steps)
    return interrupt(dice.choice(SAYINGS), after_ms=dice.randrange(500, 3000))


def _says(
    content: str | Path, means: Means, peak_db: float, speed: int, telephone: bool, written: str
) -> Says:
    if isinstance(content, str) and not content.strip():
        raise ScriptError("content must be a text or the Path of a WAV file, not an empty text")
    if peak_db > 0:
        raise ScriptError(f"peak_db must be <= 0, not {peak_db}")
    if not 80 <= speed <= 450:
        raise ScriptError(f"words_per_minute must be from 80 to 450, not {speed}")
    return Says(
        content=content,
        means=means,
        peak_db=peak_db,
        words_per_minute=speed,
        telephone=telephone,
        written=written,
    )

"""What does the caller say, and when? One script, anchored to what the agent is saying."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from bargein.testing import clinic
from bargein.testing.recorded import Written
from bargein.testing.speech import PCM, agent_voice, cough
from bargein.testing.utterance import Utterance, utterance

from .host import Call

UH_HUH, COUGH, RIGHT, EARLIER, YES, YES_PLEASE, NO_WAIT, WHAT, GET_THERE, LIFT, GO_ON = (
    "uh-huh",
    "a cough",
    "right, okay",
    "do you have anything earlier",
    "yes",
    "yes please book it",
    "no wait I meant Thursday",
    "sorry what was that",
    "how do I get there",
    "is there a lift",
    "please go on",
)
_IN_WORDS = (EARLIER, YES, YES_PLEASE, NO_WAIT, WHAT, GET_THERE, LIFT, GO_ON)
PHRASES = ["uh-huh", "right okay", *(text.lower() for text in _IN_WORDS)]
"""Everything a recogniser has to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Something the caller said."""

    what: Utterance
    onset_s: float
    """When its sound began, on ``time.monotonic``."""
    ended_s: float


@dataclass(kw_only=True)
class Took:
    """A call that took place."""

    call: Call
    said: list[Said] = field(default_factory=list)
    answer_lost: bool = False
    """True if the early "yes" brought no answer and had to be said again."""
    began_s: float = 0.0
    ended_s: float = 0.0


def clips() -> dict[str, Utterance]:
    """Every sound the caller makes."""
    made = [
        utterance(UH_HUH, "uh-huh", spoken="[[,V h'V]]"),
        utterance(COUGH, sound=cough(16000)),
        utterance(RIGHT, "right okay"),
        *(utterance(text, text) for text in _IN_WORDS),
    ]
    return {one.name: one for one in made}


def lasts_s(text: str) -> float:
    """How long the agent takes to say something, from its first sound to its last."""
    loud = np.flatnonzero(voiced(text))
    return float(loud[-1] - loud[0]) / 24000 if len(loud) else 0.0


def voiced(text: str) -> PCM:
    """What the agent's voice makes of a text, at 24 kHz."""
    return np.concatenate([agent_voice(one, 24000)[0] for one in sentences(text)])


def sentences(text: str) -> list[str]:
    """As the text-to-speech is given them."""
    found, place = [], 0
    for at, letter in enumerate(text):
        if letter in ".?!" and (at + 1 == len(text) or text[at + 1] == " "):
            found.append(text[place : at + 1].strip())
            place = at + 1
    rest = text[place:].strip()
    return [*found, rest] if rest else found


async def talked(call: Call, says: Callable[[str], None]) -> Took:
    """Run a call to its end."""
    took = Took(call=call)
    await call.start()
    took.began_s = time.monotonic()
    try:
        await _Caller(took, says).talk()
    finally:
        took.ended_s = time.monotonic()
        await call.end()
    return took


class _Caller:
    """Follows the script; a call that went another way is followed as far as it goes."""

    def __init__(self, took: Took, says: Callable[[str], None]) -> None:
        self._took = took
        self._call = took.call
        self._says = says
        self._clips = clips()

    async def talk(self) -> None:
        await asyncio.sleep(0.5)
        await self._call.greet()
        began_s = await self._answer(clinic.EXPLAINS, 10)
        assert began_s is not None, "the agent never spoke"
        # Over the long answer, at moments of the caller's own, wherever the agent is by then.
        for name, after_s in ((UH_HUH, 2.4), (COUGH, 5.6), (RIGHT, 8.8)):
            await self._at(began_s + after_s)
            await self._say(name)
        await self._silence(1.2, 20)
        await self._say(EARLIER)
        asks_s = await self._answer(clinic.ASKS, 10)
        if asks_s is not None:
            await self._at(asks_s + lasts_s(clinic.ASKS) - 1.2)
        await self._say(YES)
        books_s = await self._answer(clinic.BOOKS, 5)
        if books_s is None:
            self._took.answer_lost = True
            await self._say(YES_PLEASE)
            books_s = await self._answer(clinic.BOOKS, 8)
        if books_s is not None:
            await self._at(books_s + 2.3)
        await self._say(NO_WAIT)
        corrects_s = await self._answer(clinic.CORRECTS, 8)
        if corrects_s is not None:
            before = clinic.plain(clinic.CORRECTS).partition(clinic.CODE)[0]
            await self._at(corrects_s + lasts_s(before) + 0.9)
            await self._say(WHAT)
            await self._answer(clinic.REPEATS, 8)
        await self._silence(1.0, 8)
        await self._say(GET_THERE)
        directions_s = await self._answer(clinic.DIRECTIONS, 8)
        if directions_s is not None:
            await self._at(directions_s + 3.5)
        await self._say(LIFT)
        await self._answer(clinic.LIFT, 8)
        await self._silence(1.0, 20)
        await self._say(GO_ON)
        await self._anything(self._took.said[-1].onset_s, 5)
        await self._silence(1.0, 20)

    async def _say(self, name: str) -> None:
        clip = self._clips[name]
        self._says(name)
        began_s = await self._call.say(clip)
        self._took.said.append(
            Said(what=clip, onset_s=began_s + clip.begins_s, ended_s=began_s + clip.ends_s)
        )
        await self._at(began_s + len(clip.pcm) / 16000)

    async def _at(self, instant_s: float) -> None:
        await asyncio.sleep(max(0.0, instant_s - time.monotonic()))

    async def _answer(self, text: str, within_s: float) -> float | None:
        """When that answer was first heard; None if it does not come."""
        until_s = time.monotonic() + within_s
        while time.monotonic() < until_s:
            for run_s, messages in self._call.runs:
                if clinic.reply(messages) == text:
                    heard_s = first_heard(self._call.written, run_s)
                    if heard_s is not None:
                        return heard_s
            await asyncio.sleep(0.02)
        return None

    async def _anything(self, since_s: float, within_s: float) -> None:
        """Wait until the agent says something, with its LLM or without."""
        until_s = time.monotonic() + within_s
        while time.monotonic() < until_s:
            if first_heard(self._call.written, since_s) is not None:
                return
            await asyncio.sleep(0.02)

    async def _silence(self, lasts_s: float, within_s: float) -> None:
        """Wait until the agent has been silent for so long."""
        until_s = time.monotonic() + within_s
        while time.monotonic() < until_s:
            last = next((c for c in reversed(self._call.written) if any(c.pcm)), None)
            if last is not None:
                ended_s = last.plays_at_s + len(last.pcm) / 2 / self._call.rate
                if time.monotonic() - ended_s > lasts_s:
                    return
            await asyncio.sleep(0.1)


def first_heard(written: list[Written], since_s: float) -> float | None:
    """When the first audible chunk that was written after an instant is heard."""
    return next((c.plays_at_s for c in written if c.at_s > since_s and any(c.pcm)), None)

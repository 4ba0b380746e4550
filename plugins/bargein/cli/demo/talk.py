"""What does the caller say, and when? One script, anchored to what the agent is saying."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pipecat.frames.frames import EndFrame, LLMRunFrame
from pipecat.workers.runner import WorkerRunner

from bargein.testing.pipecat_parts import Written
from bargein.testing.speech import agent_voice, cough
from bargein.testing.utterance import Utterance, utterance

Way = Literal["default", "minwords3", "ours"]
WAYS: tuple[Way, ...] = ("default", "minwords3", "ours")

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


def offline_call() -> Any:
    """The pipeline's own file: inside the wheel, or beside the package in a source tree."""
    try:
        return importlib.import_module("bargein.pipelines.offline_call")
    except ImportError:
        path = Path(__file__).parents[4] / "pipelines" / "offline_call.py"
        spec = importlib.util.spec_from_file_location("bargein_offline_call", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module


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

    call: Any
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
    pcm = np.concatenate([agent_voice(one, 24000)[0] for one in sentences(text)])
    loud = np.flatnonzero(pcm)
    return float(loud[-1] - loud[0]) / 24000 if len(loud) else 0.0


def sentences(text: str) -> list[str]:
    """As the text-to-speech is given them."""
    found, place = [], 0
    for at, letter in enumerate(text):
        if letter in ".?!" and (at + 1 == len(text) or text[at + 1] == " "):
            found.append(text[place : at + 1].strip())
            place = at + 1
    rest = text[place:].strip()
    return [*found, rest] if rest else found


async def talked(call: Any, says: Callable[[str], None]) -> Took:
    """Run a call to its end."""
    took = Took(call=call)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(call.worker)

    async def script() -> None:
        await asyncio.wait_for(call.started.wait(), 20)
        took.began_s = time.monotonic()
        try:
            await _Caller(took, says).talk()
        finally:
            took.ended_s = time.monotonic()
            await call.worker.queue_frame(EndFrame())

    await asyncio.gather(runner.run(), script())
    return took


class _Caller:
    """Follows the script; a call that went another way is followed as far as it goes."""

    def __init__(self, took: Took, says: Callable[[str], None]) -> None:
        self._took = took
        self._call = took.call
        self._says = says
        self._clips = clips()
        self._module = offline_call()

    async def talk(self) -> None:
        await asyncio.sleep(0.5)
        await self._call.worker.queue_frame(LLMRunFrame())
        began_s = await self._answer(self._module.EXPLAINS, 10)
        assert began_s is not None, "the agent never spoke"
        # Over the long answer, at moments of the caller's own, wherever the agent is by then.
        for name, after_s in ((UH_HUH, 2.4), (COUGH, 5.6), (RIGHT, 8.8)):
            await self._at(began_s + after_s)
            await self._say(name)
        await self._silence(1.2, 20)
        await self._say(EARLIER)
        asks_s = await self._answer(self._module.ASKS, 10)
        if asks_s is not None:
            await self._at(asks_s + lasts_s(self._module.ASKS) - 1.2)
        await self._say(YES)
        books_s = await self._answer(self._module.BOOKS, 5)
        if books_s is None:
            self._took.answer_lost = True
            await self._say(YES_PLEASE)
            books_s = await self._answer(self._module.BOOKS, 8)
        if books_s is not None:
            await self._at(books_s + 2.3)
        await self._say(NO_WAIT)
        corrects_s = await self._answer(self._module.CORRECTS, 8)
        if corrects_s is not None:
            before = self._module.plain(self._module.CORRECTS).partition(self._module.CODE)[0]
            await self._at(corrects_s + lasts_s(before) + 0.9)
            await self._say(WHAT)
            await self._answer(self._module.REPEATS, 8)
        await self._silence(1.0, 8)
        await self._say(GET_THERE)
        directions_s = await self._answer(self._module.DIRECTIONS, 8)
        if directions_s is not None:
            await self._at(directions_s + 3.5)
        await self._say(LIFT)
        await self._answer(self._module.LIFT, 8)
        await self._silence(1.0, 20)
        await self._say(GO_ON)
        await self._anything(self._took.said[-1].onset_s, 5)
        await self._silence(1.0, 20)

    async def _say(self, name: str) -> None:
        clip = self._clips[name]
        self._says(name)
        began_s = await self._call.caller.say(clip.pcm)
        if hasattr(self._call.stt, "heard"):
            self._call.stt.heard(clip, began_s)
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
            for run_s, messages in self._call.llm.runs:
                if self._module.reply(messages) == text:
                    heard_s = first_heard(self._call.output.written, run_s)
                    if heard_s is not None:
                        return heard_s
            await asyncio.sleep(0.02)
        return None

    async def _anything(self, since_s: float, within_s: float) -> None:
        """Wait until the agent says something, with its LLM or without."""
        until_s = time.monotonic() + within_s
        while time.monotonic() < until_s:
            if first_heard(self._call.output.written, since_s) is not None:
                return
            await asyncio.sleep(0.02)

    async def _silence(self, lasts_s: float, within_s: float) -> None:
        """Wait until the agent has been silent for so long."""
        output = self._call.output
        until_s = time.monotonic() + within_s
        while time.monotonic() < until_s:
            last = next((c for c in reversed(output.written) if any(c.pcm)), None)
            if last is not None:
                ended_s = last.plays_at_s + len(last.pcm) / 2 / output.rate
                if time.monotonic() - ended_s > lasts_s:
                    return
            await asyncio.sleep(0.1)


def first_heard(written: list[Written], since_s: float) -> float | None:
    """When the first audible chunk that was written after an instant is heard."""
    return next((c.plays_at_s for c in written if c.at_s > since_s and any(c.pcm)), None)

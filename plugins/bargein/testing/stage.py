"""How is a scene played on a host? What every host's player shares."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from bargein.core.decisions import Decision
from bargein.core.events import Event, PlayoutStarted
from bargein.core.overlap import Rules
from bargein.manners import Manners
from bargein.memory import MemoryStore, Records, Store

from .core_player import LEASE_MS
from .rules import rules_of
from .scene import Line, Scene

SPEAK_LEAD_MS = 25
"""How long before its time a line of the agent is handed in: what a host takes to speak."""

ENDS_WITHIN_S = 30
"""No scene's agent talks longer than this after the last line."""


@dataclass(kw_only=True)
class Played:
    """What happened on the host."""

    decisions: list[Decision] = field(default_factory=list)
    """With times from the scene's own beginning."""
    context: list[Any] = field(default_factory=list)
    llm_runs: int = 0
    over_at_s: float = 0.0
    """When its last line was played, on the loop's clock."""


class Worker:
    """What one worker sees of the store that all share."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def die(self) -> None:
        """What it writes from now on reaches nobody."""
        self._store = MemoryStore()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@dataclass(kw_only=True)
class Part:
    """One call of a scene."""

    scene: Scene
    lines: list[Line]
    played: Played
    worker: Worker
    rules: Rules | None
    is_last: bool

    @property
    def ends_ms(self) -> int:
        """When nothing is written any more; 0 where another call follows."""
        lines = (*self.scene.lines, *self.scene.expected)
        return max(line.at_ms for line in lines) if self.is_last else 0

    def manners(self) -> dict[str, Any]:
        """The arguments of `Bargein` that the scene asks for."""
        scene = self.scene
        return {
            "rules": rules_of(scene) if self.rules is None else self.rules,
            "language": _languages(scene),
            "on_cut": scene.options.get("on_cut", "report"),
            "resume": scene.options.get("resume", "off"),
            "resume_ttl_s": int(scene.options.get("resume_ttl", 300_000)) / 1000,
            "acknowledge": scene.options.get("acknowledge", "").split(),
            "records": Records(self.worker, "the caller", lease_s=_lease_s(scene)),
        }


Perform: TypeAlias = Callable[[Part], Awaitable[None]]


async def play_calls(scene: Scene, rules: Rules | None, perform: Perform) -> Played:
    """Play a scene; each of its calls is one of its own, and all share a store."""
    played, shared = Played(), MemoryStore()
    calls = _calls(scene)
    for number, lines in enumerate(calls):
        if number:
            # What is kept between calls is kept by the time of day.
            gap_s = (lines[0].at_ms - calls[number - 1][-1].at_ms) / 1000
            await asyncio.sleep(played.over_at_s + gap_s - asyncio.get_running_loop().time())
        await perform(
            Part(
                scene=scene,
                lines=lines,
                played=played,
                worker=Worker(shared),
                rules=rules,
                is_last=number == len(calls) - 1,
            )
        )
    return played


def _calls(scene: Scene) -> list[list[Line]]:
    calls: list[list[Line]] = [[]]
    for line in scene.lines:
        if line.who == "call":
            calls.append([])
        calls[-1].append(line)
    return calls


class Stage:
    """Speaks every line at its time, on the call's own clock. A host's stage knows how."""

    def __init__(self, manners: Manners[Any], part: Part) -> None:
        """Set the stage for one call of a scene."""
        self._manners = manners
        self._part = part
        self._played = part.played
        self._spoken = asyncio.Event()
        self._zero_ms = 0
        self._decisions: list[Decision] = []
        self._hung_up = self._dead = False
        manners.add_event_handler("on_decision", lambda _, decision: self._decided(decision))
        manners.on_event(self._happened)

    async def say(self, line: Line) -> None:
        """A line of the agent's: ``agent``, ``agent!`` or ``reply``."""
        raise NotImplementedError

    async def hear(self, line: Line) -> None:
        """A line of the caller's side, or of a tool's."""
        raise NotImplementedError

    async def turn(self, text: str) -> None:
        """The caller's turn, complete."""
        raise NotImplementedError

    def has_turn(self, text: str) -> bool:
        """Has the host made a turn of these words itself?"""
        raise NotImplementedError

    async def hang_up(self) -> None:
        """Nobody is there any more."""
        raise NotImplementedError

    async def end(self) -> None:
        """The call ends as an application ends it."""
        raise NotImplementedError

    async def perform(self) -> None:
        """Play the call."""
        try:
            await self._perform(list(self._part.lines))
        finally:
            self._played.over_at_s = asyncio.get_running_loop().time()
            if not self._hung_up:
                await self.end()

    def decisions(self) -> list[Decision]:
        """Everything that was decided, with times from the scene's own beginning."""
        return [
            replace(decision, at_ms=decision.at_ms - self._zero_ms) for decision in self._decisions
        ]

    async def _perform(self, lines: list[Line]) -> None:
        if lines[0].who in ("agent", "agent!", "reply"):
            # The scene begins when the agent is first heard.
            first = lines.pop(0)
            await self._play(first)
            await asyncio.wait_for(self._spoken.wait(), 10)
            self._zero_ms -= first.at_ms
        else:
            self._spoken.set()
            self._zero_ms = self._manners.now_ms
            if lines[0].who == "call":
                self._zero_ms -= lines.pop(0).at_ms
        for line in lines:
            lead_ms = SPEAK_LEAD_MS if line.who in ("agent", "agent!", "reply") else 0
            await self._until(line.at_ms - lead_ms)
            await self._play(line)
        if self._hung_up:
            return
        await self._until(self._part.ends_ms + 400)
        async with asyncio.timeout(ENDS_WITHIN_S):
            while self._manners.busy:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.1)

    async def _play(self, line: Line) -> None:
        manners = self._manners
        match line.who:
            case "control":
                manners.raise_control(line.what)
            case "score":
                probability, source = line.what.split(maxsplit=1)
                manners.score(float(probability), source=source)
            case "agent" | "agent!" | "reply":
                await self.say(line)
            case "turn":
                if not self.has_turn(line.what):
                    await self.turn(line.what)
            case "topic":
                manners.topic(line.what)
            case "resume":
                manners.resume()
            case "forget":
                manners.forget()
            case "hangup":
                self._hung_up = True
                await self.hang_up()
            case "crash":
                # A process that is gone decides and stores nothing; this one only plays dead.
                self._part.worker.die()
                self._hung_up = self._dead = True
                await self.hang_up()
            case _:
                await self.hear(line)

    async def _until(self, at_ms: int) -> None:
        wait_ms = self._zero_ms + at_ms - self._manners.now_ms
        if wait_ms > 0:
            await asyncio.sleep(wait_ms / 1000)

    def _decided(self, decision: Decision) -> None:
        if not self._dead:
            self._decisions.append(decision)

    def _happened(self, event: Event) -> None:
        if isinstance(event, PlayoutStarted) and not self._spoken.is_set():
            self._zero_ms += event.at_ms
            self._spoken.set()


def _lease_s(scene: Scene) -> float:
    return int(scene.options.get("lease", LEASE_MS)) / 1000


def _languages(scene: Scene) -> str | list[str]:
    languages = scene.options.get("language", "en").split()
    return languages[0] if len(languages) == 1 else languages

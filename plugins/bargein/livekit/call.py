"""What do the parts of one call share on LiveKit?"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from livekit.agents.voice.speech_handle import SpeechHandle

from bargein.call import Call
from bargein.core.decisions import Decision, YieldFloor
from bargein.core.events import CallEnded, Event, PlayoutWorded
from bargein.core.overlap import Rules
from bargein.core.unfinished import Resumption

from .speeches import Speeches

_NO_END = 1_000_000

log = logging.getLogger("bargein")


class LiveKitCall(Call):
    """One call's floor, and what only a session has to know."""

    def __init__(self, rules: Rules, resumption: Resumption | None = None) -> None:
        super().__init__(rules, resumption, error=log.error)
        self.speeches = Speeches()
        """What the session is going to say."""
        self.has_stt = False
        self.attached = False
        """True from `attach` on, unless something speaks against it."""
        self.speaking_stream: str | None = None
        """The stretch of speech that is being heard."""
        self.voice_paused = False
        """True while the voice is silent and has more to say."""
        self.hung_up: list[Callable[[], None]] = []
        """Told that the call ends, while the session still listens."""
        self.current_speech: Callable[[], SpeechHandle | None] = lambda: None
        """What the session is saying, or about to."""
        self.ending: Callable[[], bool] = lambda: False
        """Is the session coming to its end?"""
        self.drops_turns: Callable[[], bool] = lambda: False
        """Would the session throw away a turn that is complete now?"""
        self.voice_left_ms: Callable[[], float | None] = lambda: None
        self.heard_text: str | None = None
        """What was heard of the stretch of speech that has just ended early."""
        self.vetoed: dict[str, Any] = {}
        """The session's options, where its own detector would interrupt by itself."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self.decided.append(self._yielded)

    @property
    def in_charge(self) -> bool:
        """Are all the parts in place, so that the floor may decide?"""
        return self.attached and self.has_stt and not self.closed

    def hang_up(self, *, detached: bool) -> None:
        """The call ends, whatever is being said; with ``detached`` it listens no more, either."""
        self.feed(CallEnded(at_ms=self.now_ms))
        if not detached:
            return
        for hook in tuple(self.hung_up):
            self.guarded("closing hook", hook)

    def words_made(self, stream: str, text: str) -> None:
        """More of what a stretch of speech says became known."""
        added = self.add_script(stream, text, apart=False)
        if self.speaking_stream == stream:
            self.feed(PlayoutWorded(at_ms=self.now_ms, text=added))

    @property
    def may_acknowledge(self) -> bool:
        """Is it said, for some interruptions, that they were understood?"""
        return bool(self._pump.state.resumption.acknowledged)

    def spawn(self, act: Coroutine[Any, Any, Any]) -> None:
        """Do something of ours beside everything else."""
        task = asyncio.ensure_future(act)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _settled(self, event: Event) -> None:
        super()._settled(event)
        if self.vetoed:
            # As few words as nobody says are too few to stop the agent.
            held = self.in_charge and (self.agent_has_floor or self.locked)
            self.vetoed["min_words"] = _NO_END if held else 0

    def _yielded(self, decision: Decision) -> None:
        if self.in_charge and isinstance(decision, YieldFloor):
            self.speeches.cut(everything=decision.breaks_lock)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self.report("task", error)

"""What do the parts of one call share on OpenAI Realtime?"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from bargein.call import Call
from bargein.core.events import Event
from bargein.core.overlap import Rules
from bargein.core.unfinished import Resumption

from .wire import OURS, Message

log = logging.getLogger("bargein")


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Send this event to the server."""

    event: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """Play this to the caller now: 24 kHz, 16 bit, mono. It comes just ahead of the ear."""

    pcm: bytes
    item_id: str = ""
    """The server's item that it is of; empty for what is said again, and for silence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Let the client behind a relay know of this; nothing else ever sees it."""

    event: Message


Out: TypeAlias = Send | Play | Tell


class RealtimeCall(Call):
    """One call's floor, and what only this protocol has to know."""

    def __init__(self, rules: Rules, resumption: Resumption | None = None) -> None:
        super().__init__(rules, resumption, error=log.error)
        self.out: deque[Out] = deque()
        """What is to be sent and played, in order."""
        self.awake = asyncio.Event()
        """Set when there is something to send, or the voice has to be looked at."""
        self.moved: list[Callable[[], None]] = []
        """Told when something has happened, and everything about it is decided."""
        self.voice_left_ms: Callable[[], float | None] = lambda: None
        self._sent = 0

    @property
    def may_acknowledge(self) -> bool:
        """Is it said, for some interruptions, that they were understood?"""
        return bool(self._pump.state.resumption.acknowledged)

    def send(self, event: Message) -> str:
        """Send an event; returns its id, by which the server's errors name it."""
        event_id = self.named(event, OURS)
        self.out.append(Send(event=event))
        self.awake.set()
        return event_id

    def named(self, event: Message, whose: str) -> str:
        """An event's id, made up where it has none."""
        self._sent += 1
        if not event.get("event_id"):
            event["event_id"] = f"{whose}{self._sent}"
        return str(event["event_id"])

    def play(self, pcm: bytes, item_id: str = "") -> None:
        """Play some of the voice."""
        self.out.append(Play(pcm=pcm, item_id=item_id))

    def soon(self, act: Callable[[], None]) -> None:
        """Do it behind all that is being decided now."""
        asyncio.get_running_loop().call_soon(self.guarded, "realtime", act)

    def _settled(self, event: Event) -> None:
        super()._settled(event)
        for hook in tuple(self.moved):
            self.guarded("realtime", hook)

"""What can be told of a call to whoever watches many?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bargein.core.decisions import FileReceipt
from bargein.core.events import MessageLocked

from .episode import Episode


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """Which call it is."""

    call_id: str
    host: str
    """``"pipecat"``, ``"livekit"`` or ``"realtime"``."""
    agent: str = ""
    """Which agent, and its version: ``"desk@1.4"``."""
    began_at: datetime
    """The time of day, UTC, at 0 of the call's own clock."""

    @property
    def agent_name(self) -> str:
        return self.agent.partition("@")[0]

    @property
    def agent_version(self) -> str:
        return self.agent.partition("@")[2]


class Watcher:
    """Told of calls as they go, on their event loop: override what you want to hear of.

    Instants are whole milliseconds on the call's own clock. One watcher may watch many calls.
    What raises is reported once, and the call goes on.
    """

    def opened(self, call: CallFacts, at_ms: int) -> None:
        """A call is watched from now on."""

    def onset(self, call: CallFacts, episode: Episode, host_turn: object | None) -> None:
        """Somebody talks over the agent. ``host_turn`` is the OpenTelemetry context of the turn
        that the host has open, if it traces."""

    def overlap(self, call: CallFacts, episode: Episode, at_ms: int) -> None:
        """News of an overlap: the agent yields; what came of it (``episode.over``); or that what
        was left unsaid is gone on with (``episode.over`` again)."""

    def spoke(self, call: CallFacts, from_ms: int, until_ms: int) -> None:
        """The agent was heard from here to there: a message, or what an interruption left."""

    def locked(self, call: CallFacts, message: MessageLocked) -> None:
        """A message that must be heard was handed in. Its text may be a secret."""

    def receipt(self, call: CallFacts, receipt: FileReceipt) -> None:
        """How far it came."""

    def stuck(self, call: CallFacts, episode: Episode, at_ms: int) -> None:
        """An overlap has not been decided for so long that something must be wrong."""

    def trouble(self, call: CallFacts, where: str, at_ms: int) -> None:
        """Something of ours failed, such as ``"store"``; told every time."""

    def closed(self, call: CallFacts, at_ms: int) -> None:
        """The call is over."""

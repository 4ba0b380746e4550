"""What is written down about a message that had to be heard?"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from bargein.core.decisions import Delivery, Reason
from bargein.core.events import BROKEN_BY, OnCut


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """How far a must-hear message came.

    *Played* means that the transport took the audio, and that as much time has passed as its own
    queue is known to hold: for Pipecat's websocket, WebRTC and local transports a chunk (40 ms),
    for its LiveKit transport up to ``audio_out_queue_size_ms``, as it takes audio ahead of time.
    Jitter buffers and loudspeakers come behind that: nobody can say what reached an ear. A
    telephone provider may say more (``acknowledged_at``).
    """

    message_id: str
    state: Delivery
    heard: str = field(repr=False)
    """What of its text was heard; all of it when it was delivered."""
    played_ms: int
    total_ms: int | None
    """How long all of it takes; None where it was cut before that was known."""
    began_at: datetime | None
    """When it began to sound, UTC; None if it never did."""
    ended_at: datetime
    attempts: int
    """How often it was begun, this time included."""
    reason: Reason
    pending: bool
    """Whether it will be spoken again, in this call or in the next of the same caller."""
    acknowledged_at: datetime | None = None
    """When the far end said that it had played all of it, UTC; None if it has not, or has no way
    to say so. Comes after the receipt, as a rule."""
    stored: bool = False
    """Whether the store has it. One that could not be stored is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered:
    """A message that must be heard and was not, as it waits for the next call."""

    message_id: str
    text: str = field(repr=False)
    on_cut: OnCut
    broken_by: tuple[str, ...] = BROKEN_BY
    attempts: int = 0
    heard: str = field(repr=False, default="")

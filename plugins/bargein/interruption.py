"""What does an application learn of an interruption, at the moment it happens?"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bargein.core.decisions import Kind, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruption:
    """The floor was taken: everything that was known when that was decided."""

    kind: Kind | None
    """What for; None where that is not understood yet."""
    reason: Reason
    caller_words: str = field(repr=False)
    """What the caller had said by then; more may follow."""
    heard: str = field(repr=False)
    """What the agent had said; the word in the air may still be finished."""
    unheard: str = field(repr=False)
    """The rest of what is known of it."""
    progress: float
    """How far it was, from 0 to 1: the share of its text, or what `topic` was told."""
    message_id: str
    at: datetime
    """The time of day, UTC."""
    at_ms: int
    """The call's own clock."""
    topic: str
    """As `topic` was told; empty where it was not."""
    task: str
    context: tuple[Any, ...] = field(repr=False)
    """The LLM's messages as they were, before this interruption was written into them."""

"""What did the caller mean by that? The answer, as data."""

from __future__ import annotations

from dataclasses import dataclass

from bargein.core.decisions import Kind, Reason
from bargein.core.overlap import Ruling


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How the words so far should be taken, and why."""

    ruling: Ruling
    """HOLD: let the agent go on. SHIFT: the caller takes the floor. WAIT: too early to say."""
    kind: Kind | None
    reason: Reason
    may_answer: bool = False
    """For HOLD: the same word would answer a question, should the agent turn out to ask one."""

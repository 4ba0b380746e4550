"""What is a detector given, and what does it give?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

RATE = 16_000
"""Samples a second of everything a detector is given."""
LONGEST_MS = 3_000
"""How far back a detector can look."""

Samples: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """The caller's sound up to now, while they talk over the agent."""

    samples: Samples
    """Mono, 16 kHz, from -1 to 1, shape ``(n,)``: at least the detector's window, once there has
    been that much, with what came before the overlap. The newest sample is the last."""
    overlap_ms: int
    """How much of it, at its end, is the overlap."""
    usual_db: float | None
    """The level of this caller's own turns so far, in dBFS; None before the first."""


class DetectorError(ValueError):
    """A detector that can never be asked."""


class Detector(Protocol):
    """Hears whether somebody who talks over the agent listens or takes the floor.

    It is called in a thread of its own, ten times a second while both talk, and never twice at
    once. One that fails, or takes a second, is reported once and left out for the rest of the call.
    """

    @property
    def name(self) -> str:
        """Its name among the scores, for rules and traces; read once a call."""

    @property
    def window_ms(self) -> int:
        """How much sound it looks at; 3000 at most. Read once a call."""

    def __call__(self, heard: Heard, /) -> float:
        """The backchannel probability, from 0 (taking the floor) to 1 (a listener)."""


def is_window(ms: object) -> bool:
    """Can a detector look back so far?"""
    return isinstance(ms, int) and not isinstance(ms, bool) and 0 <= ms <= LONGEST_MS

"""What can go wrong at the far end? One value for each trouble that a client must live through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """Every message leaves later."""

    ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """The connection stays open, and nothing more is said on it."""

    after: int = 0
    """How many messages of the connection still go out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """The connection ends without a goodbye."""

    after: int = 0
    """How many messages of the connection still go out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Half:
    """Half a message arrives, then the connection ends."""

    after: int = 0
    """How many messages of the connection still go out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed:
    """One message is no JSON; those after it are well."""

    after: int = 0
    """How many messages of the connection still go out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Whoever connects is cut off before an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Whoever connects gets an HTTP status instead: 429, 500."""

    code: int
    message: str = "the loopback service was told to fail"
    retry_after_s: int | None = None


Fault: TypeAlias = Delay | Silence | Drop | Half | Malformed | Refuse | Status

__all__ = ["Delay", "Drop", "Fault", "Half", "Malformed", "Refuse", "Silence", "Status"]

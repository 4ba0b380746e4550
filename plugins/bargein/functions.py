"""What becomes of a function call that is out when the floor is taken?"""

from __future__ import annotations

from enum import Enum


class ToolError(ValueError):
    """A function that is registered in a way that cannot work."""


class OnInterruption(Enum):
    """What becomes of a function call that is out when the floor is taken."""

    COMPLETE = "complete"
    """It finishes. Its result enters the context once, and is spoken of when nobody speaks."""
    CANCEL = "cancel"
    """It is cancelled, and the LLM knows that it was."""


def on_interruption_of(chosen: OnInterruption | str) -> OnInterruption:
    """What was asked for.

    Raises:
        ToolError: no such thing becomes of a call.
    """
    try:
        return OnInterruption(chosen)
    except ValueError:
        known = ", ".join(one.value for one in OnInterruption)
        raise ToolError(f"on_interruption must be {known}, not {chosen!r}") from None

"""What do several hosts cost in the same minute? Each in turn, and another one first every time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from .script import turned


async def interleaved(
    sides: Mapping[str, Callable[[], Awaitable[float]]], rounds: int
) -> dict[str, list[float]]:
    """So many figures of each; the n-th of all belong together."""
    took: dict[str, list[float]] = {side: [] for side in sides}
    for count in range(rounds):
        for side in turned(list(sides), count):
            took[side].append(await sides[side]())
    return took

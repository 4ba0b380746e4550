"""Somebody cancelled a task without which no call would end: is it begun again?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_AGAIN_S = 0.05


def again(begin: Callable[[], None]) -> asyncio.TimerHandle:
    """Begin it a moment later, unless the loop is closing, which cancels every task it has."""

    def unless_closing() -> None:
        if not all(task.cancelling() for task in asyncio.all_tasks()):
            begin()

    return asyncio.get_running_loop().call_later(_AGAIN_S, unless_closing)

"""How is something stored without a call ever waiting for it?"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

PATIENCE_S = 2.0
"""How long one attempt at the store may take, and how long a call's end waits for what is left."""
RETRY_S = (0.2, 1.0, 5.0, 15.0)
"""Pauses between attempts; the last one repeats."""
ATTEMPTS = 3
"""How often something is tried that fails for another cause than the store's being down."""
QUEUE = 256
"""What waits for a store that is down; beyond that the oldest is given up."""

Act: TypeAlias = Callable[[], Awaitable[None]]
Report: TypeAlias = Callable[[str, Exception], None]


@dataclass(slots=True)
class _Write:
    key: str
    act: Act
    done: Callable[[], None]
    failures: int = 0
    """Those that more time will not mend."""


class Writer:
    """Writes in the background, one after the other, and tries again what a store refused."""

    def __init__(self, report: Report) -> None:
        """Make an idle writer; ``report`` is told of a failing store."""
        self._report = report
        self._queue: deque[_Write] = deque()
        self._more = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._writing: asyncio.Task[None] | None = None

    def write(self, key: str, act: Act, done: Callable[[], None] = lambda: None) -> None:
        """Do this when its turn comes.

        Args:
            key: what is written; of what is tried again only the newest under a key counts.
            act: writes it.
            done: told when it is written.
        """
        self._queue.append(_Write(key, act, done))
        while len(self._queue) > QUEUE:
            self._queue.popleft()
        self._empty.clear()
        self._more.set()
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def close(self) -> None:
        """Give the store a last moment, and stop."""
        writing, self._writing = self._writing, None
        if writing is None:
            return
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._empty.wait()
        except TimeoutError as error:
            self._report("store: not everything was stored", error)
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _write(self) -> None:
        failures = 0
        while True:
            if not self._queue:
                self._empty.set()
                self._more.clear()
                await self._more.wait()
            entry = self._queue.popleft()
            try:
                # Not `wait_for`: before Python 3.12 it may swallow the end of this task.
                async with asyncio.timeout(PATIENCE_S):
                    await entry.act()
            except Exception as error:
                self._put_off(entry, error)
                await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])
                failures += 1
                continue
            failures = 0
            entry.done()

    def _put_off(self, entry: _Write, error: Exception) -> None:
        """Behind the others; what is newer under the same key replaces it."""
        self._report("store", error)
        # A backend has connection errors of its own; these here are never one of them.
        entry.failures += isinstance(error, TypeError | ValueError)
        if entry.failures >= ATTEMPTS:
            self._report("store: a record was given up", error)
        elif all(one.key != entry.key for one in self._queue):
            self._queue.append(entry)

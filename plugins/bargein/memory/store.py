"""Where do records live? The protocol of a store, and the simplest one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from .sqlite import SqliteStore


class Store(Protocol):
    """Keeps small records by owner and key.

    Every method may raise whatever its backend raises, and may take its time: nothing in a call
    waits for it.
    """

    async def put(self, owner: str, key: str, value: bytes, *, ttl_s: float) -> None:
        """Keep a record for ``ttl_s`` seconds; one with the same key is replaced."""

    async def get(self, owner: str) -> dict[str, bytes]:
        """All records of an owner that have not expired, in the order they were first put."""

    async def delete(self, owner: str, key: str) -> None:
        """Forget a record; one that is not there is no error."""

    async def swap(
        self, owner: str, key: str, old: bytes | None, new: bytes | None, *, ttl_s: float
    ) -> bool:
        """Replace a record if it is ``old``, at once for all workers; None for none.

        Returns:
            Whether it was.
        """
        ...

    async def close(self) -> None:
        """Let go of files and connections; the store may be used again, and opens them anew."""


SWEEP_EVERY = 256
"""After so many puts, what has expired is dropped, also of those who never call again."""


class MemoryStore:
    """Records that live as long as this process: for tests, and for one call after the other."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        """Make an empty store; ``clock`` tells seconds."""
        self._clock = clock
        self._owners: dict[str, dict[str, tuple[float, bytes]]] = {}
        self._puts = 0

    async def put(self, owner: str, key: str, value: bytes, *, ttl_s: float) -> None:
        """Keep a record."""
        self._owners.setdefault(owner, {})[key] = (self._clock() + ttl_s, value)
        self._puts += 1
        if self._puts % SWEEP_EVERY == 0:
            for each in tuple(self._owners):
                self._kept(each)

    async def get(self, owner: str) -> dict[str, bytes]:
        """All records of an owner that have not expired."""
        return {key: value for key, (_, value) in self._kept(owner).items()}

    async def delete(self, owner: str, key: str) -> None:
        """Forget a record."""
        self._owners.get(owner, {}).pop(key, None)
        self._kept(owner)

    async def swap(
        self, owner: str, key: str, old: bytes | None, new: bytes | None, *, ttl_s: float
    ) -> bool:
        """Replace a record if it is ``old``."""
        known = self._kept(owner).get(key)
        if (None if known is None else known[1]) != old:
            return False
        if new is None:
            await self.delete(owner, key)
        else:
            await self.put(owner, key, new, ttl_s=ttl_s)
        return True

    async def close(self) -> None:
        """Nothing to let go of."""

    def _kept(self, owner: str) -> dict[str, tuple[float, bytes]]:
        """An owner's records, without those that have expired."""
        now, records = self._clock(), self._owners.get(owner, {})
        for key in [key for key, (until, _) in records.items() if until <= now]:
            del records[key]
        if not records:
            self._owners.pop(owner, None)
        return records


def open_store(where: str | Path | Store) -> Store:
    """A store by its address: a file for SQLite, ``redis://...`` for Redis; a store is itself.

    Raises:
        ValueError: an address of a kind there is no store for.
    """
    if isinstance(where, Path):
        return SqliteStore(where)
    if not isinstance(where, str):
        return where
    scheme, colon, _ = where.partition("://")
    if scheme in ("redis", "rediss", "unix") and colon:
        from .redis import RedisStore  # the extra is needed only by those who ask for it

        return RedisStore(where)
    if colon or not where:
        raise ValueError(
            f"no store for {where!r}: give a file such as 'calls.db', or 'redis://host:6379/0'"
        )
    return SqliteStore(where)

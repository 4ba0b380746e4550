"""Records in a file, for one machine."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_TABLE = """
CREATE TABLE IF NOT EXISTS records (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    until REAL NOT NULL,
    UNIQUE (owner, key)
)
"""
_PUT = """
INSERT INTO records (owner, key, value, until) VALUES (?, ?, ?, ?)
ON CONFLICT (owner, key) DO UPDATE SET value = excluded.value, until = excluded.until
"""
_ONE = "SELECT value FROM records WHERE owner = ? AND key = ? AND until > ?"
_DELETE = "DELETE FROM records WHERE owner = ? AND key = ?"
BUSY_S = 5.0
"""How long another process may hold the file's lock."""


class SqliteStore:
    """Records in an SQLite file with a write-ahead log, so that several processes may share it.

    Everything happens in a thread of its own: the event loop never waits for a disk.
    """

    def __init__(self, path: str | Path, *, clock: Callable[[], float] = time.time) -> None:
        """Name the file; it is opened, or made, when it is first needed."""
        self._path = Path(path)
        self._clock = clock
        self._thread: ThreadPoolExecutor | None = None
        self._file: sqlite3.Connection | None = None

    async def put(self, owner: str, key: str, value: bytes, *, ttl_s: float) -> None:
        """Keep a record."""
        now = self._clock()

        def put(file: sqlite3.Connection) -> None:
            file.execute("DELETE FROM records WHERE until <= ?", (now,))
            file.execute(_PUT, (owner, key, value, now + ttl_s))

        await self._do(put)

    async def get(self, owner: str) -> dict[str, bytes]:
        """All records of an owner that have not expired."""
        query = "SELECT key, value FROM records WHERE owner = ? AND until > ? ORDER BY place"
        now = self._clock()
        return await self._do(lambda file: dict(file.execute(query, (owner, now)).fetchall()))

    async def delete(self, owner: str, key: str) -> None:
        """Forget a record."""
        await self._do(lambda file: file.execute(_DELETE, (owner, key)))

    async def swap(
        self, owner: str, key: str, old: bytes | None, new: bytes | None, *, ttl_s: float
    ) -> bool:
        """Replace a record if it is ``old``."""
        now = self._clock()

        def swap(file: sqlite3.Connection) -> bool:
            # The lock to write, before anything is read: two workers must not both find it old.
            file.execute("BEGIN IMMEDIATE")
            found = file.execute(_ONE, (owner, key, now)).fetchone()
            if (found and found[0]) != old:
                return False
            if new is None:
                file.execute(_DELETE, (owner, key))
            else:
                file.execute(_PUT, (owner, key, new, now + ttl_s))
            return True

        return await self._do(swap)

    async def close(self) -> None:
        """Close the file."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._closed)
            thread.shutdown(wait=False)

    async def _do(self, act: Callable[[sqlite3.Connection], T]) -> T:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="bargein-sqlite")

        def run() -> T:
            file = self._opened()
            with file:  # one transaction
                return act(file)

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)

    def _opened(self) -> sqlite3.Connection:
        if self._file is None:
            file = sqlite3.connect(self._path, timeout=BUSY_S)
            # A key that is no text is not ours, and hides none that is.
            file.text_factory = lambda found: found.decode(errors="replace")
            try:
                file.execute("PRAGMA journal_mode = WAL")
                file.execute("PRAGMA synchronous = NORMAL")
                with file:
                    file.execute(_TABLE)
            except sqlite3.Error:
                file.close()
                raise
            self._file = file
        return self._file

    def _closed(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

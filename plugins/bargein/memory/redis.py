"""Records in Redis, for several workers."""

from __future__ import annotations

import time
from typing import Any

try:
    from redis.asyncio import Redis
    from redis.exceptions import WatchError
except ImportError as error:
    raise ImportError('a Redis store needs redis: pip install "bargein[redis]"') from error

TIMEOUT_S = 2.0
"""A server that does not answer for so long is down, as far as a call is concerned."""


class RedisStore:
    """Records in Redis: a key for each, which expires by itself, and a sorted set of them."""

    def __init__(self, client: str | Any, *, prefix: str = "bargein") -> None:
        """Name the server, or bring a client.

        Args:
            client: ``redis://...``, or a ``redis.asyncio.Redis`` of your own.
            prefix: begins every key.
        """
        self._redis: Any = (
            Redis.from_url(client, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
            if isinstance(client, str)
            else client
        )
        self._prefix = prefix

    async def put(self, owner: str, key: str, value: bytes, *, ttl_s: float) -> None:
        """Keep a record."""
        async with self._redis.pipeline(transaction=True) as pipe:
            self._put(pipe, owner, key, value, max(1, round(ttl_s * 1000)))
            await pipe.execute()

    async def get(self, owner: str) -> dict[str, bytes]:
        """All records of an owner that have not expired."""
        index = self._index(owner)
        # One that is no text is not ours, and hides none that is.
        keys = [
            key.decode(errors="replace") if isinstance(key, bytes) else key
            for key in await self._all(index)
        ]
        if not keys:
            return {}
        values = await self._redis.mget([self._record(owner, key) for key in keys])
        gone = [key for key, value in zip(keys, values, strict=True) if value is None]
        if gone:
            await self._redis.zrem(index, *gone)
        return {
            key: value if isinstance(value, bytes) else value.encode()
            for key, value in zip(keys, values, strict=True)
            if value is not None
        }

    async def delete(self, owner: str, key: str) -> None:
        """Forget a record."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(self._record(owner, key))
            pipe.zrem(self._index(owner), key)
            await pipe.execute()

    async def swap(
        self, owner: str, key: str, old: bytes | None, new: bytes | None, *, ttl_s: float
    ) -> bool:
        """Replace a record if it is ``old``."""
        record, ttl_ms = self._record(owner, key), max(1, round(ttl_s * 1000))
        async with self._redis.pipeline(transaction=True) as pipe:
            while True:
                try:
                    await pipe.watch(record)
                    found = await pipe.get(record)
                    if (found.encode() if isinstance(found, str) else found) != old:
                        return False
                    pipe.multi()
                    if new is None:
                        pipe.delete(record)
                        pipe.zrem(self._index(owner), key)
                    else:
                        self._put(pipe, owner, key, new, ttl_ms)
                    await pipe.execute()
                except WatchError:
                    continue  # somebody else was faster; it is their record that counts now
                return True

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    def _put(self, pipe: Any, owner: str, key: str, value: bytes, ttl_ms: int) -> None:
        index = self._index(owner)
        pipe.zadd(index, {key: time.time()}, nx=True)
        # The index lives as long as the longest-lived of its records.
        pipe.pexpire(index, ttl_ms, gt=True)
        pipe.pexpire(index, ttl_ms, nx=True)
        pipe.set(self._record(owner, key), value, px=ttl_ms)

    async def _all(self, index: str) -> list[Any]:
        found: list[Any] = await self._redis.zrange(index, 0, -1)
        return found

    def _index(self, owner: str) -> str:
        return f"{self._prefix}:{owner}"

    def _record(self, owner: str, key: str) -> str:
        return f"{self._prefix}:{owner}:{key}"

"""How are many real-time calls tried in little time? At the same time, a few at once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar

T = TypeVar("T")

AT_ONCE = 4
WITHIN_S = 60


class Ran(Generic[T]):
    """What came of each call; asking for one that failed raises what it raised."""

    def __init__(self, ends: Mapping[Any, T | BaseException]) -> None:
        self._ends = ends

    def __getitem__(self, name: Any) -> T:
        end = self._ends[name]
        if isinstance(end, BaseException):
            raise end
        return end


async def _all(calls: Mapping[Any, Callable[[], Awaitable[T]]], at_once: int) -> Ran[T]:
    turn = asyncio.Semaphore(at_once)

    async def one(call: Callable[[], Awaitable[T]]) -> T:
        async with turn, asyncio.timeout(WITHIN_S):
            return await call()

    ends = await asyncio.gather(*map(one, calls.values()), return_exceptions=True)
    return Ran(dict(zip(calls, ends, strict=True)))


def side_by_side(
    calls: Mapping[Any, Callable[[], Awaitable[T]]], *, at_once: int = AT_ONCE
) -> Ran[T]:
    """Hold all calls, each by its name."""
    return asyncio.run(_all(calls, at_once))

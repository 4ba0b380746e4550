"""A call that several tests ask about is held once, when the first of them does."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Generic, TypeVar

from bargein.testing import virtual_time

T = TypeVar("T")


class Held(Generic[T]):
    """What came of each call, by its name; one that failed raises what it raised."""

    def __init__(self, calls: Mapping[Any, Callable[[], Coroutine[Any, Any, T]]]) -> None:
        self._calls = calls
        self._ends: dict[Any, T | BaseException] = {}

    def __getitem__(self, name: Any) -> T:
        if name not in self._ends:
            try:
                self._ends[name] = virtual_time.run(self._calls[name]())
            except Exception as error:
                self._ends[name] = error
        end = self._ends[name]
        if isinstance(end, BaseException):
            raise end
        return end

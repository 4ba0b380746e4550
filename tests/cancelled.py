"""Where does a call wait in our code, and what if it is cancelled there?"""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Coroutine, Generator, Iterator
from functools import cache
from pathlib import Path
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any, NamedTuple

import bargein

OURS = Path(bargein.__file__).parent
TESTING = OURS / "testing"


class Place(NamedTuple):
    """A line of ours at which a task waits."""

    whose: str
    """Task it is: ``ours``, or another's that is in our code just now."""
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}, in a task of {self.whose}"


@cache
def is_ours(file: str) -> bool:
    """Is this code what a user installs for a call?"""
    path = Path(file)
    return path.is_relative_to(OURS) and not path.is_relative_to(TESTING)


class Cancels:
    """Watches every task of a loop, and cancels the one that waits at a certain place."""

    def __init__(self, at: Place | None = None, time: int = 0) -> None:
        """Cancel where somebody waits there for the ``time``-th time."""
        self.at, self._time = at, time
        self.waited: Counter[Place] = Counter()
        """How often somebody waited at each place."""
        self.done = False

    def __call__(self, loop: Any, coro: Any, **options: Any) -> asyncio.Task[Any]:
        """Make a task, as a loop's task factory does."""
        watched = _Watched(coro, self)
        watched.task = asyncio.Task(watched, loop=loop, **options)
        return watched.task

    def waits(self, watched: _Watched) -> None:
        """A task is about to wait."""
        place = watched.place()
        if place is None:
            return
        nth = self.waited[place]
        self.waited[place] += 1
        if place == self.at and nth == self._time:
            self.done = True
            asyncio.get_running_loop().call_soon(watched.task.cancel)


class _Watched(Coroutine[Any, Any, Any]):
    """A coroutine that says where it waits."""

    task: asyncio.Task[Any]

    def __init__(self, coro: Any, by: Cancels) -> None:
        self.coro, self._by = coro, by
        self.__qualname__ = self.__name__ = getattr(coro, "__qualname__", type(coro).__name__)

    def send(self, value: Any) -> Any:
        awaited = self.coro.send(value)
        self._by.waits(self)
        return awaited

    def throw(self, *error: Any) -> Any:
        awaited = self.coro.throw(*error)
        self._by.waits(self)
        return awaited

    def close(self) -> None:
        self.coro.close()

    def __await__(self) -> Generator[Any, None, Any]:
        raise NotImplementedError

    def place(self) -> Place | None:
        """The innermost line of ours, if it waits in one."""
        frames = list(_frames(self.coro))
        ours = [frame for frame in frames if is_ours(frame.f_code.co_filename)]
        if not ours:
            return None
        # Pipecat runs whatever it is given inside a coroutine of its own.
        wrapped = frames[0].f_code.co_name == "run_coroutine"
        whose = "ours" if frames[wrapped] is ours[0] else "another's"
        file = Path(ours[-1].f_code.co_filename).relative_to(OURS)
        return Place(whose, str(file), ours[-1].f_lineno)


_KINDS = {CoroutineType: "cr", GeneratorType: "gi", AsyncGeneratorType: "ag"}


def _frames(waiting: Any) -> Iterator[FrameType]:
    while waiting is not None:
        if isinstance(waiting, _Watched):
            waiting = waiting.coro
            continue
        kind = _KINDS.get(type(waiting))
        if kind is None:  # a wrapper that Python makes, such as of an ``async for``
            inner = [one for one in gc.get_referents(waiting) if type(one) in _KINDS]
            if asyncio.isfuture(waiting) or len(inner) != 1:
                return
            waiting = inner[0]
            continue
        frame = getattr(waiting, f"{kind}_frame")
        if frame is not None:
            yield frame
        waiting = getattr(waiting, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")

"""How does an application hear of what happens in its call?"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, TypeAlias, TypeVar

Report: TypeAlias = Callable[[str, Exception], None]
T = TypeVar("T")
Handler: TypeAlias = Callable[[T, Any], Awaitable[None] | None]


class HandlerError(ValueError):
    """A handler for something that never happens."""


class Handlers(Generic[T]):
    """Functions of the application's, called behind everything that a decision sets in motion.

    Each has its time and fails for itself: what goes wrong in one is reported once.
    """

    def __init__(
        self, names: Iterable[str], sender: T, *, timeout_s: float, report: Report
    ) -> None:
        """Make an empty register.

        Args:
            names: of what there is to hear of.
            sender: every handler's first argument.
            timeout_s: how long one may take.
            report: told of one that fails.
        """
        self._handlers: dict[str, list[Handler[T]]] = {name: [] for name in names}
        self._sender = sender
        self._timeout_s = timeout_s
        self._report = report
        self._running: set[asyncio.Task[None]] = set()

    def add(self, name: str, handler: Handler[T]) -> None:
        """Call ``handler(sender, news)`` from now on.

        Raises:
            HandlerError: no such event.
        """
        if name not in self._handlers:
            raise HandlerError(f"no event {name!r}; there are {', '.join(self._handlers)}")
        self._handlers[name].append(handler)

    def wanted(self, name: str) -> bool:
        """Does anybody listen?"""
        return bool(self._handlers[name])

    def tell(self, name: str, news: object) -> None:
        """Call the handlers of an event, in the order they came, after what is going on now."""
        for handler in self._handlers[name]:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                self._run(handler, news)
            else:
                # Not here: one that takes its time would keep the agent talking.
                loop.call_soon(self._run, handler, news)

    def _run(self, handler: Handler[T], news: object) -> None:
        where = f"handler {_name(handler)}"
        try:
            result = handler(self._sender, news)
        except Exception as error:
            self._report(where, error)
            return
        if inspect.isawaitable(result):
            task = asyncio.ensure_future(self._awaited(where, result))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _awaited(self, where: str, result: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await result
        except Exception as error:
            self._report(where, error)


def _name(handler: Callable[..., object]) -> str:
    return getattr(handler, "__qualname__", type(handler).__name__)

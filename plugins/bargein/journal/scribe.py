"""How do lines get out behind a call's back? A queue, and the thread that empties it."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from .sinks import Sink

Report: TypeAlias = Callable[[str, Exception], None]

PATIENCE_S = 2.0
"""How long the end of a call, or of the process, waits for lines that are not out yet."""
IDLE_S = 5.0
"""A thread that has had nothing to do for so long ends."""
GATHER_S = 0.02
"""Lines are taken in bursts: a thread that wakes for each would take turns from the call."""


class Outlet:
    """A sink, and who is told of its failures, where the call runs."""

    def __init__(self, sink: Sink, report: Report) -> None:
        self.sink = sink
        self._report = report
        self._loop: asyncio.AbstractEventLoop | None = None

    def note_loop(self) -> None:
        """The call runs here; it may have been set up before there was a loop."""
        if self._loop is None:
            with contextlib.suppress(RuntimeError):
                self._loop = asyncio.get_running_loop()

    def report(self, where: str, error: Exception) -> None:
        """Tell of a failure, from whatever thread."""
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._report, where, error)
                return
        except RuntimeError:
            pass  # that loop is over
        self._report(where, error)


class Scribe:
    """A queue, and the thread that empties it. The thread begins with the first line."""

    def __init__(self, room: int) -> None:
        self._lines: deque[tuple[Outlet, Callable[[], str] | None]] = deque()
        self._room = room
        self._more = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._put = 0
        self._taken = 0
        self._passed = threading.Condition()
        self.dropped = 0

    @property
    def has_room(self) -> bool:
        return len(self._lines) < self._room

    def put(self, out: Outlet, line: Callable[[], str]) -> bool:
        """Queue a line; False where there is no room."""
        if not self.has_room:
            self.dropped += 1
            return False
        self._append(out, line)
        return True

    def close(self, out: Outlet) -> None:
        """Close a sink behind its last line; there is always room for that."""
        self._append(out, None)

    def mark(self) -> int:
        return self._put

    def passed(self, mark: int, until_s: float) -> bool:
        """Wait until what was put before that mark is out; False if it is not, so late."""
        with self._passed:
            return self._passed.wait_for(
                lambda: self._taken >= mark, timeout=max(0.0, until_s - time.monotonic())
            )

    def run(self) -> None:
        """The thread: writes what comes, and ends when nothing has come for a while."""
        while True:
            if self._more.wait(timeout=IDLE_S):
                time.sleep(GATHER_S)
                self._more.clear()
                self._empty()
                continue
            with self._starting:
                if not self._lines:
                    self._thread = None
                    return

    def _append(self, out: Outlet, line: Callable[[], str] | None) -> None:
        self._lines.append((out, line))
        self._put += 1
        with self._starting:
            if self._thread is None:
                # A daemon: a sink that hangs must not keep the process from ending.
                self._thread = threading.Thread(
                    target=self.run, name="bargein journal", daemon=True
                )
                self._thread.start()
                _SCRIBES.add(self)
        if not self._more.is_set():
            self._more.set()

    def _empty(self) -> None:
        """Write down what waits."""
        while self._lines:
            out, line = self._lines.popleft()
            try:
                if line is None:
                    out.sink.close()
                else:
                    out.sink.write(line())
            except Exception as error:
                self.dropped += line is not None
                out.report("journal", error)
            with self._passed:
                self._taken += 1
                self._passed.notify_all()


_SCRIBES: weakref.WeakSet[Scribe] = weakref.WeakSet()


@atexit.register
def _last_lines() -> None:
    """A process that ends gives its journals a last moment."""
    until = time.monotonic() + PATIENCE_S
    for scribe in list(_SCRIBES):
        scribe.passed(scribe.mark(), until)

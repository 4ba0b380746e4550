"""How is a call written down without ever waiting for whoever takes the lines?"""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from bargein.core.decisions import Decision
from bargein.core.events import Event
from bargein.core.trace import NOTE, SCHEMA, one_line, write

from .episode import Episode, summary
from .scribe import PATIENCE_S, Outlet, Report, Scribe
from .sinks import JournalError, RotatingFile, Sink, checked, path_for
from .watcher import CallFacts
from .words import Allowed, hiding, sizes

Where: TypeAlias = str | os.PathLike[str] | Callable[[str], object]


class Journal:
    """Writes calls down, one JSON object a line, as ``SCHEMA.md`` beside this file describes.

    Lines wait in a queue and go out in a thread: the call never waits, and what does not fit is
    counted, in the journal and in `dropped`. One may serve many calls.
    """

    def __init__(
        self,
        where: Where,
        *,
        transcripts: bool = False,
        must_hear: bool = False,
        keys: bool = False,
        max_bytes: int = 50_000_000,
        backups: int = 5,
        queue: int = 4096,
    ) -> None:
        """Write to a file, or to a function.

        Args:
            where: a path; ``{call}`` in it is the call's id (a file for each call), ``{date}`` the
                day, UTC. Or a function that takes a line without its newline, in a thread.
            transcripts: whether what is said is written down; sizes always are.
            must_hear: whether, then, also what messages say that must be heard, such as codes.
            keys: whether it is written down which keys the caller presses.
            max_bytes: how large a file grows before it is set aside; 0 for no limit.
            backups: how many of those are kept.
            queue: how many lines may wait.

        Raises:
            JournalError: an unknown placeholder, an async function, or impossible numbers.
        """
        if must_hear and not transcripts:
            raise JournalError("must_hear=True writes down transcripts: it needs transcripts=True")
        for name, number, least in (
            ("max_bytes", max_bytes, 0),
            ("backups", backups, 0),
            ("queue", queue, 1),
        ):
            if number < least:
                raise JournalError(f"{name} must be >= {least}, not {number}")
        self._function: Callable[[str], object] | None = None
        self._template = ""
        if isinstance(where, str | os.PathLike):
            self._template = checked(os.fspath(where))
        elif callable(where):
            call = getattr(where, "__call__", None)  # noqa: B004
            if inspect.iscoroutinefunction(where) or inspect.iscoroutinefunction(call):
                raise JournalError(
                    "a journal's function runs in a thread and cannot be async: put the line into a"
                    " queue of yours with loop.call_soon_threadsafe(queue.put_nowait, line)"
                )
            self._function = where
        else:
            raise JournalError(f"a journal needs a path or a function, not {where!r}")
        self.allowed = Allowed(transcripts=transcripts, must_hear=must_hear, keys=keys)
        self._max_bytes, self._backups, self._room = max_bytes, backups, queue
        self._scribe = Scribe(queue)

    @property
    def dropped(self) -> int:
        """How many lines were lost: the queue was full, or whoever takes them failed."""
        return self._scribe.dropped

    def open(self, call: CallFacts, report: Report, *, version: str = "") -> CallJournal:
        """Begin to write a call down.

        Args:
            call: which.
            report: told of a failing sink.
            version: of bargein.
        """
        sink: Sink
        if self._function is not None:
            sink = _Function(self._function)
        else:
            sink = RotatingFile.shared(
                path_for(self._template, call), max_bytes=self._max_bytes, backups=self._backups
            )
        return CallJournal(self._scribe, sink, call, self.allowed, report, version)

    async def flush(self, patience_s: float = PATIENCE_S) -> bool:
        """Wait until what has been written so far is out; False if that takes too long."""
        until_s = time.monotonic() + patience_s
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, self._scribe.passed, self._scribe.mark(), until_s)


class CallJournal:
    """One call's lines."""

    def __init__(
        self,
        scribe: Scribe,
        sink: Sink,
        call: CallFacts,
        allowed: Allowed,
        report: Report,
        version: str,
    ) -> None:
        """Begin; see `Journal.open`."""
        self._scribe = scribe
        self._call = call
        # Here and not in the thread: a line that is dropped must not take with it what the
        # redaction has learned from it.
        self._hide = hiding(allowed)
        self._out = Outlet(sink, report)
        self._entries = 0
        self._dropped = 0
        self._missing = 0
        self._closed = False
        self.note(
            0,
            "began",
            at=call.began_at.isoformat(timespec="milliseconds"),
            host=call.host,
            agent=call.agent,
            bargein=version,
            transcripts=allowed.transcripts,
            must_hear=allowed.must_hear,
            keys=allowed.keys,
        )

    def write(self, entry: Event | Decision, about: Mapping[str, Any]) -> None:
        """Write an entry down, with what is known about it."""
        if self._closed:
            return
        self._entries += 1
        told = {"call": self._call.call_id, "n": self._entries, **about, **sizes(entry)}
        hidden = self._hide(entry)
        self._put(lambda: write(hidden, told), entry.at_ms)

    def overlap(self, at_ms: int, episode: Episode) -> None:
        """Write down what came of an overlap."""
        self.note(at_ms, "overlap", **summary(episode))

    def note(self, at_ms: int, what: str, **keys: Any) -> None:
        """Write a line of the journal's own."""
        if self._closed:
            return
        line = {
            "v": SCHEMA,
            "type": NOTE,
            "at_ms": at_ms,
            "what": what,
            "call": self._call.call_id,
            **keys,
        }
        self._put(lambda: one_line(line), at_ms)

    def close(self, at_ms: int) -> None:
        """No more lines; those that wait go out, and the sink is closed behind them."""
        if self._closed:
            return
        self._tell_missing(at_ms)
        self.note(at_ms, "ended", entries=self._entries, dropped=self._dropped)
        self._closed = True
        self._scribe.close(self._out)

    def _put(self, line: Callable[[], str], at_ms: int) -> None:
        self._out.note_loop()
        self._tell_missing(at_ms)
        if not self._scribe.put(self._out, line):
            self._missing += 1
            self._dropped += 1

    def _tell_missing(self, at_ms: int) -> None:
        if self._missing and self._scribe.has_room:
            missing, self._missing = self._missing, 0
            self.note(at_ms, "dropped", lines=missing)


class _Function:
    """A function as a sink."""

    def __init__(self, function: Callable[[str], object]) -> None:
        self._function = function

    def write(self, line: str) -> None:
        self._function(line)

    def close(self) -> None:
        pass

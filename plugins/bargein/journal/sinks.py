"""Where do a journal's lines go?"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from pathlib import Path
from typing import Protocol, TextIO

from .watcher import CallFacts


class JournalError(ValueError):
    """A journal that is set up in a way that cannot work."""


class Sink(Protocol):
    """Takes lines, in a thread of the journal's own. May block, and may raise."""

    def write(self, line: str) -> None: ...
    def close(self) -> None: ...


class RotatingFile:
    """A file that is set aside as ``name.1``, ``name.2`` ... before it grows too large.

    Within a process everybody who writes to one path shares its file; two processes must not: give
    each call its own, with ``{call}`` in the path. Only its owner may read it.
    """

    def __init__(self, path: Path, *, max_bytes: int, backups: int) -> None:
        """Open it at the first line; folders are made."""
        self._path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._file: TextIO | None = None
        self._bytes = 0
        self._lock = threading.Lock()
        self._users = 0

    @classmethod
    def shared(cls, path: Path, *, max_bytes: int, backups: int) -> RotatingFile:
        """The one file of that path in this process."""
        path = path.absolute()
        with _OPENING:
            one = _OPEN.get(path)
            if one is None:
                one = _OPEN[path] = cls(path, max_bytes=max_bytes, backups=backups)
            one._users += 1
        return one

    def write(self, line: str) -> None:
        """Append a line; whoever reads along sees it at once."""
        with self._lock:
            size = len(line.encode(errors="replace")) + 1
            if self._file is not None and self._bytes and self._bytes + size > self._max_bytes > 0:
                self._rotate()
            if self._file is None:
                self._open()
            assert self._file is not None
            self._file.write(line + "\n")
            self._file.flush()
            self._bytes += size

    def close(self) -> None:
        """One user less; the last one closes it."""
        with _OPENING:
            self._users -= 1
            if self._users > 0:
                return
            if _OPEN.get(self._path) is self:
                del _OPEN[self._path]
        with self._lock:
            self._shut()

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(  # noqa: SIM115
            self._path, "a", encoding="utf-8", errors="replace", opener=_private
        )
        self._bytes = os.fstat(self._file.fileno()).st_size
        if self._bytes >= self._max_bytes > 0:
            self._rotate()
            self._open()

    def _shut(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            # A full disk refuses the rest of a line a second time, and must not keep the file open.
            with contextlib.suppress(OSError):
                file.close()

    def _rotate(self) -> None:
        self._shut()
        for number in range(self._backups, 0, -1):
            older = self._numbered(number)
            newer = self._numbered(number - 1) if number > 1 else self._path
            if newer.exists():
                os.replace(newer, older)
        if self._backups == 0:
            self._path.unlink(missing_ok=True)

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


_OPENING = threading.Lock()
_OPEN: dict[Path, RotatingFile] = {}


def path_for(template: str, call: CallFacts) -> Path:
    """The file of one call. What in its id may not be in a file's name becomes a ``_``."""
    day = f"{call.began_at:%Y-%m-%d}"
    name = re.sub(r"[^\w.@+-]", "_", call.call_id) or "_"
    return Path(template.replace("{call}", name.lstrip(".") or "_").replace("{date}", day))


def checked(template: str) -> str:
    """A path with no other placeholders than there are.

    Raises:
        JournalError: it has others, or is empty.
    """
    unknown = set(re.findall(r"\{[^{}]*\}", template)) - {"{call}", "{date}"}
    if unknown or not template.strip():
        raise JournalError(
            f"a journal's path may have {{call}} and {{date}} in it, as in"
            f" 'calls/{{call}}.jsonl'; this one is {template!r}"
        )
    return template


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)

"""What does this process hold on to, while nobody is on the line?"""

import asyncio
import ctypes
import gc
import os
import re
import statistics
import sys
import tempfile
import threading
from collections.abc import Sequence
from itertools import combinations
from typing import Any

_IN_BLOCKS = re.compile(r"# bytes in allocated blocks\s+=\s+([\d,]+)")
_FIELDS = ("arena", "ordblks", "smblks", "hblks", "hblkhd")
_FIELDS += ("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")


class _Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in _FIELDS]


class Left:
    """What there is, counted."""

    def __init__(self) -> None:
        for _ in range(3):  # what is found dead may free what was held by it
            gc.collect()
        loop: Any = asyncio.get_running_loop()
        self.tasks = len(asyncio.all_tasks())
        self.timers = sum(not one.cancelled() for one in loop._scheduled)
        self.threads = threading.active_count()
        self.objects = len(gc.get_objects())
        opened = [_opened(one) for one in os.listdir("/proc/self/fd")]
        self.files = len(opened)
        self.sockets = sum(one.startswith("socket:") for one in opened)
        self.kib = _allocated() / 1024
        self.resident_kib = _resident_kib()

    def grown(self, since: "Left") -> dict[str, int]:
        """What there is more of, other than memory."""
        kinds = ("tasks", "timers", "threads", "files", "sockets")
        more = {kind: getattr(self, kind) - getattr(since, kind) for kind in kinds}
        return {kind: many for kind, many in more.items() if many > 0}


def slope(what: str, rests: Sequence[Left], calls: int) -> float:
    """How much of it is left of a call, the median over all pairs of rests.

    Args:
        what: an attribute of `Left`.
        rests: looked at one after the other.
        calls: how many there were from each to the next.
    """
    return statistics.median(
        (getattr(rests[there], what) - getattr(rests[here], what)) / (there - here) / calls
        for here, there in combinations(range(len(rests)), 2)
    )


def _opened(handle: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{handle}")
    except OSError:  # that of the listing itself
        return ""


def _allocated() -> int:
    """Bytes that are in use: Python's own small blocks, and what libraries have taken.

    Resident memory is no measure: it depends on which pages are left over, by more than a call is
    large. Tracing every allocation is, and takes five times as long as the calls themselves.
    """
    stats: Any = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if stats is None:
        return sys.getallocatedblocks() * 64
    stats.restype = _Mallinfo
    known = stats()
    return _in_small_blocks() + int(known.uordblks) + int(known.hblkhd)


def _in_small_blocks() -> int:
    kept = os.dup(2)
    with tempfile.TemporaryFile() as told:
        os.dup2(told.fileno(), 2)  # it can tell nobody else
        try:
            sys._debugmallocstats()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        told.seek(0)
        found = _IN_BLOCKS.search(told.read().decode())
    return int(found[1].replace(",", "")) if found else 0


def _resident_kib() -> float:
    trim: Any = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1024

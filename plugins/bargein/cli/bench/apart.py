"""How is something measured in a process of its own, where nothing else has left a mess?

What costs processor time or memory is: on the machine's own clock, on one core, with nothing
imported but what it needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import json
import logging
import os
import subprocess
import sys
from typing import Any

from .row import Row

LONGEST_S = 1_800


def apart(module: str, function: str, *args: Any) -> Any:
    """What a function of a module here returns, called over there; both must be plain values."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    asked = json.dumps([module, function, args])
    done = subprocess.run(
        [sys.executable, "-m", __name__, asked],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
    )
    if done.returncode:
        raise RuntimeError(f"{module}.{function}{args} failed:\n{done.stderr[-2_000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def rows_of(module: str, *args: Any) -> list[Row]:
    """The ``rows`` of a module here, measured over there."""
    return [Row.from_json(plain) for plain in apart(module, "rows", *args)]


def _main(module: str, function: str, args: list[Any]) -> Any:
    if hasattr(os, "sched_setaffinity"):  # one core, so that nobody moves in mid-call
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with contextlib.suppress(ImportError):
        importlib.import_module("loguru").logger.remove()
    for name in ("livekit", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    made = getattr(importlib.import_module(module, __package__), function)(*args)
    if inspect.iscoroutine(made):
        made = asyncio.run(made)
    return (
        [one.as_json() if isinstance(one, Row) else one for one in made]
        if isinstance(made, list)
        else made
    )


if __name__ == "__main__":
    print("\n" + json.dumps(_main(*json.loads(sys.argv[1]))))
    sys.stdout.flush()
    os._exit(0)  # a host's threads may outlive its calls

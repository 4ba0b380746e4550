"""Are the budgets kept, beside the host without us in the same run?"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec

from .report import as_json, table
from .row import Row

HOSTS = ("core", "pipecat", "livekit")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command understands."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--host",
        choices=HOSTS,
        default="pipecat",
        help="core: what a decision costs; pipecat (default), livekit: that, and whole calls",
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer repetitions: about a minute, more noise"
    )
    parser.add_argument(
        "--echo",
        type=int,
        nargs="?",
        const=50,
        metavar="CALLS",
        help="only how an agent on a loudspeaker hears, in so many calls a level (default: 50)",
    )
    parser.add_argument(
        "--cuts", type=int, default=60, help="in how many places the agent is cut (default: 60)"
    )


def run(args: argparse.Namespace) -> int:
    """Measure, print, and return 0: a figure depends on the machine, so none is a failure."""
    try:
        _prepare("pipecat" if args.echo is not None else args.host)
    except ImportError as error:
        print(f"bargein bench --host {args.host}: {error}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    measured = (
        _echoes(args.echo) if args.echo else measures(args.host, quick=args.quick, cuts=args.cuts)
    )
    for about, measure in measured:
        print(f"measuring {about} ...", file=sys.stderr, flush=True)
        rows += measure()
    if args.json:
        print(json.dumps(as_json(rows), indent=2))
    else:
        print(table(rows))
    return 0


def measures(
    host: str, *, quick: bool, cuts: int = 60
) -> Iterator[tuple[str, Callable[[], list[Row]]]]:
    """Each thing to measure: what it is about, and how; nothing is imported before its turn."""
    from . import thinking

    yield "what a decision costs", lambda: thinking.rows(quick=quick)
    if host == "core":
        return
    if host == "livekit":
        yield from _on_livekit(quick)
        return
    from . import cpu, heard, holding, memory, overlaps, resuming, samples

    yield "holds", lambda: asyncio.run(holding.rows(quick=quick))
    yield "samples", lambda: asyncio.run(samples.rows(quick=quick))
    if find_spec("espeakng_loader") is not None:  # of the demo extra: without it, no caller speaks
        yield "onsets", lambda: asyncio.run(_onsets(quick))
    yield "overlaps", lambda: asyncio.run(overlaps.rows(quick=quick))
    yield "what was heard", lambda: asyncio.run(heard.rows(quick=quick, count=cuts))
    yield "going on", lambda: asyncio.run(resuming.rows(quick=quick))
    yield "processor time", lambda: asyncio.run(cpu.rows(quick=quick))
    yield "memory", lambda: memory.rows(quick=quick)


def _echoes(calls: int) -> Iterator[tuple[str, Callable[[], list[Row]]]]:
    from . import echo

    for level_db in echo.LEVELS_DB:
        yield f"an echo at {level_db:g} dB", partial(echo.alone, level_db, calls)
    callers = max(1, calls * 2 // 5)
    yield "callers without an echo", lambda: echo.over(None, callers)
    for level_db in echo.LEVELS_DB:
        yield f"callers over it at {level_db:g} dB", partial(echo.over, level_db, callers)


async def _onsets(quick: bool) -> list[Row]:
    from . import onset

    return await onset.rows(quick=quick)


async def _interruptions(quick: bool) -> list[Row]:
    from .livekit import interruptions

    return await interruptions.rows(quick=quick)


def _prepare(host: str) -> None:
    """Import the host, and let it be quiet: the table is what there is to read."""
    if host == "pipecat":
        from loguru import logger

        logger.disable("pipecat")
        import bargein.pipecat
    elif host == "livekit":
        for name in ("livekit", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        import bargein.livekit  # noqa: F401


def _on_livekit(quick: bool) -> Iterator[tuple[str, Callable[[], list[Row]]]]:
    from .livekit import cpu, heard, holding, overlaps

    yield "holds", lambda: asyncio.run(holding.rows(quick=quick))
    yield "overlaps", lambda: asyncio.run(overlaps.rows(quick=quick))
    if find_spec("espeakng_loader") is not None:
        yield "interruptions", lambda: asyncio.run(_interruptions(quick))
    yield "what was heard", lambda: asyncio.run(heard.rows(quick=quick))
    yield "processor time", lambda: asyncio.run(cpu.rows(quick=quick))

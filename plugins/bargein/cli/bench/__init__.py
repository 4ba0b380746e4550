"""Are the budgets kept, beside the host without us in the same run?"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from .figures import missed_anew, read, tables
from .plan import HOSTS, Asked, installed, measures
from .report import as_json, table
from .row import Row


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command understands."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--host", choices=HOSTS, help="only this one (default: all that are here)")
    parser.add_argument(
        "--quick", action="store_true", help="fewer repetitions: a few minutes, more noise"
    )
    parser.add_argument(
        "--calls", action="store_true", help="also how many calls a core carries in real time"
    )
    parser.add_argument(
        "--long", action="store_true", help="also whole calls of three hours: half an hour more"
    )
    parser.add_argument(
        "--real-time",
        action="store_true",
        help="hold calls on the machine's clock; without it, what is computed takes no time there",
    )
    parser.add_argument(
        "--cuts", type=int, default=100, help="in how many places the agent is cut (default: 100)"
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
        "--check",
        type=Path,
        metavar="FIGURES",
        help="fail where a budget is missed that is kept in this JSON of an earlier run",
    )
    parser.add_argument(
        "--table",
        type=Path,
        metavar="FIGURES",
        help="measure nothing: print the JSON of an earlier run as tables in Markdown",
    )


def run(args: argparse.Namespace) -> int:
    """Measure and print. A figure depends on the machine: only ``--check`` makes one a failure."""
    if args.table is not None:
        print(tables(read(args.table)), end="")
        return 0
    before = None if args.check is None else read(args.check).rows
    hosts = [args.host] if args.host else installed()
    if args.echo:
        hosts = ["pipecat"]
    if not args.real_time and not args.echo:
        from bargein.testing import virtual_time  # noqa: F401, before any host
    try:
        for host in hosts:
            _prepare(host)
    except ImportError as error:
        print(f"bargein bench --host {host}: {error}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for about, measure in _echoes(args.echo) if args.echo else _measures(hosts, args):
        print(f"measuring {about} ...", file=sys.stderr, flush=True)
        rows += measure()
    print(json.dumps(as_json(rows), indent=2) if args.json else table(rows))
    anew = [] if before is None else missed_anew(rows, before)
    for row in anew:
        print(f"missed, and was not before: {row.host}: {row.name}", file=sys.stderr)
    return 1 if anew else 0


def _measures(
    hosts: list[str], args: argparse.Namespace
) -> Iterator[tuple[str, Callable[[], list[Row]]]]:
    asked = Asked(
        quick=args.quick,
        cuts=args.cuts,
        calls=args.calls,
        long=args.long,
        real_time=args.real_time,
    )
    for host in hosts:
        for one in measures(host, asked):
            yield f"{one.about} ({host})", one.rows


def _echoes(calls: int) -> Iterator[tuple[str, Callable[[], list[Row]]]]:
    from . import echo

    for level_db in echo.LEVELS_DB:
        yield f"an echo at {level_db:g} dB", partial(echo.alone, level_db, calls)
    callers = max(1, calls * 2 // 5)
    yield "callers without an echo", lambda: echo.over(None, callers)
    for level_db in echo.LEVELS_DB:
        yield f"callers over it at {level_db:g} dB", partial(echo.over, level_db, callers)


def _prepare(host: str) -> None:
    """Import the host, and let it be quiet: the table is what there is to read."""
    if host == "pipecat":
        from loguru import logger

        logger.disable("pipecat")
    elif host == "livekit":
        for name in ("livekit", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    if host != "core":
        importlib.import_module(f"bargein.{host}")

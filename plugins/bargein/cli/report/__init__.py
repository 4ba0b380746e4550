"""``bargein report``: what happened in a call that was written down, for somebody to look at?"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .page import Source, read, written


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "traces", metavar="TRACE", nargs="+", type=Path, help="a call's journal, one JSON a line"
    )
    parser.add_argument(
        "--audio",
        metavar="WAV",
        action="append",
        default=[],
        type=Path,
        help="its recording, agent left and caller right; once for each trace, in order"
        " (default: a WAV of the same name beside the trace, if there is one)",
    )
    parser.add_argument(
        "--audio-from-ms",
        metavar="MS",
        type=int,
        default=0,
        help="what the call's clock said when the recording began (default: 0)",
    )
    parser.add_argument("--title", default="", help="what is written above it")
    parser.add_argument(
        "-o", "--out", metavar="HTML", type=Path, default=Path("call.html"), help="where it goes"
    )


def run(args: argparse.Namespace) -> int:
    """Write the page; 2 where nothing could be read, or nothing be written."""
    if len(args.audio) > len(args.traces):
        print(
            f"bargein report: {len(args.audio)} --audio for {len(args.traces)} traces:"
            " give one for each at most",
            file=sys.stderr,
        )
        return 2
    audio = [*args.audio, *[None] * len(args.traces)]
    try:
        calls = [
            call
            for trace, wav in zip(args.traces, audio, strict=False)
            for call in read(Source(trace=trace, audio=wav, audio_from_ms=args.audio_from_ms))
        ]
    except ImportError as error:
        print(f"bargein report: {error}", file=sys.stderr)
        return 2
    for one in calls:
        for problem in one.problems:
            print(f"bargein report: {one.file}: {problem}", file=sys.stderr)
    if not any(one.lines for one in calls):
        return 2
    try:
        written(calls, args.out, title=args.title)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        print(f"bargein report: cannot write to {args.out}: {reason}", file=sys.stderr)
        return 2
    print(f"The call is in {args.out}: open it in a browser.")
    return 0

"""``bargein demo``: the same phone call, through the stock host and through ours. What is the
difference?"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import wave
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from bargein.cli.report.page import Source, read, written

from .host import HOSTS, OURS, Call, Host, host
from .measure import Heard, measured
from .show import Progress, table, verdict
from .talk import Took, talked
from .traced import Notes, traced


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--host", choices=HOSTS, default="pipecat", help="whose agent it is (default: pipecat)"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON, no table")
    parser.add_argument(
        "--out", metavar="DIR", default="bargein-demo", help="where the WAVs and the JSON go"
    )
    parser.add_argument("--only", choices=["ours", "stock"], help="leave the others out")
    parser.add_argument(
        "--stt",
        choices=["scripted", "pocketsphinx"],
        default="scripted",
        help="a recogniser that knows the script, or one that listens (default: scripted)",
    )
    parser.add_argument(
        "--fast",
        action="store_true",
        help="do not wait: on a clock of its own, where what this machine computes takes no time",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="show the host's log")


def run(args: argparse.Namespace) -> int:
    """Make the call, and show what came of it."""
    out = Path(args.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "demo.json").touch()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        print(f"bargein demo: cannot write to --out {args.out}: {reason}", file=sys.stderr)
        return 2
    held: Callable[..., tuple[dict[str, Took], dict[str, str]]] = asyncio.run
    if args.fast:
        from bargein.testing import virtual_time  # before the host

        held = virtual_time.run
    try:
        _log(args.host, verbose=args.verbose)
        on = host(args.host)
        if args.stt not in on.recognisers:
            print(
                f"bargein demo: --stt {args.stt} is not there for --host {args.host}:"
                f" choose from {', '.join(on.recognisers)}",
                file=sys.stderr,
            )
            return 2
        ways = {
            way: title
            for way, title in on.ways.items()
            if args.only is None or (way == OURS) == (args.only == OURS)
        }
        took, traces = held(_calls(on, ways, args.stt, quiet=args.json))
    except ImportError as error:
        missing = str(error)
        if "pip install" not in missing:
            missing += ': pip install "bargein[demo]"'
        print(f"bargein demo: {missing}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    heard = {way: measured(one) for way, one in took.items()}
    for way, one in took.items():
        _write_wav(out / f"{way}.wav", one)
        (out / f"{way}.jsonl").write_text(traces[way], "utf-8")
    files = [Source(trace=out / f"{way}.jsonl", title=ways[way]) for way in took]
    written(
        [call for one in files for call in read(one)],
        out / "report.html",
        title=f"One call on {on.title}",
    )
    report = {
        "host": args.host,
        "calls": {way: one.as_json() for way, one in heard.items()},
        "stt": args.stt,
    }
    text = json.dumps(report, indent=2, ensure_ascii=False)
    (out / "demo.json").write_text(text + "\n", "utf-8")
    if args.json:
        print(text)
    else:
        _show(heard, ways, out)
    return 0


def _log(name: str, *, verbose: bool) -> None:
    """The host's log is not what there is to read, unless somebody wants to."""
    if name == "livekit":
        if verbose:
            logging.basicConfig(level=logging.INFO)
        else:
            for one in ("livekit", "asyncio"):
                logging.getLogger(one).setLevel(logging.CRITICAL)
    elif verbose:
        from loguru import logger

        logger.add(sys.stderr, level="INFO")


async def _calls(
    on: Host, ways: dict[str, str], stt: str, *, quiet: bool
) -> tuple[dict[str, Took], dict[str, str]]:
    """All calls at the same time, on the same caller audio; and what each wrote down."""
    with Progress(ways, quiet=quiet) as progress:
        calls: dict[str, Call] = {way: on.build(way, stt) for way in ways}
        notes = {way: Notes(call.manners) for way, call in calls.items()}
        took = await asyncio.gather(
            *(talked(call, partial(progress.says, way)) for way, call in calls.items())
        )
    by_way = dict(zip(ways, took, strict=True))
    return by_way, {way: traced(one, notes[way]) for way, one in by_way.items()}


def _show(heard: dict[str, Heard], titles: dict[str, str], out: Path) -> None:
    table(heard, titles)
    print(verdict(heard, titles))
    print(f"See and hear it side by side: {out / 'report.html'}")
    print(f"Listen, the agent on the left and the caller on the right, in {out}:")
    print("  " + "  ".join(f"{way}.wav" for way in heard))
    if OURS in heard and len(heard) > 1:
        print("At the first uh-huh the stock agent stops dead; ours lowers its voice and goes on.")
        print(
            'At "please go on" the stock agent starts over; ours goes on where it was interrupted.'
        )


def _write_wav(path: Path, took: Took) -> None:
    """The agent on the left, the caller on the right, 24 kHz."""
    rate = took.call.rate
    left = took.call.recording(took.began_s, took.ended_s)
    right = np.zeros(len(left), dtype=np.int16)
    for began_s, clip in took.call.spoken:
        count = round(len(clip) * rate / 16000)
        grid = np.linspace(0, len(clip) - 1, count)
        voice = np.interp(grid, np.arange(len(clip)), clip).astype(np.int16)
        start = max(0, round((began_s - took.began_s) * rate))
        piece = voice[: max(0, len(right) - start)]
        right[start : start + len(piece)] = piece
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.column_stack([left, right]).astype("<i2").tobytes())

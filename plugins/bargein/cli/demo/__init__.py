"""``bargein demo``: the same phone call, three ways. What is the difference?"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import wave
from functools import partial
from pathlib import Path

import numpy as np
from loguru import logger

from .measure import Heard, measured
from .show import Progress, table, verdict
from .talk import PHRASES, WAYS, Took, Way, clips, offline_call, talked


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
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
    parser.add_argument("-v", "--verbose", action="store_true", help="show the host's log")


def run(args: argparse.Namespace) -> int:
    """Make the call, and show what came of it."""
    if args.verbose:
        logger.add(sys.stderr, level="INFO")
    out = Path(args.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "demo.json").touch()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        print(f"bargein demo: cannot write to --out {args.out}: {reason}", file=sys.stderr)
        return 2
    ways = [way for way in WAYS if args.only is None or (way == "ours") == (args.only == "ours")]
    try:
        took = asyncio.run(_calls(ways, args.stt, quiet=args.json))
    except ImportError as error:
        print(f"bargein demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    heard = {way: measured(one) for way, one in took.items()}
    for way, one in took.items():
        _write_wav(out / f"{way}.wav", one)
    report = {"calls": {way: one.as_json() for way, one in heard.items()}, "stt": args.stt}
    text = json.dumps(report, indent=2, ensure_ascii=False)
    (out / "demo.json").write_text(text + "\n", "utf-8")
    if args.json:
        print(text)
    else:
        _show(heard, out)
    return 0


async def _calls(ways: list[Way], stt: str, *, quiet: bool) -> dict[Way, Took]:
    """All calls at the same time, on the same caller audio."""
    with Progress(ways, quiet=quiet) as progress:
        calls = {}
        for way in ways:
            ear = None
            if stt == "pocketsphinx":
                from bargein.testing.caller import PocketSTT

                ear = PocketSTT(PHRASES)
                for clip in clips().values():
                    ear.recognised(clip.pcm)  # fresh, it does not know the line's level yet
            calls[way] = offline_call().build(way, stt=ear)
        took = await asyncio.gather(
            *(talked(call, partial(progress.says, way)) for way, call in calls.items())
        )
    return dict(zip(ways, took, strict=True))


def _show(heard: dict[Way, Heard], out: Path) -> None:
    table(heard)
    print(verdict(heard))
    print(f"Listen, the agent on the left and the caller on the right, in {out}:")
    print("  " + "  ".join(f"{way}.wav" for way in heard))
    if "ours" in heard and len(heard) > 1:
        print("At the first uh-huh the stock agent stops dead; ours lowers its voice and goes on.")
        print(
            'At "please go on" the stock agent starts over; ours goes on where it was interrupted.'
        )


def _write_wav(path: Path, took: Took) -> None:
    """The agent on the left, the caller on the right, 24 kHz."""
    rate = took.call.output.rate
    left = took.call.output.recording(took.began_s, took.ended_s)
    right = np.zeros(len(left), dtype=np.int16)
    for began_s, clip in took.call.caller.spoken:
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

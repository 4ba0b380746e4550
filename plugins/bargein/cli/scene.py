"""What would this call be as a scene?"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bargein.core.trace import TraceError, read_all
from bargein.testing.scene import OPTIONS, unparse
from bargein.testing.traced import scene_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command understands."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "A scene's agent takes 300 ms for every word, and the call's did not: look through the\n"
        "times behind =>, then: bargein play FILE.scene"
    )
    parser.add_argument("file", type=Path, metavar="TRACE", help="one JSON object a line")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="how it was played, such as preset=patient or resume=verbatim; may be given again",
    )


def run(args: argparse.Namespace) -> int:
    """Print the scene, and return 0; 2 for what cannot be read."""
    try:
        options = dict(_option(one) for one in args.option)
        with args.file.open(encoding="utf-8") as lines:
            scene = scene_of(read_all(lines), name=args.file.stem, options=options)
    except (OSError, TraceError, ValueError) as error:
        print(f"bargein scene: {error}", file=sys.stderr)
        return 2
    if not scene.lines:
        print(f"bargein scene: {args.file}: nobody says anything", file=sys.stderr)
        return 2
    print(f"# {args.file.stem}\n{unparse(scene)}", end="")
    return 0


def _option(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or name not in OPTIONS:
        raise ValueError(f"--option {text!r} is not NAME=VALUE with one of {', '.join(OPTIONS)}")
    return name, value

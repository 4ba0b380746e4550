"""``bargein``: what can be done from the command line?"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import sys
from collections.abc import Sequence

COMMANDS = {
    "demo": "one phone call through the stock host and through ours, to hear and to read",
    "report": "a page of a call that was written down: what was said, decided, and why",
    "play": "scenes, on the core, on a host or with an agent of your own",
    "scene": "a call's trace as a scene",
    "eval": "how well the judgement reads labelled calls of your own",
    "bench": "every budget, measured beside the stock host in the same run",
}
"""Each is a module here with ``add_arguments(parser)`` and ``run(args) -> int``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # callers say what no code page can
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="bargein", description="Good manners for voice agents when people talk over them."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    wanted = arguments[0] if arguments else ""
    for name, what in COMMANDS.items():
        command = commands.add_parser(name, help=what, description=what)
        if name == wanted:
            # Only the command that is asked for is imported: the others' extras may be missing.
            _hush()
            try:
                module = importlib.import_module(f".{name}", __package__)
            except ImportError as error:
                print(f"bargein {name}: {_sentence(error)}", file=sys.stderr)
                return 2
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    args = parser.parse_args(arguments)
    status: int = args.run(args)
    return status


def _hush() -> None:
    """The host greets on standard error as soon as it is imported."""
    with contextlib.suppress(ImportError):
        importlib.import_module("loguru").logger.remove()


def _sentence(error: ImportError) -> str:
    if "pip install" in str(error):
        return str(error)
    return f'{error}: pip install "bargein[demo]"'

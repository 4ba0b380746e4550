"""How well does the judgement read these calls?"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from bargein.language import LanguageError, load_language

from .figures import confusions, figures
from .items import DAY_S, Item, ItemError, load
from .peers import PEERS
from .replay import Outcome, Replay, replay
from .show import table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command understands."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "FILE holds one JSON object a line: words (a list, or text), label (backchannel,\n"
        "floor_taking or answer), agent_prev_text (what the agent had just said); where known\n"
        "word_end_s, floor_onset_word, user_text_punct, truncated, lang, kind, sets, id.\n"
        "Every item is replayed as growing prefixes, 0.3 s a word where it has no times."
    )
    parser.add_argument("file", type=Path, metavar="FILE.jsonl")
    parser.add_argument("--set", metavar="S", help="only items whose sets name this one")
    parser.add_argument(
        "--language",
        metavar="L",
        help="read in this language; items of another one are left out (default: each in its own,"
        " English where it names none)",
    )
    parser.add_argument("--punct", action="store_true", help="replay the punctuated text")
    parser.add_argument(
        "--drop-fillers", action="store_true", help="as a recogniser that leaves out um and uh"
    )
    parser.add_argument(
        "--stt-delay",
        type=_seconds,
        default=0.0,
        metavar="S",
        help="words come so many seconds late",
    )
    parser.add_argument(
        "--endpoint", type=_seconds, default=0.3, metavar="S", help="the final, after the last word"
    )
    parser.add_argument(
        "--confusions", action="store_true", help="list every item that went wrong, with the reason"
    )
    parser.add_argument(
        "--beside", action="store_true", help="beside word counts and word lists, as others ship"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Replay, print, and return 0; 2 for a file that cannot be read."""
    how = Replay(
        punct=args.punct,
        drop_fillers=args.drop_fillers,
        stt_delay_s=args.stt_delay,
        endpoint_s=args.endpoint,
    )
    try:
        items = [item for item in load(args.file) if args.set is None or args.set in item.sets]
        if args.language is not None:
            load_language(args.language)  # what is wrong with it is no line's fault
            items = _in_language(items, args.language)
        if not items:
            raise ItemError(f"{args.file} holds no item for these options")
        outcomes = [_replayed(item, how) for item in items]
    except (ItemError, LanguageError, OSError) as error:
        print(f"bargein eval: {error}", file=sys.stderr)
        return 2
    found = figures(items, outcomes)
    wrong = confusions(items, outcomes) if args.confusions else []
    beside = {}
    if args.beside:
        beside = {"bargein": found} | {
            name: figures(items, [replay(item, how, stops) for item in items])
            for name, stops in PEERS.items()
        }
    if args.json:
        more: dict[str, Any] = {"beside": beside} if beside else {}
        more |= {"confusions": wrong} if args.confusions else {}
        print(json.dumps(found | more, indent=1))
    else:
        print(table(found, wrong, beside))
    return 0


def _replayed(item: Item, how: Replay) -> Outcome:
    try:
        return replay(item, how)
    except LanguageError as error:
        raise ItemError(f"{item.where}: {error}") from error


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= float(text) <= DAY_S:
            return float(text)
    raise argparse.ArgumentTypeError(f"must be seconds from 0 to {DAY_S}, not {text!r}")


def _in_language(items: list[Item], language: str) -> list[Item]:
    wanted = language.lower().split("+")
    return [
        replace(item, lang=language)
        for item in items
        if not item.lang or item.lang.lower().split("-")[0] in wanted or item.lang == language
    ]

"""Do these scenes play as they are written? On the core, on a host, or with your own agent."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bargein.testing import Scene, SceneError, load, matches, play, virtual_time, written
from bargein.testing.rules import rules_of
from bargein.testing.stage import Played

HOSTS = ("core", "pipecat", "livekit")
MARKS = {"ok": "ok  ", "failed": "FAIL", "skipped": "skip", "stalled": "????"}
STALLED_MS = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of a scene."""

    scene: str
    title: str
    state: str
    """``ok``, ``failed``, ``skipped``, or ``stalled``: in real time, the machine stood still."""
    why: str = ""
    decided: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()
    told: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command understands."""
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="scenes, or folders")
    parser.add_argument("--on", choices=HOSTS, default="core", help="where (default: core)")
    parser.add_argument(
        "--agent",
        metavar="MODULE:FACTORY",
        help="with your own agent on that host: what is heard is judged",
    )
    parser.add_argument(
        "--real-time",
        action="store_true",
        help="for an agent whose services are outside of this process",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")


def run(args: argparse.Namespace) -> int:
    """Play, print, and return 0; 1 where a scene failed, 2 for what cannot be read."""
    try:
        if args.agent and args.on == "core":
            raise ValueError("--agent needs a host: --on pipecat, or --on livekit")
        if args.real_time and not args.agent:
            raise ValueError("--real-time is for --agent: a scene plays the same without")
        scenes = [load(path) for path in _files(args.files)]
        verdicts = _verdicts(scenes, args)
    except (SceneError, OSError, ValueError, ImportError, AttributeError) as error:
        print(f"bargein play: {error}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps([asdict(one) for one in verdicts], ensure_ascii=False, indent=2))
    else:
        for one in verdicts:
            _show(one)
    return int(any(one.state == "failed" for one in verdicts))


def _files(given: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in given:
        found += sorted(path.rglob("*.scene")) if path.is_dir() else [path]
    if not found:
        raise ValueError(f"no *.scene in {', '.join(map(str, given))}")
    return found


def _verdicts(scenes: list[Scene], args: argparse.Namespace) -> list[Verdict]:
    if args.agent:
        run = asyncio.run if args.real_time else virtual_time.run
        return run(_with(scenes, _agent(args.agent, args.on)))
    if args.on == "core":
        return [_on_the_core(scene) for scene in scenes]
    player = importlib.import_module(f"bargein.testing.{args.on}_player")
    return [_on_a_host(scene, player, args.on) for scene in scenes]


def _on_the_core(scene: Scene) -> Verdict:
    decided = tuple(written(decision) for decision in play(scene, rules_of(scene)))
    expected = tuple(scene.expects())
    agree = len(decided) == len(expected) and all(map(matches, decided, expected))
    return _verdict(scene, decided, expected, agree)


def _on_a_host(scene: Scene, player: Any, host: str) -> Verdict:
    if why := scene.cannot_play_on(host):
        return Verdict(scene=scene.name, title=scene.title, state="skipped", why=why)
    played: Played = virtual_time.run(player.play(scene))
    decided = tuple(written(decision) for decision in played.decisions)
    expected = tuple(scene.expects())
    same = [_untimed(one) for one in decided] == [_untimed(one) for one in expected]
    late = same and any(
        abs(one.at_ms - _at(other)) > scene.tolerance_ms
        for one, other in zip(played.decisions, expected, strict=True)
    )
    return _verdict(scene, decided, expected, same and not late)


def _verdict(
    scene: Scene, decided: tuple[str, ...], expected: tuple[str, ...], agree: bool
) -> Verdict:
    return Verdict(
        scene=scene.name,
        title=scene.title,
        state="ok" if agree else "failed",
        why="" if agree else "something else was decided",
        decided=decided,
        expected=expected,
    )


def _untimed(line: str) -> str:
    return line.partition(" ")[2].partition(" | heard")[0]


def _at(line: str) -> int:
    return int(line.partition(" ")[0])


def _agent(name: str, host: str) -> Any:
    """The agent that ``module:factory`` names; a module may be one beside us."""
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ValueError(f"--agent {name!r} is not MODULE:FACTORY, such as mybot:bot")
    sys.path.insert(0, os.getcwd())
    factory = getattr(importlib.import_module(module), attribute)
    kit = importlib.import_module(f"bargein.testing.calls.{host}")
    kind = kit.PipecatAgent if host == "pipecat" else kit.LiveKitAgent
    return factory if isinstance(factory, kind) else kind(factory)


async def _with(scenes: list[Scene], agent: Any) -> list[Verdict]:
    from bargein.testing import ScriptError
    from bargein.testing.calls.acted import act

    verdicts = []
    for scene in scenes:
        try:
            acted = await act(agent, scene)
        except ScriptError as error:
            verdicts.append(
                Verdict(scene=scene.name, title=scene.title, state="skipped", why=str(error))
            )
            continue
        stalled = max((lasts_s * 1000 for _, lasts_s in acted.call.stalls), default=0.0)
        state = "failed" if acted.problems else "ok"
        if acted.problems and stalled > STALLED_MS:
            state = "stalled"
        verdicts.append(
            Verdict(
                scene=scene.name,
                title=scene.title,
                state=state,
                why="; ".join(acted.problems),
                expected=tuple(scene.expects()),
                told=acted.call.timeline(),
            )
        )
    return verdicts


def _show(one: Verdict) -> None:
    print(f"{MARKS[one.state]} {one.scene}: {one.title}" + (f" ({one.why})" if one.why else ""))
    if one.state != "failed":
        return
    if one.told:
        print("\n".join(f"       {line}" for line in one.told.splitlines()))
        return
    for name, lines in (("expected", one.expected), ("decided", one.decided)):
        print(f"     {name}:")
        print("\n".join(f"       {line}" for line in lines) or "       nothing")

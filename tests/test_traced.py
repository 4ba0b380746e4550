"""A trace is a scene: read back, it is decided as the call was. And drawn scenes are plausible."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings

from bargein.core import trace
from bargein.core.decisions import Decision
from bargein.testing import Scene, load, parse, play, written
from bargein.testing.core_player import play_traced
from bargein.testing.rules import rules_of
from bargein.testing.scene import unparse
from bargein.testing.strategies import scenes
from bargein.testing.traced import scene_of

ROOT = Path(__file__).parents[1]
FILES = sorted((Path(__file__).parent / "scenes").glob("*.scene"))
SCENES = [
    scene
    for scene in map(load, FILES)
    # What another call's store says is in no trace of this one's.
    if not any(line.who in ("call", "crash", "reply") for line in scene.lines)
]


def traced(scene: Scene) -> tuple[list[str], list[Decision]]:
    """A call's own trace, and what was decided in it."""
    entries = play_traced(scene, rules_of(scene))
    return [trace.write(entry) for entry in entries], play(scene, rules_of(scene))


@pytest.mark.parametrize("scene", SCENES, ids=[scene.name for scene in SCENES])
def test_a_trace_read_back_is_decided_the_same(scene: Scene) -> None:
    lines, decisions = traced(scene)
    again = parse(unparse(scene_of(trace.read_all(lines), options=scene.options)))
    decided = [written(one) for one in play(again, rules_of(again))]
    assert decided == [written(one) for one in decisions]
    assert len(again.expected) == len(decisions)


@settings(max_examples=40)
@given(scenes())
def test_a_drawn_scene_can_be_written_and_played(scene: Scene) -> None:
    again = parse(unparse(scene), scene.name)
    assert [(one.at_ms, one.who, one.what) for one in again.lines] == [
        (one.at_ms, one.who, one.what) for one in scene.lines
    ]
    spoken = [line.at_ms for line in scene.lines if line.who == "user"]
    assert spoken
    decided = play(again, rules_of(again))
    assert all(one.at_ms >= 0 for one in decided)


def bargein(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bargein", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        env={"PYTHONPATH": "plugins"},
        check=False,
    )


def test_from_a_trace_to_a_scene_that_plays_on_the_command_line(tmp_path: Path) -> None:
    lines, _ = traced(load(ROOT / "tests/scenes/yeah_but.scene"))
    (tmp_path / "call.jsonl").write_text("\n".join(lines))
    made = bargein("scene", str(tmp_path / "call.jsonl"))
    assert (made.returncode, made.stderr) == (0, "")
    (tmp_path / "call.scene").write_text(made.stdout)
    played = bargein("play", str(tmp_path / "call.scene"))
    assert (played.returncode, played.stdout) == (0, "ok   call.scene: call\n")


def test_a_scene_that_is_decided_otherwise_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "no.scene"
    file.write_text("# He objects.\n0 agent One two three four.\n600 user\n700 => HoldFloor: x\n")
    played = bargein("play", str(file))
    assert played.returncode == 1
    assert "FAIL no.scene: He objects. (something else was decided)" in played.stdout
    assert "600 DuckPlayout: overlap began" in played.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["play", "nowhere.scene"], "No such file"),
        (["play", "tests/scenes", "--agent", "mybot:bot"], "--agent needs a host"),
        (["play", "tests/scenes", "--on", "pipecat", "--agent", "mybot"], "not MODULE:FACTORY"),
        (["scene", "README.md"], "line 1: not a line of a trace"),
        (["scene", "README.md", "--option", "speed=3"], "is not NAME=VALUE with one of"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(arguments: list[str], sentence: str) -> None:
    ran = bargein(*arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert sentence in ran.stderr
    assert len(ran.stderr.splitlines()) == 1

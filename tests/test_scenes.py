"""Every scene decides the same on the core and on a real Pipecat pipeline."""

import asyncio
from pathlib import Path

import pytest

from bargein.core.decisions import Decision
from bargein.testing import Scene, load, matches, play, written
from bargein.testing.pipecat_player import Played, play_all
from bargein.testing.rules import rules_of

SCENES = [load(path) for path in sorted((Path(__file__).parent / "scenes").glob("*.scene"))]
NAMES = [scene.name.removesuffix(".scene") for scene in SCENES]


def without_times(decisions: list[Decision]) -> list[str]:
    return [written(d).partition(" ")[2].partition(" | heard")[0] for d in decisions]


@pytest.fixture(scope="session")
def on_pipecat() -> dict[str, Played]:
    """All scenes, played side by side in real time."""
    return asyncio.run(play_all(SCENES))


@pytest.mark.parametrize("scene", SCENES, ids=NAMES)
def test_on_the_core(scene: Scene) -> None:
    decided = [written(decision) for decision in play(scene, rules_of(scene))]
    expected = scene.expects()
    agree = len(decided) == len(expected) and all(map(matches, decided, expected))
    assert agree, f"{scene.title}\ndecided:\n" + "\n".join(decided)


@pytest.mark.parametrize("scene", SCENES, ids=NAMES)
def test_on_pipecat(scene: Scene, on_pipecat: dict[str, Played]) -> None:
    played = on_pipecat[scene.name]
    expected = play(scene, rules_of(scene))
    assert without_times(played.decisions) == without_times(expected)
    # What the scene allows, and however long this machine kept the scene's own script waiting.
    allowed_ms = scene.tolerance_ms + played.late_ms
    late = [
        f"{written(here)}, expected at {there.at_ms}"
        for here, there in zip(played.decisions, expected, strict=True)
        if abs(here.at_ms - there.at_ms) > allowed_ms
    ]
    assert late == []


@pytest.mark.parametrize("scene", SCENES, ids=NAMES)
def test_final_words_end_in_one_place_on_pipecat(
    scene: Scene, on_pipecat: dict[str, Played]
) -> None:
    played = on_pipecat[scene.name]
    turns = " ".join(m["content"] for m in played.context[1:] if m["role"] == "user")
    for line in scene.lines:
        if line.who == "asr":
            reported = [d for d in written_all(played.decisions) if "ReportBackchannel" in d]
            places = turns.count(line.what) + sum(f'"{line.what}"' in d for d in reported)
            assert places == 1, (line.what, turns, reported)


def written_all(decisions: list[Decision]) -> list[str]:
    return [written(decision) for decision in decisions]

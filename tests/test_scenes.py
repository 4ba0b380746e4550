"""Every scene decides the same on the core, on a real Pipecat pipeline and in a LiveKit session."""

import asyncio
from pathlib import Path

import pytest

from bargein.core.decisions import Decision
from bargein.testing import Scene, load, matches, play, written
from bargein.testing.rules import rules_of
from bargein.testing.stage import Played

SCENES = [load(path) for path in sorted((Path(__file__).parent / "scenes").glob("*.scene"))]
NAMES = [scene.name.removesuffix(".scene") for scene in SCENES]


def without_times(decisions: list[Decision]) -> list[str]:
    return [written(d).partition(" ")[2].partition(" | heard")[0] for d in decisions]


@pytest.fixture(scope="session")
def on_pipecat() -> dict[str, Played]:
    """All scenes, played side by side in real time."""
    from bargein.testing import pipecat_player  # here: it may be that only one host is installed

    return asyncio.run(pipecat_player.play_all(SCENES))


@pytest.fixture(scope="session")
def on_livekit() -> dict[str, Played]:
    """The same on the other host."""
    from bargein.testing import livekit_player

    scenes = [scene for scene in SCENES if not scene.cannot_play_on("livekit")]
    return asyncio.run(livekit_player.play_all(scenes))


@pytest.fixture(params=["pipecat", "livekit"])
def played(request: pytest.FixtureRequest, scene: Scene) -> Played:
    """The scene on each host."""
    if reason := scene.cannot_play_on(request.param):
        pytest.skip(reason)
    all_played: dict[str, Played] = request.getfixturevalue(f"on_{request.param}")
    return all_played[scene.name]


@pytest.mark.parametrize("scene", SCENES, ids=NAMES)
def test_on_the_core(scene: Scene) -> None:
    decided = [written(decision) for decision in play(scene, rules_of(scene))]
    expected = scene.expects()
    agree = len(decided) == len(expected) and all(map(matches, decided, expected))
    assert agree, f"{scene.title}\ndecided:\n" + "\n".join(decided)


@pytest.mark.parametrize("scene", SCENES, ids=NAMES)
def test_on_a_host(scene: Scene, played: Played) -> None:
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
def test_final_words_end_in_one_place(scene: Scene, played: Played) -> None:
    turns = " ".join(m["content"] for m in played.context if m["role"] == "user")
    for line in scene.lines:
        if line.who == "asr":
            reported = [d for d in written_all(played.decisions) if "ReportBackchannel" in d]
            places = turns.count(line.what) + sum(f'"{line.what}"' in d for d in reported)
            assert places == 1, (line.what, turns, reported)


def written_all(decisions: list[Decision]) -> list[str]:
    return [written(decision) for decision in decisions]

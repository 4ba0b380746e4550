"""Every scene decides the same on the core, on a real Pipecat pipeline and in a LiveKit session."""

from functools import partial
from pathlib import Path

import pytest

from bargein.core.decisions import Decision
from bargein.testing import Scene, load, matches, play, written
from bargein.testing.rules import rules_of
from bargein.testing.stage import Played
from held import Held

SCENES = [load(path) for path in sorted((Path(__file__).parent / "scenes").glob("*.scene"))]
NAMES = [scene.name.removesuffix(".scene") for scene in SCENES]


def without_times(decisions: list[Decision]) -> list[str]:
    return [written(d).partition(" ")[2].partition(" | heard")[0] for d in decisions]


@pytest.fixture(scope="session")
def on_pipecat() -> Held[Played]:
    """Each scene on a real pipeline."""
    from bargein.testing import pipecat_player  # here: it may be that only one host is installed

    return Held({scene.name: partial(pipecat_player.play, scene) for scene in SCENES})


@pytest.fixture(scope="session")
def on_livekit() -> Held[Played]:
    """The same on the other host."""
    from bargein.testing import livekit_player

    return Held({scene.name: partial(livekit_player.play, scene) for scene in SCENES})


@pytest.fixture(params=["pipecat", "livekit"])
def played(request: pytest.FixtureRequest, scene: Scene) -> Played:
    """The scene on each host."""
    if reason := scene.cannot_play_on(request.param):
        pytest.skip(reason)
    all_played: Held[Played] = request.getfixturevalue(f"on_{request.param}")
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
    late = [
        f"{written(here)}, expected at {there.at_ms}"
        for here, there in zip(played.decisions, expected, strict=True)
        if abs(here.at_ms - there.at_ms) > scene.tolerance_ms
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

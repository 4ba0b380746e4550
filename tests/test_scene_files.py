"""A scene with a typo says where, and what to write instead."""

from pathlib import Path

import pytest

from bargein.testing import SceneError, load, parse
from bargein.testing.scene import unparse


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("", "demo: nobody says anything; expected a line, as in '900 user'"),
        (
            "0 agent Hello.\nsoon user",
            r"demo:2:1: 'soon user' is not TIME WHO WHAT; expected a time",
        ),
        ("0 agent Hello.\n  90", r"demo:2:5: '90' is not TIME WHO WHAT; expected who"),
        ("0 agent Hello.\n10 usr", r"demo:2:4: nobody is called 'usr'; expected one of agent, "),
        ("0 agent", r"demo:1:8: 'agent' needs a text behind it; expected a text, as in '0 agent"),
        ("10 asr yes\n5 asr no", r"demo:2:1: 5 ms comes after 10 ms; expected 10 or later"),
        ("@speed 3\n0 agent Hello.", r"demo:1:2: no option 'speed'; expected one of tolerance"),
        ("0 agent Hi.\n5 score much", r"demo:2:9: 'much' is no score; expected a probability"),
        (
            "0 agent Hi.\n" + "9" * 5_000 + " user",
            r"demo:2:1: '9+' is not TIME .*; expected a time",
        ),
        ("@tolerance much\n0 agent Hi.", r"demo:1:12: 'much' is no number of milliseconds;"),
        ("0 agent Hi.\n5 => yield", r"demo:2:6: 'yield' is no decision; expected a decision"),
    ],
)
def test_a_typo_is_named(script: str, says: str) -> None:
    with pytest.raises(SceneError, match=says):
        parse(script, "demo")


def test_a_scene_reads_as_it_is_written() -> None:
    scene = parse(
        "# A title.\n@tolerance 90\n0 agent Hi there.  # aside\n5 user\n5 => DuckPlayout: x"
    )
    assert (scene.title, scene.tolerance_ms) == ("A title.", 90)
    assert [(line.at_ms, line.who, line.what) for line in scene.lines] == [
        (0, "agent", "Hi there."),
        (5, "user", ""),
    ]
    assert scene.expects() == ["5 DuckPlayout: x"]


@pytest.mark.parametrize("path", sorted((Path(__file__).parent / "scenes").glob("*.scene")))
def test_every_scene_can_be_written_down_again(path: Path) -> None:
    scene = load(path)
    again = parse(unparse(scene), path.name)
    plain = [(line.at_ms, line.who, line.what, line.language) for line in scene.lines]
    assert [(line.at_ms, line.who, line.what, line.language) for line in again.lines] == plain
    assert (again.title, again.options) == (scene.title, scene.options)
    assert again.expects() == scene.expects()

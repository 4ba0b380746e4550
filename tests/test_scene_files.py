"""A scene with a typo says where, and what to write instead."""

import pytest

from bargein.testing import SceneError, parse


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("", "nobody says anything"),
        ("0 agent Hello.\nsoon user", r"demo:2: 'soon user' is not TIME WHO WHAT"),
        ("0 agent Hello.\n10 usr", r"demo:2: nobody is called 'usr'; there are agent, "),
        ("0 agent", r"demo:1: 'agent' needs a text behind it"),
        ("10 asr yes\n5 asr no", r"demo:2: 5 ms comes after 10 ms"),
        ("@speed 3\n0 agent Hello.", r"demo:1: no option 'speed'; there are tolerance"),
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

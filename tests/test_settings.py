"""Do settings from a file reach the call, and is a mistake in one told in a sentence?"""

from pathlib import Path
from typing import Any

import pytest

from bargein import MONEY, PRESETS
from bargein.settings import SettingsError, settings

RULES = Path(__file__).parents[1] / "pipelines" / "rules"
SHIPPED = sorted(RULES.glob("*.toml"))


def written(folder: Path, text: str) -> Path:
    path = folder / "shop.toml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
@pytest.mark.parametrize("host", ["pipecat", "livekit"])
def test_the_rules_that_ship_make_a_call_on_either_host(path: Path, host: str) -> None:
    package = pytest.importorskip(f"bargein.{host}")
    manners = package.Bargein.from_toml(path)
    assert manners.floor == "open"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_number_that_ships_has_a_sentence(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    settings_at = [place for place, line in enumerate(lines) if "=" in line and line[0] != "#"]
    bare = [
        lines[place]
        for place in settings_at
        if not lines[place - 1].startswith("# ")
        and not lines[place].startswith(("language", "base"))
    ]
    assert bare == []


def test_there_is_a_clinic_a_sales_line_and_a_kiosk() -> None:
    assert [path.stem for path in SHIPPED] == ["clinic", "kiosk", "sales"]


def test_numbers_of_a_preset_stand_on_those_of_another(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        'must_hear_patterns = ["money", "gate [a-z]"]\n'
        '[preset]\nbase = "eager"\nmax_hold_ms = 1234\nyield_below = "off"\n',
    )
    read = settings(path)
    preset, eager = read["preset"], PRESETS["eager"]
    assert (preset.max_hold_ms, preset.yield_below) == (1234, None)
    assert (preset.settle_ms, preset.pause_after_ms) == (eager.settle_ms, eager.pause_after_ms)
    money, gate = read["must_hear_patterns"]
    assert money is MONEY
    assert gate.search("at gate b")


async def test_what_a_file_says_is_what_a_call_does(tmp_path: Path) -> None:
    pytest.importorskip("bargein.pipecat")
    from bargein.pipecat import Bargein
    from rig import Rig

    path = written(tmp_path, 'ignore = ["nothing much"]\nresume = "off"\ninterruptible = true\n')

    async def script(rig: Rig) -> None:
        await rig.agent()
        await rig.voice(True)
        await rig.hears("nothing much")
        await rig.voice(False)
        await rig.until(lambda: rig.manners.floor == "open" and not rig.manners.busy)

    rig = await Rig(Bargein.from_toml(path)).run(script)
    assert any("ReportBackchannel" in one for one in rig.decided)
    assert rig.said("user") == []


def test_an_override_counts_more_than_the_file(tmp_path: Path) -> None:
    pytest.importorskip("bargein.pipecat")
    from bargein.pipecat import Bargein

    path = written(tmp_path, "interruptible = false\n")
    assert Bargein.from_toml(path).interruptible is False
    assert Bargein.from_toml(path, interruptible=True).interruptible is True


MISTAKES: list[Any] = [
    ("max_hold = 3", "max_hold is no setting; there are language, preset,"),
    ("resume_ttl = 3", "resume_ttl is no setting; do you mean resume_ttl_s?"),
    ('caller = "+49"', "caller is no setting; there are language,"),
    ("min_speak_ms = -1", "min_speak_ms must be whole milliseconds, 0 or more, not -1"),
    ("min_speak_ms = 1.5", "min_speak_ms must be whole milliseconds, 0 or more, not 1.5"),
    ("max_lock_ms = true", "max_lock_ms must be whole milliseconds, 0 or more, not True"),
    ("resume_ttl_s = 0", "resume_ttl_s must be seconds, more than 0, not 0"),
    ("resume_ttl_s = nan", "resume_ttl_s must be seconds, more than 0, not nan"),
    ("tell_llm = 1", "tell_llm must be true or false, not 1"),
    ('language = ""', "language must be a text, not ''"),
    ('language = "xx"', "no language 'xx'"),
    ('ignore = "well"', """ignore must be a list of texts, such as ["let me think"], not 'well'"""),
    ('resume = "maybe"', "resume must be one of off, verbatim, llm, offer, not 'maybe'"),
    ('on_cut = "shout"', "on_cut must be one of repeat, resume, report, not 'shout'"),
    ('acknowledge = ["joy"]', "acknowledge must be a list, of cancellation, correction,"),
    ('must_hear_patterns = ["("]', "must_hear_patterns must hold digit_codes, money,"),
    ('must_hear_tag = "a b"', "tag must be"),
    ('preset = "fast"', "preset must be one of patient, balanced, eager, not 'fast'"),
    ('[preset]\nbase = "fast"', "preset.base must be one of patient, balanced, eager, not 'fast'"),
    ("[preset]\nsettle = 1", "preset.settle is no setting; do you mean settle_ms?"),
    ("[preset]\nyield_below = 2", "preset.yield_below must be from 0 to 1, not 2"),
    ('[preset]\nsettle_ms = "off"', "preset.settle_ms must be whole milliseconds, 0 or more,"),
    ("[speech]\nresume = 3", "speech.resume must be a text, not 3"),
    ('[speech]\ngoodbye = "Bye."', "speech.goodbye is no setting; there are resume,"),
    pytest.param("min_speak_ms = " + "9" * 5000, "holds a number too long", id="digits"),
    pytest.param("tell_llm = 0x" + "f" * 5000, "tell_llm must be true or false, not such", id="0x"),
    pytest.param("preset = " + "[" * 100_000, "holds a number too long or a list", id="deep"),
    ("max_lock_ms = 1000000001", "max_lock_ms must be at most 1000000000 milliseconds, not 1000"),
    ('must_hear_patterns = ["a{99999999999}"]', "must_hear_patterns must hold digit_codes, money,"),
    ("min_speak_ms = 1\nlanguage =\n", "is no TOML: Invalid value (at line 2, column"),
]


@pytest.mark.parametrize(("text", "says"), MISTAKES)
def test_a_mistake_is_one_sentence_with_the_file_and_the_key(
    text: str, says: str, tmp_path: Path
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SettingsError) as wrong:
        settings(path)
    told = str(wrong.value)
    assert told.startswith(f"{path}: {says}")
    assert "\n" not in told


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_file_that_cannot_be_read_is_named(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "gone.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        SettingsError, match=r"gone\.toml: (cannot be read: No such|must be written)"
    ):
        settings(path)

"""What ``bargein report`` reads in a trace, and what it says where it cannot."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bargein.cli import main
from bargein.cli.report.figures import Sum, figures
from bargein.cli.report.lanes import Lanes, lanes
from bargein.cli.report.lines import KNOWN, NOTE, Line, Problems, read
from bargein.cli.report.moments import Moment, moments, side_by_side
from bargein.core import trace
from bargein.core.trace import SCHEMA
from bargein.testing.core_player import play_logged
from bargein.testing.rules import rules_of
from bargein.testing.scene import load
from told_by_lines import said_by

SCENES = sorted((Path(__file__).parent / "scenes").glob("*.scene"))

TEXT = "Your appointment is on Tuesday at nine."
STOCK: list[dict[str, Any]] = [
    {"type": "PlayoutStarted", "at_ms": 0},
    {"type": "PlayoutWorded", "at_ms": 0, "text": TEXT},
    {"type": "UserSpeechStarted", "at_ms": 900},
    {"type": "PlayoutProgressed", "at_ms": 1000, "heard_chars": 16},
    {"type": "UserSpeechStopped", "at_ms": 1150},
    {"type": "PlayoutStopped", "at_ms": 1200, "completed": False},
    {"type": "UserWordsHeard", "at_ms": 1450, "text": "mm-hm", "is_final": True},
    {"type": "TurnTaken", "at_ms": 1800, "text": "mm-hm"},
]
OURS: list[dict[str, Any]] = [
    {"type": "PlayoutStarted", "at_ms": 0},
    {"type": "PlayoutWorded", "at_ms": 0, "text": TEXT},
    {"type": "UserSpeechStarted", "at_ms": 950, "onset_at_ms": 900},
    {"type": "DuckPlayout", "at_ms": 950, "reason": "overlap began"},
    {"type": "UserSpeechStopped", "at_ms": 1150},
    {"type": "UserWordsHeard", "at_ms": 1450, "text": "mm-hm", "is_final": True},
    {"type": "HoldFloor", "at_ms": 1450, "reason": "a continuer", "kind": "backchannel"},
    {"type": "ResumePlayout", "at_ms": 1450, "reason": "a continuer"},
    {
        "type": "ReportBackchannel",
        "at_ms": 1450,
        "reason": "a continuer",
        "text": "mm-hm",
        "kind": "backchannel",
    },
    {"type": "PlayoutStopped", "at_ms": 3000, "completed": True},
]


def lines_of(entries: list[dict[str, Any]]) -> list[str]:
    return [json.dumps({"v": SCHEMA, **entry}) + "\n" for entry in entries]


def write(path: Path, entries: list[dict[str, Any]]) -> Path:
    path.write_text("".join(lines_of(entries)), "utf-8")
    return path


def drawn(entries: list[dict[str, Any]]) -> tuple[list[Line], Lanes, list[Moment]]:
    problems = Problems()
    (lines,) = read(lines_of(entries), problems).values()
    assert problems.said() == []
    return lines, lanes(lines), moments(lanes(lines), lines)


def test_side_by_side_it_tells_why_one_was_cut_and_the_other_was_not() -> None:
    (row,) = side_by_side([drawn(STOCK)[2], drawn(OURS)[2]])
    stock, ours = row.cells
    assert row.says == "mm-hm"
    assert stock is not None
    assert ours is not None
    assert (stock.did, stock.unsaid, stock.then) == ("cut off after 300 ms", 5, "sent to the LLM")
    assert (stock.flag, stock.then_flag) == ("bad", "bad")
    assert (ours.did, ours.why) == ("lowers its voice, goes on", "a continuer")
    assert (ours.then, ours.flag) == ("kept out of the turn", "good")


def test_two_calls_of_ours_that_differ_are_not_judged_by_each_other() -> None:
    yields = [dict(entry) for entry in STOCK]
    decision = {"type": "YieldFloor", "at_ms": 1100, "reason": "floor taken"}
    yields.insert(4, {**decision, "heard": TEXT[:16], "unheard": TEXT[16:]})
    (row,) = side_by_side([drawn(yields)[2], drawn(OURS)[2]])
    assert [cell and (cell.stopped, cell.flag) for cell in row.cells] == [(True, ""), (False, "")]


def test_every_figure_comes_from_lines_that_say_so() -> None:
    calls = [drawn(STOCK), drawn(OURS)]
    side_by_side([call[2] for call in calls])
    table = dict(figures([Sum(lines=a, lanes=b, moments=c) for a, b, c in calls]))
    told = {name: [cell and (cell.says, cell.lines) for cell in row] for name, row in table.items()}
    assert told == {
        "Length": [("0:01", (1, 8)), ("0:03", (1, 10))],
        "Caller spoke over the agent": [("1", (3,)), ("1", (3,))],
        "Agent stopped": [("1", (6,)), ("0", ())],
        "… needlessly": [("1", (6,)), ("0", ())],
        "Words left unsaid": [("5", (1, 2, 4, 6)), ("0", ())],
        "Onset to softer voice (median)": [None, ("50 ms", (3, 4))],
        "Onset to decision (median)": [None, ("550 ms", (3, 7))],
        "Onset to silence (median)": [("300 ms", (3, 6)), None],
        "Listening noises kept out": [("0", ()), ("1", (9,))],
        "Words kept for later": [("0", ()), ("0", ())],
        "Went on with the rest": [("0", ()), ("0", ())],
        "Turns taken": [("1", (8,)), ("0", ())],
    }


@pytest.mark.parametrize("path", SCENES, ids=lambda path: path.stem)
def test_every_number_of_the_table_is_what_its_lines_alone_say(path: Path) -> None:
    scene = load(path)
    events, decisions = play_logged(scene, rules_of(scene))
    entries = sorted([*events, *decisions], key=lambda one: one.at_ms)
    written = [trace.write(one) for one in entries]
    (lines,) = read([f"{line}\n" for line in written], Problems()).values()
    found = lanes(lines)
    moved = moments(found, lines)
    side_by_side([moved])
    table = figures([Sum(lanes=found, lines=lines, moments=moved)])
    assert len(table) > 3
    for name, (cell,) in table:
        if cell is not None:
            assert (name, said_by(name, written, cell.lines)) == (name, cell.says)
    for one in moved:
        if one.stopped:
            ends = (one.lines[0], one.of["silence_ms"])
            told = said_by("Onset to silence (median)", written, ends)
            assert one.did.endswith(f" after {told}")
            numbers = sorted(set(one.lines))
            assert said_by("Words left unsaid", written, numbers) == str(one.unsaid)


def test_words_are_heard_up_to_the_cut_and_not_behind_it() -> None:
    (played,) = drawn(STOCK)[1].playouts
    assert [word.text for word in played.words if word.heard] == ["Your", "appointment"]
    assert [word.text for word in played.words if not word.heard] == TEXT.split()[2:]
    assert all(word.at_ms <= 1200 for word in played.words if word.heard)
    assert all(word.at_ms >= 1200 for word in played.words if not word.heard)


def test_an_early_yes_that_is_said_again_was_never_answered() -> None:
    entries: list[dict[str, Any]] = [
        {"type": "PlayoutStarted", "at_ms": 0},
        {"type": "UserSpeechStarted", "at_ms": 900},
        {"type": "UserSpeechStopped", "at_ms": 1100},
        {"type": "UserWordsHeard", "at_ms": 1400, "text": "yes", "is_final": True},
        {"type": "PlayoutStopped", "at_ms": 2000, "completed": True},
        {"type": "UserSpeechStarted", "at_ms": 7000},
        {"type": "UserSpeechStopped", "at_ms": 8000},
        {"type": "UserWordsHeard", "at_ms": 8300, "text": "yes please book it", "is_final": True},
        {"type": "TurnTaken", "at_ms": 8600, "text": "yes please book it"},
    ]
    assert [one.then for one in drawn(entries)[2]] == ["never answered", "sent to the LLM"]


def test_who_is_told_to_go_on_asks_no_llm() -> None:
    entries: list[dict[str, Any]] = [
        {"type": "UserSpeechStarted", "at_ms": 900},
        {"type": "UserSpeechStopped", "at_ms": 1100},
        {"type": "TurnTaken", "at_ms": 1400, "text": "please go on", "kind": "resume"},
        {"type": "ResumeSpeech", "at_ms": 1400, "reason": "told to go on", "text": "Turn left."},
    ]
    (moment,) = drawn(entries)[2]
    assert (moment.words, moment.then) == ("please go on", "goes on with the rest")
    assert moment.lines == [1, 2, 4]


@pytest.mark.parametrize("path", SCENES, ids=lambda path: path.stem)
def test_a_trace_of_any_scene_is_drawn(path: Path) -> None:
    scene = load(path)
    events, decisions = play_logged(scene, rules_of(scene))
    entries = sorted([*events, *decisions], key=lambda one: one.at_ms)
    problems = Problems()
    (lines,) = read([trace.write(one) + "\n" for one in entries], problems).values()
    found = lanes(lines)
    assert len(lines) == len(entries)
    written = sorted((one.at_ms, type(one).__name__) for one in decisions)
    assert sorted((m.at_ms, m.type) for m in found.marks if m.type != "Cut") == written
    starts = [event for event in events if type(event).__name__ == "PlayoutStarted"]
    assert len(found.playouts) == len(starts)


def test_a_journal_without_words_shows_how_many_there_were() -> None:
    entries = [dict(entry) for entry in STOCK]
    entries[1] |= {"text": "", "about": {"n": 2, "text_words": 7, "text_chars": 39}}
    entries[6] |= {"text": "", "about": {"n": 7, "text_words": 1, "text_chars": 5}}
    entries[7] |= {"text": ""}
    yields = {"type": "YieldFloor", "at_ms": 1100, "reason": "floor taken", "unheard": ""}
    entries.insert(4, {**yields, "about": {"n": 5, "unheard_words": 5}})
    _, found, (moment,) = drawn(entries)
    assert set("".join(word.text for word in found.playouts[0].words)) == {"·"}
    assert (moment.did, moment.unsaid, moment.then) == ("gives way after 300 ms", 5, "")


def test_a_journal_of_two_calls_becomes_two() -> None:
    began = {"v": SCHEMA, "type": "Journal", "at_ms": 0, "what": "began"}
    lines = [json.dumps({**began, "call": call}) for call in "ab"]
    for entry in STOCK:
        lines += [json.dumps({"v": SCHEMA, **entry, "about": {"call": call}}) for call in "ab"]
    lines += [json.dumps({**began, "what": "ended", "call": "a"})]
    problems = Problems()
    found = read(lines, problems)
    assert {call: len(lines) for call, lines in found.items()} == {"a": 8, "b": 8}
    assert problems.said() == ["the journal has no end: the call or the file was cut off"]


# --- what cannot be read ---


def reported(tmp_path: Path, capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str]:
    status = main(["report", *args, "-o", str(tmp_path / "call.html")])
    return status, capsys.readouterr().err


def shown(tmp_path: Path) -> Any:
    text = (tmp_path / "call.html").read_text("utf-8")
    block = text.partition('<script type="application/json" id="data">')[2]
    return json.loads(block.partition("</script>")[0])


def test_a_trace_that_is_cut_off_is_shown_as_far_as_it_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "cut.jsonl", STOCK)
    path.write_text(path.read_text("utf-8")[:-20], "utf-8")
    status, said = reported(tmp_path, capsys, str(path))
    assert status == 0
    assert said == "bargein report: cut.jsonl: line 8: cut off in the middle\n"
    (call,) = shown(tmp_path)["calls"]
    assert call["problems"] == ["line 8: cut off in the middle"]
    assert [mark["type"] for mark in call["marks"]] == ["Cut"]


def test_a_newer_trace_is_shown_as_far_as_it_is_understood(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newer = [{**entry, "v": SCHEMA + 1, "mood": "glad"} for entry in OURS]
    newer[4] = {"v": SCHEMA + 1, "type": "UserSighed", "at_ms": 1100}
    newer[6]["kind"] = ["backchannel"]
    newer[9]["at_ms"] = "soon"
    status, said = reported(tmp_path, capsys, str(write(tmp_path / "new.jsonl", newer)))
    assert status == 0
    assert said.splitlines() == [
        "bargein report: new.jsonl: lines 1, 2, 3, 4, 5, 6, 7, 8 and 2 more: written by a newer"
        f" version (schema {SCHEMA + 1}, this one reads {SCHEMA});"
        " shown as far as it is understood",
        "bargein report: new.jsonl: line 5: of a type that is not known here",
        "bargein report: new.jsonl: line 7: kind does not fit; read without it",
        "bargein report: new.jsonl: line 10: at_ms is no time within a day",
    ]
    (call,) = shown(tmp_path)["calls"]
    assert "a continuer" in [mark["reason"] for mark in call["marks"]]


@pytest.mark.parametrize(
    "content", [b"", b"hello\nworld\n", b"\x00\xff\xfe" * 50, b"[1]\n2\nnull\n", b"[" * 100_000]
)
def test_what_is_no_trace_at_all_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    (tmp_path / "odd.jsonl").write_bytes(content)
    status, said = reported(tmp_path, capsys, str(tmp_path / "odd.jsonl"))
    assert status == 2
    assert "odd.jsonl: nothing in it is a line of a trace" in said
    assert not (tmp_path / "call.html").exists()


def test_a_trace_that_is_missing_does_not_take_the_other_one_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write(tmp_path / "good.jsonl", STOCK)
    status, said = reported(tmp_path, capsys, str(tmp_path / "gone.jsonl"), str(good))
    assert status == 0
    assert said.splitlines() == [
        "bargein report: gone.jsonl: cannot be read: No such file or directory"
    ]
    assert [len(call["playouts"]) for call in shown(tmp_path)["calls"]] == [0, 1]


def test_what_was_said_is_in_no_complaint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "call.jsonl", STOCK)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"v": 1, "type": "UserWordsHeard", "text": "my code is 4271", "at_ms": ')
    _, said = reported(tmp_path, capsys, str(path))
    assert "4271" not in said


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"RIFF", "no WAV that can be read"),
        (b"", "no WAV that can be read"),
        (b"RIFF\x00\x00\x00\x00WAVEjunk", "no WAV that can be read"),
    ],
)
def test_a_recording_that_is_none_is_said_and_the_trace_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, problem: str
) -> None:
    path = write(tmp_path / "call.jsonl", STOCK)
    (tmp_path / "other.wav").write_bytes(content)
    status, said = reported(tmp_path, capsys, str(path), "--audio", str(tmp_path / "other.wav"))
    assert status == 0
    assert f"call.jsonl: other.wav: {problem}" in said
    assert shown(tmp_path)["calls"][0]["audio"] is None


def test_a_recording_that_is_cut_off_is_heard_as_far_as_it_goes(tmp_path: Path) -> None:
    import wave

    from bargein.cli.report.sound import sound

    path = tmp_path / "call.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(24000)
        file.writeframes(np.full((48000, 2), [12000, 0], "<i2").tobytes())
    path.write_bytes(path.read_bytes()[: -24000 * 4])
    found = sound(path)
    assert (found.lasts_ms, found.missing) == (1000, "it is cut off in the middle")
    left, right = (list(side) for side in found.peaks)
    assert len(left) == 100
    assert min(left) == max(left) > 100
    assert max(right) == 0


def test_too_many_recordings_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["--audio", "a.wav", "--audio", "b.wav"]
    status, said = reported(tmp_path, capsys, "call.jsonl", *args)
    assert status == 2
    assert said == "bargein report: 2 --audio for 1 traces: give one for each at most\n"


def test_a_place_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "call.jsonl", STOCK)
    assert main(["report", str(path), "-o", str(tmp_path / "no" / "call.html")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("call.html: No such file or directory")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
ODD = st.fixed_dictionaries(
    {"v": st.just(SCHEMA) | JSON, "type": st.sampled_from([*sorted(KNOWN), NOTE]) | JSON},
    optional={
        "at_ms": st.integers(0, 5000) | JSON,
        **{
            name: JSON | st.text(max_size=5) | st.integers(0, 99) | st.booleans()
            for name in ("text", "heard", "unheard", "completed", "heard_chars", "onset_at_ms",
                         "message_id", "reason", "kind", "state", "is_final", "caller_words")
        },
        "what": JSON,
        "call": JSON,
        "about": JSON | st.dictionaries(st.sampled_from(["call", "text_words"]), JSON),
    },
)  # fmt: skip


@settings(max_examples=50)
@given(st.lists(ODD | st.sampled_from([*STOCK, *OURS]), max_size=12), st.booleans())
def test_whatever_a_line_holds_there_is_a_page_or_a_sentence(
    odd: list[dict[str, Any]], cut: bool
) -> None:
    text = "".join(json.dumps({"v": SCHEMA, **entry}) + "\n" for entry in odd)
    with tempfile.TemporaryDirectory() as folder:
        trace_file, out = Path(folder, "odd.jsonl"), Path(folder, "call.html")
        trace_file.write_text(text[:-7] if cut else text, "utf-8")
        status = main(["report", str(trace_file), "-o", str(out)])
        assert status == (0 if out.exists() else 2)
        if status == 0:
            shown(Path(folder))


def test_half_a_letter_is_no_reason_to_show_nothing(tmp_path: Path) -> None:
    """JSON may hold a lone surrogate, and UTF-8 may not."""
    entries = [dict(entry) for entry in OURS]
    entries[1]["text"] = entries[6]["reason"] = "he\ud83d said"
    path = write(tmp_path / "call.jsonl", entries)
    assert main(["report", str(path), "--title", "\udc80", "-o", str(tmp_path / "call.html")]) == 0
    (call,) = shown(tmp_path)["calls"]
    assert [word[1] for word in call["playouts"][0]["words"]] == ["he?", "said"]

"""What `bargein eval` tells about labelled calls."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bargein.cli import main

AGENT = "Your appointment is on Tuesday at nine, with"
ASKS = "Shall I book it?"


def item(label: str, words: str, agent: str = AGENT, **more: Any) -> dict[str, Any]:
    return {"label": label, "words": words.split(), "agent_prev_text": agent} | more


RIGHT = [
    item("backchannel", "uh-huh", sets=["easy"]),
    item("backchannel", "right okay"),
    item("floor_taking", "stop", sets=["easy"]),
    item("floor_taking", "yeah but thursday", floor_onset_word=1, kind="correction"),
    item("answer", "yes", ASKS, sets=["easy"]),
]
WRONG = [
    item("backchannel", "I meant Thursday", id="stopped"),
    item("floor_taking", "mm-hm", id="went on"),
    item("answer", "uh-huh", id="lost"),
]


def write(path: Path, items: list[Any]) -> Path:
    file = path / "calls.jsonl"
    file.write_text("\n".join(json.dumps(one) for one in items), "utf-8")
    return file


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert main(["eval", *map(str, arguments), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_right_is_right_and_wrong_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = told(capsys, write(tmp_path, [*RIGHT, *WRONG]))
    assert found["n"] == {"backchannel": 3, "floor_taking": 3, "answer": 2}
    assert found["false_interruption"] == pytest.approx(100 / 3, abs=0.05)
    assert found["missed_interruption"] == pytest.approx(100 / 3, abs=0.05)
    assert found["answer_lost"] == pytest.approx(50)
    assert found["answer_lost_qmark"] == 0
    # "stop" after one word, "yeah but" after two, which is one word behind where it was due.
    assert (found["lat_words_med"], found["lat_from_onset_words_mean"]) == (2, 1)
    assert found["by_kind"]["floor_taking: correction"]["missed_interruption"] == 0


def test_the_confusions_are_those_that_went_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = told(capsys, write(tmp_path, [*RIGHT, *WRONG]), "--confusions")
    assert [one["id"] for one in found["confusions"]] == ["stopped", "went on", "lost"]
    assert main(["eval", str(tmp_path / "calls.jsonl"), "--confusions"]) == 0
    assert "stopped after" in capsys.readouterr().out


def test_a_set_and_a_language_leave_the_rest_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = [item("backchannel", "ja genau", lang="de"), item("backchannel", "vale", lang="es")]
    file = write(tmp_path, [*RIGHT, *foreign])
    assert told(capsys, file, "--set", "easy")["n"]["floor_taking"] == 1
    assert told(capsys, file, "--language", "de")["by_language"].keys() == {"de"}
    all_of_them = told(capsys, file)
    assert all_of_them["by_language"].keys() == {"de", "en", "es"}
    assert all_of_them["false_interruption"] == 0


def test_words_come_when_they_came_and_later_with_a_slow_recogniser(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    timed = item("floor_taking", "yeah but thursday", word_end_s=[0.2, 1.4, 2.0])
    file = write(tmp_path, [timed])
    assert told(capsys, file)["lat_s_med"] == pytest.approx(1.4)
    assert told(capsys, file, "--stt-delay", 0.5)["lat_s_med"] == pytest.approx(1.9)


def test_punctuated_and_without_fillers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dressed = item("floor_taking", "um huh", user_text_punct="Um, huh?")
    file = write(tmp_path, [dressed])
    assert told(capsys, file)["missed_interruption"] == 100
    assert told(capsys, file, "--punct")["missed_interruption"] == 0
    assert told(capsys, file, "--drop-fillers")["lat_words_med"] is None


def test_an_item_that_goes_on_has_no_final(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # "no" alone may become "no problem" until it is final.
    whole, cut = item("floor_taking", "no"), item("floor_taking", "no", truncated=True)
    assert told(capsys, write(tmp_path, [whole]))["missed_interruption"] == 0
    assert told(capsys, write(tmp_path, [cut]))["missed_interruption"] == 100


def test_beside_word_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path, RIGHT)
    beside = told(capsys, file, "--beside")["beside"]
    rates = {
        name: (own["false_interruption"], own["missed_interruption"], own["answer_lost"])
        for name, own in beside.items()
    }
    assert rates["bargein"] == (0, 0, 0)
    assert rates["MinWords(2), min_words=2"] == (50, 50, 100)
    assert rates["MinWords(3)"] == (0, 50, 100)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", ":2: "),
        ("[]", "an item is a JSON object"),
        ('{"label": "backchannel"}', "words must be"),
        ('{"label": "noise", "words": ["a"]}', "'noise'"),
        ('{"label": "answer", "words": ["a"], "word_end_s": "1"}', "word_end_s"),
        ('{"label": "answer", "words": ["a"], "word_end_s": [NaN]}', "word_end_s"),
        ('{"label": "answer", "words": ["a"], "word_end_s": [Infinity]}', "word_end_s"),
        ('{"label": "answer", "words": ["a"], "word_end_s": [1%s]}' % ("0" * 400), "word_end_s"),
        ('{"label": "answer", "words": ["a"], "floor_onset_word": 1%s}' % ("0" * 400), "onset"),
        ("[" * 100_000, "recursion"),
        ('{"label": "answer", "words": ["a"], "lang": "xx"}', "'xx'"),
        ('{"label": "answer", "words": ["a"], "agent_prev_text": 3}', "agent_prev_text"),
        ('{"label": "answer", "words": ["a"], "sets": "easy"}', "sets"),
    ],
)
def test_a_broken_line_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, says: str
) -> None:
    file = tmp_path / "calls.jsonl"
    file.write_text(f"{json.dumps(RIGHT[0])}\n{line}\n", "utf-8")
    assert main(["eval", str(file)]) == 2
    error = capsys.readouterr().err
    assert "calls.jsonl:2" in error
    assert says in error


def test_a_file_in_another_encoding_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "calls.jsonl"
    file.write_text(json.dumps(RIGHT[0]), "utf-16")
    assert main(["eval", str(file)]) == 2
    assert "calls.jsonl:1: no UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--stt-delay", "--endpoint"])
@pytest.mark.parametrize("value", ["nan", "inf", "-1", "1e308", "soon"])
def test_a_delay_is_seconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["eval", str(write(tmp_path, RIGHT)), f"{option}={value}"])
    assert f"must be seconds from 0 to 86400, not '{value}'" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_what_cannot_be_printed_is_spelled_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    odd = [
        item("backchannel", "stop \ud800 好", kind="\ud800"),
        item("backchannel", "yes", kind="b"),
    ]
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding=encoding))
    assert main(["eval", str(write(tmp_path, odd)), "--confusions"]) == 0
    sys.stdout.flush()
    assert b"backchannel: \\ud800" in printed.getvalue()


@pytest.mark.parametrize("options", [["--set", "nowhere"], ["--language", "klingon"], []])
def test_nothing_to_measure_is_said_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    file = write(tmp_path, RIGHT) if options else tmp_path / "missing.jsonl"
    assert main(["eval", str(file), *options]) == 2
    assert capsys.readouterr().err.startswith("bargein eval: ")


def test_it_needs_nothing_but_the_package(tmp_path: Path) -> None:
    plugins = Path(__file__).parents[1] / "plugins"
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from bargein.cli import main; sys.exit(main(['eval', sys.argv[2]]))"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, str(plugins), str(write(tmp_path, RIGHT))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "false interruptions" in run.stdout

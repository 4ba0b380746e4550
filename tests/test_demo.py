"""What a newcomer gets from the first command."""

import json
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("espeakng_loader")

from told_by_lines import said_by

ROOT = Path(__file__).parents[1]


def demo(*options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "bargein", "demo", *options],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT / "plugins"), "PATH": "", "COLUMNS": "160"},
        timeout=150,
    )


@pytest.fixture(scope="module", params=["pipecat", "livekit"])
def host(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, host: str) -> Path:
    return tmp_path_factory.mktemp(host)


@pytest.fixture(scope="module")
def ours(out: Path, host: str) -> dict[str, Any]:
    run = demo("--host", host, "--json", "--only", "ours", "--fast", "--out", str(out))
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    report: dict[str, Any] = json.loads(run.stdout)
    assert json.loads((out / "demo.json").read_text("utf-8")) == report
    assert report["host"] == host
    assert list(report["calls"]) == ["ours"]
    call: dict[str, Any] = report["calls"]["ours"]
    return call


def test_noises_stop_nobody(ours: dict[str, Any]) -> None:
    noises = [o for o in ours["overlaps"] if o["says"] in ("uh-huh", "a cough", "right, okay")]
    assert [(o["over_agent"], o["cut"], o["lost_s"]) for o in noises] == [(True, False, 0.0)] * 3


def test_no_run_is_wasted_and_no_noise_is_in_the_context(ours: dict[str, Any]) -> None:
    assert ours["extra_llm_runs"] == 0
    assert ours["backchannels_in_context"] == 0


def test_the_code_is_heard_in_full_and_there_is_a_receipt(ours: dict[str, Any]) -> None:
    assert ours["code_heard"]
    assert ours["receipts"] == ["delivered"]


def test_the_early_yes_is_answered(ours: dict[str, Any]) -> None:
    assert not ours["answer_lost"]


def test_the_interruption_stops_the_agent_and_the_context_says_what_was_heard(
    ours: dict[str, Any],
) -> None:
    (stop,) = [o for o in ours["overlaps"] if o["says"].startswith("no wait")]
    assert stop["cut"]
    for answer in ours["answers"]:
        # The word in the air counts for one of them and not for the other.
        assert abs(answer["context_words"] - answer["heard_words"]) <= 1, answer


def test_go_on_goes_on_without_the_llm_and_nothing_of_the_way_is_lost(
    ours: dict[str, Any],
) -> None:
    from bargein.testing.clinic import DIRECTIONS

    went_on = ours["went_on"]
    assert went_on["llm_runs"] == 0
    assert went_on["words_unheard"] == 0
    # From the beginning of the clause that broke, which was not heard to its end.
    words = DIRECTIONS.split()
    from_word = went_on["from_word"]
    assert from_word > 0
    assert words[from_word - 1].endswith((",", "."))
    clause = next(n for n, word in enumerate(words[from_word:], 1) if word.endswith((",", ".")))
    assert went_on["words_twice"] < clause


def test_the_recording_has_both_voices(ours: dict[str, Any], out: Path) -> None:  # noqa: ARG001
    with wave.open(str(out / "ours.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (2, 2)
        track = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    agent, caller = (np.abs(track[:, side].astype(int)).max() for side in (0, 1))
    assert agent > 1000
    assert caller > 1000


def test_the_page_of_the_call_shows_its_trace(ours: dict[str, Any], out: Path) -> None:
    """What was decided is on it, and the trace behind it reads back."""
    from bargein.core import trace

    lines = (out / "ours.jsonl").read_text("utf-8").splitlines()
    decided = [one.reason.value for one in trace.read_all(lines) if hasattr(one, "reason")]
    text = (out / "report.html").read_text("utf-8")
    block = text.partition('<script type="application/json" id="data">')[2]
    (call,) = json.loads(block.partition("</script>")[0])["calls"]
    assert call["title"] == "bargein"
    assert call["problems"] == []
    assert [mark["reason"] for mark in call["marks"] if mark["type"] != "Cut"] == decided
    assert "critical message" in decided
    assert len(call["peaks"]) == 2
    lasts_ms = ours["lasted_s"] * 1000
    assert lasts_ms - 5000 < call["until"] < lasts_ms + 1000


def test_every_number_on_the_page_is_what_its_lines_of_the_trace_say(
    ours: dict[str, Any],  # noqa: ARG001
    out: Path,
) -> None:
    lines = (out / "ours.jsonl").read_text("utf-8").splitlines()
    text = (out / "report.html").read_text("utf-8")
    block = text.partition('<script type="application/json" id="data">')[2]
    page = json.loads(block.partition("</script>")[0])
    figures = {row["name"]: row["cells"][0] for row in page["figures"]}
    assert len(figures) > 8
    told = {name: said_by(name, lines, cell["lines"]) for name, cell in figures.items() if cell}
    assert told == {name: cell["says"] for name, cell in figures.items() if cell}
    stopped = [row["cells"][0] for row in page["moments"] if row["cells"][0]["stopped"]]
    assert stopped
    for one in stopped:
        ends = (one["lines"][0], one["of"]["silence_ms"])
        assert one["did"].endswith(said_by("Onset to silence (median)", lines, ends))
        whole = said_by("Words left unsaid", lines, sorted(set(one["lines"])))
        assert whole == str(one["unsaid"])


def test_an_unwritable_place_is_one_sentence(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    run = demo("--out", str(taken))
    assert run.returncode == 2
    assert run.stderr.splitlines() == [f"bargein demo: cannot write to --out {taken}: File exists"]


def test_a_recogniser_of_another_host_is_one_sentence(tmp_path: Path) -> None:
    run = demo("--host", "livekit", "--stt", "pocketsphinx", "--out", str(tmp_path))
    assert run.returncode == 2
    assert run.stderr.splitlines() == [
        "bargein demo: --stt pocketsphinx is not there for --host livekit: choose from scripted"
    ]


def test_a_piece_that_is_read_late_is_not_dated_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several calls at once, the first ones would seem to fall silent later than the last."""
    import time

    from bargein.testing.livekit_parts import VOICE_RATE, Recording

    piece = np.ones(VOICE_RATE // 100, np.int16)
    recording = Recording()
    with monkeypatch.context() as clock:
        for read_s in (10.36, 10.37, 10.03, 10.05):
            clock.setattr(time, "monotonic", lambda read_s=read_s: read_s)
            recording.take(piece)
    assert recording.from_s == pytest.approx(10.0)


def test_a_missing_extra_is_one_sentence() -> None:
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", MISSING, str(ROOT / "plugins")],
        capture_output=True,
        text=True,
        check=False,
    )
    (line,) = run.stderr.splitlines()
    assert line.startswith("bargein demo: ")
    assert line.endswith('pip install "bargein[demo]"')


MISSING = """
import sys; sys.path.insert(0, sys.argv[1])
from bargein.cli import main
sys.exit(main(["demo"]))
"""


def test_help_needs_nothing_but_python() -> None:
    script = MISSING.replace('["demo"]', '["--help"]')
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, str(ROOT / "plugins")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "demo" in run.stdout
    assert "bench" in run.stdout


async def test_a_real_recogniser_hears_the_script() -> None:
    """PocketSphinx, on the demo's own clips, without a pipeline around it."""
    pytest.importorskip("pocketsphinx")
    from bargein.cli.demo.talk import GET_THERE, GO_ON, LIFT, NO_WAIT, PHRASES, YES, clips
    from bargein.testing.caller import PocketSTT

    made = clips()
    for name in (YES, NO_WAIT, GET_THERE, LIFT, GO_ON):
        ear = PocketSTT(PHRASES)
        assert ear.recognised(made[name].pcm) == name.lower()

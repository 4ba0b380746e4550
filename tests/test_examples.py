"""Does every example run as it is, and show what it says it shows?"""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LONG = {"deepgram_elevenlabs"}
"""Without a framework the application has a loop of its own."""
TELLING = {
    "deepgram_elevenlabs": "correction, heard: Your appointment is on Tuesday at nine, with",
    "resume_verbatim": "assistant: Sure, back to the returns policy. as long as you have the",
    "resume_offer": "assistant: I was telling you about the returns policy. Shall I go on?",
    "resume_llm": 'They have not heard this part: "as long as you have the receipt."',
    "metrics": 'bargein_interruptions_total{bargein_host="pipecat",bargein_kind="correction"',
    "next_call": "assistant: I was telling you about the returns policy. Shall I go on?",
}
RUNS = [
    name
    for name in TELLING
    if name != "metrics" or importlib.util.find_spec("opentelemetry.exporter.prometheus")
]
"""Without the extra `prometheus` there is nothing to run."""
STOPPED = r'the agent stopped \d+ ms after "mm-hm" began; \d+ words went unheard:'
TESTS = {
    "test_pipecat_plain": STOPPED,
    "test_pipecat_bargein": "",
    "test_livekit_plain": STOPPED,
    "test_livekit_bargein": "",
    "test_interruption_recovery": "",
}
"""What those say that fail."""
HELD = """
import asyncio, runpy, sys
from bargein.testing import virtual_time
asyncio.run = virtual_time.run
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""They wait for nobody outside, and need not wait for a clock."""


def test_every_example_is_tested() -> None:
    assert {path.stem for path in ROOT.glob("examples/*.py")} == {*TELLING, *TESTS}


@pytest.mark.parametrize("name", [*TELLING, *TESTS])
def test_an_example_is_read_at_a_glance(name: str) -> None:
    assert len((ROOT / "examples" / f"{name}.py").read_text("utf-8").splitlines()) < (
        85 if name in LONG else 40
    )


def test_the_readme_shows_an_example_as_it_is() -> None:
    section = (ROOT / "README.md").read_text("utf-8").partition("## Test your agent")[2]
    shown = section.split("```")[1].removeprefix("python\n")
    assert (ROOT / "examples/test_pipecat_plain.py").read_text("utf-8").endswith(shown)


@pytest.mark.parametrize("name", RUNS)
def test_an_example_shows_what_it_says(name: str) -> None:
    path = ROOT / "examples" / f"{name}.py"
    ran = _python("-c", HELD, str(path))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert TELLING[name] in ran.stdout


def test_a_plain_agent_fails_for_a_listener_and_one_with_manners_passes(tmp_path: Path) -> None:
    options = ["-q", "-p", "bargein.testing.plugin", "-p", "no:cacheprovider", "-W", "ignore"]
    kept = f"--bargein-calls={tmp_path}"
    ran = _python("-m", "pytest", *options, kept, *(f"examples/{name}.py" for name in TESTS))
    assert "2 failed, 4 passed" in ran.stdout
    for name, sentence in TESTS.items():
        shown = ran.stdout.partition(f"{name}.py:")[2][:300] if sentence else ""
        assert re.search(sentence, shown), ran.stdout
    assert len(list(tmp_path.glob("*/call.wav"))) == 2


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=200,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT / "plugins"), "PATH": ""},
        check=False,
    )

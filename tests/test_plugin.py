"""What does pytest show of a call that went wrong? Its timeline, and where it can be heard."""

import subprocess
import sys
from pathlib import Path

PLUGINS = Path(__file__).parents[1] / "plugins"
CALL = """
import sys
sys.path.insert(0, {tests!r})
import pytest
from test_calls_judged import stopped
from bargein.testing import plugin

@pytest.fixture
def talk(request, tmp_path):
    call = stopped(stalls=[(3.45, 0.3)] if "stalled" in request.node.name else None)
    call.folder = tmp_path / "call"
    request.node.stash.setdefault(plugin._CALLS, []).append(call)
    return call

def test_claimed(talk):
    talk.heard("the receipt")

def test_asserted(talk):
    assert talk.llm_runs == 7

def test_stalled(talk):
    talk.stopped_within(300)

def test_fine(talk):
    talk.heard("within thirty")
"""


def ran(tmp_path: Path, *options: str) -> str:
    file = tmp_path / "test_call.py"
    file.write_text(CALL.format(tests=str(Path(__file__).parent)))
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-W", "ignore", *options]
    run = subprocess.run(
        [*command, "-p", "bargein.testing.plugin", f"--basetemp={tmp_path}/kept", str(file)],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=tmp_path,
        env={"PYTHONPATH": str(PLUGINS), "PATH": ""},
        check=False,
    )
    return run.stdout + run.stderr


def test_a_failure_is_the_claim_the_sentence_and_the_call(tmp_path: Path) -> None:
    out = ran(tmp_path)
    assert "2 failed, 1 passed, 1 skipped" in out
    assert '>   talk.heard("the receipt")' in out
    assert 'nobody heard "the receipt"; heard was: "Items can be' in out
    # A plain assert has the call below it.
    assert "assert 1 == 7" in out
    assert out.count("STOPS, 4") >= 2
    # Where the machine stood still, nothing can be said about the agent.
    assert "the machine stood still for 300 ms at this moment of the call" in out
    kept = sorted(path.name for path in tmp_path.glob("kept/*0/call/*"))
    assert kept == sorted(["call.jsonl", "call.txt", "call.wav"] * 2)


def test_the_plugin_imports_nothing_until_a_call_is_asked_for() -> None:
    script = (
        "import sys, bargein.testing.plugin;"
        "print(sorted({'numpy', 'pipecat', 'livekit', 'aiohttp'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(PLUGINS), "PATH": ""},
        check=True,
    )
    assert run.stdout == "[]\n"

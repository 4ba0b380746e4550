"""What does pytest show of a call that went wrong? Its timeline, and where it can be heard."""

import subprocess
import sys
from pathlib import Path

import pytest

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


TIME = """
import asyncio, time, pytest

async def test_talks(talk):
    began_s = time.monotonic()
    await asyncio.sleep(3600)
    assert 3600 <= time.monotonic() - began_s < 3601
    assert type(asyncio.get_running_loop()).__name__ == "VirtualTimeLoop"

@pytest.mark.real_time
async def test_talks_to_the_outside(talk):
    assert type(asyncio.get_running_loop()).__name__ != "VirtualTimeLoop"

@pytest.mark.asyncio
async def test_does_not_talk():
    assert type(asyncio.get_running_loop()).__name__ != "VirtualTimeLoop"
"""


def ran(tmp_path: Path, *options: str, test: str = CALL) -> str:
    file = tmp_path / "test_call.py"
    file.write_text(test.replace("{tests!r}", repr(str(Path(__file__).parent))))
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


def test_tests_that_talk_are_held_in_virtual_time_and_no_others(tmp_path: Path) -> None:
    assert "3 passed" in ran(tmp_path, test=TIME)


@pytest.mark.parametrize("how", ["--bargein-time=real", "--override-ini=bargein_time=real"])
def test_time_can_be_real_for_all(tmp_path: Path, how: str) -> None:
    test = "async def test_talks(talk):\n    await __import__('asyncio').sleep(0.2)\n"
    clock = "import time\nassert time.monotonic.__module__ == 'time'\n"
    assert "1 passed" in ran(tmp_path, how, test=clock + test)


def test_a_time_that_there_is_not_is_named(tmp_path: Path) -> None:
    out = ran(tmp_path, "--override-ini=bargein_time=fast", test=TIME)
    assert "bargein_time is virtual or real, not 'fast'" in out


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

"""Does the worker to copy start, and does a call through it go as it should?"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("livekit.agents")

from bargein.memory import MemoryStore
from bargein.testing.livekit_parts import Call
from livekit_rig import LiveKitRig

WORKER = Path(__file__).parents[1] / "pipelines" / "livekit_front_desk.py"
LONG = "You come with the tram as far as Market Square and walk past the old stone fountain."


@pytest.fixture(scope="module")
def desk() -> Any:
    spec = importlib.util.spec_from_file_location("livekit_front_desk", WORKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


async def test_a_caller_interrupts_the_front_desk(desk: Any) -> None:
    manners = desk.manners_of("+49 1", store=MemoryStore())
    rig = LiveKitRig(
        manners,
        agent=desk.FrontDesk(manners),
        session=lambda ours, parts: desk.build(ours, **parts),
        replies=["Hello, what can I do for you?", [Call("way")], LONG, "Thursday it is."],
    )

    async def script(rig: LiveKitRig) -> None:
        await desk.greet(manners, rig.session)
        await rig.until(lambda: any("what can I do" in one for one in rig.said("assistant")))
        await rig.done()
        rig.voice(True)
        rig.hears("how do I get there")
        rig.voice(False)
        await rig.until(lambda: len(rig.runs) >= 3 and manners.floor == "agent")
        await rig.interrupts("no wait I meant Thursday")
        await rig.until(lambda: "Thursday it is." in rig.said("assistant"))

    await rig.run(script)
    said = rig.said("assistant")
    assert said[0] == desk.NOTICE
    assert any(LONG.startswith(one.rstrip(" .…")[:12]) and one != LONG for one in said)
    assert any("YieldFloor" in one for one in rig.decided)
    assert "no wait I meant Thursday" in rig.said("user")


def started(*argv: str, **keys: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.endswith(("_KEY", "_URL"))}
    env["PYTHONPATH"] = str(WORKER.parents[1] / "plugins")
    return subprocess.run(
        [sys.executable, str(WORKER), *argv],
        capture_output=True,
        text=True,
        timeout=90,
        env={**env, **keys},
        check=False,
    )


async def test_without_keys_it_says_which_in_one_sentence() -> None:
    run = await asyncio.to_thread(started, "dev", DEEPGRAM_API_KEY="k", LIVEKIT_URL="ws://here")
    assert run.returncode == 1
    assert run.stderr.strip() == (
        "livekit_front_desk: LIVEKIT_API_KEY, LIVEKIT_API_SECRET, OPENAI_API_KEY, ELEVEN_API_KEY"
        " are not set in the environment."
    )


def test_a_plugin_that_is_not_installed_is_named(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in desk.MODELS:
        monkeypatch.setenv(key, "k")
    monkeypatch.setitem(sys.modules, "livekit.plugins.deepgram", None)
    assert desk.lacks(["console"]) == (
        'livekit-plugins-deepgram is not installed: pip install "livekit-agents[deepgram]".'
    )
    assert desk.lacks(["download-files"]) == ""


async def test_offline_a_call_is_played_without_keys() -> None:
    run = await asyncio.to_thread(started, "--offline")
    assert run.returncode == 0, run.stderr
    first, *lines, last = run.stdout.splitlines()
    assert first == "+49 30 901820 calls the front desk"
    stored = "its receipt is stored"
    assert [line.partition(" s  ")[2] for line in lines] == [
        'what had to be heard is delivered: "This call is recorded for training."',
        stored,
        'the caller listens: "uh-huh"; the agent goes on',
        'the caller takes the floor (correction): "no wait"',
        'what had to be heard is delivered: "Your code for the door is 4 2 7 1."',
        stored,
    ]
    assert last == (
        'the LLM was asked: "how do I get there", "no wait book me for Thursday at nine",'
        ' "what was that"'
    )

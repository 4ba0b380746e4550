"""The Realtime pipeline to copy: assembled, and a call through it, without a browser or a key."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("websockets")
PIPELINE = Path(__file__).parents[1] / "pipelines" / "realtime_browser.py"


@pytest.fixture(name="pipeline", scope="module")
def _pipeline() -> Any:
    spec = importlib.util.spec_from_file_location("realtime_browser", PIPELINE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_a_call_without_a_browser(pipeline: Any) -> None:
    said = await pipeline.offline()
    assert [role for role, _ in said] == ["assistant", "user", "assistant", "user", "assistant"]
    words = [text for _, text in said]
    assert words[1] == "How do I get there?"
    assert words[2].startswith("Take the tram to the square, walk past")
    assert not words[2].endswith("old bakery.")
    assert words[3:] == ["No wait, I come by car.", "Then park behind the house."]


def test_without_its_key_it_says_so_in_one_sentence() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}
    environment["PYTHONPATH"] = str(PIPELINE.parents[1] / "plugins")
    run = subprocess.run(
        [sys.executable, str(PIPELINE)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    told = "realtime_browser: OPENAI_API_KEY is not set in the environment; --offline needs none."
    assert run.stderr.splitlines()[-1] == told

"""The Realtime pipeline to copy: a call through it, without a browser, and in one."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("websockets")
PIPELINE = Path(__file__).parents[1] / "pipelines" / "realtime_browser.py"
UH_HUH = "uh-huh"
SAYS = {0.5: "how do I get there", 6.0: UH_HUH, 9.0: "no wait I come by car"}
"""What the caller says, and how long after the microphone is opened, in seconds."""


@pytest.fixture(name="pipeline")
def _pipeline(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(PIPELINE.parent))
    return importlib.import_module("realtime_browser")


async def test_a_call_without_a_browser(pipeline: Any) -> None:
    said = await pipeline.offline()
    assert [role for role, _ in said] == ["assistant", "user", "assistant", "user", "assistant"]
    words = [text for _, text in said]
    assert words[1] == "How do I get there?"
    assert words[2].startswith("Take the tram as far as Market Square, walk past")
    assert not words[2].endswith("garden.")
    assert words[3:] == ["No wait, I come by car.", "Then park behind the house."]


@pytest.mark.real_time
async def test_a_call_in_a_browser(pipeline: Any, tmp_path: Path) -> None:
    for needed in ("aiortc", "espeakng_loader"):
        pytest.importorskip(needed)
    from chromium import BINARY, MISSING, chromium
    from page_rig import HISTORY, agent, click, recording, shown, text_of

    if BINARY is None:
        pytest.skip(MISSING)
    switches = (
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={recording(tmp_path / 'caller.wav', SAYS)}%noloop",
    )
    async with agent("--offline", "realtime_browser") as address, chromium(*switches) as page:
        await page.ask("Page.addScriptToEvaluateOnNewDocument", source=HISTORY)
        await page.open(address)
        # Who has muted themselves is asked for no microphone, so that the recording waits.
        await click(page, "mute")
        await click(page, "call")
        await page.until(shown("heard", pipeline.ANSWERS[""]))
        await page.until(shown("holder", "Nobody is speaking"))
        assert await text_of(page, "phrases") == "How do I get there?Uh-huh.No wait, I come by car."
        await click(page, "mute")

        await page.until("seen.some((one) => one.startsWith('The agent stops'))")
        heard, unheard = await text_of(page, "heard"), await text_of(page, "unheard")
        assert heard + unheard == pipeline.WAY
        assert heard
        assert unheard
        seen = await page.js("seen")
        listens = seen.index("Nobody has to answer that: a continuer. “Uh-huh.”")
        stops = next(place for place, one in enumerate(seen) if one.startswith("The agent stops"))
        assert "(correction)" in seen[stops]
        for one in ("The agent has the floor", "Both are speaking", "lowered: true"):
            assert one in seen[:listens]
        await page.until(shown("heard", pipeline.PARK))
        assert await text_of(page, "caller") == pipeline.NO_WAIT
        await page.until(shown("holder", "Nobody is speaking"))

        await click(page, "go-on")
        await page.until("seen.some((one) => one.includes('left unsaid'))")
        await page.until(shown("holder", "The agent has the floor"))
        await page.key("s")
        await page.until("seen.some((one) => one.includes('emergency stop'))")
        await page.until(shown("holder", "Nobody is speaking"))
        await click(page, "call")
        await page.until(shown("line", "you hung up"))
        assert page.complaints == []


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

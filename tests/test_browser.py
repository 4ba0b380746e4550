"""Does the browser's page show a real call, and is the agent really heard in it?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("aiortc")
pytest.importorskip("espeakng_loader")

from aiohttp import ClientSession

from browser_agent import PIPELINES
from chromium import BINARY, MISSING, Page, chromium
from page_rig import ENVIRONMENT, HISTORY, agent, click, recording, shown, text_of

browser = pytest.mark.skipif(BINARY is None, reason=MISSING)

UH_HUH, NO_WAIT = "uh-huh", "no wait I meant Thursday"
SAYS = {0.5: UH_HUH, 4.0: NO_WAIT}
"""What the caller says, and how long after the microphone is opened, in seconds."""

NOTICE = "This call is recorded for training."
EXPLAINS = (
    "Your appointment with Doctor Patel is on Tuesday at three in the afternoon. The clinic is on"
    " the second floor of the main building, next to the pharmacy. Please bring your insurance"
    " card and a photo, and come ten minutes early, because there is a short form to fill in."
)

ENERGY = """
peers.at(-1).getStats().then((stats) =>
  [...stats.values()].find((one) => one.type === "inbound-rtp").totalAudioEnergy)
"""


@browser
@pytest.mark.real_time
async def test_a_call_in_a_browser(tmp_path: Path) -> None:
    microphone = recording(tmp_path / "caller.wav", SAYS)
    switches = (
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone}%noloop",
    )
    async with agent(UH_HUH, NO_WAIT) as address, chromium(*switches) as page:
        await page.ask("Page.addScriptToEvaluateOnNewDocument", source=HISTORY)
        await page.open(address)
        # Who has muted themselves is asked for no microphone, so that the recording waits.
        await click(page, "mute")
        await click(page, "call")
        await page.until(shown("line", "on the line"))
        await page.until(shown("receipt", "Heard in full"))
        assert NOTICE in await text_of(page, "receipt")
        await page.until(shown("heard", "Your appointment"))
        before = await page.js(ENERGY)
        await click(page, "mute")

        await page.until("seen.some((one) => one.startsWith('The agent stops'))")
        seen = await page.js("seen")
        backchannel = seen.index("Nobody has to answer that: a continuer. “uh-huh”")
        shift = next(place for place, one in enumerate(seen) if one.startswith("The agent stops"))
        assert seen[shift].startswith("The agent stops for the caller (correction): ")
        for one in ("The agent has the floor", "Both are speaking", "lowered: true"):
            assert one in seen[:backchannel]
        assert not [one for one in seen[:shift] if one == "You have the floor"]
        await page.until("seen.includes('You have the floor')")

        heard, unheard = await text_of(page, "heard"), await text_of(page, "unheard")
        assert heard + unheard == EXPLAINS
        assert heard
        assert unheard
        colours = [await colour(page, name) for name in ("heard", "unheard")]
        assert colours[0] != colours[1]
        # Measured 0.25; a second at -20 dB, which is loud for noise, has 0.01.
        assert await page.js(ENERGY) > before + 0.02

        # The answer to the correction holds a code that nobody may talk over.
        await page.until(shown("receipt", "four two seven one"))
        assert seen_locked(await page.js("seen"))
        await page.until(shown("holder", "Nobody is speaking"))

        await click(page, "go-on")
        await page.until(shown("holder", "The agent has the floor"))
        await page.until("seen.some((one) => one.includes('left unsaid'))")
        await page.key("s")
        await page.until("seen.some((one) => one.includes('emergency stop'))")
        await page.until(shown("holder", "Nobody is speaking"))
        await click(page, "call")
        await page.until(shown("line", "you hung up"))

        # The next call begins with an empty page, and as a call of its own.
        await click(page, "call")
        await page.until(shown("receipt", NOTICE))
        assert "left unsaid" not in await text_of(page, "log")
        assert page.complaints == []


def seen_locked(seen: list[str]) -> bool:
    """Was something locked after the notice at the beginning?"""
    return seen.count("locked: true") >= 2 and seen.count("locked: false") >= 2


async def colour(page: Page, name: str) -> str:
    found: str = await page.js(f"getComputedStyle(document.getElementById('{name}')).color")
    return found


@browser
@pytest.mark.real_time
async def test_without_a_microphone_one_can_still_listen() -> None:
    async with (
        agent("--offline", "pipecat_browser") as address,
        chromium("--deny-permission-prompts") as page,
    ):
        await page.open(address)
        # By the keyboard alone: the first button is the call.
        await page.key("Tab")
        assert await page.js("document.activeElement.id") == "call"
        await page.key("Enter")
        await page.until(shown("line", "without a microphone"))
        await page.until(shown("heard", "This call"))
        assert await text_of(page, "mute") == "Unmute"
        await page.until(shown("heard", "Your appointment"))

        for width, scheme in ((320, "light"), (320, "dark"), (900, "dark")):
            await page.looks(scheme=scheme, width=width)
            assert await page.js("document.documentElement.scrollWidth") <= width
            assert await page.js("document.body.innerText.includes('has the floor')")

        # What a caller says is text, whatever it is.
        evil = "<img src=x onerror=alert(1)>"
        news = f'{{"type": "caller", "text": "{evil}", "is_final": true}}'
        await page.js(f"told({news!r})")
        assert await text_of(page, "caller") == evil
        assert await page.js("document.images.length") == 0
        await page.js("""told('{"type": "constructor"}')""")
        assert page.complaints == []

        async with ClientSession() as http:
            async with http.get(address) as reply:
                source, rules = await reply.text(), reply.headers["Content-Security-Policy"]
            async with http.post(f"{address}offer", json={"sdp": 5}) as reply:
                assert reply.status == 422
    assert "default-src 'none'" in rules
    assert [one for one in ("http://", "https://", "//cdn", "innerHTML") if one in source] == []


@browser
@pytest.mark.real_time
async def test_who_mutes_while_the_browser_asks_for_the_microphone_is_not_heard() -> None:
    async with agent() as address, chromium("--use-fake-ui-for-media-stream") as page:
        await page.open(address)
        await page.js(
            "window.real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);"
            "navigator.mediaDevices.getUserMedia = (wants) =>"
            " new Promise((done) => { window.allow = () => done(real(wants)); }); null"
        )
        await click(page, "call")
        await page.until("window.allow !== undefined")
        await page.key("m")
        assert await text_of(page, "mute") == "Unmute"
        await page.js("allow()")
        await page.until("microphone !== null")
        assert await page.js("microphone.enabled") is False
        await page.key("m")
        assert await page.js("microphone.enabled") is True


def test_without_keys_it_says_which() -> None:
    keys = ("DEEPGRAM_API_KEY", "OPENAI_API_KEY", "ELEVENLABS_API_KEY")
    environment = {name: value for name, value in ENVIRONMENT.items() if name not in keys}
    ran = subprocess.run(
        [sys.executable, str(PIPELINES / "pipecat_browser.py")],
        env=environment | {"OPENAI_API_KEY": "any"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == (
        "pipecat_browser: DEEPGRAM_API_KEY, ELEVENLABS_API_KEY are not set in the environment;"
        " --offline needs no key."
    )

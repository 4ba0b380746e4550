"""The call report in a real Chromium: what a person sees, hears and can do with the keyboard."""

import asyncio
import json
import random
import wave
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numpy")
pytest.importorskip("aiohttp")

import numpy as np

from bargein.cli import main
from chromium import BINARY, MISSING, Page, chromium
from test_report import OURS, STOCK, write

pytestmark = [pytest.mark.real_time, pytest.mark.skipif(BINARY is None, reason=MISSING)]

TIP = "(one => !one.hidden && one.textContent)(document.getElementById('tip'))"
OPENS_MS = 2_000
"""The issue's own figure, for a call of half an hour."""
EVIL = (
    "</script><script>window.ran = 1</script><img src=http://report.test/x onerror='window.ran=1'>"
    "{{audio}}{{data}}&lt;b&gt;\u2028"
)


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with chromium() as one:
        await one.looks(width=1280, height=1000)
        yield one


def sounding(path: Path, lasts_s: int = 6, rate: int = 16000) -> Path:
    """A tone on the agent's side, nothing on the caller's."""
    tone = 9000 * np.sin(np.arange(lasts_s * rate) * 2 * np.pi * 440 / rate)
    track = np.column_stack([tone, np.zeros(len(tone))]).astype("<i2")
    with wave.open(str(path.with_suffix(".wav")), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(track.tobytes())
    return path


async def shown(page: Page, tmp_path: Path, *traces: Path) -> None:
    out = tmp_path / "call.html"
    assert main(["report", *map(str, traces), "-o", str(out)]) == 0
    await page.open(out.as_uri())
    await page.until("document.documentElement.dataset.readyMs")


async def press(page: Page, key: str) -> None:
    text = {"Enter": "\r", " ": " "}.get(key)
    down: dict[str, Any] = {"text": text} if text else {}
    await page.ask("Input.dispatchKeyEvent", type="keyDown", key=key, **down)
    await page.ask("Input.dispatchKeyEvent", type="keyUp", key=key)


async def test_it_opens_without_a_complaint_and_shows_both_calls(
    page: Page, tmp_path: Path
) -> None:
    stock = sounding(write(tmp_path / "stock.jsonl", STOCK))
    ours = sounding(write(tmp_path / "ours.jsonl", OURS))
    await shown(page, tmp_path, stock, ours)
    rows = await page.js(
        "[...document.querySelectorAll('#moments tbody tr')].map(row => row.innerText)"
    )
    assert [" ".join(row.split()) for row in rows] == [
        "“mm-hm” cut off after 300 ms · 5 words unsaid · sent to the LLM"
        " lowers its voice, goes on · a continuer · kept out of the turn"
    ]
    ends = await page.js("[...document.querySelectorAll('#lead .end')].map(one => one.innerText)")
    assert await page.js("document.querySelector('#lead h2').innerText") == (
        "The caller says “mm-hm” while the agent speaks"
    )
    assert [one.split("\n") for one in ends] == [
        [
            "stock",
            "✗ cut off after 300 ms",
            "5 words never heard · why: the host stopped it, and gives no reason · sent to the LLM",
        ],
        [
            "ours",
            "✓ lowers its voice, goes on",
            "why: a continuer (backchannel) · kept out of the turn",
        ],
    ]
    flags = "[...document.querySelectorAll('.cell')].map(one => one.className)"
    assert await page.js(flags) == ["cell bad", "cell good"]
    assert page.complaints == []


async def test_a_figure_tells_which_lines_it_comes_from(page: Page, tmp_path: Path) -> None:
    await shown(page, tmp_path, write(tmp_path / "ours.jsonl", OURS))
    row = (
        "[...document.querySelectorAll('#figures tr')].find(r => r.innerText.includes('decision'))"
    )
    box = await page.js(f"{row}.querySelector('.figure').getBoundingClientRect().toJSON()")
    await page.ask("Input.dispatchMouseEvent", type="mouseMoved", x=box["x"] + 5, y=box["y"] + 5)
    assert await page.until(TIP) == "lines 3, 7 of ours.jsonl"


async def test_a_decision_gives_its_reason_to_hand_and_to_keyboard(
    page: Page, tmp_path: Path
) -> None:
    await shown(page, tmp_path, write(tmp_path / "ours.jsonl", OURS))
    await page.js("document.querySelector('.call').focus()")
    told = []
    await press(page, "Home")
    for _ in range(4):
        told.append(await page.js("document.querySelector('.now').textContent"))
        await press(page, "ArrowRight")
    assert told == [
        "0:00.95  lowers its voice: overlap began · 50 ms after the caller began to speak"
        " · line 4 of ours.jsonl",
        "0:01.45  goes on (backchannel): a continuer · 550 ms after the caller began to speak"
        " · line 7 of ours.jsonl",
        "0:01.45  full voice again: a continuer · 550 ms after the caller began to speak"
        " · line 8 of ours.jsonl",
        "0:01.45  only listening (backchannel): a continuer · 550 ms after the caller began to"
        ' speak · "mm-hm" · line 9 of ours.jsonl',
    ]
    await page.js("document.querySelector('canvas.lanes').scrollIntoView({block: 'center'})")
    at = await page.js(
        "(() => { const hit = panels[0].hits.find(one => one.mark === 1);"
        " const box = panels[0].canvas.getBoundingClientRect();"
        " return [box.left + hit.x0 + 5, box.top + (hit.y0 + hit.y1) / 2]; })()"
    )
    await page.ask("Input.dispatchMouseEvent", type="mouseMoved", x=at[0], y=at[1])
    assert await page.until(TIP) == (
        "goes on (backchannel): a continuer\n550 ms after the caller began to speak\nline 7"
    )


async def test_a_decision_is_heard_with_a_second_on_either_side(page: Page, tmp_path: Path) -> None:
    await shown(page, tmp_path, sounding(write(tmp_path / "ours.jsonl", OURS)))
    await page.js(
        "window.seen = []; new MutationObserver(() => seen.push(+panels[0].root.dataset.at))"
        ".observe(panels[0].root, {attributeFilter: ['data-at']})"
    )
    await page.js("document.querySelector('.call').focus()")
    await press(page, "End")
    await press(page, "Enter")
    await page.until("seen.includes(2450) && !panels[0].playing")
    seen: list[int] = await page.js("seen.filter((ms, n) => n === 0 || ms !== seen[n - 1])")
    moving = seen[1:]  # behind the selection itself
    assert moving == sorted(moving)
    assert len(moving) > 5
    assert 450 <= moving[0] < 2000
    assert moving[-1] == 2450
    assert page.complaints == []


async def test_space_plays_and_pauses_and_the_cursor_moves(page: Page, tmp_path: Path) -> None:
    await shown(page, tmp_path, sounding(write(tmp_path / "ours.jsonl", OURS)))
    await page.js("document.querySelector('.call').focus()")
    began = int(await page.js("panels[0].root.dataset.at"))
    await press(page, " ")
    await page.until(f"+panels[0].root.dataset.at > {began + 300}")
    await press(page, " ")
    await page.until("!panels[0].playing")
    await page.js("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    rests = await page.js("panels[0].root.dataset.at")
    await asyncio.sleep(0.3)
    assert await page.js("panels[0].root.dataset.at") == rests


async def test_what_is_heard_is_what_was_recorded(page: Page, tmp_path: Path) -> None:
    """Our own mu-law, decoded by somebody else."""
    await shown(page, tmp_path, sounding(write(tmp_path / "ours.jsonl", OURS)))
    loud = await page.js(
        "new OfflineAudioContext(2, 1, 16000)"
        ".decodeAudioData(bytes(document.getElementById('audio-0').textContent).buffer)"
        ".then(heard => [heard.duration, ...[0, 1].map(side => heard.getChannelData(side)"
        ".reduce((sum, x) => sum + x * x, 0) / heard.length)])"
    )
    assert loud[0] == pytest.approx(6, abs=0.01)
    assert loud[1] == pytest.approx((9000 / 32768) ** 2 / 2, rel=0.05)
    assert loud[2] < 1e-6


async def test_nothing_that_was_said_runs_or_asks_for_anything(tmp_path: Path) -> None:
    asked: list[str] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readline()).decode(errors="replace"))
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    evil = [dict(entry) for entry in OURS]
    evil[1]["text"] = evil[5]["text"] = evil[8]["text"] = EVIL
    evil[6]["reason"] = EVIL
    path = sounding(write(tmp_path / "<b onclick=1>.jsonl", evil))
    proxy = await asyncio.start_server(take, "127.0.0.1", 0)
    port = proxy.sockets[0].getsockname()[1]
    async with proxy, chromium(f"--proxy-server=http://127.0.0.1:{port}") as page:
        await page.looks(width=1280, height=1000)
        await shown(page, tmp_path, path)
        await page.js("document.querySelector('.call').focus()")
        for key in ("Home", "ArrowRight", " "):
            await press(page, key)
        await page.until("+panels[0].root.dataset.at > 1600")
        assert await page.js("document.querySelector('#moments .row').textContent") == f"“{EVIL}”"
        assert await page.js("[window.ran, document.querySelectorAll('img').length]") == [None, 0]
        left = "performance.getEntriesByType('resource').map(one => one.name.split(':')[0])"
        assert set(await page.js(left)) <= {"blob", "data"}
        assert page.complaints == []
        # Even a script of its own could not ask anybody.
        assert await page.js("fetch('http://report.test/y').then(() => 'went', () => 'held')") == (
            "held"
        )
        assert [line for line in asked if "report.test" in line] == []
        await page.ask("Page.navigate", url="http://report.test/z")
        assert [line for line in asked if "report.test" in line] == [
            "GET http://report.test/z HTTP/1.1\r\n"
        ]


async def test_light_and_dark_and_a_telephone(page: Page, tmp_path: Path) -> None:
    await page.looks(scheme="dark", width=390, height=844)
    await shown(page, tmp_path, write(tmp_path / "ours.jsonl", OURS))
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = await page.js(paper)
    await page.js("document.getElementById('theme').click()")
    light = await page.js(paper)
    assert sum(map(int, dark[4:-1].split(","))) < 200 < 600 < sum(map(int, light[4:-1].split(",")))
    assert await page.js("document.documentElement.scrollWidth") <= 390


async def test_half_an_hour_opens_in_two_seconds(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    path.write_text("".join(half_an_hour()), "utf-8")
    sounding(path, 1800, 8000)
    # What the page's own thread computes, whoever else has the processor meanwhile.
    await page.ask("Performance.enable", timeDomain="threadTicks")
    await shown(page, tmp_path, path)
    measured = (await page.ask("Performance.getMetrics"))["metrics"]
    (took_s,) = [one["value"] for one in measured if one["name"] == "TaskDuration"]
    print(f"{took_s * 1000:.0f} ms", await page.js("document.documentElement.dataset.readyMs"))
    assert 0 < took_s * 1000 < OPENS_MS
    assert await page.js("document.querySelectorAll('*').length") < 2000
    assert page.complaints == []


def half_an_hour() -> Iterator[str]:
    """A caller who listens, and an agent with much to say."""
    rng = random.Random(1)
    at_ms = 0
    while at_ms < 1_800_000:
        at_ms += rng.randint(600, 1500)
        text = " ".join(rng.choice(("please", "bring", "your", "card")) for _ in range(40))
        yield _line("PlayoutStarted", at_ms)
        yield _line("PlayoutWorded", at_ms, text=text)
        for chars in range(0, len(text), 2):
            at_ms += 60
            yield _line("PlayoutProgressed", at_ms, heard_chars=chars)
            if chars == 60:
                yield _line("UserSpeechStarted", at_ms)
                yield _line("DuckPlayout", at_ms, reason="overlap began")
            if chars == 70:
                yield _line("UserSpeechStopped", at_ms)
                yield _line("UserWordsHeard", at_ms, text="mm-hm", is_final=True)
                yield _line("HoldFloor", at_ms, reason="a continuer", kind="backchannel")
                yield _line("ResumePlayout", at_ms, reason="a continuer")
                yield _line("ReportBackchannel", at_ms, reason="a continuer", text="mm-hm")
        yield _line("PlayoutStopped", at_ms)


def _line(name: str, at_ms: int, **more: Any) -> str:
    return json.dumps({"v": 1, "type": name, "at_ms": at_ms, **more}) + "\n"

"""A call in a browser: an agent with its page, a caller's microphone, and what the page shows."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import wave
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
from aiohttp import ClientSession

from bargein.testing.utterance import RATE, utterance
from browser_agent import PIPELINES
from chromium import Page, polled

ENVIRONMENT = os.environ | {"PYTHONPATH": str(PIPELINES.parent / "plugins")}
SPOKEN = {"uh-huh": "[[,V h'V]]"}
"""What is said by its phonemes, because it is no word."""

HISTORY = """
window.seen = [];
const watch = (id, read) => new MutationObserver(() => seen.push(read()))
  .observe(document.getElementById(id), { childList: true, characterData: true, subtree: true,
    attributes: true });
addEventListener("DOMContentLoaded", () => {
  const by = (id) => document.getElementById(id);
  watch("decision", () => by("decision").textContent);
  watch("holder", () => by("holder").textContent);
  watch("ducked", () => "lowered: " + by("ducked").dataset.on);
  watch("held", () => "holding: " + by("held").dataset.on);
  watch("locked", () => "locked: " + by("locked").dataset.on);
});
"""
"""Writes down what the page has shown, which may be gone before a test looks."""


@asynccontextmanager
async def agent(*argv: str) -> AsyncIterator[str]:
    """An agent of `browser_agent.py`, when it answers, and where its page is."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("browser_agent.py")), str(port), *argv],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}/"
    try:
        async with ClientSession() as http:
            await polled(lambda: answers(http, address, process))
        yield address
    finally:
        process.kill()
        process.wait(10)


async def answers(http: ClientSession, address: str, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, f"the agent ended with {process.returncode}"
    try:
        async with http.get(address) as reply:
            return reply.status == 200
    except OSError:
        return False


def recording(path: Path, says: Mapping[float, str]) -> Path:
    """The caller, as a file that is played into the microphone.

    Args:
        path: of the file.
        says: what they say, and how long after the microphone is opened, in seconds.
    """
    lasts_s = max(says) + 3
    track = np.zeros(round(lasts_s * RATE), np.int16)
    for at_s, text in says.items():
        pcm = utterance(text, text, spoken=SPOKEN.get(text, "")).pcm
        track[round(at_s * RATE) :][: len(pcm)] = pcm
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(track.tobytes())
    return path


async def text_of(page: Page, name: str) -> str:
    text: str = await page.js(f"document.getElementById('{name}').textContent")
    return text


def shown(name: str, text: str) -> str:
    return f"document.getElementById('{name}').textContent.includes({text!r})"


def is_enabled(name: str) -> str:
    return f"!document.getElementById('{name}').disabled"


async def click(page: Page, name: str) -> None:
    await page.until(is_enabled(name))
    await page.js(f"document.getElementById('{name}').click()")

"""The browser agents of ``pipelines`` for a browser on this machine, with one caller.

    python browser_agent.py PORT "uh-huh" "no wait I meant Thursday"
    python browser_agent.py PORT --offline pipecat_browser

The first is that of ``pipecat_browser.py`` on the real clients of its services; it reaches nobody
but the loopback, and its recogniser knows what is said one after another, if anything. The other
is what ``--offline`` starts.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import aioice.ice
import numpy as np
import uvicorn

from bargein.testing import clinic
from bargein.testing.services import Deepgram, ElevenLabs, OpenAIChat, Said
from bargein.testing.services.flux import Flux
from bargein.testing.services.nova import Nova
from bargein.testing.services.said import AudioClock
from bargein.testing.services.wire import Socket
from bargein.testing.speech import agent_voice

PIPELINES = Path(__file__).parents[1] / "pipelines"
LOUD_DB = -38.0
SILENCE_MS = 500
"""A sound behind so much silence is the next thing that is said."""


class ListeningDeepgram(Deepgram):
    """Writes down the next thing when it hears that something is said."""

    def __init__(self, says: Sequence[str]) -> None:
        super().__init__()
        self._says = says

    async def _listen(self, wire: Socket, ear: Nova | Flux) -> None:
        says = iter(self._says)
        clock = AudioClock("linear16", int(wire.record.option("sample_rate", "16000")))
        silent_ms, due = SILENCE_MS, []
        async for message in wire:
            if isinstance(message, dict):
                await ear.told(message, clock.now_ms)
                continue
            began_ms = clock.now_ms
            now_ms = clock.take(message)
            if is_loud(message):
                if silent_ms >= SILENCE_MS and not due and (text := next(says, "")):
                    due = ear.dues([Said(text, at_ms=began_ms)])
                silent_ms = 0
            else:
                silent_ms += now_ms - began_ms
            while due and due[0][0] <= now_ms:
                at_ms, heard = due.pop(0)
                await ear.notice(heard, at_ms)


def is_loud(audio: bytes) -> bool:
    samples = np.frombuffer(audio, dtype="<i2").astype(np.float64) / 32768
    return bool(10 * np.log10(np.mean(samples**2) + 1e-12) > LOUD_DB)


def pipeline(name: str = "pipecat_browser") -> Any:
    """A pipeline, as Python finds it for one that is started as a script."""
    if str(PIPELINES) not in sys.path:
        sys.path.insert(0, str(PIPELINES))
    return importlib.import_module(name)


def answer_to(messages: list[Any]) -> str:
    """What the model answers: as the demo's, and to nobody what the demo's caller asked for."""
    asked = [one for one in messages if one["role"] == "user"]
    return clinic.reply(asked or [{"content": "when is my appointment"}])


async def served(port: int, says: Sequence[str]) -> None:
    """The real clients of all three services, and the services on this machine."""
    browser = pipeline()
    ear, chat, voice = ListeningDeepgram(says), OpenAIChat(answer_to), ElevenLabs(agent_voice)
    async with ear, chat, voice:

        def answer(connection: Any) -> Any:
            services = browser.online(
                stt={"base_url": ear.ws_url},
                llm={"base_url": chat.base_url},
                tts={"url": voice.ws_url},
            )
            # Pipecat's own model of where a turn ends was trained on people.
            return browser.run(browser.build(connection, replace(services, pause_s=0.6)).worker)

        config = uvicorn.Config(browser.site(answer), port=port, log_level="warning")
        await uvicorn.Server(config).serve()


def main(port: str, *says: str) -> None:
    # The library leaves the loopback out; a test has no other network, and wants none.
    aioice.ice.get_host_addresses = lambda **_: ["127.0.0.1"]
    if says[:1] == ("--offline",):
        pipeline(says[1]).main(["--offline", "--port", port])
    else:
        os.environ |= dict.fromkeys(pipeline().KEYS, "any")
        asyncio.run(served(int(port), says))


if __name__ == "__main__":
    main(*sys.argv[1:])

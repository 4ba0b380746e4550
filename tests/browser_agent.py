"""The agent of ``pipelines/pipecat_browser.py`` for a browser on this machine, with one caller.

    python browser_agent.py PORT "uh-huh" "no wait I meant Thursday"

It reaches nobody but the loopback, and its recogniser knows what is said one after another. Without
words to know it is the agent that ``--offline`` starts.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import aioice.ice
import numpy as np
import uvicorn
from pipecat.frames.frames import Frame, InterimTranscriptionFrame, TranscriptionFrame
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import STTService
from pipecat.utils.time import time_now_iso8601

from bargein.cli.demo.talk import offline_call
from bargein.testing.services import ElevenLabs, OpenAIChat
from bargein.testing.speech import agent_voice
from bargein.testing.utterance import FINAL_DELAY_S, PARTIAL_DELAY_S, Utterance, utterance

PIPELINE = Path(__file__).parents[1] / "pipelines" / "pipecat_browser.py"
SPOKEN = {"uh-huh": "[[,V h'V]]"}
"""What is said by its phonemes, because it is no word."""

RATE = 16000
LOUD_DB = -38.0
SILENCE_S = 0.5
"""A sound behind so much silence is the next thing that is said."""


class CuedSTT(STTService):
    """Writes down what is said when it hears that something is: on the audio's own clock."""

    def __init__(self, says: list[Utterance]) -> None:
        super().__init__(ttfs_p99_latency=0.4, settings=STTSettings(model="cued", language=None))
        self._says = iter(says)
        self._now_s = 0.0
        self._silent_s = SILENCE_S
        self._due: list[tuple[float, str, bool]] = []

    def can_generate_metrics(self) -> bool:
        return False

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        samples = np.frombuffer(audio, dtype="<i2").astype(np.float64) / 32768
        lasts_s = len(samples) / RATE
        if 10 * np.log10(np.mean(samples**2) + 1e-12) > LOUD_DB:
            if self._silent_s >= SILENCE_S and not self._due:
                self._due = list(_written(next(self._says, None), self._now_s))
            self._silent_s = 0.0
        else:
            self._silent_s += lasts_s
        self._now_s += lasts_s
        while self._due and self._due[0][0] <= self._now_s:
            _, text, is_final = self._due.pop(0)
            kind = TranscriptionFrame if is_final else InterimTranscriptionFrame
            frame: Frame = kind(text, "caller", time_now_iso8601())
            if isinstance(frame, TranscriptionFrame):
                frame.finalized = True
            yield frame
        yield None


def _written(said: Utterance | None, onset_s: float) -> Iterator[tuple[float, str, bool]]:
    """What a streaming service would write, and when."""
    if said is None:
        return
    began_s = onset_s - said.begins_s
    for count, (_, ends_s) in enumerate(said.words[:-1], start=1):
        text = " ".join(word for word, _ in said.words[:count])
        yield began_s + ends_s + PARTIAL_DELAY_S, text, False
    yield began_s + said.ends_s + FINAL_DELAY_S, said.text, True


def pipeline() -> Any:
    """The pipeline's own file."""
    spec = importlib.util.spec_from_file_location("pipecat_browser", PIPELINE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def answer_to(messages: list[Any]) -> str:
    """What the model answers: as the demo's, and to nobody what the demo's caller asked for."""
    asked = [one for one in messages if one["role"] == "user"]
    answer: str = offline_call().reply(asked or [{"content": "when is my appointment"}])
    return answer


async def served(port: int, says: Sequence[str]) -> None:
    """The real clients of a model and a voice, and their services on this machine."""
    browser = pipeline()
    clips = [utterance(text, text, spoken=SPOKEN.get(text, "")) for text in says]
    async with OpenAIChat(answer_to) as chat, ElevenLabs(agent_voice) as eleven:

        def answer(connection: Any) -> Any:
            online = browser.online(llm={"base_url": chat.base_url}, tts={"url": eleven.ws_url})
            services = replace(online, stt=CuedSTT(clips), pause_s=0.6)
            return browser.build(connection, services).worker

        config = uvicorn.Config(browser.site(answer), port=port, log_level="warning")
        await uvicorn.Server(config).serve()


def main(port: str, *says: str) -> None:
    # The library leaves the loopback out; a test has no other network, and wants none.
    aioice.ice.get_host_addresses = lambda **_: ["127.0.0.1"]
    if says:
        os.environ |= dict.fromkeys(pipeline().KEYS, "any")
        asyncio.run(served(int(port), says))
    else:
        pipeline().main(["--offline", "--port", port])


if __name__ == "__main__":
    main(*sys.argv[1:])

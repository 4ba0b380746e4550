"""What can be told of an agent that is all its own? Its services, its stack, its process."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from livekit.agents import Agent, AgentSession
from livekit.plugins import elevenlabs, silero
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.services.elevenlabs.tts import ElevenLabsTTSService

from bargein.testing import agent, backchannel, interrupt, silence, user
from bargein.testing.calls import Call, CallFailed, Unsupported, talk
from bargein.testing.calls.livekit import LiveKitAgent, LiveKitLine
from bargein.testing.calls.phone import PhoneAgent
from bargein.testing.calls.pipecat import PipecatAgent, PipecatLine
from bargein.testing.livekit_parts import ScriptedTTS as AnyLiveKitTTS
from bargein.testing.pipecat_parts import ScriptedTTS as AnyPipecatTTS
from bargein.testing.services import ElevenLabs
from bargein.testing.speech import agent_voice
from held import Held
from phone_bot import application

ROOT = Path(__file__).parents[1]
EXPLAINS = (
    "Your appointment with Doctor Patel is on Tuesday at three in the afternoon, on the second"
    " floor of the main building. Please bring your insurance card and a photo, and come early."
)
HOURS = "Our business hours are nine to five."
REPLIES = {"appointment": EXPLAINS, "hours": HOURS, "": "Sorry, I did not catch that."}
SCRIPT = (
    user("When is my appointment?"),
    interrupt("Sorry, what are your business hours?", during="second"),
    agent(),
)


async def on_pipecat(voice: Callable[[], Any]) -> Call:
    def bot(line: PipecatLine) -> Any:
        params = LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
        pair = LLMContextAggregatorPair(LLMContext(), user_params=params)
        return [pair.user(), line.llm(REPLIES), voice(), pair.assistant()]

    return await talk(PipecatAgent(bot), *SCRIPT)


async def on_livekit(voice: Callable[[], Any]) -> Call:
    def bot(line: LiveKitLine) -> Any:
        session: AgentSession[Any] = AgentSession(
            stt=line.stt(),
            vad=silero.VAD.load(),
            llm=line.llm(REPLIES),
            tts=voice(),
            turn_handling={"turn_detection": "vad", "interruption": {"mode": "vad"}},
            aec_warmup_duration=None,
        )
        return session, Agent(instructions="You answer the phone.")

    return await talk(LiveKitAgent(bot), *SCRIPT)


async def elevenlabs_on_pipecat() -> Call:
    async with ElevenLabs(voice=agent_voice) as server:
        return await on_pipecat(
            lambda: ElevenLabsTTSService(
                api_key="any",
                url=server.ws_url,
                settings=ElevenLabsTTSService.Settings(voice="any", model="any"),
            )
        )


async def elevenlabs_on_livekit() -> Call:
    async with (
        ElevenLabs(voice=agent_voice, times_from_chunk=False) as server,
        aiohttp.ClientSession() as http,
    ):
        return await on_livekit(
            lambda: elevenlabs.TTS(
                api_key="any",
                base_url=f"{server.url}/v1",
                voice_id="any",
                encoding="pcm_24000",
                http_session=http,
            )
        )


CALLS: dict[str, Callable[[], Awaitable[Call]]] = {
    "pipecat, timed": elevenlabs_on_pipecat,
    "livekit, timed": elevenlabs_on_livekit,
    "pipecat, untimed": lambda: on_pipecat(lambda: AnyPipecatTTS(agent_voice, word_times=False)),
    "livekit, untimed": lambda: on_livekit(
        lambda: AnyLiveKitTTS(agent_voice, word_times=False, whole_sentences=True)
    ),
}


@pytest.fixture(scope="module")
def calls() -> Held[Call]:
    return Held(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_what_a_service_of_its_own_said_is_found_in_the_audio(calls: Held[Call], name: str) -> None:
    call = calls[name]
    assert "the service's own, or spread over its sound" in str(call.capabilities)
    (overlap,) = call.overlaps
    assert overlap.stopped_after_ms is not None
    assert overlap.unheard.endswith(
        "main building. Please bring your insurance card and a photo, and come early."
    )
    call.heard("at three in the afternoon")
    call.heard(HOURS)
    call.recovered()


@asynccontextmanager
async def bot() -> AsyncIterator[str]:
    runner = web.AppRunner(application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server: Any = site._server
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/media"
    finally:
        await runner.cleanup()


MM_HM = (backchannel("mm-hm", after_ms=1500), silence(2000))


async def test_when_any_bot_on_any_stack_falls_silent_is_measured() -> None:
    async with bot() as url:
        call = await talk(PhoneAgent(f"{url}?stops"), interrupt("Wait, stop", after_ms=1500))
    call.stopped_within(ms=600)
    with pytest.raises(CallFailed, match=r"silent \d+ ms after \"Wait, stop\" began, not within"):
        call.stopped_within(ms=100)
    with pytest.raises(Unsupported, match="heard_text needs the agent's words"):
        call.heard("anything")
    assert "agent   SILENT" in call.timeline()


async def test_a_bot_that_gives_way_to_a_listener_is_told_from_one_that_does_not() -> None:
    async with bot() as url:
        stops = await talk(PhoneAgent(f"{url}?stops"), *MM_HM)
        goes_on = await talk(PhoneAgent(url), *MM_HM)
    goes_on.never_stopped()
    with pytest.raises(CallFailed, match=r"fell silent \d+ ms after \"mm-hm\" began; whether it"):
        stops.never_stopped()


@pytest.mark.real_time
async def test_a_bot_in_another_process_is_tried_in_real_time() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(ROOT / "tests" / "phone_bot.py"), str(port)]
    process = subprocess.Popen(command, env={"PYTHONPATH": str(ROOT / "plugins"), "PATH": ""})
    try:
        await _answers(port)
        tried = PhoneAgent(f"ws://127.0.0.1:{port}/media?stops")
        call = await talk(tried, interrupt("Wait, stop", after_ms=1500))
    finally:
        process.terminate()
        process.wait(10)
    assert call.overlaps[0].silent_s is not None
    assert call.overlaps[0].stopped_after_ms < 3000  # type: ignore[operator]


async def _answers(port: int) -> None:
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        await asyncio.sleep(0.1)
    raise TimeoutError("the bot did not start")

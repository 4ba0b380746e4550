"""An agent to talk to in a browser, and a page that shows who has the floor, and why.

    pip install "bargein[browser]" "pipecat-ai[deepgram,elevenlabs,openai]"
    python pipelines/pipecat_browser.py

Then open http://127.0.0.1:7860. It needs these keys in its environment: DEEPGRAM_API_KEY,
OPENAI_API_KEY and ELEVENLABS_API_KEY. Without any, and without a network:

    pip install "bargein[browser,demo]"
    python pipelines/pipecat_browser.py --offline

The agent then has a script, and knows the sentences that the page shows. A browser gives its
microphone to a page from this machine, or over HTTPS: put a proxy in front for everybody else.

What is Pipecat's own is as in any of its agents; what is ours is in `build`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

try:
    import uvicorn
    from fastapi import FastAPI
    from fastapi.responses import HTMLResponse
    from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
    from pipecat.transports.smallwebrtc.request_handler import (
        SmallWebRTCRequest,
        SmallWebRTCRequestHandler,
    )
    from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
except ImportError as error:
    raise ImportError('pipecat_browser needs WebRTC: pip install "bargein[browser]"') from error

from pipecat.frames.frames import LLMRunFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.services.llm_service import LLMService
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_transport import TransportParams
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.workers.runner import WorkerRunner

from bargein import DIGIT_CODES, MONEY
from bargein.feed import Feed
from bargein.pipecat import Bargein

NO_MORE: Mapping[str, Any] = MappingProxyType({})
KEYS = ("DEEPGRAM_API_KEY", "OPENAI_API_KEY", "ELEVENLABS_API_KEY")
PAGE = Path(__file__).with_name("page") / "index.html"
VOICE = "21m00Tcm4TlvDq8ikWAM"
NOTICE = "This call is recorded for training."
INSTRUCTIONS = (
    "You answer the phone of a clinic. Be brief, and speak as one does on the phone: no lists, no"
    " symbols. Give the code for the door whenever somebody has booked: it is four two seven one."
)
HELLO = "Say hello and ask what you can do."
ONLY_OURS = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:;"
    " connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'"
)
"""The page loads nothing from anywhere, and asks nobody but us."""


@dataclass(frozen=True, kw_only=True)
class Services:
    """Who hears, thinks and speaks in one call."""

    stt: STTService
    llm: LLMService
    tts: TTSService
    context: list[Any]
    """The LLM's messages before anybody has said anything."""
    phrases: tuple[str, ...] = ()
    """All that the recogniser knows, for one that knows no more."""
    pause_s: float | None = None
    """After so much silence a turn is over; None where Pipecat's own model is to tell."""


def online(
    stt: Mapping[str, Any] = NO_MORE,
    llm: Mapping[str, Any] = NO_MORE,
    tts: Mapping[str, Any] = NO_MORE,
) -> Services:
    """Deepgram, OpenAI and ElevenLabs, with the keys of the environment.

    Args:
        stt: further options of its service, such as another address.
        llm: the same.
        tts: the same.
    """
    from pipecat.services.deepgram.stt import DeepgramSTTService
    from pipecat.services.elevenlabs.tts import ElevenLabsTTSService
    from pipecat.services.openai.llm import OpenAILLMService

    return Services(
        stt=DeepgramSTTService(api_key=os.environ["DEEPGRAM_API_KEY"], **stt),
        llm=OpenAILLMService(
            api_key=os.environ["OPENAI_API_KEY"],
            settings=OpenAILLMService.Settings(model="gpt-4.1-mini"),
            **llm,
        ),
        tts=ElevenLabsTTSService(
            api_key=os.environ["ELEVENLABS_API_KEY"],
            settings=ElevenLabsTTSService.Settings(voice=VOICE, model="eleven_flash_v2_5"),
            **tts,
        ),
        context=[
            {"role": "system", "content": INSTRUCTIONS},
            {"role": "developer", "content": HELLO},
        ],
    )


def offline() -> Services:
    """The script of ``bargein demo``: PocketSphinx hears its sentences, eSpeak NG is the voice."""
    from bargein.cli.demo.talk import PHRASES
    from bargein.testing import clinic
    from bargein.testing.caller import PocketSTT
    from bargein.testing.pipecat_parts import ScriptedLLM, ScriptedTTS
    from bargein.testing.speech import agent_voice

    def reply(messages: list[Any]) -> str:
        return clinic.reply([one for one in messages if one["role"] == "user"])

    phrases = ["when is my appointment", *PHRASES]
    return Services(
        stt=PocketSTT([phrase.lower() for phrase in phrases]),
        llm=ScriptedLLM(reply),
        tts=ScriptedTTS(agent_voice),
        context=[
            {"role": "system", "content": INSTRUCTIONS},
            {"role": "user", "content": "When is my appointment?"},
        ],
        phrases=tuple(phrases),
        pause_s=0.6,  # the model was trained on people; a grammar's sentences end in silence
    )


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call, ready to run."""

    worker: PipelineWorker
    manners: Bargein
    feed: Feed
    context: LLMContext


def build(connection: SmallWebRTCConnection, services: Services, **manners_of: Any) -> Call:
    """Put a call together.

    Args:
        connection: to the browser.
        services: who hears, thinks and speaks.
        **manners_of: for `Bargein`, such as ``preset`` or ``store``.
    """
    options: dict[str, Any] = {"language": "en", "must_hear_patterns": [DIGIT_CODES, MONEY]}
    manners = Bargein(**(options | manners_of))
    feed = Feed(manners, send=connection.send_app_message)
    transport = SmallWebRTCTransport(
        connection, TransportParams(audio_in_enabled=True, audio_out_enabled=True)
    )
    context = LLMContext(services.context)
    stop = None
    if services.pause_s is not None:
        stop = [SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=services.pause_s)]
    pair = LLMContextAggregatorPair(
        context,
        user_params=LLMUserAggregatorParams(
            vad_analyzer=manners.vad(),
            user_turn_strategies=manners.turn_strategies(stop=stop and list(stop)),
        ),
    )
    worker = PipelineWorker(
        Pipeline(
            manners.wrap(
                [
                    transport.input(),
                    services.stt,
                    pair.user(),
                    services.llm,
                    services.tts,
                    transport.output(),
                    pair.assistant(),
                ]
            )
        ),
        params=PipelineParams(audio_in_sample_rate=16000, audio_out_sample_rate=24000),
        enable_rtvi=False,  # the page reads our feed
    )

    @transport.event_handler("on_client_connected")
    async def greet(_transport: SmallWebRTCTransport, _client: object) -> None:
        if services.phrases:
            connection.send_app_message({"type": "phrases", "phrases": services.phrases})
        await manners.say(NOTICE, must_hear=True)
        await worker.queue_frame(LLMRunFrame())

    @transport.event_handler("on_app_message")
    async def wished(_transport: SmallWebRTCTransport, wish: object, _sender: str) -> None:
        feed.obey(wish)

    @transport.event_handler("on_client_disconnected")
    async def hung_up(_transport: SmallWebRTCTransport, _client: object) -> None:
        await worker.cancel()

    return Call(worker=worker, manners=manners, feed=feed, context=context)


async def run(worker: PipelineWorker) -> None:
    """Have a call; returns when it is over."""
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


def site(take: Callable[[SmallWebRTCConnection], Coroutine[Any, Any, None]]) -> FastAPI:
    """The page, and the place where its calls are taken.

    Args:
        take: has a call, beside all the others. No ICE servers: the browser is on this machine, or
            in its network.
    """
    app = FastAPI(title="bargein", openapi_url=None)
    door = SmallWebRTCRequestHandler()
    running: set[asyncio.Task[None]] = set()

    async def begin(connection: SmallWebRTCConnection) -> None:
        call = asyncio.create_task(take(connection))
        running.add(call)
        call.add_done_callback(running.discard)

    @app.get("/")
    async def page() -> HTMLResponse:
        return HTMLResponse(PAGE.read_text("utf-8"), headers={"Content-Security-Policy": ONLY_OURS})

    @app.post("/offer")
    async def offer(wanted: SmallWebRTCRequest) -> dict[str, str] | None:
        return await door.handle_web_request(wanted, begin)

    return app


def lacks() -> str:
    """Which keys are missing, in one sentence; empty if none is."""
    keys = [key for key in KEYS if not os.environ.get(key)]
    if not keys:
        return ""
    verb = "are" if len(keys) > 1 else "is"
    return f"{', '.join(keys)} {verb} not set in the environment; --offline needs no key."


def main(argv: Sequence[str] | None = None) -> None:
    """Serve the page until somebody stops it."""
    parser = argparse.ArgumentParser(description="An agent to talk to in a browser.")
    parser.add_argument("--offline", action="store_true", help="no key and no network")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen")
    parser.add_argument("--port", default=7860, type=int, help="where to listen")
    asked = parser.parse_args(argv)
    if not asked.offline and (missing := lacks()):
        sys.exit(f"pipecat_browser: {missing}")
    services = offline if asked.offline else online
    try:
        services()  # what is not installed is told now, and not in the first call
    except ImportError as error:
        lacking = "bargein[demo]" if asked.offline else "pipecat-ai[deepgram,elevenlabs,openai]"
        sys.exit(f'pipecat_browser: {error}: pip install "{lacking}"')
    app = site(lambda connection: run(build(connection, services()).worker))
    uvicorn.run(app, host=asked.host, port=asked.port, log_level="warning")


if __name__ == "__main__":
    main()

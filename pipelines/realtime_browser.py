"""An agent on OpenAI Realtime to talk to in a browser, in a Pipecat pipeline, with good manners.

    pip install "bargein[browser,realtime]" "pipecat-ai[openai]"
    python pipelines/realtime_browser.py

Then open http://127.0.0.1:7860, the page of `pipecat_browser.py`, which shows who has the floor,
and why. It needs OPENAI_API_KEY in its environment. Without a key and without a network:

    pip install "bargein[browser,demo,realtime]" "pipecat-ai[openai]"
    python pipelines/realtime_browser.py --offline

The server then has a script, takes whatever it hears for the next of the lines that the page shows,
and speaks with eSpeak NG. ``--offline --print`` has a short call without a browser, and prints it.

The pipeline is any other with Realtime in it. What is ours is the relay that the service connects
to instead of OpenAI: it keeps the voice, and tells Pipecat of the caller when the floor is theirs.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pipecat.frames.frames import EndFrame, Frame, InputAudioRawFrame, LLMContextFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.workers.runner import WorkerRunner

from bargein import Interruption
from bargein.feed import Feed
from bargein.realtime import Realtime
from bargein.realtime.relay import URL, Relay

if TYPE_CHECKING:
    from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection

KEYS = ("OPENAI_API_KEY",)
INSTRUCTIONS = "You answer the phone of a clinic. Be brief, and speak as one does on the phone."
RATE = 24_000
GET_THERE, UH_HUH, NO_WAIT = "How do I get there?", "Uh-huh.", "No wait, I come by car."
WAY = (
    "Take the tram as far as Market Square, walk past the old stone fountain towards the river, "
    "turn left at the bakery and cross the small bridge. Ours is the white house next to a garden."
)
PARK = "Then park behind the house."
ANSWERS = {"": "Hello, what can I do?", GET_THERE: WAY, NO_WAIT: PARK}
"""The script of the offline calls."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """Who thinks and speaks."""

    url: str
    key: str
    phrases: tuple[str, ...] = ()
    """All that it understands, one after the other, for one that understands no more."""


def manners_of_a_call() -> Realtime:
    """The manners of one call; made anew for each."""
    manners = Realtime(language="en", acknowledge=["cancellation"])

    @manners.on("yield")
    def yielded(cut: Interruption) -> None:
        print(f"  the floor is the caller's: {cut.reason.value}")

    @manners.on("backchannel")
    def listened(_: object) -> None:
        print("  the caller only listens")

    return manners


def build(
    relay: Relay, parts: tuple[FrameProcessor, ...], output: FrameProcessor, *, key: str
) -> tuple[PipelineWorker, LLMContext]:
    """Make the pipeline of a call.

    Args:
        relay: running; stands for OpenAI.
        parts: what comes before the service, such as ``transport.input()``.
        output: what plays.
        key: of OpenAI's.
    """
    llm = OpenAIRealtimeLLMService(
        api_key=key,
        base_url=relay.url,  # the one line that is ours
        settings=OpenAIRealtimeLLMService.Settings(system_instruction=INSTRUCTIONS),
    )
    context = LLMContext([])
    pair = LLMContextAggregatorPair(context)
    worker = PipelineWorker(
        Pipeline([*parts, pair.user(), llm, output, pair.assistant()]),
        params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE),
        enable_rtvi=False,
    )
    return worker, context


async def take(connection: SmallWebRTCConnection, server: Server) -> None:
    """Have a call with a browser; returns when it is over."""
    from pipecat.transports.base_transport import TransportParams
    from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport

    transport = SmallWebRTCTransport(
        connection, TransportParams(audio_in_enabled=True, audio_out_enabled=True)
    )
    feeds: list[Feed] = []

    def manners() -> Realtime:  # asked again if Pipecat has to connect again
        ours = manners_of_a_call()
        feeds.append(Feed(ours, send=connection.send_app_message))
        return ours

    async with Relay(manners, server.url) as relay:
        worker, context = build(relay, (transport.input(),), transport.output(), key=server.key)

        async def begins(*_: object) -> None:
            if server.phrases:
                connection.send_app_message({"type": "phrases", "phrases": server.phrases})
            await worker.queue_frame(LLMContextFrame(context))

        async def wished(_transport: object, wish: object, _sender: str) -> None:
            if feeds:
                feeds[-1].obey(wish)

        async def hung_up(*_: object) -> None:
            await worker.cancel()

        transport.add_event_handler("on_client_connected", begins)
        transport.add_event_handler("on_app_message", wished)
        transport.add_event_handler("on_client_disconnected", hung_up)
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await runner.run()


@asynccontextmanager
async def scripted() -> AsyncIterator[Server]:
    """A server on this machine that knows the script, and speaks with eSpeak NG."""
    from bargein.testing.services import PromptedRealtime
    from bargein.testing.speech import agent_voice

    lines = (GET_THERE, UH_HUH, NO_WAIT)
    async with PromptedRealtime(lines, ANSWERS, voice=agent_voice, transcribe_ms=200) as server:
        yield Server(url=server.realtime_url, key="none", phrases=lines)


@asynccontextmanager
async def online() -> AsyncIterator[Server]:
    """OpenAI's, with the key of the environment."""
    yield Server(url=URL, key=os.environ[KEYS[0]])


async def serve(*, is_offline: bool, host: str, port: int) -> None:
    """Serve the page until somebody stops it."""
    import uvicorn

    # Beside this file, whether that is in a folder or in the wheel.
    beside = import_module(".pipecat_browser" if __package__ else "pipecat_browser", __package__)
    async with scripted() if is_offline else online() as server:
        app = beside.site(lambda connection: take(connection, server))
        config = uvicorn.Config(app, host=host, port=port, log_level="warning")
        await uvicorn.Server(config).serve()


async def offline() -> list[tuple[str, str]]:
    """A call without anything: says "uh-huh", then interrupts. Returns what the host wrote down."""
    from bargein.testing.pipecat_parts import PacedOutput
    from bargein.testing.services import OpenAIRealtime, Said

    script = [
        Said(GET_THERE, at_ms=300),
        Said(UH_HUH, at_ms=3000),
        Said(NO_WAIT, at_ms=4500),
    ]
    server = OpenAIRealtime(script, ANSWERS, transcribe_ms=200)
    async with server, Relay(manners_of_a_call, server.realtime_url) as relay:
        worker, context = build(relay, (), PacedOutput(RATE), key="none")
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)

        def said() -> list[tuple[str, str]]:
            messages: list[Any] = context.get_messages()
            return [(str(one["role"]), str(one["content"])) for one in messages]

        async def talk(ms: int) -> None:
            for _ in range(ms // 20):
                frame: Frame = InputAudioRawFrame(bytes(RATE // 25), RATE, 1)
                await worker.queue_frame(frame)

        async def heard(text: str) -> None:
            while text not in (relay.calls[-1].being_said if relay.calls else ""):
                await asyncio.sleep(0.02)

        async def call() -> None:
            await worker.queue_frame(LLMContextFrame(context))
            await heard("Hello")
            while relay.calls[-1].busy:
                await asyncio.sleep(0.02)
            await talk(2500)  # GET_THERE
            await heard("tram")
            await talk(1500)  # UH_HUH
            await heard("walk past")
            await talk(3000)  # NO_WAIT
            while not said() or said()[-1] != ("assistant", PARK):
                await asyncio.sleep(0.02)
            await worker.queue_frame(EndFrame())

        async with asyncio.timeout(60):
            await asyncio.gather(runner.run(), call())
        return said()


def lacks() -> str:
    """What is missing for a call with OpenAI, in one sentence; empty if nothing is."""
    missing = [key for key in KEYS if not os.environ.get(key)]
    return f"{missing[0]} is not set in the environment; --offline needs none." if missing else ""


def main(argv: Sequence[str] | None = None) -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description="An agent on OpenAI Realtime, in a browser.")
    parser.add_argument("--offline", action="store_true", help="no key and no network")
    parser.add_argument("--print", action="store_true", help="with --offline: no browser either")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen")
    parser.add_argument("--port", default=7860, type=int, help="where to listen")
    asked = parser.parse_args(argv)
    if asked.print and not asked.offline:
        parser.error("--print is for --offline")
    if not asked.offline and (missing := lacks()):
        sys.exit(f"realtime_browser: {missing}")
    if asked.print:
        for role, text in asyncio.run(offline()):
            print(f"{role:>9}  {text}")
        return
    try:
        with suppress(KeyboardInterrupt):  # which the server lets through when it has closed
            asyncio.run(serve(is_offline=asked.offline, host=asked.host, port=asked.port))
    except ImportError as error:
        sys.exit(f"realtime_browser: {error}")


if __name__ == "__main__":
    main()

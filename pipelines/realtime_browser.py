"""An agent on OpenAI Realtime to talk to in a browser, in a Pipecat pipeline, with good manners.

    pip install "bargein[pipecat,realtime]" "pipecat-ai[openai,runner,webrtc]"
    python pipelines/realtime_browser.py

Then open http://localhost:7860. It needs OPENAI_API_KEY in its environment. Without a key, without
a browser and without a network, on a scripted server that speaks in tones:

    pip install "bargein[pipecat,realtime,testing]" "pipecat-ai[openai]"
    python pipelines/realtime_browser.py --offline

The pipeline is any other with Realtime in it. What is ours is the relay that the service connects
to instead of OpenAI: it keeps the voice, and tells Pipecat of the caller when the floor is theirs.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import Any

from pipecat.frames.frames import EndFrame, Frame, InputAudioRawFrame, LLMContextFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.workers.runner import WorkerRunner

from bargein import Interruption
from bargein.realtime import Realtime
from bargein.realtime.relay import URL, Relay

KEYS = ("OPENAI_API_KEY",)
INSTRUCTIONS = "You answer the phone of a clinic. Be brief, and speak as one does on the phone."
RATE = 24_000


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


async def bot(runner_arguments: Any) -> None:
    """Take a call; Pipecat's own runner calls this, and serves the page."""
    from pipecat.runner.utils import create_transport
    from pipecat.transports.base_transport import TransportParams

    params = {"webrtc": lambda: TransportParams(audio_in_enabled=True, audio_out_enabled=True)}
    transport = await create_transport(runner_arguments, params)
    async with Relay(manners_of_a_call, URL) as relay:
        worker, context = build(
            relay, (transport.input(),), transport.output(), key=os.environ[KEYS[0]]
        )

        async def begins(*_: object) -> None:
            await worker.queue_frame(LLMContextFrame(context))

        async def ends(*_: object) -> None:
            await worker.cancel()

        transport.add_event_handler("on_client_connected", begins)
        transport.add_event_handler("on_client_disconnected", ends)
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await runner.run()


async def offline() -> list[tuple[str, str]]:
    """A call without anything: says "uh-huh", then interrupts. Returns what the host wrote down."""
    from bargein.testing.pipecat_parts import PacedOutput
    from bargein.testing.services import OpenAIRealtime, Said

    way = "Take the tram to the square, walk past the fountain, turn left at the old bakery."
    script = [
        Said("How do I get there?", at_ms=300),
        Said("Uh-huh.", at_ms=3000),
        Said("No wait, I come by car.", at_ms=4500),
    ]
    answers = ["Hello, what can I do?", way, "Then park behind the house."]
    server = OpenAIRealtime(script, answers, transcribe_ms=200)
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
            await talk(2500)  # "How do I get there?"
            await heard("tram")
            await talk(1500)  # "Uh-huh."
            await heard("walk past")
            await talk(3000)  # "No wait, I come by car."
            while not said() or said()[-1] != ("assistant", answers[-1]):
                await asyncio.sleep(0.02)
            await worker.queue_frame(EndFrame())

        async with asyncio.timeout(60):
            await asyncio.gather(runner.run(), call())
        return said()


def lacks(argv: Sequence[str]) -> str:
    """What is missing for being started like this, in one sentence; empty if nothing is."""
    missing = [key for key in KEYS if not os.environ.get(key)]
    if "--offline" in argv or not missing:
        return ""
    return f"{missing[0]} is not set in the environment; --offline needs none."


def main(argv: Sequence[str]) -> None:
    """Run it."""
    if missing := lacks(argv):
        sys.exit(f"realtime_browser: {missing}")
    if "--offline" in argv:
        for role, text in asyncio.run(offline()):
            print(f"{role:>9}  {text}")
        return
    from pipecat.runner.run import main as serve

    serve()


if __name__ == "__main__":
    main(sys.argv[1:])

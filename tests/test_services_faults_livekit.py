"""What does an application on LiveKit notice when a service fails?

Each test is a table: the fault, and what came of it. All faults of a table run at the same time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import ClientSession

from bargein.testing.services import (
    Deepgram,
    Delay,
    Drop,
    ElevenLabs,
    Fault,
    Half,
    Malformed,
    OpenAIChat,
    OpenAIRealtime,
    Refuse,
    Said,
    Server,
    Silence,
    Status,
)

agents = pytest.importorskip("livekit.agents")
rtc = pytest.importorskip("livekit.rtc")
deepgram = pytest.importorskip("livekit.plugins.deepgram")
elevenlabs = pytest.importorskip("livekit.plugins.elevenlabs")
openai = pytest.importorskip("livekit.plugins.openai")

ALWAYS = 50
OPTIONS = agents.APIConnectOptions(max_retry=2, retry_interval=0.2, timeout=2)


@dataclass(frozen=True)
class Then:
    """What an application notices."""

    words: str
    """All that was heard, said or spoken."""
    told: tuple[bool, ...] = ()
    """Each error event: whether it said that it recovers."""
    again: bool = False
    """The client tried a second connection or request."""


OVER = (True, True, False)
"""Two retries, and then the end."""

Trip = Callable[[ClientSession, list[Fault]], Awaitable[Then]]


async def outcomes(trip: Trip, table: dict[Any, Then]) -> dict[Any, Then]:
    """Each fault, and what came of it."""

    async def one(http: ClientSession, row: Any) -> Then:
        # A fault alone strikes the first connection; (fault, ALWAYS) strikes all of them.
        fault, times = row if isinstance(row, tuple) else (row, 1)
        return await trip(http, [fault] * times)

    async with ClientSession() as http:
        rows = (one(http, row) for row in table)
        return dict(zip(table, await asyncio.gather(*rows), strict=True))


class Errors:
    """The error events of one of LiveKit's models."""

    def __init__(self, model: Any) -> None:
        self.recoverable: list[bool] = []
        model.on("error", lambda event: self.recoverable.append(event.recoverable))

    def then(self, words: str, server: Server) -> Then:
        return Then(words.strip(), tuple(self.recoverable), len(server.connections) > 1)


def audio(ms: int, rate: int) -> Any:
    samples = rate * ms // 1000
    return rtc.AudioFrame(bytes(samples * 2), rate, 1, samples)


async def finals(stream: Any, heard: list[str]) -> None:
    with suppress(agents.APIError):
        async for event in stream:
            if event.type == agents.stt.SpeechEventType.FINAL_TRANSCRIPT:
                heard.append(event.alternatives[0].text)


CALL = [Said("hello there", at_ms=400), Said("go on", at_ms=2000)]


async def listen(server: Deepgram, stt: Any) -> Then:
    """A caller who says two things; ends with the second, or when the client gives up."""
    errors, heard = Errors(stt), list[str]()
    stream = stt.stream(conn_options=OPTIONS)
    reading = asyncio.create_task(finals(stream, heard))
    for _ in range(60):
        if reading.done() or "go on" in heard:
            break
        with suppress(RuntimeError):  # it closes itself when it gives up
            stream.push_frame(audio(100, 16000))
        await asyncio.sleep(0.04)
    await stream.aclose()
    await reading
    return errors.then(" ".join(heard), server)


async def test_deepgram_fails() -> None:
    async def trip(http: ClientSession, faults: list[Fault]) -> Then:
        async with Deepgram(CALL, faults=faults) as server:
            stt = deepgram.STT(api_key="any", base_url=server.nova_url, http_session=http)
            return await listen(server, stt)

    # A word whose audio went over the broken connection is lost; the rest is heard.
    table = {
        Delay(ms=50): Then("hello there go on"),
        Silence(after=1): Then(""),
        Drop(after=1): Then("there go on", told=(True,), again=True),
        Half(after=1): Then("there go on", told=(True,), again=True),
        Malformed(after=1): Then("hello there go on"),
        Refuse(): Then("hello there go on", again=True),
        (Refuse(), ALWAYS): Then("", told=OVER, again=True),
        (Status(code=429), ALWAYS): Then("", told=OVER, again=True),
        (Status(code=500), ALWAYS): Then("", told=OVER, again=True),
    }
    assert await outcomes(trip, table) == table


async def test_flux_fails() -> None:
    async def trip(http: ClientSession, faults: list[Fault]) -> Then:
        async with Deepgram(CALL, faults=faults) as server:
            stt = deepgram.STTv2(api_key="any", base_url=server.flux_url, http_session=http)
            return await listen(server, stt)

    # A turn whose start was no JSON is not heard at all.
    table = {
        Delay(ms=50): Then("hello there go on"),
        Silence(after=1): Then(""),
        Drop(after=1): Then("there go on", told=(True,), again=True),
        Half(after=1): Then("there go on", told=(True,), again=True),
        Malformed(after=1): Then("go on"),
        Refuse(): Then("hello there go on", again=True),
        (Refuse(), ALWAYS): Then("", told=OVER, again=True),
        (Status(code=429), ALWAYS): Then("", told=OVER, again=True),
        (Status(code=500), ALWAYS): Then("", told=OVER, again=True),
    }
    assert await outcomes(trip, table) == table


async def test_elevenlabs_fails() -> None:
    async def trip(http: ClientSession, faults: list[Fault]) -> Then:
        async with ElevenLabs(faults=faults) as server:
            tts = elevenlabs.TTS(
                api_key="any",
                base_url=f"{server.url}/v1",
                voice_id="any",
                encoding="pcm_24000",
                http_session=http,
            )
            errors = Errors(tts)
            stream = tts.stream(conn_options=OPTIONS)
            stream.push_text("One two three four five. ")
            stream.end_input()
            samples = 0
            with suppress(agents.APIError):
                async for one in stream:
                    samples += one.frame.samples_per_channel
            await stream.aclose()
            await tts.aclose()
            return errors.then(f"{samples // 7200} words", server)

    # Once a word was spoken LiveKit does not begin again: the rest is lost, and it says so.
    table = {
        Delay(ms=100): Then("5 words"),
        Silence(after=1): Then("2 words", told=(False,)),
        Drop(after=1): Then("2 words", told=(False,)),
        Half(after=1): Then("2 words", told=(False,)),
        Malformed(after=1): Then("2 words", told=(False,)),
        Drop(): Then("5 words", told=(True,), again=True),
        Refuse(): Then("5 words", again=True),
        (Refuse(), ALWAYS): Then("0 words", told=OVER, again=True),
        (Status(code=429), ALWAYS): Then("0 words", told=OVER, again=True),
        (Status(code=500), ALWAYS): Then("0 words", told=OVER, again=True),
    }
    assert await outcomes(trip, table) == table


async def test_the_chat_model_fails() -> None:
    async def trip(_: ClientSession, faults: list[Fault]) -> Then:
        async with OpenAIChat(["Hello there, Sam."] * 3, faults=faults) as server:
            llm = openai.LLM(model="any", api_key="any", base_url=server.base_url)
            errors, text = Errors(llm), ""
            context = agents.llm.ChatContext.empty()
            context.add_message(role="user", content="Hello.")
            with suppress(agents.APIError):
                async with llm.chat(chat_ctx=context, conn_options=OPTIONS) as stream:
                    async for chunk in stream:
                        text += (chunk.delta and chunk.delta.content) or ""
            await llm.aclose()
            return errors.then(text, server)

    # Once a word was said LiveKit does not ask again.
    table = {
        Delay(ms=100): Then("Hello there, Sam."),
        Silence(after=1): Then("Hello there, Sam.", told=(True,), again=True),
        Drop(after=2): Then("Hello", told=(False,)),
        Half(after=2): Then("Hello", told=(False,)),
        Malformed(after=2): Then("Hello", told=(False,)),
        Refuse(): Then("Hello there, Sam.", told=(True,), again=True),
        (Refuse(), ALWAYS): Then("", told=OVER, again=True),
        (Status(code=429), ALWAYS): Then("", told=OVER, again=True),
        (Status(code=500), ALWAYS): Then("", told=OVER, again=True),
    }
    assert await outcomes(trip, table) == table


async def test_the_realtime_model_fails() -> None:
    async def trip(http: ClientSession, faults: list[Fault]) -> Then:
        async with OpenAIRealtime(CALL[:1], ["One two."] * 3, faults=faults) as server:
            model = openai.realtime.RealtimeModel(
                api_key="any",
                base_url=f"{server.url}/v1",
                http_session=http,
                conn_options=OPTIONS,
            )
            session = model.session()
            errors = Errors(session)
            frames: list[Any] = []
            reading: list[asyncio.Task[None]] = []

            async def read(generation: Any) -> None:
                async for message in generation.message_stream:
                    async for frame in message.audio_stream:
                        frames.append(frame)

            session.on(
                "generation_created", lambda one: reading.append(asyncio.create_task(read(one)))
            )
            for _ in range(100):
                if len(frames) == 2 or False in errors.recoverable:
                    break
                session.push_audio(audio(50, 24000))
                await asyncio.sleep(0.03)
            with suppress(agents.APIError, ValueError):
                await session.aclose()
            await model.aclose()
            return errors.then(f"{len(frames)} words", server)

    table = {
        Delay(ms=50): Then("2 words"),
        Silence(after=2): Then("0 words"),
        Drop(after=2): Then("2 words", told=(True,), again=True),
        Half(after=2): Then("2 words", told=(True,), again=True),
        Malformed(after=2): Then("0 words", told=(False,)),
        Refuse(): Then("2 words", again=True),
        (Refuse(), ALWAYS): Then("0 words", told=OVER, again=True),
        (Status(code=429), ALWAYS): Then("0 words", told=OVER, again=True),
        (Status(code=500), ALWAYS): Then("0 words", told=OVER, again=True),
    }
    assert await outcomes(trip, table) == table

"""What does an application on Pipecat notice when a service fails?

Each test is a table: the fault, and what came of it. All faults of a table run at the same time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from pipecat.frames.frames import (
    InputAudioRawFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext

from bargein.testing.services import (
    Deepgram,
    Delay,
    Drop,
    ElevenLabs,
    Failed,
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
from line import Line, pipeline, until

pytest.importorskip("deepgram")
pytest.importorskip("elevenlabs")
deepgram_stt = pytest.importorskip("pipecat.services.deepgram.stt")
flux_stt = pytest.importorskip("pipecat.services.deepgram.flux.stt")
elevenlabs_tts = pytest.importorskip("pipecat.services.elevenlabs.tts")
openai_llm = pytest.importorskip("pipecat.services.openai.llm")
openai_realtime = pytest.importorskip("pipecat.services.openai.realtime.llm")

ALWAYS = 50


@dataclass(frozen=True)
class Then:
    """What an application notices."""

    words: str
    """All that was heard, said or spoken."""
    told: bool = False
    """An error came up the pipeline."""
    again: bool = False
    """The client tried a second connection or request."""


Trip = Callable[[list[Fault], Then], Awaitable[Then]]


async def outcomes(trip: Trip, table: dict[Any, Then]) -> dict[Any, Then]:
    """Each fault, and what came of it."""

    async def one(row: Any, expected: Then) -> Then:
        # A fault alone strikes the first connection; (fault, ALWAYS) strikes all of them.
        fault, times = row if isinstance(row, tuple) else (row, 1)
        return await trip([fault] * times, expected)

    ends = await asyncio.gather(*(one(row, expected) for row, expected in table.items()))
    return dict(zip(table, ends, strict=True))


def noticed(kind: type[Any], line: Line, server: Server) -> Then:
    words = line.got(kind)
    said = "".join(one.text if isinstance(one, LLMTextFrame) else f"{one.text} " for one in words)
    return Then(said.strip(), told=bool(line.errors), again=len(server.connections) > 1)


async def settled(current: Callable[[], Then], expected: Then) -> Then:
    """What is so in the end: waits for what is expected, but not for ever."""
    try:
        await until(lambda: current() == expected, 14)
        await asyncio.sleep(0.1)
    except TimeoutError:
        pass
    return current()


CALL = [Said("hello there", at_ms=400), Said("go on", at_ms=2000)]


async def listen(server: Deepgram, stt: Any, expected: Then) -> Then:
    """A caller who says two things and never hangs up."""

    async def call(line: Line) -> None:
        while True:
            await line.push(InputAudioRawFrame(bytes(3200), 16000, 1))
            await asyncio.sleep(0.03)

    async with pipeline(stt, cancel=True) as line:
        calling = asyncio.create_task(call(line))
        heard = [lambda: sum(len(one) for one in server.received if isinstance(one, bytes))]
        await until(lambda: line.errors or heard[0]() > 3 * 32000, 20)
        then = await settled(lambda: noticed(TranscriptionFrame, line, server), expected)
        calling.cancel()
        await server.close()
    return then


async def test_deepgram_fails() -> None:
    async def trip(faults: list[Fault], expected: Then) -> Then:
        async with Deepgram(CALL, faults=faults) as server:
            stt = deepgram_stt.DeepgramSTTService(api_key="any", base_url=server.ws_url)
            return await listen(server, stt, expected)

    # What was said before the connection broke is lost, with or without an interim of it.
    table = {
        Delay(ms=100): Then("hello there go on"),
        Silence(after=1): Then(""),
        Drop(after=1): Then("go on", told=True, again=True),
        Half(after=1): Then("go on", told=True, again=True),
        Malformed(after=1): Then("go on", told=True, again=True),
        Refuse(): Then("hello there go on", told=True, again=True),
        (Refuse(), ALWAYS): Then("", told=True, again=True),
        (Status(code=429), ALWAYS): Then("", told=True),
        (Status(code=500), ALWAYS): Then("", told=True, again=True),
    }
    assert await outcomes(trip, table) == table


async def test_flux_fails() -> None:
    async def trip(faults: list[Fault], expected: Then) -> Then:
        async with Deepgram(CALL, faults=faults) as server:
            stt = flux_stt.DeepgramFluxSTTService(api_key="any", url=server.flux_url)
            return await listen(server, stt, expected)

    table = {
        Delay(ms=100): Then("hello there go on"),
        Silence(after=1): Then(""),
        Drop(after=2): Then("hello go on", again=True),
        Half(after=2): Then("hello go on", again=True),
        Malformed(after=2): Then("hello there go on"),
        Refuse(): Then("hello there go on", told=True, again=True),
        (Refuse(), ALWAYS): Then("", told=True, again=True),
        (Status(code=429), ALWAYS): Then("", told=True, again=True),
        (Status(code=500), ALWAYS): Then("", told=True, again=True),
    }
    assert await outcomes(trip, table) == table


async def test_an_error_of_flux_is_passed_on() -> None:
    async with Deepgram([Failed(at_ms=100, code="NET-0000", description="too slow")]) as server:
        stt = flux_stt.DeepgramFluxSTTService(api_key="any", url=server.flux_url)
        async with pipeline(stt, cancel=True) as line:
            await line.talk(200)
            await until(lambda: any("NET-0000" in one for one in line.errors))
            await server.close()


TURNS = ("One two three four five. ", "Once more. ")


async def test_elevenlabs_fails() -> None:
    async def trip(faults: list[Fault], expected: Then) -> Then:
        async with ElevenLabs(faults=faults) as server:
            tts = elevenlabs_tts.ElevenLabsTTSService(
                api_key="any",
                url=server.ws_url,
                settings=elevenlabs_tts.ElevenLabsTTSService.Settings(voice="any"),
            )
            async with pipeline(tts, cancel=True) as line:
                for number, text in enumerate(TURNS, start=1):
                    await line.push(
                        LLMFullResponseStartFrame(), LLMTextFrame(text), LLMFullResponseEndFrame()
                    )
                    await until(lambda n=number: len(line.got(LLMFullResponseEndFrame)) == n, 20)
                    await asyncio.sleep(1.5)  # the caller answers
                then = await settled(lambda: spoken(line, server), expected)
                await server.close()
        return then

    def spoken(line: Line, server: Server) -> Then:
        then = noticed(TTSTextFrame, line, server)
        audio = sum(len(one.audio) for one in line.got(TTSAudioRawFrame))
        return replace(then, words=f"{audio // 14400} of: {then.words}")

    # Whatever breaks, Pipecat takes the whole text for spoken: its context then holds words that
    # nobody heard. A sentence that breaks off in the middle is not even told.
    said = "One two three four five. Once more."
    table = {
        Delay(ms=100): Then(f"7 of: {said}"),
        Silence(after=1): Then(f"2 of: {said}", told=True),
        Drop(after=2): Then(f"6 of: {said}", again=True),
        Half(after=2): Then(f"6 of: {said}", again=True),
        Malformed(after=2): Then(f"6 of: {said}", again=True),
        Refuse(): Then(f"7 of: {said}", told=True, again=True),
        (Refuse(), ALWAYS): Then(f"0 of: {said}", told=True, again=True),
        (Status(code=429), ALWAYS): Then(f"0 of: {said}", told=True, again=True),
        (Status(code=500), ALWAYS): Then(f"0 of: {said}", told=True, again=True),
    }
    assert await outcomes(trip, table) == table


async def test_the_chat_model_fails() -> None:
    async def trip(faults: list[Fault], expected: Then) -> Then:
        async with OpenAIChat(["Hello there, Sam."] * 3, faults=faults) as server:
            llm = openai_llm.OpenAILLMService(
                api_key="any",
                base_url=server.base_url,
                settings=openai_llm.OpenAILLMService.Settings(model="any"),
            )
            async with pipeline(llm, cancel=True) as line:
                context = LLMContext([{"role": "user", "content": "Hello."}])
                await line.push(LLMContextFrame(context))
                if not isinstance(faults[0], Silence):
                    await until(lambda: line.got(LLMFullResponseEndFrame), 20)
                then = await settled(lambda: noticed(LLMTextFrame, line, server), expected)
                await server.close()
        return then

    # Silence is waited for as long as OpenAI's client waits: ten minutes, and nobody is told.
    table = {
        Delay(ms=100): Then("Hello there, Sam."),
        Silence(after=2): Then("Hello"),
        Drop(after=2): Then("Hello", told=True),
        Half(after=2): Then("Hello", told=True),
        Malformed(after=2): Then("Hello", told=True),
        Refuse(): Then("Hello there, Sam.", again=True),
        (Refuse(), ALWAYS): Then("", told=True, again=True),
        (Status(code=429, retry_after_s=1), ALWAYS): Then("", told=True, again=True),
        (Status(code=500), ALWAYS): Then("", told=True, again=True),
    }
    assert await outcomes(trip, table) == table


async def test_the_realtime_model_fails() -> None:
    async def trip(faults: list[Fault], expected: Then) -> Then:
        async with OpenAIRealtime(CALL[:1], ["One two."], faults=faults) as server:
            llm = openai_realtime.OpenAIRealtimeLLMService(
                api_key="any", base_url=server.realtime_url
            )
            async with pipeline(llm, cancel=True) as line:
                await line.talk(1500)
                then = await settled(lambda: spoken(line, server), expected)
                await server.close()
        return then

    def spoken(line: Line, server: Server) -> Then:
        words = len(line.got(TTSAudioRawFrame))
        return Then(f"{words} words", told=bool(line.errors), again=len(server.connections) > 1)

    # Pipecat never connects a second time; and after one message that is no JSON it reads no more,
    # which it tells nobody.
    table = {
        Delay(ms=50): Then("2 words"),
        Silence(after=2): Then("0 words"),
        Drop(after=2): Then("0 words", told=True),
        Half(after=2): Then("0 words", told=True),
        Malformed(after=10): Then("0 words"),
        Refuse(): Then("0 words", told=True),
        Status(code=429): Then("0 words", told=True),
        Status(code=500): Then("0 words", told=True),
    }
    assert await outcomes(trip, table) == table

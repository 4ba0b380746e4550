"""Pipecat's and LiveKit's own Realtime services get good manners from a relay, unchanged."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from livekit import rtc
from livekit.agents import Agent, AgentSession
from livekit.agents.voice import io
from loguru import logger
from pipecat.frames.frames import InterruptionFrame, LLMContextFrame, TTSAudioRawFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)

from bargein.livekit import Bargein
from bargein.pipecat import Bargein as PipecatBargein
from bargein.realtime import Realtime
from bargein.realtime.relay import Relay
from bargein.testing import written
from bargein.testing.livekit_parts import Studio
from bargein.testing.pipecat_parts import PacedOutput
from bargein.testing.services import Answer, Call, OpenAIRealtime, Said
from line import Line, pipeline, until
from realtime_rig import COUNT, WORD_MS

pytest.importorskip("websockets")
openai = pytest.importorskip("livekit.plugins.openai")
realtime = pytest.importorskip("pipecat.services.openai.realtime.llm")
events = pytest.importorskip("pipecat.services.openai.realtime.events")


def polite(server: OpenAIRealtime, decided: list[str], **options: Any) -> Relay:
    """A relay whose calls write down what they decide."""

    def made() -> Realtime:
        gate = Realtime(early_onset=False, **options)
        gate.add_event_handler(
            "on_decision", lambda _, one: decided.append(written(one).partition(" ")[2])
        )
        return gate

    return Relay(made, server.realtime_url)


class PipecatCall:
    """A Pipecat pipeline with its own Realtime service, behind a relay."""

    def __init__(self, line: Line, server: OpenAIRealtime, relay: Relay, context: LLMContext):
        self.line, self.server, self.relay, self.context = line, server, relay, context
        self.decided: list[str] = []

    @property
    def session(self) -> Any:
        return self.server.sessions[-1]

    @property
    def statuses(self) -> list[str]:
        return [one.status for one in self.session.responses]

    @property
    def said(self) -> list[tuple[str, str]]:
        """The context, as the host has it."""
        messages: list[Any] = self.context.get_messages()
        return [(one["role"], one["content"]) for one in messages if one.get("content")]

    async def agent_at(self, word: str) -> None:
        await until(lambda: word in self.relay.calls[-1].being_said, 20)

    async def silent(self) -> None:
        await until(lambda: not self.relay.calls[-1].busy, 20)


TRANSCRIBED = realtime.OpenAIRealtimeLLMService.Settings(
    session_properties=events.SessionProperties(
        audio=events.AudioConfiguration(
            input=events.AudioInput(transcription=events.InputAudioTranscription())
        )
    )
)


@asynccontextmanager
async def pipecat_call(
    server: OpenAIRealtime, manners: dict[str, Any] | None = None, **tools: Any
) -> AsyncIterator[PipecatCall]:
    decided: list[str] = []
    async with server, polite(server, decided, **(manners or {})) as relay:
        llm = realtime.OpenAIRealtimeLLMService(api_key="any", base_url=relay.url)
        for name, tool in tools.items():
            llm.register_function(name, tool)
        context = LLMContext([])
        pair = LLMContextAggregatorPair(context)
        async with pipeline(pair.user(), llm, PacedOutput(), pair.assistant()) as line:
            await line.push(LLMContextFrame(context))
            call = PipecatCall(line, server, relay, context)
            call.decided = decided
            await until(lambda: server.sessions and call.statuses == ["completed"])
            await until(lambda: relay.calls[-1].floor != "open")
            await call.silent()
            yield call
            assert line.errors == []


def server(*said: Said, answers: list[Answer | str], **options: Any) -> OpenAIRealtime:
    return OpenAIRealtime(
        [Said("Count, please.", at_ms=300), *said],
        ["Hello.", *answers],
        transcribe_ms=100,
        **options,
    )


async def test_uh_huh_never_reaches_pipecat() -> None:
    async with pipecat_call(server(Said("Uh-huh.", at_ms=2000), answers=[COUNT])) as call:
        await call.line.talk(1500)
        await call.agent_at("three")
        interrupted = len(call.line.got(InterruptionFrame))
        await call.line.talk(1500)
        await call.silent()
        await until(lambda: ("assistant", COUNT) in call.said)
        assert 'ReportBackchannel(backchannel) "Uh-huh.": a continuer' in call.decided
        assert len(call.line.got(InterruptionFrame)) == interrupted
        assert ("user", "Uh-huh.") not in call.said
        heard_ms = sum(len(one.audio) for one in call.line.got(TTSAudioRawFrame)) / 48
        assert heard_ms == pytest.approx(13 * WORD_MS, abs=60)  # it fills up a chunk
        assert call.session.truncated == []


async def test_pipecat_is_interrupted_when_the_floor_is_taken_and_knows_what_was_heard() -> None:
    calls = server(Said("No wait, stop.", at_ms=2000), answers=[COUNT, "Fine."], speed=1.2)
    async with pipecat_call(calls) as call:
        await call.line.talk(1500)
        await call.agent_at("five")
        interrupted = len(call.line.got(InterruptionFrame))
        await call.line.talk(2000)
        await until(lambda: call.statuses[2:] == ["completed"], 20)
        await call.silent()
        await until(lambda: ("assistant", "Fine.") in call.said, 20)
        assert len(call.line.got(InterruptionFrame)) == interrupted + 1
        roles = [role for role, _ in call.said]
        assert roles == ["assistant", "user", "assistant", "user", "assistant"]
        counted = call.said[2][1]
        assert COUNT.startswith(counted)
        assert "five" in counted
        assert counted != COUNT
        ((item_id, end_ms),) = call.session.truncated
        assert item_id == "item_resp_2_message"
        assert abs(end_ms - len(counted.split()) * WORD_MS) < 1.5 * WORD_MS


async def test_pipecat_glues_turns_in_its_first_second_with_us_as_without() -> None:
    """It writes a caller's turn down a second after the answer began, or behind the answer."""

    def said() -> OpenAIRealtime:
        return server(Said("No wait, stop.", at_ms=2000), answers=[COUNT, "Fine."], speed=1.2)

    def one_turn(messages: list[tuple[str, str]]) -> bool:
        return [text for role, text in messages if role == "user"] == [
            "Count, please. No wait, stop."
        ]

    async with pipecat_call(said()) as call:
        await call.line.talk(1500)
        await call.agent_at("two")
        await call.line.talk(2000)
        await until(lambda: ("assistant", "Fine.") in call.said, 20)
        assert one_turn(call.said)

    async with said() as alone:
        llm = realtime.OpenAIRealtimeLLMService(
            api_key="any", base_url=alone.realtime_url, settings=TRANSCRIBED
        )
        context = LLMContext([])
        pair = LLMContextAggregatorPair(context)
        async with pipeline(pair.user(), llm, PacedOutput(), pair.assistant()) as line:
            await line.push(LLMContextFrame(context))
            await until(lambda: alone.sessions and len(alone.sessions[-1].responses) == 1)
            await asyncio.sleep(1)
            await line.talk(1500)
            await until(lambda: len(alone.sessions[-1].responses) == 2)
            await asyncio.sleep(0.6)
            await line.talk(2000)
            messages: list[Any] = context.get_messages()
            await until(lambda: messages[-1] == {"role": "assistant", "content": "Fine."}, 20)
            assert one_turn([(one["role"], one["content"]) for one in messages])


async def test_go_on_is_said_to_pipecat_without_a_run_of_the_model() -> None:
    story = "It is on the second floor, behind the stairs, next to the small blue door on the left."
    calls = server(
        Said("Are you open on Sunday?", at_ms=2000),
        Said("Please go on.", at_ms=5000),
        answers=[story, "Yes."],
        speed=30,
    )
    async with pipecat_call(calls) as call:
        await call.line.talk(1500)
        await call.agent_at("behind")
        await call.line.talk(3000)
        await until(lambda: call.statuses[2:] == ["completed"], 20)
        await call.silent()
        await call.line.talk(2000)
        await until(lambda: any(one.startswith("ResumeSpeech") for one in call.decided))
        await call.silent()
        rest = next(one for one in call.decided if one.startswith("ResumeSpeech")).split('"')[1]
        await until(lambda: call.said[-1] == ("assistant", rest))
        assert len(call.statuses) == 3


async def test_what_must_be_heard_is_not_talked_over_on_pipecat() -> None:
    code = "Your code is 4 2 7 1."
    calls = server(Said("What was that?", at_ms=2000), answers=["Yes.", code, "4 2 7 1."])
    async with pipecat_call(calls) as call:
        await call.line.talk(1500)
        await until(lambda: call.statuses[1:] == ["completed"])
        await call.silent()
        gate = call.relay.calls[-1]
        await gate.say(code, must_hear=True, message_id="code")
        await call.agent_at("code")
        interrupted = len(call.line.got(InterruptionFrame))
        await call.line.talk(2000)
        receipt = await gate.receipt("code")
        assert receipt.state.value == "delivered"
        assert len(call.line.got(InterruptionFrame)) == interrupted
        await until(
            lambda: call.said[-2:] == [("user", "What was that?"), ("assistant", "4 2 7 1.")]
        )
        assert ("assistant", code) in call.said


async def test_a_function_is_called_and_its_result_answered_on_pipecat() -> None:
    async def book(params: Any) -> None:
        await params.result_callback({"booked": params.arguments["day"]})

    script = [Answer(calls=(Call(name="book", arguments={"day": "Thursday"}),)), "It is booked."]
    async with pipecat_call(server(answers=script), book=book) as call:
        await call.line.talk(1500)
        await until(lambda: ("assistant", "It is booked.") in call.said, 20)
        assert call.statuses == ["completed"] * 3


class Microphone(io.AudioInput):
    """A caller's line to LiveKit that is as fast as the test."""

    def __init__(self) -> None:
        super().__init__(label="microphone")
        self._frames: asyncio.Queue[rtc.AudioFrame] = asyncio.Queue()

    def talk(self, ms: int) -> None:
        for _ in range(ms // 20):
            self._frames.put_nowait(rtc.AudioFrame(bytes(960), 24000, 1, 480))

    async def __anext__(self) -> rtc.AudioFrame:
        return await self._frames.get()


async def test_livekit_is_interrupted_only_when_the_floor_is_taken() -> None:
    decided: list[str] = []
    script = [
        Said("Count, please.", at_ms=300),
        Said("Uh-huh.", at_ms=2000),
        Said("No wait, stop.", at_ms=3200),
    ]
    far = OpenAIRealtime(script, [f"{COUNT} {COUNT}", "Fine."], transcribe_ms=100, speed=1.5)
    async with far, polite(far, decided) as relay, aiohttp.ClientSession() as http:
        model = openai.realtime.RealtimeModel(
            api_key="any", base_url=relay.base_url, http_session=http
        )
        studio = Studio(Bargein(), session=lambda *_: AgentSession(llm=model))
        studio.session.input.audio = microphone = Microphone()
        await studio.start(Agent(instructions="Be brief."))
        await until(lambda: relay.calls)
        gate = relay.calls[-1]

        async def agent_at(word: str) -> None:
            await until(lambda: word in gate.being_said, 20)

        microphone.talk(1500)
        await agent_at("three")
        microphone.talk(1300)
        reported = 'ReportBackchannel(backchannel) "Uh-huh.": a continuer'
        await until(lambda: reported in decided, 20)
        said = studio.session.history.messages
        assert [one.role for one in said()] == ["user"]  # the agent goes on
        await agent_at("six")
        microphone.talk(2000)
        await until(lambda: [one.text_content for one in said()][3:] == ["Fine."], 20)
        assert [(one.role, one.interrupted) for one in said()] == [
            ("user", False),
            ("assistant", True),
            ("user", False),
            ("assistant", False),
        ]
        counted = said()[1].text_content or ""
        assert "six" in counted
        assert counted.count("twelve") < 2
        (session,) = far.sessions
        ((item_id, end_ms),) = session.truncated
        assert item_id == "item_resp_1_message"
        assert abs(end_ms - len(counted.split()) * WORD_MS) < 3 * WORD_MS
        await studio.session.aclose()
        await studio.close()


async def test_without_a_relay_pipecat_runs_the_call_as_ever_and_one_error_says_so() -> None:
    errors: list[str] = []
    sink = logger.add(lambda message: errors.append(str(message)), level="ERROR")
    try:
        script = [Said("Count, please.", at_ms=300), Said("Uh-huh.", at_ms=2000)]
        async with OpenAIRealtime(script, ["Hello.", COUNT, "Yes?"], speed=4) as far:
            llm = realtime.OpenAIRealtimeLLMService(api_key="any", base_url=far.realtime_url)
            manners = PipecatBargein()
            context = LLMContext([])
            params = LLMUserAggregatorParams(user_turn_strategies=manners.turn_strategies())
            pair = LLMContextAggregatorPair(context, user_params=params)
            parts = [pair.user(), llm, PacedOutput(), pair.assistant()]
            wrapped = manners.wrap(parts)
            assert wrapped == parts
            async with pipeline(*wrapped) as line:
                await line.push(LLMContextFrame(context))
                await until(lambda: [one.status for one in far.sessions[0].responses] != [])
                await line.talk(1500)
                await until(lambda: len(line.got(TTSAudioRawFrame)) >= 3)
                await line.talk(1500)
                await until(lambda: len(far.sessions[0].responses) == 3)
                assert far.sessions[0].responses[1].reason == "turn_detected"
    finally:
        logger.remove(sink)
    assert len(errors) == 1
    assert "bargein.realtime.relay" in errors[0]


async def test_a_server_that_refuses_is_told_to_the_client() -> None:
    relay = Relay(Realtime, "ws://127.0.0.1:9/v1/realtime")
    async with relay, aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(relay.url)
    assert relay.calls == []


async def test_a_client_that_hangs_up_ends_the_call() -> None:
    async with OpenAIRealtime() as far, Relay(Realtime, far.realtime_url) as relay:
        async with aiohttp.ClientSession() as http, http.ws_connect(relay.url) as socket:
            await socket.receive_json()
        await until(lambda: relay.calls[-1]._call.closed)
        await asyncio.wait_for(relay.calls[-1].aclose(), 5)


@pytest.mark.parametrize("broken", ["{half an ev", "[" * 100_000, "[1]", "null"])
async def test_a_client_that_sends_rubbish_is_still_on_the_line(broken: str) -> None:
    async with OpenAIRealtime() as far, Relay(Realtime, far.realtime_url) as relay:
        async with aiohttp.ClientSession() as http, http.ws_connect(relay.url) as socket:
            await socket.send_str(broken)
            ask = {"type": "conversation.item.retrieve", "item_id": "gone", "event_id": "e1"}
            await socket.send_json(ask)
            got = [await socket.receive_json(timeout=5)]
            while got[-1]["type"] != "error":
                got.append(await socket.receive_json(timeout=5))
        assert got[-1]["error"]["code"] == "item_retrieve_invalid_item_id"


async def test_calls_that_are_over_are_not_kept() -> None:
    async with OpenAIRealtime() as far, Relay(Realtime, far.realtime_url) as relay:
        for _ in range(3):
            async with aiohttp.ClientSession() as http, http.ws_connect(relay.url) as socket:
                await socket.receive_json()
            await until(lambda: relay.calls[-1]._call.closed)
        assert len(relay.calls) == 1

"""Pipecat's Realtime service, and OpenAI's own, against the loopback one."""

from typing import Any

import pytest
from pipecat.frames.frames import (
    InterruptionFrame,
    LLMContextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair

from bargein.testing.services import (
    Answer,
    Call,
    OpenAIRealtime,
    Said,
)
from line import pipeline, until

pytest.importorskip("websockets")
openai_realtime = pytest.importorskip("pipecat.services.openai.realtime.llm")
realtime_events = pytest.importorskip("pipecat.services.openai.realtime.events")


def texts(frames: list[Any]) -> list[str]:
    return [frame.text for frame in frames]


def realtime(server: OpenAIRealtime, **detection: Any) -> Any:
    """Pipecat's Realtime service, with the caller's words written down.

    Of its two kinds of turn detection only the semantic one can say ``interrupt_response``.
    """
    heard = realtime_events.AudioInput(
        transcription=realtime_events.InputAudioTranscription(),
        turn_detection=realtime_events.SemanticTurnDetection(**detection) if detection else None,
    )
    properties = realtime_events.SessionProperties(
        audio=realtime_events.AudioConfiguration(input=heard)
    )
    service = openai_realtime.OpenAIRealtimeLLMService
    return service(
        api_key="any",
        base_url=server.realtime_url,
        settings=service.Settings(session_properties=properties),
    )


COUNT = "One two three four five six seven eight nine ten eleven twelve."


async def test_talking_over_a_realtime_answer_cancels_and_truncates_it() -> None:
    script = [Said("Count, please.", at_ms=300), Said("Stop.", at_ms=2000)]
    async with OpenAIRealtime(script, [COUNT, "Fine."], speed=4) as server:
        llm = realtime(server)
        pair = LLMContextAggregatorPair(LLMContext([]))
        async with pipeline(pair.user(), llm, pair.assistant()) as line:
            await until(lambda: server.sessions and server.received)
            await line.talk(1500)
            await until(lambda: len(line.got(TTSAudioRawFrame)) >= 3)
            await line.talk(1500)
            await until(lambda: server.sessions[0].responses[-1].status == "completed")
            await until(lambda: len(line.got(InterruptionFrame)) == 2)
            (session,) = server.sessions
            first, second = session.responses
            assert (first.status, first.reason) == ("cancelled", "turn_detected")
            assert second.status == "completed"
            ((item_id, audio_end_ms),) = session.truncated
            assert item_id == first.output[0]["id"]
            assert 0 <= audio_end_ms <= 12 * 300
            assert line.errors == []


async def test_without_interrupt_response_the_realtime_answer_goes_on() -> None:
    script = [Said("Count, please.", at_ms=300), Said("Mhm.", at_ms=2000)]
    async with OpenAIRealtime(script, [COUNT, "Fine."], speed=4) as server:
        llm = realtime(server, interrupt_response=False, create_response=False)
        async with pipeline(llm) as line:
            await until(lambda: server.sessions and server.received)
            await line.talk(1500)
            await until(lambda: len(server.sessions[0].items.order) == 1)
            await line.push(LLMContextFrame(LLMContext([])))
            await until(lambda: line.got(TTSAudioRawFrame))
            await line.talk(1500)
            await until(lambda: server.sessions[0].responses[-1].status != "in_progress")
            assert [one.status for one in server.sessions[0].responses] == ["completed"]
            assert texts(line.back(TranscriptionFrame)) == ["Count, please.", "Mhm."]


async def test_a_realtime_tool_is_called_and_its_result_answered() -> None:
    async def book(params: Any) -> None:
        await params.result_callback({"booked": params.arguments["day"]})

    answers = [Answer(calls=(Call(name="book", arguments={"day": "Thursday"}),)), "It is booked."]
    async with OpenAIRealtime([Said("Book Thursday.", at_ms=300)], answers) as server:
        llm = realtime(server)
        llm.register_function("book", book)
        pair = LLMContextAggregatorPair(LLMContext([]))
        async with pipeline(pair.user(), llm, pair.assistant()) as line:
            await until(lambda: server.sessions and server.received)
            await line.push(LLMContextFrame(LLMContext([])))
            await line.talk(1500)
            await until(lambda: line.got(TTSAudioRawFrame))
            outputs = [
                one["item"] for one in server.connections[0].messages("conversation.item.create")
            ]
            assert [one["output"] for one in outputs] == ['{"booked": "Thursday"}']

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


def answers(server: OpenAIRealtime) -> list[Any]:
    """What the model answered so far."""
    return [response for session in server.sessions for response in session.responses]


COUNT = "One two three four five six seven eight nine ten eleven twelve."


async def test_talking_over_a_realtime_answer_cancels_and_truncates_it() -> None:
    script = [Said("Count, please.", at_ms=300), Said("Stop.", at_ms=2000)]
    async with OpenAIRealtime(script, ["Hello.", COUNT, "Fine."], speed=4) as server:
        llm = realtime(server)
        pair = LLMContextAggregatorPair(LLMContext([]))
        async with pipeline(pair.user(), llm, pair.assistant()) as line:
            await line.push(LLMContextFrame(LLMContext([])))
            await until(lambda: [one.status for one in answers(server)] == ["completed"])
            await line.talk(1500)
            await until(lambda: len(line.got(TTSAudioRawFrame)) >= 3)
            await line.talk(1500)
            await until(lambda: [one.status for one in answers(server)][2:] == ["completed"])
            await until(lambda: len(line.got(InterruptionFrame)) == 2)
            (session,) = server.sessions
            ends = [(one.status, one.reason) for one in session.responses]
            assert ends == [
                ("completed", None),
                ("cancelled", "turn_detected"),
                ("completed", None),
            ]
            item_id, audio_end_ms = session.truncated[-1]
            assert item_id == session.responses[1].output[0]["id"]
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

    call = Call(name="book", arguments={"day": "Thursday"})
    script = ["Hello.", Answer(calls=(call,)), "It is booked."]
    async with OpenAIRealtime([Said("Book Thursday.", at_ms=300)], script) as server:
        llm = realtime(server)
        llm.register_function("book", book)
        pair = LLMContextAggregatorPair(LLMContext([]))
        async with pipeline(pair.user(), llm, pair.assistant()) as line:
            await line.push(LLMContextFrame(LLMContext([])))
            await until(lambda: [one.status for one in answers(server)] == ["completed"])
            await line.talk(1500)
            await until(lambda: len(line.got(TTSAudioRawFrame)) == 1 + 3)
            outputs = [
                one["item"] for one in server.connections[0].messages("conversation.item.create")
            ]
            assert [one["output"] for one in outputs] == ['{"booked": "Thursday"}']

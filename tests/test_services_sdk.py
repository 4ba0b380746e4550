"""The vendors' own clients against the loopback services, for people without a framework."""

import asyncio
from typing import Any

import pytest

from bargein.testing.services import (
    Answer,
    Call,
    Deepgram,
    ElevenLabs,
    OpenAIChat,
    OpenAIRealtime,
    Said,
)
from line import until

CHANGE = Said("Wait, I meant ... Thursday.", at_ms=400)


async def test_deepgrams_own_client_reads_every_event() -> None:
    sdk = pytest.importorskip("deepgram")
    events = pytest.importorskip("deepgram.core.events").EventType
    async with Deepgram([CHANGE]) as server:
        client = sdk.AsyncDeepgramClient(
            api_key="any",
            environment=sdk.DeepgramClientEnvironment(
                base=server.url,
                production=server.ws_url,
                agent=server.ws_url,
                agent_rest=server.url,
            ),
        )
        got: list[Any] = []
        async with client.listen.v1.connect(
            model="nova-3", encoding="linear16", sample_rate="16000", interim_results="true",
            vad_events="true", endpointing="300", utterance_end_ms="1000",
        ) as connection:  # fmt: skip
            connection.on(events.MESSAGE, got.append)
            listening = asyncio.create_task(connection.start_listening())
            for _ in range(40):
                await connection.send_media(bytes(3200))
            await until(lambda: any(one.type == "UtteranceEnd" for one in got))
            await connection.send_finalize()
            await connection.send_close_stream()
            await asyncio.wait_for(listening, 5)
    kinds = [one.type for one in got]
    assert list(dict.fromkeys(kinds)) == ["SpeechStarted", "Results", "UtteranceEnd", "Metadata"]
    finals = [one for one in got if one.type == "Results" and one.is_final]
    said = [(one.channel.alternatives[0].transcript, one.speech_final) for one in finals]
    assert said == [("wait i meant", True), ("thursday", True), ("", False)]
    assert [(word.word, word.start) for word in finals[1].channel.alternatives[0].words] == [
        ("thursday", 1.75)
    ]


async def test_elevenlabs_own_client_gets_the_whole_audio() -> None:
    sdk = pytest.importorskip("elevenlabs")
    async with ElevenLabs() as server:
        client = sdk.ElevenLabs(api_key="any", base_url=server.url)
        client.text_to_speech._ws_base_url = server.ws_url  # it makes wss of any address

        def speak() -> bytes:
            text = iter(["Your appointment is on Tuesday. ", "Shall I book it? "])
            pieces = client.text_to_speech.convert_realtime(
                "any", text=text, model_id="any", output_format="pcm_16000"
            )
            return b"".join(pieces)

        audio = await asyncio.to_thread(speak)
    assert len(audio) / 2 / 16000 == pytest.approx(9 * 0.3)
    chars = [
        char
        for message in server.connections[0].sent
        for char in (message["alignment"] or {}).get("chars", [])
    ]
    assert "".join(chars) == "Your appointment is on Tuesday. Shall I book it?"


async def test_openais_own_client_reads_text_tools_and_usage() -> None:
    sdk = pytest.importorskip("openai")
    call = Call(name="book", arguments={"day": "Thursday", "hour": 9})
    async with OpenAIChat([Answer("One moment.", calls=(call,))]) as server:
        client = sdk.AsyncOpenAI(api_key="any", base_url=server.base_url)
        text, arguments, usage = "", "", None
        stream = await client.chat.completions.create(
            model="any",
            messages=[{"role": "user", "content": "Thursday at nine"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        async for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                text += choice.delta.content or ""
                for one in choice.delta.tool_calls or []:
                    arguments += one.function.arguments
        assert (text, arguments) == ("One moment.", '{"day": "Thursday", "hour": 9}')
        assert usage is not None
        with pytest.raises(sdk.BadRequestError):
            await client.chat.completions.create(model="", messages=[])


async def test_a_mistake_of_a_realtime_client_is_named() -> None:
    sdk = pytest.importorskip("openai")
    async with OpenAIRealtime([], ["One two three."]) as server:
        client = sdk.AsyncOpenAI(
            api_key="any", base_url=f"{server.url}/v1", websocket_base_url=f"{server.ws_url}/v1"
        )
        async with client.realtime.connect(model="gpt-realtime") as connection:
            await connection.response.cancel()
            await connection.input_audio_buffer.commit()
            await connection.conversation.item.delete(item_id="nothing")
            await connection.response.create()
            await connection.response.create()
            errors, done = [], None
            async for event in connection:
                if event.type == "error":
                    errors.append(event.error.code)
                if event.type == "response.done":
                    done = event.response
                    break
            item = done.output[0].id
            await connection.conversation.item.truncate(
                item_id=item, content_index=0, audio_end_ms=5000
            )
            await connection.conversation.item.truncate(
                item_id=item, content_index=0, audio_end_ms=450
            )
            async for event in connection:
                if event.type == "error":
                    errors.append(event.error.code)
                if event.type == "conversation.item.truncated":
                    break
    assert errors == [
        "response_cancel_not_active",
        "input_audio_buffer_commit_empty",
        "item_delete_invalid_item_id",
        "conversation_already_has_active_response",
        "invalid_value",
    ]
    assert server.sessions[0].truncated == [(item, 450)]

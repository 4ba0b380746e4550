"""LiveKit's own plugins against the loopback services."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import ClientSession

from bargein.testing.services import (
    Answer,
    Call,
    Deepgram,
    ElevenLabs,
    OpenAIChat,
    OpenAIRealtime,
    Said,
)

agents = pytest.importorskip("livekit.agents")
rtc = pytest.importorskip("livekit.rtc")
deepgram = pytest.importorskip("livekit.plugins.deepgram")
elevenlabs = pytest.importorskip("livekit.plugins.elevenlabs")
openai = pytest.importorskip("livekit.plugins.openai")
ServerVad = pytest.importorskip(
    "openai.types.realtime.realtime_audio_input_turn_detection"
).ServerVad

CHANGE = Said("Wait, I meant ... Thursday.", at_ms=400)


@pytest.fixture(name="http")
async def _http() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


def audio(ms: int, rate: int = 16000) -> Any:
    samples = rate * ms // 1000
    return rtc.AudioFrame(bytes(samples * 2), rate, 1, samples)


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(8):
        while not true():
            await asyncio.sleep(0.005)


async def heard(stt: Any, ends: int) -> list[tuple[str, str]]:
    """What a recogniser of LiveKit tells until speech ended so many times: kinds and texts."""
    stream = stt.stream()
    for _ in range(30):
        stream.push_frame(audio(100))
    told: list[tuple[str, str]] = []
    async with asyncio.timeout(8):
        async for event in stream:
            text = event.alternatives[0].text if event.alternatives else ""
            told.append((event.type.value, text))
            if [kind for kind, _ in told].count("end_of_speech") == ends:
                break
    await stream.aclose()
    return [one for one in told if one[0] != "recognition_usage"]


async def test_livekit_hears_words_from_deepgram_as_they_are_said(http: ClientSession) -> None:
    async with Deepgram([CHANGE]) as server:
        stt = deepgram.STT(api_key="any", base_url=server.nova_url, http_session=http)
        assert await heard(stt, 2) == [
            ("start_of_speech", ""),
            ("interim_transcript", "Wait,"),
            ("interim_transcript", "Wait, I"),
            ("interim_transcript", "Wait, I meant"),
            ("final_transcript", "Wait, I meant"),
            ("end_of_speech", ""),
            ("start_of_speech", ""),
            ("interim_transcript", "Thursday."),
            ("final_transcript", "Thursday."),
            ("end_of_speech", ""),
        ]


async def test_livekit_follows_a_turn_of_flux_through_a_pause(http: ClientSession) -> None:
    async with Deepgram([CHANGE]) as server:
        stt = deepgram.STTv2(
            api_key="any", base_url=server.flux_url, eager_eot_threshold=0.5, http_session=http
        )
        assert await heard(stt, 1) == [
            ("start_of_speech", ""),
            ("interim_transcript", "Wait,"),
            ("interim_transcript", "Wait, I"),
            ("interim_transcript", "Wait, I meant"),
            ("preflight_transcript", "Wait, I meant"),
            ("interim_transcript", "Wait, I meant"),
            ("interim_transcript", "Wait, I meant Thursday."),
            ("preflight_transcript", "Wait, I meant Thursday."),
            ("final_transcript", "Wait, I meant Thursday."),
            ("end_of_speech", ""),
        ]


def speaker(server: ElevenLabs, http: ClientSession) -> Any:
    return elevenlabs.TTS(
        api_key="any",
        base_url=f"{server.url}/v1",
        voice_id="any",
        encoding="pcm_24000",
        http_session=http,
    )


async def test_livekit_gets_audio_and_the_time_of_each_word(http: ClientSession) -> None:
    # LiveKit takes the times as they come, so here they count from the context's first audio.
    async with ElevenLabs(times_from_chunk=False) as server:
        tts = speaker(server, http)
        stream = tts.stream()
        stream.push_text("Your appointment is on Tuesday. ")
        stream.push_text("Shall I book it? ")
        stream.end_input()
        samples, words = 0, []
        async for one in stream:
            samples += one.frame.samples_per_channel
            for word in one.frame.userdata.get("lk.timed_transcripts", []):
                words.append((str(word).strip(), round(word.start_time, 1)))
        await stream.aclose()
        await tts.aclose()
    assert samples / 24000 == pytest.approx(9 * 0.3)
    text = "Your appointment is on Tuesday. Shall I book it?"
    assert words == [(word, round(place * 0.3, 1)) for place, word in enumerate(text.split())]
    (context,) = server.contexts.values()
    assert (context.was_closed, context.is_final) == (True, True)


async def test_a_closed_stream_closes_its_context_at_elevenlabs(http: ClientSession) -> None:
    async with ElevenLabs(speed=2) as server:
        tts = speaker(server, http)
        stream = tts.stream()
        stream.push_text("One two three four five six seven eight nine. ")
        stream.flush()
        await anext(aiter(stream))
        await stream.aclose()
        await until(lambda: all(one.was_closed for one in server.contexts.values()))
        (context,) = server.contexts.values()
        assert 0 < context.audio_ms < 9 * 300
        await tts.aclose()


async def test_livekit_streams_an_answer_and_a_tool_call() -> None:
    call = Call(name="book", arguments={"day": "Thursday"})
    script = ["Hello there, Sam.", Answer(calls=(call,))]
    async with OpenAIChat(script) as server:
        llm = openai.LLM(model="any", api_key="any", base_url=server.base_url)
        text, calls = "", []
        for _ in script:
            context = agents.llm.ChatContext.empty()
            context.add_message(role="user", content="Hello.")
            async with llm.chat(chat_ctx=context) as stream:
                async for chunk in stream:
                    if chunk.delta:
                        text += chunk.delta.content or ""
                        calls += chunk.delta.tool_calls
        await llm.aclose()
    assert text == "Hello there, Sam."
    assert [(call.name, call.arguments) for call in calls] == [("book", '{"day": "Thursday"}')]


COUNT = "One two three four five six seven eight nine ten eleven twelve."


class Talk:
    """A Realtime session of LiveKit, and what came of it."""

    def __init__(self, server: OpenAIRealtime, http: ClientSession, **options: Any) -> None:
        self.model = openai.realtime.RealtimeModel(
            api_key="any", base_url=f"{server.url}/v1", http_session=http, **options
        )
        self.session = self.model.session()
        self.events: list[str] = []
        self.said: dict[str, str] = {}
        self.samples = 0
        self.calls: list[Any] = []
        self._tasks: list[asyncio.Task[None]] = []
        for name in ("input_speech_started", "input_speech_stopped", "error"):
            self.session.on(name, lambda _, name=name: self.events.append(name))
        self.session.on("input_audio_transcription_completed", self._on_transcript)
        self.session.on("generation_created", self._on_generation)

    def talk(self, ms: int) -> None:
        for _ in range(ms // 50):
            self.session.push_audio(audio(50, 24000))

    def _on_transcript(self, event: Any) -> None:
        if event.is_final:
            self.events.append(event.transcript)

    def _on_generation(self, generation: Any) -> None:
        self._tasks.append(asyncio.create_task(self._read(generation)))

    async def _read(self, generation: Any) -> None:
        async for message in generation.message_stream:
            async for frame in message.audio_stream:
                self.samples += frame.samples_per_channel
            self.said[message.message_id] = "".join([piece async for piece in message.text_stream])
        async for call in generation.function_stream:
            self.calls.append(call)

    async def aclose(self) -> None:
        await asyncio.wait_for(asyncio.gather(*self._tasks), 5)
        await self.session.aclose()
        await self.model.aclose()


async def test_livekit_hears_a_turn_and_speaks_the_realtime_answer(http: ClientSession) -> None:
    call = Call(name="book", arguments={"day": "Thursday"})
    answers = [Answer("One moment.", calls=(call,))]
    async with OpenAIRealtime([Said("Book Thursday.", at_ms=300)], answers) as server:
        talk = Talk(server, http)
        talk.talk(1500)
        await until(lambda: talk.calls)
        assert talk.events == ["input_speech_started", "input_speech_stopped", "Book Thursday."]
        assert list(talk.said.values()) == ["One moment."]
        assert talk.samples / 24000 == pytest.approx(2 * 0.3)
        assert [one.arguments for one in talk.calls] == ['{"day": "Thursday"}']
        await talk.aclose()


async def test_livekit_cancels_and_truncates_what_was_not_heard(http: ClientSession) -> None:
    async with OpenAIRealtime([Said("Count, please.", at_ms=300)], [COUNT], speed=4) as server:
        talk = Talk(server, http)
        talk.talk(1500)
        await until(lambda: talk.samples)
        (session,) = server.sessions
        item_id = session.responses[0].output[0]["id"]
        talk.session.interrupt()
        talk.session.truncate(message_id=item_id, modalities=["audio", "text"], audio_end_ms=200)
        await until(lambda: session.truncated)
        await talk.aclose()
        assert session.truncated == [(item_id, 200)]
        assert session.responses[0].reason == "client_cancelled"
        assert COUNT.startswith(talk.said[item_id])
        assert talk.said[item_id] != COUNT
        assert "error" not in talk.events


@pytest.mark.parametrize("interrupts", [True, False])
async def test_the_server_interrupts_its_answer_only_if_it_may(
    http: ClientSession, interrupts: bool
) -> None:
    script = [Said("Count, please.", at_ms=300), Said("Mhm.", at_ms=2000)]
    async with OpenAIRealtime(script, [COUNT, "Fine."], speed=4) as server:
        detection = ServerVad(
            type="server_vad", interrupt_response=interrupts, create_response=interrupts
        )
        talk = Talk(server, http, turn_detection=detection)
        talk.talk(1500)
        if not interrupts:
            await until(lambda: "Count, please." in talk.events)
            talk.session.generate_reply()
        await until(lambda: talk.samples)
        talk.talk(1500)
        await until(lambda: "Mhm." in talk.events)
        await until(lambda: server.sessions[0].responses[-1].status == "completed")
        await talk.aclose()
        ends = [(one.status, one.reason) for one in server.sessions[0].responses]
        if interrupts:
            assert ends == [("cancelled", "turn_detected"), ("completed", None)]
        else:
            assert ends == [("completed", None)]
            assert list(talk.said.values()) == [COUNT]

"""Pipecat's own clients against the loopback services."""

from typing import Any

import pytest
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    EagerTranscriptionFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext

from bargein.testing.services import (
    Answer,
    Call,
    Deepgram,
    ElevenLabs,
    OpenAIChat,
    Said,
)
from line import pipeline, until

pytest.importorskip("deepgram")
pytest.importorskip("elevenlabs")
deepgram_stt = pytest.importorskip("pipecat.services.deepgram.stt")
flux_stt = pytest.importorskip("pipecat.services.deepgram.flux.stt")
elevenlabs_tts = pytest.importorskip("pipecat.services.elevenlabs.tts")
openai_llm = pytest.importorskip("pipecat.services.openai.llm")

CHANGE = Said("Wait, I meant ... Thursday.", at_ms=400)


def texts(frames: list[Any]) -> list[str]:
    return [frame.text for frame in frames]


async def test_pipecat_hears_words_from_deepgram_as_they_are_said() -> None:
    async with Deepgram([CHANGE]) as deepgram:
        stt = deepgram_stt.DeepgramSTTService(api_key="any", base_url=deepgram.ws_url)
        async with pipeline(stt) as line:
            await line.talk(3000)
            await until(lambda: len(line.got(TranscriptionFrame)) == 2)
            interims = texts(line.got(InterimTranscriptionFrame))
            assert interims == ["Wait,", "Wait, I", "Wait, I meant", "Thursday."]
            assert texts(line.got(TranscriptionFrame)) == ["Wait, I meant", "Thursday."]
            assert line.errors == []
    (connection,) = deepgram.connections
    assert connection.headers["authorization"] == "Token any"
    assert connection.messages("CloseStream")
    assert connection.sent[-1]["type"] == "Metadata"


async def test_pipecat_asks_deepgram_to_finalize_when_the_voice_stops() -> None:
    async with Deepgram([Said("go on please", at_ms=0)]) as deepgram:
        stt = deepgram_stt.DeepgramSTTService(api_key="any", base_url=deepgram.ws_url)
        async with pipeline(stt) as line:
            await line.talk(500)
            await until(lambda: len(line.got(InterimTranscriptionFrame)) == 2)
            await line.push(VADUserStoppedSpeakingFrame())
            await until(lambda: line.got(TranscriptionFrame))
            (final,) = line.got(TranscriptionFrame)
            assert (final.text, final.finalized) == ("go on", True)


async def test_pipecat_follows_a_turn_of_flux_through_a_pause() -> None:
    async with Deepgram([CHANGE]) as deepgram:
        stt = flux_stt.DeepgramFluxSTTService(
            api_key="any", url=deepgram.flux_url, enable_eager_end_of_turn=True
        )
        async with pipeline(stt) as line:
            await line.talk(3000)
            await until(lambda: line.got(ProposedUserStoppedSpeakingFrame))
            assert texts(line.got(EagerTranscriptionFrame)) == [
                "Wait, I meant",
                "Wait, I meant Thursday.",
            ]
            assert len(line.got(EagerEndOfTurnCancelFrame)) == 1
            assert len(line.got(ProposedUserStartedSpeakingFrame)) == 1
            (final,) = line.got(TranscriptionFrame)
            assert (final.text, final.finalized) == ("Wait, I meant Thursday.", True)


async def test_pipecat_gets_audio_and_the_time_of_each_word_from_elevenlabs() -> None:
    async with ElevenLabs() as elevenlabs:
        tts = elevenlabs_tts.ElevenLabsTTSService(
            api_key="any",
            url=elevenlabs.ws_url,
            settings=elevenlabs_tts.ElevenLabsTTSService.Settings(voice="any"),
        )
        async with pipeline(tts) as line:
            await line.push(
                LLMFullResponseStartFrame(),
                LLMTextFrame("Your appointment is on Tuesday. "),
                LLMTextFrame("Shall I book it? "),
                LLMFullResponseEndFrame(),
            )
            await until(lambda: line.got(TTSStoppedFrame))
            audio = b"".join(frame.audio for frame in line.got(TTSAudioRawFrame))
            assert len(audio) / 2 / 24000 == pytest.approx(9 * 0.3)
            words = line.got(TTSTextFrame)
            spoken = " ".join(texts(words))
            assert spoken == "Your appointment is on Tuesday. Shall I book it?"
            starts = [round((one.pts - words[0].pts) / 1e8) for one in words]
            # Pipecat gives a turn's last word the time of the one before: no space ends it.
            assert starts == [0, 3, 6, 9, 12, 15, 18, 21, 21]
    (context,) = elevenlabs.contexts.values()
    assert (context.was_closed, context.is_final) == (True, True)


async def test_an_interruption_closes_the_context_at_elevenlabs() -> None:
    async with ElevenLabs(speed=4) as elevenlabs:
        tts = elevenlabs_tts.ElevenLabsTTSService(
            api_key="any",
            url=elevenlabs.ws_url,
            settings=elevenlabs_tts.ElevenLabsTTSService.Settings(voice="any"),
        )
        async with pipeline(tts) as line:
            await line.push(
                LLMFullResponseStartFrame(),
                LLMTextFrame("One two three four five six seven. "),
                LLMTextFrame("Eight nine ten. "),
            )
            await until(lambda: line.got(TTSAudioRawFrame))
            await line.push(InterruptionFrame())
            await until(lambda: all(one.was_closed for one in elevenlabs.contexts.values()))
            (context,) = elevenlabs.contexts.values()
            assert context.audio_ms < 7 * 300
            await until(lambda: context.is_final)
            assert sum(len(one.audio) for one in line.got(TTSAudioRawFrame)) < 7 * 14400


async def test_pipecat_streams_an_answer_and_calls_a_tool() -> None:
    booked = []

    async def book(params: Any) -> None:
        booked.append(params.arguments)
        await params.result_callback({"ok": True})

    script = {
        "Hello.": "Hello there, Sam.",
        "Thursday, please.": Answer(
            "Just a moment.", calls=(Call(name="book", arguments={"day": "Thursday"}),)
        ),
    }
    async with OpenAIChat(script) as chat:
        llm = openai_llm.OpenAILLMService(
            api_key="any",
            base_url=chat.base_url,
            settings=openai_llm.OpenAILLMService.Settings(model="any"),
        )
        llm.register_function("book", book)
        schema = FunctionSchema(
            name="book",
            description="Book it.",
            properties={"day": {"type": "string"}},
            required=["day"],
        )
        tools = ToolsSchema(standard_tools=[schema])
        async with pipeline(llm) as line:
            for asks in script:
                context = LLMContext([{"role": "user", "content": asks}], tools)
                await line.push(LLMContextFrame(context))
            await until(lambda: booked and len(line.got(LLMFullResponseEndFrame)) == 2)
            said = "".join(texts(line.got(LLMTextFrame)))
    assert said == "Hello there, Sam.Just a moment."
    assert booked == [{"day": "Thursday"}]
    assert [one["tools"][0]["function"]["name"] for one in chat.requests] == ["book", "book"]

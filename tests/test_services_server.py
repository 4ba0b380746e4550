"""The loopback services themselves, spoken to without a client."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from bargein.testing.services import (
    Answer,
    Deepgram,
    Delay,
    Drop,
    ElevenLabs,
    Half,
    Malformed,
    OpenAIChat,
    OpenAIRealtime,
    Said,
    Silence,
    Status,
)
from bargein.testing.services.said import Word, hearing


async def test_nobody_outside_can_reach_a_service() -> None:
    async with Deepgram() as server, ClientSession() as http:
        assert server.url.startswith("http://127.0.0.1:")
        runner: Any = server._runner
        assert [site.name for site in runner.sites] == [server.url]
        async with Deepgram(faults=[Status(code=401)]) as refusing:
            with pytest.raises(WSServerHandshakeError) as refused:
                await http.ws_connect(refusing.nova_url)
            assert refused.value.status == 401


def test_what_is_said_must_make_sense() -> None:
    with pytest.raises(ValueError, match="must hold a word"):
        Said("... |", at_ms=0)
    with pytest.raises(ValueError, match="begins before"):
        Deepgram([Said("one two three", at_ms=0), Said("four", at_ms=100)])
    words = [one.word for one in hearing(Said("so ... yes", at_ms=100)) if one.word]
    assert words == [
        Word(text="so", begins_at_ms=100, ends_at_ms=350),
        Word(text="yes", begins_at_ms=950, ends_at_ms=1200),
    ]


async def test_alignment_is_true_to_the_audio() -> None:
    def voice(_: str, rate: int) -> tuple[np.ndarray[Any, Any], list[tuple[str, float]]]:
        long, short = np.full(rate, 1000, np.int16), np.full(rate // 2, 2000, np.int16)
        return np.concatenate([long, short, short]), [("a", 0.0), ("bb", 1.0), ("c", 1.5)]

    async with ElevenLabs(voice, speed=100) as server, ClientSession() as http:
        path = f"{server.url}/v1/text-to-speech/any/stream-input?output_format=pcm_8000"
        async with http.ws_connect(path) as socket:
            await socket.send_json({"text": "a bb c", "flush": True})
            await socket.send_json({"text": ""})
            got = [message.json() async for message in socket]
    assert [len(base64.b64decode(one["audio"] or "")) / 16 for one in got] == [1500, 500, 0]
    first, second = got[0]["alignment"], got[1]["alignment"]
    assert dict(zip(first["chars"], first["charStartTimesMs"], strict=True))["b"] >= 1000
    assert (second["chars"], second["charStartTimesMs"]) == (["c"], [0])


async def test_elevenlabs_can_speak_with_espeak() -> None:
    pytest.importorskip("espeakng_loader")
    speech = pytest.importorskip("bargein.testing.speech")
    async with ElevenLabs(speech.agent_voice, speed=100) as server, ClientSession() as http:
        path = f"{server.url}/v1/text-to-speech/any/stream-input?output_format=pcm_16000"
        async with http.ws_connect(path) as socket:
            await socket.send_json({"text": "Shall I book it?", "flush": True})
            await socket.send_json({"text": ""})
            got = [message.json() async for message in socket]
    audio = b"".join(base64.b64decode(one["audio"] or "") for one in got)
    assert audio == speech.agent_voice("Shall I book it?", 16000)[0].tobytes()


async def test_elevenlabs_says_which_format_it_cannot_speak() -> None:
    async with ElevenLabs() as server:
        path = f"{server.ws_url}/v1/text-to-speech/any/multi-stream-input"
        async with dial(f"{path}?output_format=mp3_22050_32") as socket:
            assert "mp3_22050_32" in (await socket.receive_json(timeout=5))["message"]
            assert (await socket.receive(5)).type == WSMsgType.CLOSE


async def test_a_context_closed_early_speaks_only_what_was_flushed() -> None:
    async with ElevenLabs(speed=100) as server, ClientSession() as http:
        path = f"{server.url}/v1/text-to-speech/any/multi-stream-input"
        async with http.ws_connect(path) as socket:
            await socket.send_json({"text": "One two. ", "context_id": "a", "flush": True})
            await socket.send_json({"text": "Three four. ", "context_id": "a"})
            await socket.send_json({"context_id": "a", "close_context": True})
            await socket.send_json({"close_socket": True})
            got = [message.json() async for message in socket]
    assert [(one["contextId"], one["isFinal"]) for one in got] == [("a", None), ("a", True)]
    assert server.contexts["a"].audio_ms == 2 * 300


@asynccontextmanager
async def dial(url: str) -> AsyncIterator[ClientWebSocketResponse]:
    async with ClientSession() as http, http.ws_connect(url) as socket:
        yield socket


async def words(socket: ClientWebSocketResponse, ms: int) -> None:
    await socket.send_bytes(bytes(ms * 32))


QUERY = "?interim_results=true&sample_rate=16000"


async def test_deepgram_leaves_out_fillers_unless_asked() -> None:
    heard = []
    for query in ("", "&filler_words=true"):
        async with (
            Deepgram([Said("um, uh-huh", at_ms=0)]) as server,
            dial(f"{server.nova_url}{QUERY}{query}") as socket,
        ):
            await words(socket, 600)
            await socket.send_json({"type": "CloseStream"})
            got = [message.json() async for message in socket]
        heard += [
            one["channel"]["alternatives"][0]["transcript"] for one in got if one.get("is_final")
        ]
    assert heard == ["uh-huh", "um uh-huh"]


async def test_a_recogniser_may_commit_words_before_the_turn_is_over() -> None:
    async with (
        Deepgram([Said("one two | three", at_ms=0)]) as server,
        dial(f"{server.nova_url}{QUERY}") as socket,
    ):
        await words(socket, 1000)
        await socket.send_json({"type": "CloseStream"})
        got = [message.json() async for message in socket]
    finals = [one for one in got if one.get("is_final")]
    texts = [one["channel"]["alternatives"][0]["transcript"] for one in finals]
    assert texts == ["one two", "three"]
    assert [one["speech_final"] for one in finals] == [False, True]


async def test_deepgram_hangs_up_on_who_says_nothing() -> None:
    async with Deepgram(idle_s=0.1) as server, dial(server.nova_url) as socket:
        assert (await socket.receive(5)).type == WSMsgType.CLOSE
        assert socket.close_code == 1011


async def test_a_fault_may_strike_in_the_middle_of_a_call() -> None:
    async with (
        Deepgram([Said("one two three", at_ms=0)]) as server,
        dial(f"{server.nova_url}{QUERY}") as socket,
    ):
        await words(socket, 300)
        assert (await socket.receive(5)).type == WSMsgType.TEXT
        await server.strike(Malformed())
        await words(socket, 300)
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            (await socket.receive(5)).json()
        await server.strike(Drop())
        assert (await socket.receive(5)).type in (WSMsgType.CLOSED, WSMsgType.ERROR)


async def test_a_service_comes_back_on_its_port() -> None:
    async with OpenAIChat(["Here."]) as server, ClientSession() as http:
        url, ask = f"{server.base_url}/chat/completions", {"model": "any", "messages": []}
        await server.close()
        with pytest.raises(OSError, match="Cannot connect"):
            await http.post(url, json=ask)
        await server.start()
        async with http.post(url, json=ask) as response:
            answer = await response.json()
    assert answer["choices"][0]["message"]["content"] == "Here."


@pytest.mark.parametrize("fault", [Drop(after=1), Half(after=1), Silence(after=1), Delay(ms=1)])
async def test_what_a_fault_swallowed_is_not_in_the_record(fault: Any) -> None:
    async with OpenAIChat(["One two three."], faults=[fault]) as server, ClientSession() as http:
        ask = {"model": "any", "messages": [], "stream": True}
        response = await http.post(f"{server.base_url}/chat/completions", json=ask)
        await asyncio.sleep(0.1)
        response.close()
    # The role, three words, and the end.
    assert len(server.connections[0].sent) == (5 if isinstance(fault, Delay) else 1)


async def test_an_answer_may_fail_in_the_middle() -> None:
    failing = Answer("One two.", fails="server_error")
    async with OpenAIRealtime([], [failing]) as server, dial(server.realtime_url) as socket:
        await socket.send_json({"type": "response.create"})
        async for message in socket:
            event = message.json()
            if event["type"] == "response.done":
                break
    assert event["response"]["status"] == "failed"
    assert event["response"]["status_details"]["error"]["code"] == "server_error"
    assert event["response"]["output"][0]["content"][0]["transcript"] == "One two."

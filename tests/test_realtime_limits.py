"""What the Realtime relay cannot do is told to the client; and one that reads nothing is let go."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from bargein.realtime import BargeinError, Realtime
from bargein.realtime.relay import Relay
from bargein.testing.services import Failed, OpenAIRealtime, Said
from bargein.testing.services.voice import mu_law
from bargein.testing.speech import speak
from line import until
from realtime_rig import COUNT, RATE, WORD_MS, RealtimeRig, realtime_call

PCMU = {"type": "audio/pcmu"}
ASKS = [
    {"audio": {"input": {"format": PCMU}}},
    {"audio": {"output": {"format": {"type": "audio/pcma"}}}},
    {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}},
    {"input_audio_format": "g711_ulaw"},
]


@asynccontextmanager
async def on_the_line(far: OpenAIRealtime) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A client of a relay's."""
    async with (
        Relay(lambda: Realtime(early_onset=False), far.realtime_url) as relay,
        aiohttp.ClientSession() as http,
        http.ws_connect(relay.url) as socket,
    ):
        yield socket


async def error_from(socket: aiohttp.ClientWebSocketResponse) -> Any:
    async with asyncio.timeout(10):
        while (got := await socket.receive_json())["type"] != "error":
            pass
    return got["error"]


async def test_errors_that_name_no_event_reach_the_client() -> None:
    far = OpenAIRealtime([Failed(at_ms=100, code="session_expired", description="over")])
    async with far, on_the_line(far) as socket:
        silence = base64.b64encode(bytes(RATE // 2)).decode()
        await socket.send_json({"type": "input_audio_buffer.append", "audio": silence})
        error = await error_from(socket)
        assert (error["code"], error["event_id"]) == ("session_expired", None)
        # A client need not name its events; the error is about its own all the same.
        await socket.send_json({"type": "conversation.item.retrieve", "item_id": "gone"})
        error = await error_from(socket)
        assert (error["code"], error["event_id"]) == ("item_retrieve_invalid_item_id", None)


@pytest.mark.parametrize("asked", ASKS)
def test_audio_of_a_telephone_is_refused_in_one_sentence(asked: dict[str, Any]) -> None:
    with pytest.raises(BargeinError, match="must be 24 kHz PCM both ways"):
        Realtime(early_onset=False).session(**asked)


async def test_a_relays_client_is_told_so_and_its_mu_law_is_nobodys_speech(
    caplog: pytest.LogCaptureFixture,
) -> None:
    far = OpenAIRealtime([], [COUNT])
    async with far, on_the_line(far) as socket:
        settings = {"audio": {"input": {"format": PCMU}, "output": {"format": PCMU}}}
        ask = {"type": "session.update", "session": settings, "event_id": "mine"}
        with caplog.at_level(logging.ERROR):
            await socket.send_json(ask)
            error = await error_from(socket)
        assert error["event_id"] == "mine"
        assert "audio/pcmu" in error["message"]
        assert far.sessions[0].settings["audio"]["input"]["format"]["type"] == "audio/pcm"
        assert len(caplog.records) == 1
        spoken = base64.b64encode(mu_law(speak("hello", 8000)[0])).decode()
        await socket.send_json({"type": "input_audio_buffer.append", "audio": spoken})
        await asyncio.sleep(1)
        assert not socket.closed


async def test_a_client_that_reads_nothing_is_let_go(caplog: pytest.LogCaptureFixture) -> None:
    story = "word " * 1500
    far = OpenAIRealtime([], [story], speed=50)
    async with far, Relay(lambda: Realtime(early_onset=False), far.realtime_url) as relay:
        host, _, path = relay.url.removeprefix("ws://").partition("/")
        name, _, port = host.partition(":")
        with caplog.at_level(logging.ERROR):
            reader, writer = await asyncio.open_connection(name, int(port), limit=1024)
            writer.write(
                f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
            )
            await reader.readuntil(b"\r\n\r\n")
            gate = relay.calls[-1]
            gate.sending({"type": "response.create"})
            await until(lambda: gate._call.closed, 450)
        (error,) = [one.getMessage() for one in caplog.records]
        assert "the Realtime client has read nothing for 20 s" in error
        writer.close()


async def test_semantic_turn_detection_in_a_whole_call() -> None:
    """Its server tells of a turn when it understood that it is over, not by so much silence."""
    script = [
        Said("Count, please.", at_ms=300),
        Said("Uh-huh.", at_ms=2000),
        Said("No wait, ... stop.", at_ms=3500),
    ]
    far = OpenAIRealtime(script, [COUNT, "Fine."], transcribe_ms=100)
    gate = Realtime(early_onset=False, turn_detection="semantic_vad")

    async def at(rig: RealtimeRig, word: str, ms: int) -> None:
        await rig.agent_at(word)
        await rig.talk(ms)

    async with realtime_call(far, gate) as rig:
        await rig.talk(1500)
        await at(rig, "two", 1500)
        await at(rig, "six", 2500)
        await rig.until(lambda: len(rig.statuses) == 2)
        await rig.silent()
        detection = rig.session.settings["audio"]["input"]["turn_detection"]
        assert (detection["type"], detection["interrupt_response"]) == ("semantic_vad", False)
        assert 'ReportBackchannel(backchannel) "Uh-huh.": a continuer' in rig.decided
        ((item_id, end_ms),) = rig.session.truncated
        assert item_id == "item_resp_1_message"
        assert 6 * WORD_MS <= end_ms < 12 * WORD_MS
        users = [i for i in rig.session.items.order if i.startswith("item_user")]
        assert users == ["item_user_0", "item_user_2"]

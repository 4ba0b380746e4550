"""What a server or an application does wrong, late or twice never ends a Realtime call."""

import asyncio
import base64
import json
import logging
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import aiohttp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bargein.realtime import BargeinError, Out, Play, Realtime, Send
from bargein.testing.services import Drop, OpenAIRealtime, Said
from realtime_rig import COUNT, RATE, WORD_MS, realtime_call

ITEM = {"item_id": "a1", "response_id": "r1", "content_index": 0}


def audio(ms: int) -> str:
    tone = 3000 * np.sin(np.arange(RATE * ms // 1000) / 9)
    return base64.b64encode(tone.astype("<i2").tobytes()).decode()


def spoken(words: int = 8) -> list[dict[str, Any]]:
    """What a server sends of one answer."""
    events: list[dict[str, Any]] = [{"type": "response.created", "response": {"id": "r1"}}]
    for word in COUNT.split()[:words]:
        name = "response.output_audio"
        events += [
            {"type": f"{name}_transcript.delta", "delta": f" {word}", **ITEM},
            {"type": f"{name}.delta", "delta": audio(WORD_MS), **ITEM},
        ]
    return [
        *events,
        {"type": "response.output_audio.done", **ITEM},
        {"type": "response.done", "response": {"id": "r1", "status": "completed"}},
    ]


def caller(item_id: str = "u1", text: str | None = "No wait, stop.") -> list[dict[str, Any]]:
    """What it sends of one turn of the caller's."""
    words = "conversation.item.input_audio_transcription"
    told: dict[str, Any] = {"type": f"{words}.completed", "item_id": item_id, "transcript": text}
    if text is None:
        told = {"type": f"{words}.failed", "item_id": item_id, "error": {"code": "x"}}
    return [
        {"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, "item_id": item_id},
        {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 500, "item_id": item_id},
        {"type": "input_audio_buffer.committed", "item_id": item_id},
        told,
    ]


class Bare:
    """A gate without a server: what it wants sent and played."""

    def __init__(self, gate: Realtime) -> None:
        self.gate = gate
        self.outs: list[Out] = []
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for out in self.gate:
            self.outs.append(out)

    def receive(self, *events: object) -> None:
        for event in events:
            self.gate.received(event)

    @property
    def sent(self) -> list[str]:
        return [out.event["type"] for out in self.outs if isinstance(out, Send)]

    @property
    def played_ms(self) -> float:
        return sum(len(out.pcm) for out in self.outs if isinstance(out, Play)) * 500 / RATE

    async def until(self, true: Callable[[], Any]) -> None:
        async with asyncio.timeout(15):
            while not true():
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        await self.gate.aclose()
        await asyncio.wait_for(self.task, 5)  # the stream ends with the call


async def test_what_is_no_event_is_told_once_and_the_call_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bare = Bare(Realtime(early_onset=False))
    with caplog.at_level(logging.ERROR):
        bare.receive("{half an ev", b"\xff", "[" * 100_000, None, 7, {}, {"type": 3})
        bare.receive({"type": "response.created"})
        bare.receive({"type": "response.output_audio.delta", "delta": "!", **ITEM})
        bare.receive({"type": "an.event.of.tomorrow", "new": True})
        bare.receive(*spoken(2))
        await bare.until(lambda: bare.played_ms >= 2 * WORD_MS)
    assert len(caplog.records) == 1
    await bare.close()


async def test_an_interruption_whose_answer_ended_long_ago_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The server cannot know that it is still being heard, and says so."""
    bare = Bare(Realtime(early_onset=False))
    with caplog.at_level(logging.ERROR):
        bare.receive(*spoken())
        await bare.until(lambda: bare.played_ms > WORD_MS)
        bare.receive(*caller())
        await bare.until(lambda: "response.create" in bare.sent)
        cut = next(one for one in bare.outs if isinstance(one, Send))
        for code in ("response_cancel_not_active", "invalid_value"):
            error = {"code": code, "event_id": cut.event["event_id"], "message": "late"}
            bare.receive({"type": "error", "error": error})
        bare.receive(*spoken()[-2:])  # and the end of the answer, once more
    assert bare.sent == [
        "conversation.item.truncate",
        "conversation.item.create",
        "response.create",
    ]
    assert caplog.records == []
    await bare.close()


async def test_an_answer_is_never_truncated_behind_its_end() -> None:
    bare = Bare(Realtime(early_onset=False))
    *begun, _, _ = spoken(4)
    sound = bytes(2 * (RATE * WORD_MS // 1000 + 16))  # two thirds of a millisecond more
    begun = [e | {"delta": base64.b64encode(sound).decode()} if "audio.delta" in e["type"] else e
             for e in begun]  # fmt: skip
    bare.receive(*begun)
    came_ms = 4 * len(sound) * 500 / RATE
    await bare.until(lambda: bare.played_ms > came_ms - 0.1)
    bare.receive(*caller())
    await bare.until(lambda: "response.create" in bare.sent)
    events = [out.event for out in bare.outs if isinstance(out, Send)]
    (cut,) = [one for one in events if one["type"] == "conversation.item.truncate"]
    assert cut["audio_end_ms"] <= came_ms
    await bare.close()


async def test_an_answer_that_ends_while_the_agent_falls_silent_is_still_cut() -> None:
    bare = Bare(Realtime(early_onset=False))
    *begun, audio_ends, answer_ends = spoken()
    bare.receive(*begun)
    await bare.until(lambda: bare.played_ms > WORD_MS)
    bare.receive(*caller(), audio_ends, answer_ends)
    await bare.until(lambda: "response.create" in bare.sent)
    assert "conversation.item.truncate" in bare.sent
    assert bare.played_ms < 5 * WORD_MS
    await bare.close()


async def test_words_that_come_when_the_agent_has_finished_are_still_only_a_listeners() -> None:
    bare = Bare(Realtime(early_onset=False))
    told: list[str] = []
    bare.gate.add_event_handler("on_backchannel", lambda _, news: told.append(news.text))
    *sounds, words = caller(text="Uh-huh.")
    bare.receive(*spoken(3))
    await bare.until(lambda: bare.gate.floor == "agent")
    bare.receive(*sounds)
    await bare.until(lambda: not bare.gate.busy)
    bare.receive(words)
    await bare.until(lambda: bare.sent)
    assert bare.sent == ["conversation.item.delete"]
    await bare.until(lambda: told == ["Uh-huh."])
    await bare.close()


async def test_a_turn_without_words_is_answered_when_nobody_speaks() -> None:
    bare = Bare(Realtime(early_onset=False))
    bare.receive(*spoken(4))
    await bare.until(lambda: bare.gate.floor == "agent")
    bare.receive(*caller(text=None))
    await bare.until(lambda: "response.create" in bare.sent)
    assert bare.played_ms >= 4 * WORD_MS
    assert bare.sent == ["response.create"]
    await bare.close()


async def test_an_answer_somebody_else_asked_for_comes_before_ours() -> None:
    bare = Bare(Realtime(early_onset=False))
    bare.receive(*caller())
    await bare.until(lambda: bare.sent == ["response.create"])
    (asked,) = [one.event for one in bare.outs if isinstance(one, Send)]
    error = {"code": "conversation_already_has_active_response", "event_id": asked["event_id"]}
    bare.receive({"type": "error", "error": error})
    await asyncio.sleep(0.05)
    assert bare.sent == ["response.create"]
    bare.receive({"type": "response.done", "response": {"id": "theirs", "status": "completed"}})
    await bare.until(lambda: bare.sent == ["response.create"] * 2)
    await bare.close()


@pytest.mark.parametrize("lost", ["response.created", "response.done", "all of it"])
async def test_the_agent_still_answers_when_the_end_of_an_answer_got_lost(
    lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bargein.realtime.answers._LOST_S", 0.2)
    bare = Bare(Realtime(early_onset=False))
    bare.gate.sending({"type": "response.create"})
    came = [one for one in spoken(2) if lost not in (one["type"], "all of it")]
    if lost == "response.created":
        came.pop()
    bare.receive(*came)
    await bare.until(lambda: bare.played_ms >= len(came[2:-1]) // 2 * WORD_MS)
    bare.receive(*caller(text="How do I get there?"))
    await bare.until(lambda: bare.sent.count("response.create") == 2)
    await bare.close()


async def test_the_sound_of_a_long_call_is_not_kept_for_ever() -> None:
    bare = Bare(Realtime(early_onset=False))
    tracemalloc.start()
    for _ in range(60):
        await bare.gate.say("Now.", audio=bytes(RATE * 2))
        bare.gate.sending({"type": "response.cancel"})
        bare.outs.clear()
        await asyncio.sleep(0.01)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 30 * RATE * 2
    await bare.close()


async def test_a_text_of_a_megabyte_costs_ten_times_one_of_a_tenth() -> None:
    async def taken_s(characters: int) -> float:
        bare = Bare(Realtime(early_onset=False))
        began_s = time.process_time()
        began, words, sound, *ends = spoken(1)
        bare.receive(began, words | {"delta": "word " * (characters // 5)})
        bare.receive(sound | {"delta": audio(5000)}, *ends)
        await bare.until(lambda: bare.played_ms > 1000)
        bare.receive(*caller())
        await bare.until(lambda: "response.create" in bare.sent)
        assert "conversation.item.truncate" in bare.sent
        await bare.close()
        return time.process_time() - began_s

    await taken_s(1000)
    assert await taken_s(1_000_000) < 30 * await taken_s(100_000)


async def test_an_applications_own_events_keep_the_floors_veto() -> None:
    bare = Bare(Realtime(early_onset=False, turn_detection="semantic_vad"))
    theirs = {"type": "server_vad", "interrupt_response": True}
    audio = {"input": {"turn_detection": theirs}}
    bare.gate.sending({"type": "session.update", "session": {"audio": audio}})
    bare.gate.sending({"type": "session.update", "session": {"instructions": "Be brief."}})
    bare.gate.sending({"type": "input_audio_buffer.append", "audio": audio_of_silence()})
    await bare.until(lambda: len(bare.sent) == 3)
    first, second, third = [one.event for one in bare.outs if isinstance(one, Send)]
    assert first["session"]["audio"]["input"]["turn_detection"] == {
        "type": "semantic_vad",
        "create_response": False,
        "interrupt_response": False,
    }
    assert second["session"] == {"type": "realtime", "instructions": "Be brief."}
    assert third["audio"] == audio_of_silence()
    await bare.close()


def audio_of_silence() -> str:
    return base64.b64encode(bytes(960)).decode()


async def test_an_application_may_stop_the_agent_itself() -> None:
    bare = Bare(Realtime(early_onset=False))
    bare.receive(*spoken()[:-2])
    await bare.until(lambda: bare.played_ms > WORD_MS)
    bare.gate.sending({"type": "response.cancel"})
    await bare.until(lambda: len(bare.sent) == 2)
    assert bare.sent == ["response.cancel", "conversation.item.truncate"]
    await bare.until(lambda: bare.gate.floor == "open")
    assert bare.played_ms < 4 * WORD_MS
    await bare.close()


def test_what_cannot_work_is_said_at_once() -> None:
    with pytest.raises(BargeinError, match="turn_detection must be"):
        Realtime(turn_detection="none")  # type: ignore[arg-type]
    with pytest.raises(BargeinError, match="transcription must stay on"):
        Realtime().session(audio={"input": {"transcription": None}})


async def test_nothing_can_be_said_when_the_call_is_over() -> None:
    gate = Realtime(early_onset=False)
    await gate.aclose()
    gate.hear(bytes(960))
    gate.received({"type": "session.created"})
    with pytest.raises(BargeinError, match="the call is over"):
        await gate.say("Goodbye.")


async def test_local_detection_commits_what_was_said_and_sends_no_silence() -> None:
    loud = (8000 * np.sin(np.arange(RATE // 50) / 9)).astype("<i2").tobytes()
    gate = Realtime(turn_detection="local", vad=lambda window: float(np.abs(window).mean() > 0.01))
    script = [Said("Count, please.", at_ms=100), Said("Uh-huh.", at_ms=1900, word_ms=100)]
    async with realtime_call(OpenAIRealtime(script, [COUNT]), gate) as rig:

        async def says(ms: int) -> None:
            for pcm in [bytes(960)] * 50 + [loud] * (ms // 20) + [bytes(960)] * 50:
                gate.hear(pcm)
                await asyncio.sleep(0)

        await says(1000)
        await rig.agent_at("three")
        await says(300)
        await rig.silent()
        assert 'ReportBackchannel(backchannel) "Uh-huh.": a continuer' in rig.decided
        assert rig.kinds() == [
            "session.update",
            "input_audio_buffer.commit",
            "response.create",
            "input_audio_buffer.commit",
            "conversation.item.delete",
        ]
        # A second before each and half a second behind it have stayed here.
        sent_ms = sum(
            len(base64.b64decode(one["audio"])) * 500 / RATE
            for one in rig.sent("input_audio_buffer.append")
        )
        assert sent_ms < 1000 + 300 + 2 * (300 + 100 + 540)


async def test_words_of_a_recogniser_of_ones_own_decide_before_the_caller_is_silent() -> None:
    bare = Bare(Realtime(early_onset=False))
    bare.receive(*spoken())
    await bare.until(lambda: bare.played_ms > WORD_MS)
    began, *rest = caller(text="No wait, I meant Thursday.")
    bare.receive(began)
    bare.gate.words("no wait, I meant")
    await bare.until(lambda: bare.gate.floor == "user")
    bare.receive(*rest)
    await bare.until(lambda: "response.create" in bare.sent)
    assert "conversation.item.delete" not in bare.sent
    assert bare.sent.count("response.create") == 1
    await bare.close()


async def test_a_connection_that_breaks_leaves_the_receipt_true() -> None:
    server = OpenAIRealtime([], ["Your code is 4 2 7 1."], speed=1.1)
    async with server, aiohttp.ClientSession() as http:
        gate = Realtime(early_onset=False)
        async with http.ws_connect(server.realtime_url + "?model=gpt-realtime") as socket:
            await socket.send_json(gate.session())

            async def outwards() -> None:
                async for out in gate:
                    if isinstance(out, Send) and not socket.closed:
                        await socket.send_json(out.event)

            sending = asyncio.create_task(outwards())
            await gate.say("Your code is 4 2 7 1.", must_hear=True, message_id="code")
            async with asyncio.timeout(15):
                async for message in socket:
                    gate.received(message.data)
                    if gate.floor == "agent":
                        await server.strike(Drop())
            await gate.aclose()
            await asyncio.wait_for(sending, 5)
            (receipt,) = gate.receipts
            assert receipt.state.value == "cut"
            assert len(receipt.heard) < len("Your code is 4 2 7 1.")


EVENTS = [
    *spoken(3),
    *caller("u1"),
    *caller("u2", "Uh-huh."),
    *caller("u3", None),
    {"type": "error", "error": {"code": "server_error", "event_id": None}},
    {"type": "error", "error": {"event_id": "bargein_1"}},
    {"type": "session.created"},
    {"type": "response.output_item.done", "item": {"type": "function_call", "call_id": "c"}},
]


@settings(max_examples=40)
@given(st.lists(st.sampled_from(EVENTS), max_size=40))
def test_events_in_any_order_never_fail(events: list[dict[str, Any]]) -> None:
    async def call() -> None:
        complaints: list[str] = []
        gate = Realtime(early_onset=False)
        gate._call._error = complaints.append
        bare = Bare(gate)
        for event in events:
            bare.receive(json.dumps(event))
            await asyncio.sleep(0)
        await bare.close()
        assert [text for text in complaints if "failed with" in text] == []

    asyncio.run(call())

"""Somebody talks over an agent on OpenAI Realtime: the real SDK, a loopback server."""

import asyncio
import logging

import numpy as np
import pytest

from bargein.realtime import Realtime
from bargein.testing.services import Answer, Call, OpenAIRealtime, Said
from bargein.testing.speech import speak
from realtime_rig import COUNT, RATE, WORD_MS, RealtimeRig, realtime_call


def server(*said: Said, answers: list[Answer | str], **options: object) -> OpenAIRealtime:
    """The caller asks, and then says that; words come 100 ms behind."""
    script = [Said("Count, please.", at_ms=300), *said]
    return OpenAIRealtime(script, answers, **{"transcribe_ms": 100, **options})  # type: ignore[arg-type]


async def counting(rig: RealtimeRig, word: str = "three") -> None:
    """The caller has asked, and the agent has come to this word. 1.5 s of audio went by."""
    await rig.talk(1500)
    await rig.agent_at(word)


def tones_of(pcm: bytes) -> float:
    """How much of it sounds, in ms, whatever its volume."""
    loud = np.abs(np.frombuffer(pcm, "<i2").astype(int)) > 100
    return float(loud.sum() / RATE * 1000)


async def test_uh_huh_keeps_the_agent_talking_and_leaves_the_conversation() -> None:
    async with realtime_call(server(Said("Uh-huh.", at_ms=2000), answers=[COUNT])) as rig:
        await counting(rig)
        await rig.talk(1500)
        await rig.silent()
        assert rig.decided == [
            "DuckPlayout: overlap began",
            "HoldFloor(backchannel): a continuer",
            "ResumePlayout: a continuer",
            'ReportBackchannel(backchannel) "Uh-huh.": a continuer',
        ]
        assert rig.statuses == [("completed", None)]
        assert rig.session.truncated == []
        assert rig.session.items.order == ["item_user_0", "item_resp_1_message"]
        assert rig.session.settings["audio"]["input"]["turn_detection"] == {
            "type": "server_vad",
            "threshold": 0.5,
            "prefix_padding_ms": 300,
            "silence_duration_ms": 500,
            "create_response": False,
            "interrupt_response": False,
        }
        assert len(rig.played) == 12 * WORD_MS * RATE // 500  # every sample, once


async def test_a_cough_stops_nobody_and_is_nobodys_turn() -> None:
    async with realtime_call(server(Said("*", at_ms=2000), answers=[COUNT])) as rig:
        await counting(rig)
        await rig.talk(1500)
        await rig.silent()
        assert [line.split(":")[0] for line in rig.decided] == [
            "DuckPlayout",
            "HoldFloor(noise)",
            "ResumePlayout",
        ]
        assert rig.statuses == [("completed", None)]
        assert rig.session.items.order == ["item_user_0", "item_resp_1_message"]


@pytest.mark.parametrize("speed", [1.2, 20])
async def test_an_interruption_stops_the_agent_and_the_model_knows_what_was_heard(
    speed: float,
) -> None:
    calls = server(Said("No wait, stop.", at_ms=2000), answers=[COUNT, "Fine."], speed=speed)
    async with realtime_call(calls) as rig:
        await counting(rig)
        await rig.talk(2000)
        await rig.until(lambda: rig.statuses[1:] == [("completed", None)])
        await rig.silent()
        yielded = next(line for line in rig.decided if line.startswith("YieldFloor"))
        assert yielded.startswith('YieldFloor(cancellation): a stop word | heard "One two three')
        ((item_id, end_ms),) = rig.session.truncated
        assert item_id == "item_resp_1_message"
        # What was played of it: the rest is silence, and the next answer's one word. A tone is near
        # zero for a few of its samples.
        assert abs(end_ms - (tones_of(bytes(rig.played)) - WORD_MS)) < 0.04 * end_ms
        kinds = rig.kinds()
        assert ("response.cancel" in kinds) == (speed < 2)  # only what is still being made
        behind = kinds[kinds.index("conversation.item.truncate") :]
        assert behind == [
            "conversation.item.truncate",
            "conversation.item.create",  # the note for the model
            "response.create",
        ]
        (note,) = rig.sent("conversation.item.create")
        assert note["item"]["role"] == "system"
        assert "three" in note["item"]["content"][0]["text"]


async def test_an_early_yes_is_an_answer() -> None:
    asks = "Shall I book the room on the second floor for you?"
    calls = server(Said("Yes.", at_ms=2000), answers=[asks, "It is booked."])
    async with realtime_call(calls) as rig:
        await counting(rig, "second")
        await rig.talk(1500)
        await rig.until(lambda: rig.statuses[1:] == [("completed", None)])
        assert any(line.startswith("YieldFloor(answer)") for line in rig.decided)
        assert rig.session.items.said["item_user_1"] == "Yes."
        assert "item_user_1" in rig.session.items.order


async def test_what_must_be_heard_is_heard_in_full_and_the_caller_is_answered_afterwards() -> None:
    code = "Your code is 4 2 7 1."
    calls = server(
        Said("Sorry, what was that?", at_ms=2000), answers=["Hello.", code, "It was 4 2 7 1."]
    )
    async with realtime_call(calls) as rig:
        await rig.talk(1500)
        await rig.until(lambda: rig.statuses == [("completed", None)])
        await rig.gate.say(code, must_hear=True, message_id="code")
        await rig.agent_at("code")
        await rig.talk(2500)
        receipt = await rig.gate.receipt("code")
        assert (receipt.state.value, receipt.heard) == ("delivered", code)
        await rig.until(lambda: rig.statuses == [("completed", None)] * 3)
        await rig.silent()
        assert 'DeferTurn "Sorry, what was that?": critical message' in rig.decided
        assert not any(line.startswith(("Yield", "Duck", "Pause")) for line in rig.decided)
        assert rig.session.truncated == []
        asked = rig.sent("response.create")
        assert asked[1]["response"]["metadata"] == {"bargein": "code"}
        assert code in asked[1]["response"]["instructions"]
        assert [*rig.session.items.order[2:]] == [
            "item_resp_2_message",
            "item_user_1",
            "item_resp_3_message",
        ]


async def test_a_message_that_the_model_says_in_other_words_is_not_delivered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        calls = server(answers=["Hello.", "Your code is 4 2 7 2."])
        async with realtime_call(calls) as rig:
            await rig.talk(1500)
            await rig.until(lambda: rig.statuses == [("completed", None)])
            await rig.gate.say("Your code is 4 2 7 1.", must_hear=True, message_id="code")
            assert (await rig.gate.receipt("code")).state.value == "cut"
    assert ["in other words" in record.message for record in caplog.records] == [True]


async def test_a_message_with_sound_of_its_own_is_played_as_it_is() -> None:
    pcm = (3000 * np.sin(np.arange(RATE) / 9)).astype("<i2").tobytes()
    async with realtime_call(server(answers=[])) as rig:
        await rig.gate.say("Calls are recorded.", must_hear=True, message_id="rec", audio=pcm)
        assert (await rig.gate.receipt("rec")).state.value == "delivered"
        await rig.until(lambda: rig.session.items.order)
        assert bytes(rig.played) == pcm
        (item,) = rig.session.items.by_id.values()
        assert item["role"] == "assistant"
        assert item["content"] == [{"type": "output_text", "text": "Calls are recorded."}]


async def test_go_on_replays_what_was_not_heard_without_the_model() -> None:
    story = "It is on the second floor, behind the stairs, next to the small blue door on the left."
    calls = server(
        Said("Are you open on Sunday?", at_ms=2000),
        Said("Please go on.", at_ms=5000),
        answers=[story, "Yes."],
        speed=30,
    )
    async with realtime_call(calls) as rig:
        await counting(rig, "behind")
        await rig.talk(3000)
        await rig.until(lambda: rig.statuses[1:] == [("completed", None)])
        await rig.silent()
        before = len(rig.played)
        await rig.talk(2000)
        await rig.until(lambda: len(rig.played) > before)
        await rig.silent()
        resumed = [line for line in rig.decided if line.startswith("ResumeSpeech")]
        (rest,) = [line.split('"')[1] for line in resumed]
        assert story.endswith(rest)
        assert rest.startswith(("behind", "next"))
        assert len(rig.statuses) == 2  # no run of the model
        voice = np.frombuffer(bytes(rig.played[before:]), "<i2")
        whole, _ = rig.server.voice(story, RATE)
        assert np.array_equal(voice, whole[-len(voice) :])  # its very samples, to the last
        words = len(voice) / RATE * 1000 / WORD_MS
        assert abs(words - len(rest.split())) < 2
        await rig.until(lambda: rig.last["role"] == "assistant")
        assert rig.last["content"][0]["text"] == rest


async def test_an_emergency_stop_silences_the_agent_at_once() -> None:
    async with realtime_call(server(answers=[COUNT], speed=1.2)) as rig:
        await counting(rig)
        rig.gate.emergency_stop()
        await rig.until(lambda: rig.session.truncated)
        await rig.silent()
        await rig.until(lambda: rig.statuses == [("cancelled", "client_cancelled")])
        assert tones_of(bytes(rig.played)) < 6 * WORD_MS


async def test_a_functions_result_is_spoken_of_when_nobody_speaks() -> None:
    call = Answer("Let me look.", calls=(Call(name="book", arguments={"day": "Thursday"}),))
    async with realtime_call(server(answers=[call, "It is booked."])) as rig:
        await rig.talk(1500)
        done = "response.function_call_arguments.done"
        await rig.until(lambda: [one for one in rig.events if one.type == done])
        (called,) = [one for one in rig.events if one.type == done]
        output = {"type": "function_call_output", "call_id": called.call_id, "output": "ok"}
        rig.gate.sending({"type": "conversation.item.create", "item": output})
        rig.gate.sending({"type": "response.create"})
        await rig.until(lambda: len(rig.statuses) == 2)
        await rig.silent()
        assert rig.statuses == [("completed", None), ("completed", None)]
        assert tones_of(bytes(rig.played)) > 5.5 * WORD_MS


async def test_the_model_itself_may_decide_to_go_on() -> None:
    story = "It is on the second floor, behind the stairs, next to the small blue door on the left."
    resume = Answer(calls=(Call(name="resume_speech", arguments={}),))
    calls = server(
        Said("Are you open on Sunday?", at_ms=2000),
        Said("What about the place?", at_ms=5000),
        answers=[story, "Yes.", resume],
        speed=30,
    )
    async with realtime_call(calls) as rig:
        await counting(rig, "behind")
        await rig.talk(3000)
        await rig.until(lambda: rig.statuses[1:] == [("completed", None)])
        await rig.silent()
        await rig.talk(2000)
        await rig.until(lambda: any(one.startswith("ResumeSpeech") for one in rig.decided))
        await rig.silent()
        await rig.until(lambda: rig.last["role"] == "assistant")
        assert story.endswith(rig.last["content"][0]["text"])
        assert len(rig.statuses) == 3


async def test_the_voice_is_lowered_before_the_server_tells_of_the_caller() -> None:
    """With Silero, from the wheel that brings it: the server here never hears a voice."""
    pcm, _ = speak("Excuse me, I have a question about that.", RATE)
    said = np.concatenate((np.zeros(RATE // 2), pcm, np.zeros(RATE))).astype("<i2").tobytes()
    async with realtime_call(server(answers=[COUNT]), Realtime()) as rig:
        await counting(rig, "two")
        for place in range(0, len(said), 960):
            rig.gate.hear(said[place : place + 960])
            await asyncio.sleep(0.01)
        await rig.silent()
        assert rig.decided[0] == "DuckPlayout: overlap began"
        assert not any(line.startswith("Yield") for line in rig.decided)

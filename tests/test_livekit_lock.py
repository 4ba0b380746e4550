"""What must be heard is heard, in a real LiveKit session."""

import asyncio
from typing import Any

import pytest
from livekit.agents import Agent

from bargein import DIGIT_CODES, MONEY, Delivery, Reason
from bargein.livekit import Bargein, BargeinError, LockError
from bargein.memory import MemoryStore, Receipt, Records
from bargein.testing.livekit_parts import ScriptedTTS
from livekit_rig import LiveKitRig

CODE = "Your code is four two seven one. Please write it down."


def manners(**options: Any) -> Bargein:
    return Bargein(detectors=(), **options)


async def say(rig: LiveKitRig, text: str = CODE, **options: Any) -> None:
    """A message that must be heard; returns when it is being heard."""
    await rig.manners.say(rig.session, text, must_hear=True, **options)
    await rig.until(lambda: rig.manners.floor == "agent")


async def replies(rig: LiveKitRig) -> None:
    rig.session.generate_reply(user_input="Hello?")
    await rig.until(lambda: rig.manners.floor == "agent")
    await rig.done()


@pytest.mark.parametrize("word_times", [True, False])
async def test_a_marked_part_of_a_reply_is_one_message_in_its_place(word_times: bool) -> None:
    rig = LiveKitRig(
        tts=ScriptedTTS(word_times=word_times),
        replies=[f"Sure thing. <must-hear>{CODE}</must-hear> That is all."],
    )
    await rig.run(replies)
    assert rig.said("assistant") == ["Sure thing.", CODE, "That is all."]
    [receipt] = rig.manners.receipts
    assert (receipt.state, receipt.heard) == (Delivery.DELIVERED, CODE)


async def test_a_reply_that_begins_with_it() -> None:
    rig = await LiveKitRig(replies=[f"<must-hear>{CODE}</must-hear> That is all."]).run(replies)
    assert rig.said("assistant") == [CODE, "That is all."]
    assert [one.state for one in rig.manners.receipts] == [Delivery.DELIVERED]


async def test_a_sentence_with_a_pattern_in_it_is_locked() -> None:
    rig = LiveKitRig(
        manners(must_hear_patterns=[DIGIT_CODES, MONEY]),
        replies=["All right. That makes $42.50 in total. Anything else?"],
    )
    await rig.run(replies)
    assert [one.heard for one in rig.manners.receipts] == ["That makes $42.50 in total."]
    assert rig.said("assistant")[1] == "That makes $42.50 in total."


async def test_a_marked_part_survives_an_interruption_before_it() -> None:
    before = "Let me see what I can find for you in our very long list of numbers."
    rig = LiveKitRig(replies=[f"{before} <must-hear>{CODE}</must-hear> Goodbye then."])

    async def script(rig: LiveKitRig) -> None:
        rig.session.generate_reply(user_input="Hello?")
        await rig.until(lambda: rig.manners.floor == "agent")
        await rig.interrupts("stop", after=3)
        await rig.done()

    await rig.run(script)
    said = rig.said("assistant")
    assert before.startswith(said[0])
    assert said[1:] == [CODE]
    assert [one.state for one in rig.manners.receipts] == [Delivery.DELIVERED]
    assert rig.said("user") == ["Hello?", "stop"]


async def test_the_callers_words_wait_and_are_answered_after_it() -> None:
    async def script(rig: LiveKitRig) -> None:
        await say(rig)
        rig.voice(True)
        for words in ("wait what", "mm-hm", "I need a pen"):
            rig.hears(words)
            await asyncio.sleep(0.2)
        rig.voice(False)
        await rig.until(lambda: len(rig.said("assistant")) == 2)

    rig = await LiveKitRig(replies=lambda _: ["Take your time."]).run(script)
    assert rig.said("assistant") == [CODE, "Take your time."]
    assert rig.said("user") == ["wait what I need a pen"]
    [heard] = rig.studio.room.recording.heard()[:1]
    assert heard[1] - heard[0] > 0.29 * len(CODE.split())


async def test_an_emergency_silences_it_and_all_behind_it() -> None:
    async def script(rig: LiveKitRig) -> None:
        await rig.manners.say(None, "It is valid today.", must_hear=False)
        await say(rig, message_id="first", on_cut="repeat")
        await rig.until(lambda: "It is valid today." in rig.said("assistant"))
        await rig.manners.say(None, "It is valid today.", must_hear=True, message_id="second")
        await asyncio.sleep(0.6)
        rig.manners.emergency_stop()
        await asyncio.sleep(1.0)
        await rig.agent_says("Help is coming.")
        await asyncio.sleep(0.5)
        rig.voice(True)
        await rig.done()
        rig.voice(False)

    rig = await LiveKitRig().run(script)
    first, second = rig.manners.receipts[:2]
    assert (first.state, first.pending, first.reason) == (
        Delivery.CUT,
        True,
        Reason.EMERGENCY_STOP,
    )
    assert CODE.startswith(first.heard)
    assert 0 < first.played_ms < len(CODE.split()) * 300
    assert (second.state, second.heard) == (Delivery.UNDELIVERED, "")
    assert rig.said("assistant")[1].startswith(first.heard)


async def test_a_key_breaks_it_off_where_its_policy_says_so() -> None:
    async def script(rig: LiveKitRig) -> None:
        await say(rig)
        rig.manners.raise_control("dtmf:#")
        await rig.done()

    rig = await LiveKitRig(manners(broken_by=("dtmf:#",))).run(script)
    assert [one.reason for one in rig.manners.receipts] == [Reason.KEY_PRESSED]
    rig = await LiveKitRig(manners(broken_by=("handoff",))).run(script)
    assert [one.state for one in rig.manners.receipts] == [Delivery.DELIVERED]


async def test_somebody_elses_interruption_costs_it_nothing() -> None:
    async def script(rig: LiveKitRig) -> None:
        await say(rig)
        await asyncio.sleep(0.5)
        with pytest.raises(RuntimeError):  # as LiveKit says it
            rig.session.interrupt()
        await rig.done()

    rig = await LiveKitRig().run(script)
    assert rig.said("assistant") == [CODE]
    assert [one.state for one in rig.manners.receipts] == [Delivery.DELIVERED]


async def test_texts_that_the_application_lets_nobody_interrupt_are_locked_too() -> None:
    async def script(rig: LiveKitRig) -> None:
        rig.session.say("This call is recorded for training.", allow_interruptions=False)
        await rig.until(lambda: rig.manners.floor == "agent")
        await rig.interrupts("who is there", after=1)
        await rig.until(lambda: bool(rig.runs))

    rig = await LiveKitRig().run(script)
    [receipt] = rig.manners.receipts
    assert (receipt.state, receipt.heard) == (
        Delivery.DELIVERED,
        "This call is recorded for training.",
    )
    assert rig.said("user") == ["who is there"]


async def test_a_reply_that_nobody_may_interrupt_keeps_the_callers_words_too() -> None:
    reply = "We are very sorry for what has happened to you."

    async def script(rig: LiveKitRig) -> None:
        rig.session.generate_reply(user_input="Hello?", allow_interruptions=False)
        await rig.until(lambda: rig.manners.floor == "agent")
        await rig.interrupts("what do you mean", after=2)
        await rig.until(lambda: len(rig.runs) == 2)

    rig = await LiveKitRig(replies=[reply]).run(script)
    assert rig.said("assistant") == [reply]
    assert rig.said("user") == ["Hello?", "what do you mean"]


async def test_a_run_of_the_llm_waits_until_the_message_is_in_the_history() -> None:
    async def script(rig: LiveKitRig) -> None:
        await say(rig)
        rig.session.generate_reply()
        await asyncio.sleep(0.5)
        assert rig.runs == []
        await rig.until(lambda: len(rig.runs) == 1)

    rig = await LiveKitRig().run(script)
    assert rig.runs[0].messages()[-1].text_content == CODE


async def test_a_voice_that_fails_in_the_middle_has_delivered_nothing() -> None:
    tts = ScriptedTTS()
    tts.fails_after = 3

    async def script(rig: LiveKitRig) -> None:
        await rig.manners.say(None, CODE, must_hear=True, on_cut="repeat")
        await rig.until(lambda: bool(rig.manners.receipts))

    rig = await LiveKitRig(tts=tts).run(script)
    [receipt] = rig.manners.receipts
    assert receipt.state is not Delivery.DELIVERED
    assert receipt.pending
    assert len(receipt.heard) < len(CODE) / 2


async def test_a_voice_that_makes_no_sound_has_delivered_nothing() -> None:
    tts = ScriptedTTS()
    tts.fails_after = 0

    async def script(rig: LiveKitRig) -> None:
        await rig.manners.say(None, CODE, must_hear=True)
        await rig.until(lambda: bool(rig.manners.receipts))

    rig = await LiveKitRig(tts=tts).run(script)
    [receipt] = rig.manners.receipts
    assert (receipt.state, receipt.heard) == (Delivery.UNDELIVERED, "")


async def test_the_end_of_a_call_waits_for_it() -> None:
    async def script(rig: LiveKitRig) -> None:
        await rig.manners.say(rig.session, CODE, must_hear=True)

    rig = await LiveKitRig().run(script)
    assert [one.state for one in rig.manners.receipts] == [Delivery.DELIVERED]
    assert rig.said("assistant") == [CODE]


async def test_the_next_call_of_the_same_caller_says_what_this_one_could_not() -> None:
    store = MemoryStore()

    async def hung_up(rig: LiveKitRig) -> None:
        await say(rig, on_cut="repeat", message_id="m")
        await asyncio.sleep(0.5)

    first = LiveKitRig(manners(store=store, caller="+49 1"))
    await first.run(hung_up, hang_up=True)
    [cut] = first.manners.receipts
    assert (cut.state, cut.reason) == (Delivery.CUT, Reason.CALL_ENDED)
    [left] = await Records(store, "+49 1").undelivered()
    assert (left.text, left.attempts) == (CODE, 1)

    second = LiveKitRig(manners(store=store, caller="+49 1"))
    stored: list[Receipt] = []
    second.manners.on("receipt_stored")(stored.append)

    async def greeted(rig: LiveKitRig) -> None:
        await rig.agent_says("Hello again.")
        receipt = await rig.manners.receipt("m")
        assert (receipt.state, receipt.attempts) == (Delivery.DELIVERED, 2)
        await rig.until(lambda: bool(stored))

    await second.run(greeted)
    assert second.said("assistant") == ["Hello again.", CODE]
    assert await Records(store, "+49 1").undelivered() == []


async def test_a_hang_up_before_it_was_spoken_leaves_it_to_the_next_call() -> None:
    store = MemoryStore()

    async def script(rig: LiveKitRig) -> None:
        await rig.agent_says("One moment please, I am looking for it.")
        await rig.manners.say(None, CODE, must_hear=True, on_cut="repeat", message_id="m")

    rig = await LiveKitRig(manners(store=store, caller="+49 1")).run(script, hang_up=True)
    assert [one.state for one in rig.manners.receipts] == [Delivery.UNDELIVERED]
    assert [one.text for one in await Records(store, "+49 1").undelivered()] == [CODE]


async def test_an_agent_may_be_uninterruptible_and_may_change() -> None:
    async def script(rig: LiveKitRig) -> None:
        await rig.agent_says("This is the first of several long announcements for all of you.")
        rig.voice(True)
        rig.hears("stop", final=False)
        await asyncio.sleep(0.3)
        assert set(rig.decided) == {"HoldFloor: critical message"}
        rig.manners.interruptible = True
        rig.hears("stop please", final=False)
        await rig.until(lambda: any("YieldFloor" in line for line in rig.decided))
        rig.hears("stop please")
        rig.voice(False)
        await rig.done()

    rig = await LiveKitRig(manners(interruptible=False)).run(script)
    assert rig.manners.receipts == []
    assert rig.said("user") == ["stop please"]


async def test_a_message_that_is_locked_too_long_is_warned_of_once() -> None:
    async def script(rig: LiveKitRig) -> None:
        await say(rig, message_id="long")
        await rig.done()

    rig = await LiveKitRig(manners(max_lock_ms=300)).run(script)
    assert len([line for line in rig.log if "message long has been locked for 0.3 s" in line]) == 1


async def test_what_cannot_be_locked_is_refused() -> None:
    async def script(rig: LiveKitRig) -> None:
        with pytest.raises(LockError, match="needs words"):
            await rig.manners.say(None, "...", must_hear=True)
        with pytest.raises(LockError, match="'sing'"):
            await rig.manners.say(None, "Hello.", must_hear=True, on_cut="sing")

    await LiveKitRig().run(script)


async def test_nothing_is_said_before_the_session_runs() -> None:
    told: list[str] = []

    class Early(Agent):
        pass

    async def script(rig: LiveKitRig) -> None:
        other = Bargein()
        with pytest.raises(BargeinError) as refused:
            await other.say(rig.session, CODE, must_hear=True)
        told.append(str(refused.value))

    await LiveKitRig(agent=Early(instructions="")).run(script)
    assert "not attached" in told[0]

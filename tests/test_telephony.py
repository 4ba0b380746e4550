"""What does the far end of a telephone line hear of, and what does it say that it has played?"""

import asyncio
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from pipecat.frames.frames import InterruptionFrame
from pipecat.serializers.protobuf import ProtobufFrameSerializer

from bargein import Delivery, FileReceipt, MessageLocked, PlayoutStarted, Reason
from bargein.manners import BargeinError
from bargein.memory import Archive, MemoryStore, Receipt, Records, Writer
from bargein.pipecat import Bargein
from bargein.testing.phone import Phone, Provider
from phone_rig import on_the_phone, sounding_ms
from rig import SAYS, Rig

PROVIDERS: list[Provider] = ["twilio", "telnyx", "plivo"]
CLEARS = {"twilio": "clear", "telnyx": "clear", "plivo": "clearAudio"}
MARKS = {"twilio": "mark", "telnyx": "mark", "plivo": "checkpoint"}
CODE = "Your code is four two seven one."
each_provider = pytest.mark.parametrize("provider", PROVIDERS)
WORD_MS = 300  # of the scripted voice


async def talks_over(rig: Rig, words: str, *, growing: str = "") -> None:
    """The caller says this over the agent."""
    await rig.voice(True)
    if growing:
        await rig.hears(growing, final=False)
    await rig.hears(words)
    await rig.voice(False)


@each_provider
async def test_a_backchannel_a_hold_and_a_turn_of_its_own_clear_nothing(provider: Provider) -> None:
    async def script(rig: Rig, _: Phone) -> None:
        await rig.agent()
        await talks_over(rig, "uh-huh")
        await rig.until(lambda: any("ReportBackchannel" in one for one in rig.decided))
        await rig.voice(True)  # somebody makes a noise, and the agent falls silent to hear them
        await rig.until(lambda: any("PausePlayout" in one for one in rig.decided))
        await rig.voice(False)
        await rig.until(lambda: any("ResumePlayout" in one for one in rig.decided))
        await rig.until(lambda: rig.manners.floor == "open" and not rig.manners.busy)
        await talks_over(rig, "what about Thursday")
        await rig.until(lambda: "what about Thursday" in rig.said("user"))

    rig, phone = await on_the_phone(provider, script)
    assert phone.sent(CLEARS[provider]) == []
    assert sounding_ms(phone) >= len(SAYS.split()) * WORD_MS
    assert " ".join(rig.said("assistant")) == SAYS


@each_provider
async def test_a_yield_clears_once_and_what_was_heard_stays_true(provider: Provider) -> None:
    async def script(rig: Rig, phone: Phone) -> None:
        await rig.agent()
        await rig.until(lambda: phone.now_ms > 0 and sounding_ms(phone) >= 4 * WORD_MS)
        await talks_over(rig, "no wait I meant Thursday", growing="no wait")
        await rig.until(lambda: "no wait I meant Thursday" in rig.said("user"))
        await rig.until(lambda: bool(phone.cleared))

    rig, phone = await on_the_phone(provider, script)
    assert len(phone.sent(CLEARS[provider])) == 1
    heard = " ".join(rig.said("assistant"))
    assert SAYS.startswith(heard.rstrip(" .…"))
    assert heard != SAYS
    # However busy the machine is: never a word too many, and hardly one too few.
    assert -1 < sounding_ms(phone) / WORD_MS - len(heard.split()) < 2
    (cleared,) = phone.cleared
    assert cleared.lost_ms <= 100, "the gate lets no more than that ahead"


@each_provider
async def test_nothing_is_cleared_while_a_message_is_locked_and_its_mark_comes_back(
    provider: Provider,
) -> None:
    store = MemoryStore()
    manners = Bargein(store=store, caller="+49 30 1")
    acknowledged: list[Any] = []
    manners.on("receipt_acknowledged")(acknowledged.append)

    async def script(rig: Rig, phone: Phone) -> None:
        name = await manners.say(CODE, must_hear=True, message_id="code")
        await rig.until(lambda: manners.floor == "agent")
        await manners.say("And that was all for today, thank you for calling us.")
        await rig.until(lambda: sounding_ms(phone) >= 2 * WORD_MS)
        await talks_over(rig, "no wait I meant Thursday")
        await rig.worker.queue_frame(InterruptionFrame())  # somebody else's
        await asyncio.wait_for(manners.receipt(name), 15)
        await rig.until(lambda: bool(acknowledged))

    _, phone = await on_the_phone(provider, script, manners)
    assert [one for one in phone.cleared if one.at_ms < phone.came_back[0][0]] == []
    assert sounding_ms(phone) >= len(CODE.split()) * WORD_MS
    (mark,) = phone.sent(MARKS[provider])
    assert "code" not in str(mark), "whose message it is, is nobody's business"
    (receipt,) = acknowledged
    assert (receipt.message_id, receipt.state) == ("code", Delivery.DELIVERED)
    assert receipt.acknowledged_at >= receipt.ended_at
    (kept,) = await Records(store, "+49 30 1").receipts()
    assert kept.acknowledged_at == receipt.acknowledged_at


async def test_a_far_end_that_never_acknowledges_changes_nothing() -> None:
    manners = Bargein()

    async def script(rig: Rig, phone: Phone) -> None:
        await manners.say(CODE, must_hear=True, message_id="code")
        await asyncio.wait_for(manners.receipt("code"), 15)
        await rig.until(lambda: bool(phone.sent("mark")))
        await rig.agent()
        await rig.until(lambda: manners.floor == "open" and not manners.busy)

    rig, _ = await on_the_phone("twilio", script, manners, acknowledges=False)
    (receipt,) = manners.receipts
    assert (receipt.state, receipt.acknowledged_at) == (Delivery.DELIVERED, None)
    assert " ".join(rig.said("assistant")) == f"{CODE} {SAYS}"


@each_provider
async def test_an_emergency_clears_and_an_early_mark_is_no_proof(provider: Provider) -> None:
    manners = Bargein()
    acknowledged: list[Any] = []
    manners.on("receipt_acknowledged")(acknowledged.append)

    async def script(rig: Rig, phone: Phone) -> None:
        await manners.say(CODE, must_hear=True, message_id="code")
        await rig.until(lambda: sounding_ms(phone) >= 2 * WORD_MS)
        manners.emergency_stop()
        await asyncio.wait_for(manners.receipt("code"), 15)
        await rig.until(lambda: bool(phone.cleared))
        await rig.agent("So what can I do for you now?")
        await rig.until(lambda: manners.floor == "open" and not manners.busy)

    _, phone = await on_the_phone(provider, script, manners)
    (receipt,) = manners.receipts
    assert (receipt.state, receipt.acknowledged_at) == (Delivery.CUT, None)
    assert acknowledged == []
    assert len(phone.sent(CLEARS[provider])) == 1


async def test_a_mark_that_comes_back_for_a_clear_is_no_proof() -> None:
    manners = Bargein()

    async def script(rig: Rig, phone: Phone) -> None:
        await manners.say(CODE, must_hear=True, message_id="code")
        await manners.say(SAYS)
        phone.holds = True  # a buffer that is far behind: it plays nothing more for now
        await asyncio.wait_for(manners.receipt("code"), 15)
        await rig.until(lambda: manners.floor == "agent")
        await talks_over(rig, "no wait I meant Thursday", growing="no wait")
        await rig.until(lambda: bool(phone.came_back))
        await rig.until(lambda: "no wait I meant Thursday" in rig.said("user"))

    _, phone = await on_the_phone("twilio", script, manners)
    assert len(phone.cleared) == len(phone.came_back) == 1
    (receipt,) = manners.receipts
    assert (receipt.state, receipt.acknowledged_at) == (Delivery.DELIVERED, None)


async def test_a_stranger_who_sends_marks_proves_nothing() -> None:
    manners = Bargein()

    async def script(rig: Rig, phone: Phone) -> None:
        await manners.say(CODE, must_hear=True, message_id="code")
        await rig.until(lambda: sounding_ms(phone) >= WORD_MS)
        for mark in ({"name": "bargein-7"}, {"name": ["bargein-1"]}, "bargein-1", None):
            await phone.send({"event": "mark", "streamSid": "loopback-stream", "mark": mark})
        await phone.send({"event": "bargein-1"})
        await asyncio.wait_for(manners.receipt("code"), 15)

    rig, _ = await on_the_phone("twilio", script, manners, acknowledges=False)
    (receipt,) = manners.receipts
    assert (receipt.state, receipt.acknowledged_at) == (Delivery.DELIVERED, None)
    assert [line for line in rig.log if "telephone marks failed" in line] == []


async def test_a_caller_who_hangs_up_in_a_locked_message_has_not_heard_it() -> None:
    manners = Bargein()

    async def script(rig: Rig, phone: Phone) -> None:
        await manners.say(CODE, must_hear=True, message_id="code")
        await rig.until(lambda: sounding_ms(phone) >= 2 * WORD_MS)
        await phone.hang_up()
        await asyncio.wait_for(manners.receipt("code"), 15)

    await on_the_phone("twilio", script, manners)
    (receipt,) = manners.receipts
    assert (receipt.state, receipt.reason) == (Delivery.CUT, Reason.CALL_ENDED)
    assert CODE.startswith(receipt.heard.strip())
    assert (receipt.heard != CODE, receipt.acknowledged_at) == (True, None)


async def test_a_mark_may_come_back_before_there_is_a_receipt_but_proves_no_part() -> None:
    told: list[Receipt] = []
    writer = Writer(lambda *_: None)
    archive = Archive(
        None,
        filed=lambda _: None,
        stored=lambda _: None,
        acknowledged=told.append,
        writer=writer,
        report=lambda *_: None,
    )

    def filed(state: Delivery) -> Receipt:
        """The message is begun, its mark comes back, and then this became of it."""
        archive.happened(MessageLocked(at_ms=0, message_id="code", text=CODE))
        archive.happened(PlayoutStarted(at_ms=1, message_id="code"))
        archive.acknowledged("code")
        archive.decided(
            FileReceipt(
                at_ms=2,
                reason=Reason.AGENT_FINISHED,
                message_id="code",
                state=state,
                heard=CODE,
                unheard="",
                attempts=1,
                pending=False,
            )
        )
        return archive.receipts["code"]

    assert filed(Delivery.CUT).acknowledged_at is None
    archive.acknowledged("code")
    archive.acknowledged("never said")
    assert (archive.receipts["code"].acknowledged_at, told) == (None, [])
    assert filed(Delivery.DELIVERED).acknowledged_at is not None
    archive.acknowledged("code")  # a second mark tells nothing new
    assert told == [archive.receipts["code"]]


async def test_keys_are_controls() -> None:
    manners = Bargein()
    said: list[str] = []
    manners.on_event(lambda event: said.append(getattr(event, "name", "")))

    async def script(rig: Rig, phone: Phone) -> None:
        await phone.press("#")
        await rig.until(lambda: "dtmf:#" in said)

    await on_the_phone("twilio", script, manners)


def test_another_provider_is_refused_with_a_way_out() -> None:
    with pytest.raises(BargeinError) as refused:
        Bargein().serializer(ProtobufFrameSerializer())
    assert str(refused.value) == (
        "serializer() knows Twilio's, Telnyx' and Plivo's, not ProtobufFrameSerializer: give that"
        " one to the transport as it is; receipts then say what was sent"
    )

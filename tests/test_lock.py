"""What must be heard is heard, on a real pipeline."""

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputDTMFFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMRunFrame,
    LLMTextFrame,
    OutputAudioRawFrame,
    TTSTextFrame,
)

from bargein import DIGIT_CODES, MONEY, Delivery, Reason
from bargein.core import trace
from bargein.memory import MemoryStore, Receipt, Records
from bargein.pipecat import Bargein, LockError, MustHearFrame
from bargein.pipecat.manners import BargeinError
from bargein.testing.pipecat_parts import ScriptedTTS
from rig import Rig

CODE = "Your code is four two seven one. Please write it down."


async def reply(rig: Rig, text: str) -> None:
    """The LLM says something, three characters a token."""
    await rig.worker.queue_frame(LLMFullResponseStartFrame())
    for token in re.findall(r"(?s).{1,3}", text):
        await rig.worker.queue_frame(LLMTextFrame(token))
    await rig.worker.queue_frame(LLMFullResponseEndFrame())


async def done(rig: Rig) -> None:
    await rig.until(lambda: not rig.manners.busy)
    await asyncio.sleep(0.4)


@pytest.mark.parametrize("word_times", [True, False])
async def test_a_marked_part_of_a_reply_is_one_message_in_its_place(word_times: bool) -> None:
    rig = Rig(word_times=word_times)

    async def script(rig: Rig) -> None:
        await reply(rig, f"Sure thing. <must-hear>{CODE}</must-hear> That is all.")
        await rig.until(lambda: rig.manners.floor == "agent")
        await asyncio.sleep(0.2)
        await done(rig)

    await rig.run(script)
    assert rig.said("assistant") == ["Sure thing.", CODE, "That is all."]
    [receipt] = rig.manners.receipts
    assert (receipt.state, receipt.heard) == (Delivery.DELIVERED, CODE)
    assert "must-hear" not in "".join(f.text for f in rig.passed(TTSTextFrame))  # type: ignore[attr-defined]


async def test_a_sentence_with_a_pattern_in_it_is_locked() -> None:
    rig = Rig(Bargein(must_hear_patterns=[DIGIT_CODES, MONEY]))

    async def script(rig: Rig) -> None:
        await reply(rig, "All right. That makes $42.50 in total. Anything else?")
        await rig.until(lambda: rig.manners.floor == "agent")
        await done(rig)

    await rig.run(script)
    assert [one.heard for one in rig.manners.receipts] == ["That makes $42.50 in total."]


async def test_the_callers_words_wait_and_are_answered_after_it() -> None:
    rig = Rig()

    async def script(rig: Rig) -> None:
        await rig.manners.say(CODE, must_hear=True)
        await rig.until(lambda: rig.manners.floor == "agent")
        await rig.voice(True)
        for words in ("wait what", "mm-hm", "I need a pen"):
            await rig.hears(words)
            await asyncio.sleep(0.2)
        await rig.voice(False)
        await done(rig)
        await asyncio.sleep(0.5)

    await rig.run(script)
    messages = [(m["role"], m["content"]) for m in rig.context.get_messages()[1:]]
    assert messages == [("assistant", CODE), ("user", "wait what I need a pen")]
    assert len(rig.llm.runs) == 1
    assert rig.passed(InterruptionFrame) == []


async def test_a_run_of_the_llm_waits_until_the_message_is_in_the_context() -> None:
    rig = Rig()

    async def script(rig: Rig) -> None:
        await rig.manners.say(CODE, must_hear=True)
        await rig.until(lambda: rig.manners.floor == "agent")
        await rig.worker.queue_frame(LLMRunFrame())
        await asyncio.sleep(0.3)
        assert rig.llm.runs == []
        await rig.until(lambda: len(rig.llm.runs) == 1)

    await rig.run(script)
    seen = rig.llm.runs[0][1]
    assert seen[-1] == {"role": "assistant", "content": CODE}


async def test_an_emergency_silences_it_and_all_behind_it() -> None:
    rig = Rig()

    async def script(rig: Rig) -> None:
        await rig.manners.say(CODE, must_hear=True, message_id="first", on_cut="repeat")
        await rig.manners.say("It is valid today.", must_hear=True, message_id="second")
        await rig.until(lambda: rig.manners.floor == "agent")
        await asyncio.sleep(1.0)  # all of it has been made by then
        rig.manners.emergency_stop()
        await asyncio.sleep(1.5)
        await rig.agent("Help is coming.")
        await done(rig)

    await rig.run(script)
    first, second = rig.manners.receipts
    assert (first.state, first.pending) == (Delivery.CUT, True)
    assert first.reason is Reason.EMERGENCY_STOP
    assert CODE.startswith(first.heard)
    assert 0 < first.played_ms < (first.total_ms or 0)
    assert (second.state, second.heard) == (Delivery.UNDELIVERED, "")
    said = rig.said("assistant")
    assert said[-1] == "Help is coming."
    assert len(said) == 2
    assert CODE.startswith(said[0])
    assert len(said[0]) < len(CODE) / 2


@pytest.mark.parametrize("policy", [("dtmf:#",), ("emergency_stop",)])
async def test_a_key_breaks_it_off_where_its_policy_says_so(policy: tuple[str, ...]) -> None:
    rig = Rig(Bargein(broken_by=policy))

    async def script(rig: Rig) -> None:
        await rig.manners.say(CODE, must_hear=True)
        await rig.until(lambda: rig.manners.floor == "agent")
        await rig.worker.queue_frame(InputDTMFFrame(button=KeypadEntry.POUND))
        await done(rig)

    await rig.run(script)
    [receipt] = rig.manners.receipts
    broken = policy == ("dtmf:#",)
    assert receipt.state is (Delivery.CUT if broken else Delivery.DELIVERED)
    assert receipt.reason is (Reason.KEY_PRESSED if broken else Reason.AGENT_FINISHED)


async def test_somebody_elses_interruption_costs_it_nothing() -> None:
    rig = Rig()

    async def script(rig: Rig) -> None:
        await rig.manners.say(CODE, must_hear=True)
        await rig.until(lambda: rig.manners.floor == "agent")
        for _ in range(3):
            await asyncio.sleep(0.3)
            await rig.worker.queue_frame(InterruptionFrame())
        await done(rig)

    await rig.run(script)
    assert rig.said("assistant") == [CODE]
    assert [one.state for one in rig.manners.receipts] == [Delivery.DELIVERED]
    heard = sum(len(chunk.pcm) // 2 for chunk in rig.output.written)
    assert heard >= rig.tts.samples


class Troubled(ScriptedTTS):
    """A voice that takes its time, fails after a while, or makes no sound at all."""

    def __init__(self, *, late_s: float = 0.0, pieces: int | None = None) -> None:
        super().__init__()
        self._late_s = late_s
        self._pieces = pieces

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        await asyncio.sleep(self._late_s)
        count = 0
        async for frame in super().run_tts(text, context_id):
            if count == self._pieces:
                yield ErrorFrame("the service has failed")
                return
            count += 1
            yield frame


@pytest.mark.parametrize("after_s", [0.05, 0.2])
async def test_an_interruption_before_its_first_sound_costs_it_nothing(after_s: float) -> None:
    rig = Rig(tts=Troubled(late_s=0.3))

    async def script(rig: Rig) -> None:
        await rig.manners.say("Your code is four two.", must_hear=True)
        await asyncio.sleep(after_s)
        await rig.worker.queue_frame(InterruptionFrame())
        await rig.until(lambda: bool(rig.manners.receipts))
        await asyncio.sleep(0.3)

    await rig.run(script)
    assert [one.state for one in rig.manners.receipts] == [Delivery.DELIVERED]
    assert rig.said("assistant") == ["Your code is four two."]


async def test_a_voice_that_fails_in_the_middle_has_delivered_nothing() -> None:
    rig = Rig(tts=Troubled(pieces=6))

    async def script(rig: Rig) -> None:
        await rig.manners.say(CODE, must_hear=True, on_cut="repeat")
        await rig.until(lambda: bool(rig.manners.receipts))

    await rig.run(script)
    [receipt] = rig.manners.receipts
    assert (receipt.state, receipt.pending) == (Delivery.CUT, True)
    assert len(receipt.heard) < len(CODE) / 2


async def test_a_voice_that_makes_no_sound_has_delivered_nothing() -> None:
    rig = Rig(tts=Troubled(pieces=0))

    async def script(rig: Rig) -> None:
        await rig.manners.say("Your code is four two.", must_hear=True)
        await rig.until(lambda: bool(rig.manners.receipts))

    await rig.run(script)
    [receipt] = rig.manners.receipts
    assert (receipt.state, receipt.heard) == (Delivery.UNDELIVERED, "")
    assert rig.said("assistant") == []


async def test_music_behind_it_does_not_keep_it_locked() -> None:
    rig = Rig()

    async def script(rig: Rig) -> None:
        await rig.manners.say("Your code is four two.", must_hear=True)
        await rig.until(lambda: rig.manners.floor == "agent")
        hum = OutputAudioRawFrame(audio=b"\x10\x00" * 24000 * 4, sample_rate=24000, num_channels=1)
        await rig.worker.queue_frame(hum)
        await rig.until(lambda: bool(rig.manners.receipts))
        assert rig.manners.floor == "open"

    await rig.run(script)
    assert [one.state for one in rig.manners.receipts] == [Delivery.DELIVERED]


async def test_a_hang_up_before_it_was_spoken_leaves_it_to_the_next_call() -> None:
    store = MemoryStore()
    rig = Rig(Bargein(store=store, caller="+49 1"))

    async def script(rig: Rig) -> None:
        await rig.worker.queue_frame(LLMFullResponseStartFrame())
        await rig.worker.queue_frame(LLMTextFrame("One moment. "))
        await asyncio.sleep(0.2)
        await rig.manners.say(CODE, must_hear=True, on_cut="repeat", message_id="m")
        waiting = asyncio.ensure_future(rig.manners.receipt("m"))
        await rig.worker.cancel()
        assert (await waiting).state is Delivery.UNDELIVERED

    await rig.run(script)
    assert [one.text for one in await Records(store, "+49 1").undelivered()] == [CODE]
    with pytest.raises(BargeinError, match="over"):
        await rig.manners.say("Hello?", must_hear=True)


async def test_the_end_of_a_call_waits_for_it() -> None:
    rig = Rig()

    async def script(rig: Rig) -> None:
        await rig.manners.say(CODE, must_hear=True)

    await rig.run(script)
    assert [one.state for one in rig.manners.receipts] == [Delivery.DELIVERED]
    assert rig.said("assistant") == [CODE]


async def test_of_two_runs_that_wait_one_answers() -> None:
    rig = Rig()

    async def script(rig: Rig) -> None:
        await rig.manners.say(CODE, must_hear=True)
        await rig.until(lambda: rig.manners.floor == "agent")
        await rig.worker.queue_frame(LLMRunFrame())
        await rig.worker.queue_frame(LLMRunFrame())
        await rig.worker.queue_frame(InterruptionFrame())
        await rig.until(lambda: bool(rig.llm.runs))
        await asyncio.sleep(0.5)

    await rig.run(script)
    assert len(rig.llm.runs) == 1


async def test_a_run_that_waits_makes_way_for_the_callers_turn() -> None:
    rig = Rig()

    async def script(rig: Rig) -> None:
        await rig.manners.say(CODE, must_hear=True)
        await rig.until(lambda: rig.manners.floor == "agent")
        await rig.worker.queue_frame(LLMRunFrame())
        await rig.voice(True)
        await rig.hears("I need a pen")
        await rig.voice(False)
        await rig.until(lambda: bool(rig.llm.runs))
        await asyncio.sleep(0.5)

    await rig.run(script)
    assert len(rig.llm.runs) == 1
    assert [m["content"] for m in rig.llm.runs[0][1][-2:]] == [CODE, "I need a pen"]


async def test_the_same_words_said_before_it_are_not_it() -> None:
    rig = Rig()

    async def script(rig: Rig) -> None:
        await rig.agent("Mind the gap.")
        await rig.manners.say("Mind the gap.", must_hear=True, message_id="m")
        await asyncio.sleep(0.3)
        assert rig.manners.receipts == []
        receipt = await rig.manners.receipt("m")
        assert receipt.state is Delivery.DELIVERED
        heard = sum(len(chunk.pcm) // 2 for chunk in rig.output.written) / 24000
        assert heard > 1.7  # both of them, at three words each

    await rig.run(script)


async def test_frames_of_the_hosts_own_kind_are_locked_too() -> None:
    rig = Rig()

    async def script(rig: Rig) -> None:
        await rig.agent("This call is recorded.", must_hear=True)
        await done(rig)
        await rig.worker.queue_frame(MustHearFrame("Fire doors close now.", message_id="mine"))
        await rig.until(lambda: len(rig.manners.receipts) == 2)

    await rig.run(script)
    assert [one.heard for one in rig.manners.receipts] == [
        "This call is recorded.",
        "Fire doors close now.",
    ]
    assert rig.manners.receipts[1].message_id == "mine"


async def test_an_agent_may_be_uninterruptible_and_may_change() -> None:
    rig = Rig(Bargein(interruptible=False))

    async def script(rig: Rig) -> None:
        await rig.agent("This is the first of several long announcements for all of you.")
        await rig.voice(True)
        await rig.hears("stop", final=False)
        await asyncio.sleep(0.3)
        assert rig.decided == ["HoldFloor: critical message"]
        rig.manners.interruptible = True
        await rig.hears("stop please", final=False)
        await rig.until(lambda: any("YieldFloor" in line for line in rig.decided))
        await rig.hears("stop please")
        await rig.voice(False)
        await done(rig)

    await rig.run(script)
    assert rig.manners.receipts == []


async def test_the_next_call_of_the_same_caller_says_what_this_one_could_not() -> None:
    store = MemoryStore()
    first = Rig(Bargein(store=store, caller="+49 1"))

    async def hung_up(rig: Rig) -> None:
        await rig.manners.say(CODE, must_hear=True, on_cut="repeat", message_id="m")
        await rig.until(lambda: rig.manners.floor == "agent")
        await asyncio.sleep(0.5)
        await rig.worker.cancel()

    await first.run(hung_up)
    [left] = await Records(store, "+49 1").undelivered()
    assert (left.text, left.attempts) == (CODE, 1)

    second = Rig(Bargein(store=store, caller="+49 1"))
    stored: list[Receipt] = []
    second.manners.add_event_handler("on_receipt_stored", lambda _, one: stored.append(one))

    async def greeted(rig: Rig) -> None:
        await rig.agent("Hello again.")
        receipt = await rig.manners.receipt("m")
        assert (receipt.state, receipt.attempts) == (Delivery.DELIVERED, 2)
        await rig.until(lambda: bool(stored))

    await second.run(greeted)
    assert second.said("assistant") == ["Hello again.", CODE]
    assert await Records(store, "+49 1").undelivered() == []
    assert [one.state for one in await Records(store, "+49 1").receipts()] == [Delivery.DELIVERED]


async def test_a_message_that_is_locked_too_long_is_warned_of_once() -> None:
    rig = Rig(Bargein(max_lock_ms=300))

    async def script(rig: Rig) -> None:
        await rig.manners.say(CODE, must_hear=True, message_id="long")
        await rig.until(lambda: rig.manners.floor == "agent")
        await done(rig)

    await rig.run(script)
    warned = [line for line in rig.log if "long has been locked for 0.3 s" in line]
    assert len(warned) == 1
    assert rig.manners.receipts[0].state is Delivery.DELIVERED


async def test_the_code_is_in_no_log_of_ours_and_in_no_trace() -> None:
    rig = Rig(Bargein(max_lock_ms=100, store=MemoryStore(), caller="+49 1"))
    entries: list[str] = []
    hide = trace.Redaction()

    def keep(entry: Any) -> None:
        entries.append(trace.write(hide(entry)))

    def failing(_manners: Bargein, receipt: Receipt) -> None:
        raise ValueError(receipt.heard)

    rig.manners.on_event(keep)
    rig.manners.add_event_handler("on_decision", lambda _, decision: keep(decision))
    rig.manners.add_event_handler("on_receipt", failing)

    async def script(rig: Rig) -> None:
        await rig.manners.say("Your code is 48137.", must_hear=True, on_cut="repeat")
        await rig.until(lambda: rig.manners.floor == "agent")
        await asyncio.sleep(0.4)
        rig.manners.emergency_stop()
        await done(rig)

    await rig.run(script)
    ours = [line for line in rig.log if "bargein" in line]
    assert any("handler" in line for line in ours)
    assert "48137" not in "".join(ours)
    assert len(entries) > 5
    assert "48137" not in "".join(entries)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"text": ""}, "needs words"),
        ({"text": " ... "}, "needs words"),
        ({"text": "Hi.", "on_cut": "shrug"}, "'shrug'"),
        ({"text": "Hi.", "broken_by": [3]}, "broken_by"),
    ],
)
def test_what_cannot_be_locked_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(LockError, match=says):
        MustHearFrame(**options)


def test_a_policy_nobody_knows_is_refused_before_the_call() -> None:
    with pytest.raises(LockError, match="'shrug'"):
        Bargein(on_cut="shrug")


async def test_nothing_can_be_said_without_a_lock_in_the_pipeline() -> None:
    with pytest.raises(BargeinError, match="CriticalMessageLock"):
        await Bargein().say("Hello.")


async def test_a_bots_own_backchannel_is_no_message_that_must_be_heard() -> None:
    frames = pytest.importorskip("pipecat.frames.frames")
    if not hasattr(frames, "BotBackchannelFrame"):
        pytest.skip("this Pipecat has no BotBackchannelFrame")
    rig = Rig()

    async def script(rig: Rig) -> None:
        await rig.worker.queue_frame(frames.BotBackchannelFrame("Mm-hmm."))
        await rig.until(lambda: rig.manners.floor == "agent")
        await done(rig)

    await rig.run(script)
    assert rig.manners.receipts == []

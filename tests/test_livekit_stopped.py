"""What is to stop on LiveKit stops: before it sounds, and though ours or theirs fails."""

import asyncio
from typing import Any

import pytest
from livekit.agents.voice.speech_handle import SpeechHandle

from bargein import Delivery
from bargein.livekit import Bargein, compat
from livekit_rig import SAYS, LiveKitRig

CODE = "Your code is 4 2 7 1."


async def test_an_emergency_stop_silences_what_has_not_sounded_yet() -> None:
    async def script(rig: LiveKitRig) -> None:
        rig.session.say(SAYS)
        rig.manners.emergency_stop()
        await rig.done()
        await asyncio.sleep(8)
        assert rig.studio.room.recording.heard() == []
        await rig.agent_says("Help is coming.")
        await rig.done()

    rig = await LiveKitRig().run(script)
    assert rig.said("assistant") == ["Help is coming."]
    assert rig.errors == []


async def test_so_it_does_a_code_whose_receipt_says_so() -> None:
    async def script(rig: LiveKitRig) -> None:
        await rig.manners.say(None, CODE, must_hear=True, on_cut="repeat")
        rig.manners.emergency_stop()
        await asyncio.sleep(1)
        assert rig.studio.room.recording.heard() == []
        (receipt,) = rig.manners.receipts
        assert (receipt.state, receipt.heard, receipt.pending) == (Delivery.UNDELIVERED, "", True)

    rig = await LiveKitRig().run(script)
    assert rig.said("assistant") == []


async def test_nobody_waits_for_a_code_behind_what_an_emergency_stop_has_cut() -> None:
    async def script(rig: LiveKitRig) -> None:
        await rig.agent_says()
        await rig.manners.say(None, CODE, must_hear=True)
        await asyncio.sleep(1)
        rig.manners.emergency_stop()
        await asyncio.sleep(1)
        (receipt,) = rig.manners.receipts
        assert (receipt.state, receipt.heard) == (Delivery.UNDELIVERED, "")
        rig.voice(True)
        rig.hears("Help me.")
        rig.voice(False)
        await rig.until(lambda: len(rig.runs) == 1)
        await rig.done()

    rig = await LiveKitRig().run(script)
    assert SAYS.startswith(rig.said("assistant")[0])
    assert CODE not in rig.said("assistant")
    assert rig.said("user") == ["Help me."]


async def test_what_an_emergency_stop_may_not_break_off_is_heard() -> None:
    async def script(rig: LiveKitRig) -> None:
        await rig.manners.say(None, CODE, must_hear=True, broken_by=["handoff"])
        rig.manners.emergency_stop()
        await rig.until(lambda: bool(rig.manners.receipts))
        await rig.done()

    rig = await LiveKitRig().run(script)
    assert [one.state for one in rig.manners.receipts] == [Delivery.DELIVERED]


@pytest.mark.parametrize("hang_up", [False, True])
async def test_a_sink_that_never_finishes_does_not_keep_the_call_from_its_end(
    hang_up: bool,
) -> None:
    async def script(rig: LiveKitRig) -> None:
        sink: Any = rig.studio.room.sink
        sink.on_playback_finished = lambda **_: None
        await rig.agent_says()
        await asyncio.sleep(1)

    rig = await LiveKitRig().run(script, hang_up=hang_up)
    (said,) = rig.said("assistant")
    assert SAYS.startswith(said)
    assert (said == SAYS) is not hang_up


async def test_words_are_heard_though_what_decides_about_them_fails() -> None:
    manners = Bargein(detectors=())

    def fails(*_: object) -> None:
        raise RuntimeError("a bug")

    manners._words._final = fails  # type: ignore[method-assign, assignment]

    async def script(rig: LiveKitRig) -> None:
        for text in ("Are you there?", "Hello?"):
            rig.voice(True)
            rig.hears(text)
            rig.voice(False)
            await asyncio.sleep(2)

    rig = await LiveKitRig(manners).run(script)
    assert rig.said("user") == ["Are you there?", "Hello?"]
    (error,) = rig.errors
    assert "words failed with RuntimeError" in error


async def test_who_speaks_on_when_the_recogniser_ends_the_turn_is_heard_at_once() -> None:
    manners = Bargein(detectors=())
    call, ear = manners._call, manners._ear
    assert ear._onset is not None
    ear._onset.scored(0.9, 32)
    assert call.user_speaks
    ear.hears_no_more()
    assert not call.user_speaks
    ear._onset.scored(0.9, 32)
    assert call.user_speaks
    call.close()


async def test_who_is_cancelled_while_a_speech_is_scheduled_leaves_nothing_behind() -> None:
    waiting = asyncio.create_task(compat.scheduled(SpeechHandle.create()))
    await asyncio.sleep(0.1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.sleep(0.1)
    assert asyncio.all_tasks() == {asyncio.current_task()}

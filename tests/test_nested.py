"""Does it matter in which pipeline within a pipeline the parts of a call are?"""

import asyncio
from collections.abc import Callable

import pytest

pytest.importorskip("pipecat")

from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.service_switcher import ServiceSwitcher
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.tts_service import TTSService

from bargein import Delivery
from bargein.memory import Receipt
from bargein.pipecat import Bargein, CriticalMessageLock
from bargein.testing.pipecat_parts import ScriptedTTS
from rig import Rig

CODE = "Your code is four seven one one, please write it down."
Parts = list[FrameProcessor]


def flat(manners: Bargein, parts: Parts) -> Parts:
    return manners.wrap(parts)


def voice_in_a_switcher(manners: Bargein, parts: Parts) -> Parts:
    return manners.wrap(
        [
            ServiceSwitcher([one, ScriptedTTS()]) if isinstance(one, TTSService) else one
            for one in parts
        ]
    )


def lock_in_a_pipeline_of_its_own(manners: Bargein, parts: Parts) -> Parts:
    return [
        Pipeline([one]) if isinstance(one, CriticalMessageLock) else one
        for one in manners.wrap(parts)
    ]


@pytest.mark.parametrize("wrap", [flat, voice_in_a_switcher, lock_in_a_pipeline_of_its_own])
async def test_a_code_behind_an_interruption_is_heard(
    wrap: Callable[[Bargein, Parts], Parts],
) -> None:
    receipts: list[Receipt] = []

    async def script(rig: Rig) -> None:
        rig.manners.on("receipt")(receipts.append)
        await rig.agent()
        await rig.manners.say(CODE, must_hear=True)
        await rig.voice(True)
        await asyncio.sleep(0.2)
        await rig.hears("is", final=False)
        await asyncio.sleep(0.2)
        await rig.hears("is there a lift")
        await asyncio.sleep(0.3)
        await rig.voice(False)
        await asyncio.sleep(12)

    rig = await Rig(wrap=wrap, replies=["Yes, beside the entrance."] * 2).run(script, logged=False)
    assert [one.state for one in receipts] == [Delivery.DELIVERED]
    assert " ".join(rig.said("assistant")).endswith(f"{CODE} Yes, beside the entrance.")

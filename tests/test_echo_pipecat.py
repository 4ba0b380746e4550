"""A Pipecat agent on a loudspeaker: its own voice and words come back to it."""

import asyncio

import pytest
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import InputAudioRawFrame, TTSTextFrame

pytest.importorskip("bargein.testing.speech")

from bargein.pipecat import Bargein
from bargein.testing.pipecat_parts import ScriptedTTS
from bargein.testing.recorded import recording
from bargein.testing.speakerphone import RATE
from bargein.testing.tones import PCM
from line_echo import ROUGH, STEADY, EchoingLine, Way, caller, voice
from rig import Rig

SAYS = (
    "Your appointment is on Tuesday at nine, with Doctor Hale in the main building. Please bring"
    " your card, and come ten minutes early, so that we can register you."
)
WAYS = pytest.mark.parametrize("way", [STEADY, ROUGH], ids=["steady", "rough"])
_RECENT = 100
"""Chunks that may sound in the room still."""


def rig_of(manners: Bargein) -> Rig:
    vad = manners.vad(VADParams(stop_secs=0.4))
    return Rig(manners, tts=ScriptedTTS(voice), user_params={"vad_analyzer": vad})


def line_of(rig: Rig, way: Way) -> EchoingLine:
    def played(from_s: float, to_s: float) -> tuple[PCM, int]:
        output = rig.output
        return recording(output.written[-_RECENT:], output.rate, from_s, to_s), output.rate

    async def hand_in(pcm: PCM) -> None:
        await rig.worker.queue_frame(InputAudioRawFrame(pcm.tobytes(), RATE, 1))

    return EchoingLine(played, hand_in, way=way)


async def hears_the_agent(rig: Rig) -> None:
    """The recogniser writes down what comes back, word for word or nearly."""
    await rig.agent(SAYS)
    await rig.until(lambda: len(rig.passed(TTSTextFrame)) > 8)
    await rig.hears("your appointment is on tuesday at", final=False)
    await rig.hears("your appointment is on twos day at nine")
    await rig.until(lambda: not rig.manners.busy)
    await rig.hears("please bring your card and come ten minutes early so that we can register you")
    await asyncio.sleep(0.8)


@WAYS
async def test_an_agent_on_a_loudspeaker_neither_stops_nor_answers_itself(way: Way) -> None:
    rig = rig_of(Bargein(echo=True))

    async def script(rig: Rig) -> None:
        async with line_of(rig, way).open():
            await hears_the_agent(rig)

    await rig.run(script)
    assert rig.decided == []
    assert rig.said("assistant") == [SAYS]
    assert rig.said("user") == []
    assert rig.llm.runs == []


async def test_without_the_detector_it_does() -> None:
    rig = rig_of(Bargein(echo=False))

    async def script(rig: Rig) -> None:
        async with line_of(rig, STEADY).open():
            await hears_the_agent(rig)

    await rig.run(script)
    assert rig.decided != []


@WAYS
async def test_a_callers_stop_over_the_echo_stops_it(way: Way) -> None:
    rig = rig_of(Bargein(echo=True))

    async def script(rig: Rig) -> None:
        async with line_of(rig, way).open() as line:
            await rig.agent(SAYS)
            await rig.until(lambda: len(rig.passed(TTSTextFrame)) > 6)
            assert rig.decided == []
            line.says(caller("Stop. I need to stop you right there."))
            await rig.until(lambda: rig.decided != [])
            await rig.hears("appointment is on tuesday at nine stop", final=False)
            await rig.hears("is on tuesday at nine stop I need to stop you right there")
            await rig.until(lambda: any("YieldFloor" in one for one in rig.decided))
            await rig.until(lambda: len(rig.llm.runs) == 1)

    await rig.run(script)
    assert rig.said("user") == ["stop I need to stop you right there"]
    [said] = rig.said("assistant")
    assert SAYS.startswith(said)
    assert said != SAYS


async def test_an_agent_that_was_held_is_not_stopped_by_its_own_echo() -> None:
    rig = rig_of(Bargein(echo=True))
    ended: list[str] = []

    async def script(rig: Rig) -> None:
        async with line_of(rig, STEADY).open() as line:
            await rig.agent(SAYS)
            await rig.until(lambda: len(rig.passed(TTSTextFrame)) > 6)
            line.says(caller("Yes, that is what I thought."))
            await rig.until(lambda: any("ResumePlayout" in one for one in rig.decided))
            ended.extend(rig.decided)
            await rig.until(lambda: not rig.manners.busy)
            await asyncio.sleep(0.8)

    await rig.run(script)
    assert rig.decided == ended
    assert any("PausePlayout" in one or "HoldFloor" in one for one in ended)
    assert rig.said("assistant") == [SAYS]

"""A Pipecat agent on a loudspeaker: its own voice and words come back to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import InputAudioRawFrame, TTSTextFrame

pytest.importorskip("bargein.testing.speech")

from bargein.pipecat import Bargein
from bargein.testing.pipecat_parts import ScriptedTTS
from bargein.testing.speakerphone import RATE, Speakerphone
from bargein.testing.tones import PCM
from line_echo import EchoingLine, caller, voice
from rig import Rig

SAYS = (
    "Your appointment is on Tuesday at nine, with Doctor Hale in the main building. Please bring"
    " your card, and come ten minutes early, so that we can register you."
)


def rig_of(manners: Bargein) -> Rig:
    vad = manners.vad(VADParams(stop_secs=0.4))
    return Rig(manners, tts=ScriptedTTS(voice), user_params={"vad_analyzer": vad})


@asynccontextmanager
async def on_loudspeaker(rig: Rig) -> AsyncIterator[EchoingLine]:
    def played(from_s: float, to_s: float) -> tuple[PCM, int]:
        return rig.output.recording(from_s, to_s), rig.output.rate

    async def hand_in(pcm: PCM) -> None:
        await rig.worker.queue_frame(InputAudioRawFrame(pcm.tobytes(), RATE, 1))

    line = EchoingLine(Speakerphone(echo_db=-12, delay_ms=150), played, hand_in)
    running = asyncio.ensure_future(line.run())
    try:
        yield line
    except (AssertionError, TimeoutError):
        line.judge()
        raise
    finally:
        running.cancel()
    line.judge()


async def hears_the_agent(rig: Rig) -> None:
    """The recogniser writes down what comes back, word for word or nearly."""
    await rig.agent(SAYS)
    await rig.until(lambda: len(rig.passed(TTSTextFrame)) > 8)
    await rig.hears("your appointment is on tuesday at", final=False)
    await rig.hears("your appointment is on twos day at nine")
    await rig.until(lambda: not rig.manners.busy)
    await rig.hears("please bring your card and come ten minutes early so that we can register you")
    await asyncio.sleep(0.8)


async def test_an_agent_on_a_loudspeaker_neither_stops_nor_answers_itself() -> None:
    rig = rig_of(Bargein(echo=True))

    async def script(rig: Rig) -> None:
        async with on_loudspeaker(rig):
            await hears_the_agent(rig)

    await rig.run(script)
    assert rig.decided == []
    assert rig.said("assistant") == [SAYS]
    assert rig.said("user") == []
    assert rig.llm.runs == []


async def test_without_the_detector_it_does() -> None:
    rig = rig_of(Bargein(echo=False))

    async def script(rig: Rig) -> None:
        async with on_loudspeaker(rig):
            await hears_the_agent(rig)

    await rig.run(script)
    assert rig.decided != []


async def test_a_callers_stop_over_the_echo_stops_it() -> None:
    rig = rig_of(Bargein(echo=True))

    async def script(rig: Rig) -> None:
        async with on_loudspeaker(rig) as line:
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

"""A LiveKit agent on a loudspeaker: its own voice and words come back to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from livekit.plugins import silero

pytest.importorskip("bargein.testing.speech")

from bargein.livekit import Bargein
from bargein.testing.livekit_parts import VOICE_RATE, ScriptedTTS
from bargein.testing.speakerphone import Speakerphone
from bargein.testing.tones import PCM
from line_echo import EchoingLine, caller, voice
from livekit_rig import LiveKitRig

SAYS = (
    "Your appointment is on Tuesday at nine, with Doctor Hale in the main building. Please bring"
    " your card, and come ten minutes early, so that we can register you."
)


def rig_of(manners: Bargein) -> LiveKitRig:
    return LiveKitRig(
        manners, tts=ScriptedTTS(voice), vad=silero.VAD.load(), replies=["All right."]
    )


@asynccontextmanager
async def on_loudspeaker(rig: LiveKitRig) -> AsyncIterator[EchoingLine]:
    def played(from_s: float, to_s: float) -> tuple[PCM, int]:
        recording = rig.studio.room.recording
        track = np.zeros(round((to_s - from_s) * VOICE_RATE), np.int16)
        size = VOICE_RATE // 100
        first = round((from_s - recording.from_s) * VOICE_RATE)
        begin = max(0, first // size)
        for place, chunk in enumerate(recording.chunks[begin : begin + len(track) // size + 2]):
            at = (begin + place) * size - first
            low, high = max(0, at), min(len(track), at + len(chunk))
            if low < high:
                track[low:high] = chunk[low - at : high - at]
        return track, VOICE_RATE

    async def hand_in(pcm: PCM) -> None:
        rig.studio.microphone.play(pcm)

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


async def test_an_agent_on_a_loudspeaker_neither_stops_nor_answers_itself() -> None:
    rig = rig_of(Bargein(detectors=(), echo=True))

    async def script(rig: LiveKitRig) -> None:
        async with on_loudspeaker(rig):
            await rig.agent_says(SAYS)
            await asyncio.sleep(3)
            rig.hears("your appointment is on tuesday at", final=False)
            rig.hears("your appointment is on twos day at nine")
            await rig.until(lambda: not rig.manners.busy)
            rig.hears("please bring your card and come ten minutes early so that we can register")
            await rig.done()

    await rig.run(script)
    assert rig.decided == []
    assert rig.said("assistant") == [SAYS]
    assert rig.said("user") == []
    assert rig.runs == []


async def test_a_callers_stop_over_the_echo_stops_it() -> None:
    rig = rig_of(Bargein(detectors=(), echo=True))

    async def script(rig: LiveKitRig) -> None:
        async with on_loudspeaker(rig) as line:
            await rig.agent_says(SAYS)
            await asyncio.sleep(2)
            assert rig.decided == []
            line.says(caller("Stop. I need to stop you right there."))
            await rig.until(lambda: rig.decided != [])
            rig.hears("appointment is on tuesday stop", final=False)
            rig.hears("appointment is on tuesday stop I need to stop you right there")
            await rig.until(lambda: len(rig.runs) == 1)
            await rig.done()

    await rig.run(script)
    assert any("YieldFloor" in one for one in rig.decided)
    assert rig.said("user") == ["stop I need to stop you right there"]
    assert rig.said("assistant")[0] != SAYS

"""A LiveKit agent on a loudspeaker: its own voice and words come back to it."""

import asyncio

import numpy as np
import pytest
from livekit import rtc
from livekit.agents.voice import io
from livekit.plugins import silero

pytest.importorskip("bargein.testing.speech")

from bargein.livekit import Bargein
from bargein.testing.livekit_parts import VOICE_RATE, ScriptedTTS
from bargein.testing.speakerphone import RATE
from bargein.testing.tones import PCM
from line_echo import ROUGH, STEADY, EchoingLine, Way, caller, voice
from livekit_rig import LiveKitRig

SAYS = (
    "Your appointment is on Tuesday at nine, with Doctor Hale in the main building. Please bring"
    " your card, and come ten minutes early, so that we can register you."
)
WAYS = pytest.mark.parametrize("way", [STEADY, ROUGH], ids=["steady", "rough"])


def rig_of(manners: Bargein) -> LiveKitRig:
    return LiveKitRig(
        manners, tts=ScriptedTTS(voice), vad=silero.VAD.load(), replies=["All right."]
    )


class Microphone(io.AudioInput):
    """Gives the session what a line hands in, when it does."""

    def __init__(self) -> None:
        super().__init__(label="microphone")
        self._frames: asyncio.Queue[rtc.AudioFrame] = asyncio.Queue()

    async def hand_in(self, pcm: PCM) -> None:
        self._frames.put_nowait(rtc.AudioFrame(pcm.tobytes(), RATE, 1, len(pcm)))

    async def __anext__(self) -> rtc.AudioFrame:
        return await self._frames.get()


def line_of(rig: LiveKitRig, way: Way) -> EchoingLine:
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

    microphone = Microphone()
    rig.studio.session.input.audio = microphone
    return EchoingLine(played, microphone.hand_in, way=way)


@WAYS
async def test_an_agent_on_a_loudspeaker_neither_stops_nor_answers_itself(way: Way) -> None:
    rig = rig_of(Bargein(detectors=(), echo=True))

    async def script(rig: LiveKitRig) -> None:
        async with line_of(rig, way).open():
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


@WAYS
async def test_a_callers_stop_over_the_echo_stops_it(way: Way) -> None:
    rig = rig_of(Bargein(detectors=(), echo=True))

    async def script(rig: LiveKitRig) -> None:
        async with line_of(rig, way).open() as line:
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


async def test_an_agent_that_was_held_is_not_stopped_by_its_own_echo() -> None:
    rig = rig_of(Bargein(detectors=(), echo=True))
    ended: list[str] = []

    async def script(rig: LiveKitRig) -> None:
        async with line_of(rig, STEADY).open() as line:
            await rig.agent_says(SAYS)
            await asyncio.sleep(2)
            line.says(caller("Yes, that is what I thought."))
            await rig.until(lambda: any("ResumePlayout" in one for one in rig.decided))
            ended.extend(rig.decided)
            await rig.done()

    await rig.run(script)
    assert rig.decided == ended
    assert any("PausePlayout" in one or "HoldFloor" in one for one in ended)
    assert rig.said("assistant") == [SAYS]

"""What goes wrong at the worst moment: is the agent still heard, and the caller answered?"""

import asyncio

import pytest
from livekit.agents import Agent

from bargein.testing.livekit_parts import RoomOutput, ScriptedSTT
from livekit_rig import SAYS, LiveKitRig


@pytest.mark.parametrize("held", ["DuckPlayout", "PausePlayout"])
async def test_a_held_agent_finishes_before_one_that_runs_without_us_takes_over(held: str) -> None:
    async def script(rig: LiveKitRig) -> None:
        said = rig.session.say(SAYS)
        await rig.until(lambda: rig.manners.floor == "agent")
        await asyncio.sleep(0.6)
        rig.voice(True)
        await rig.until(lambda: any(one.startswith(held) for one in rig.decided))
        rig.session.update_agent(Agent(instructions="", stt=ScriptedSTT()))
        rig.session.say("Over to my colleague.")
        await asyncio.sleep(0.1)
        rig.voice(False)
        async with asyncio.timeout(8):
            await said
        await rig.until(lambda: bool(rig.said("assistant")))

    rig = await LiveKitRig().run(script)
    assert rig.said("assistant")[0] == SAYS
    pcm = rig.studio.room.recording.pcm
    last_s = pcm[-rig.studio.room.sink.sample_rate :]
    assert abs(last_s).max() > 0.7 * abs(pcm).max()


async def test_what_nobody_could_hear_yet_can_be_interrupted() -> None:
    """The caller's client has not subscribed to the agent's voice."""

    async def script(rig: LiveKitRig) -> None:
        sink = rig.studio.room.sink
        subscribed, sink._subscribed_fut = sink._subscribed_fut, asyncio.Future()
        said = rig.session.say(SAYS)
        await asyncio.sleep(1)
        said.interrupt()
        async with asyncio.timeout(3):
            await said
        assert rig.said("assistant") == []
        sink._subscribed_fut.set_result(None)
        sink._subscribed_fut = subscribed
        await rig.session.say("Hello there.")
        await rig.done()

    rig = await LiveKitRig().run(script)
    assert rig.said("assistant") == ["Hello there."]
    assert rig.errors == []


class Slower(RoomOutput):
    """One that wants the voice at another rate."""

    def __init__(self) -> None:
        super().__init__()
        self.sink._sample_rate = 16_000


async def test_an_avatar_that_joins_between_two_texts_leaves_nobody_the_floor() -> None:
    avatars: list[RoomOutput] = []

    async def script(rig: LiveKitRig) -> None:
        first, second = rig.session.say("Hello there."), rig.session.say("How are you?")

        def joins(_: object) -> None:
            if not avatars:
                avatars.append(Slower())
                rig.session.output.replace_audio_tail(avatars[0].sink)
                second.interrupt()

        voice = rig.session.output.audio
        assert voice is not None
        voice.on("playback_finished", joins)
        await first
        await second
        await asyncio.sleep(2)
        assert rig.manners.floor == "open"

    try:
        await LiveKitRig().run(script)
    finally:
        for avatar in avatars:
            await avatar.close()


async def test_an_avatar_that_joins_as_the_caller_interrupts_leaves_nothing_undecided() -> None:
    avatars: list[RoomOutput] = []

    async def script(rig: LiveKitRig) -> None:
        @rig.manners.on("yield")
        def joins(_: object) -> None:
            avatars.append(Slower())
            rig.session.output.replace_audio_tail(avatars[0].sink)

        await rig.agent_says()
        await rig.interrupts()
        await rig.until(lambda: len(rig.runs) == 1)
        await rig.until(lambda: rig.manners.floor == "open")
        await rig.until(lambda: not rig.manners.busy)

    try:
        await LiveKitRig(replies=["Sure."]).run(script)
    finally:
        for avatar in avatars:
            await avatar.close()

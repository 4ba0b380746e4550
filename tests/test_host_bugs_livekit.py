"""What callers of LiveKit agents reported, by what they noticed: does it happen with us?

Each call is held twice, and the second time without us: either LiveKit still shows the defect, or
it is known to have mended it. So nobody is defended against what nobody does any more.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
from livekit.agents import Agent, AgentSession, ChatContext, function_tool

from bargein.testing.livekit_parts import Call
from host_bugs import Defect, gone, words_in
from livekit_rig import KEEPS_RESULTS, SAYS, LiveKitRig


def mended(number: str, defect: Defect) -> Awaitable[None]:
    return gone("livekit-agents", number, defect)


def agent(ours: bool, interruption: dict[str, Any] | None = None, **options: Any) -> LiveKitRig:
    """A call with us, or a plain session with settings of LiveKit's own."""
    if ours:
        return LiveKitRig(**options)

    def plain(_: Any, parts: dict[str, Any]) -> AgentSession[Any]:
        parts["turn_handling"]["interruption"] = interruption or {}
        return AgentSession(**parts)

    return LiveKitRig(session=plain, **options)


def words_heard(rig: LiveKitRig) -> float:
    return words_in(rig.studio.room.recording.chunks)


async def hears(rig: LiveKitRig, words: float) -> None:
    """Wait until so many more words of the agent's were heard."""
    before = words_heard(rig)
    await rig.until(lambda: words_heard(rig) >= before + words)


async def quiet(rig: LiveKitRig) -> None:
    """Wait until the agent has been silent for two seconds."""
    before = -1.0
    async with asyncio.timeout(60):
        while words_heard(rig) != before:
            before = words_heard(rig)
            await asyncio.sleep(2)


async def says(rig: LiveKitRig, text: str) -> None:
    """The caller says this, over the agent or not."""
    rig.voice(True)
    await asyncio.sleep(0.3)
    rig.hears(text, final=False)
    await asyncio.sleep(0.1)
    rig.hears(text)
    rig.voice(False)


async def listens(rig: LiveKitRig, words: str) -> None:
    rig.session.say(SAYS)
    await hears(rig, 3)
    await says(rig, words)
    await quiet(rig)


async def test_mhmm_stops_the_agent_for_good() -> None:
    """livekit/agents#4039: after "mhmm" the agent never resumed."""

    async def defect(ours: bool) -> bool:
        rig = await agent(ours).run(lambda rig: listens(rig, "mhmm"))
        return rig.said("assistant") != [SAYS]

    await mended("4039", defect)


async def test_a_backchannel_is_glued_to_the_next_turn() -> None:
    """livekit/agents#4498: with min_words, "uh-huh" begins what the caller says next."""

    async def script(rig: LiveKitRig) -> None:
        await listens(rig, "uh-huh")
        await says(rig, "what about returns")
        await rig.until(lambda: len(rig.runs) == 1)
        await quiet(rig)

    async def defect(ours: bool) -> bool:
        rig = await agent(ours, {"min_words": 2}).run(script)
        return rig.said("user") != ["what about returns"]

    await mended("4498", defect)


async def test_a_reply_that_is_hesitated_over_before_its_first_sound_is_forgotten() -> None:
    """livekit/agents#5038: paused before its first frame, it was heard and not in the history."""

    async def script(rig: LiveKitRig) -> None:
        rig.session.generate_reply(user_input="When is it?")
        await asyncio.sleep(0.05)
        rig.voice(True)
        await asyncio.sleep(0.2)
        rig.voice(False)
        await hears(rig, 1)
        await quiet(rig)

    async def defect(ours: bool) -> bool:
        rig = await agent(ours, replies=[SAYS]).run(script)
        return rig.said("assistant") != [SAYS]

    await mended("5038", defect)


async def test_after_an_interruption_the_agent_speaks_and_is_not_heard() -> None:
    """livekit/agents#3418: it was "speaking", and nothing sounded."""
    states = list[str]()

    async def script(rig: LiveKitRig) -> None:
        rig.session.say(SAYS)
        await hears(rig, 3)
        await says(rig, "no wait I meant Thursday")
        await hears(rig, 1.5)
        await says(rig, "hang on let me think")
        await asyncio.sleep(0.5)
        await says(rig, "what about Friday then")
        await rig.until(lambda: "Friday is free." in rig.said("assistant"))
        await quiet(rig)
        states.append(rig.session.agent_state)

    def answers(chat_ctx: ChatContext) -> list[str]:
        newest = chat_ctx.messages()[-1].text_content or ""
        return ["Friday is free." if "Friday" in newest else "Thursday at noon is free."]

    async def defect(ours: bool) -> bool:
        rig = await agent(ours, replies=answers).run(script)
        known = sum(len(text.split()) for text in rig.said("assistant"))
        return states.pop() == "speaking" or words_heard(rig) < known - 2.2

    await mended("3418", defect)


async def test_an_interrupted_reply_was_played_for_no_time_at_all() -> None:
    """livekit/agents#1994: played for 0 seconds, and nothing of it in the history."""
    played = list[float]()

    async def script(rig: LiveKitRig) -> None:
        audio = rig.session.output.audio
        assert audio is not None
        audio.on("playback_finished", lambda event: played.append(event.playback_position))
        rig.session.say(SAYS)
        await hears(rig, 3)
        await says(rig, "no wait I meant Thursday")
        await quiet(rig)

    async def defect(ours: bool) -> bool:
        played.clear()
        rig = await agent(ours).run(script)
        heard = words_heard(rig)
        return abs(played[0] / 0.3 - heard) > 1.2 or not rig.said("assistant")

    await mended("1994", defect)


@pytest.mark.parametrize("synchronized", [True, False])
async def test_the_history_holds_words_that_nobody_heard(synchronized: bool) -> None:
    """livekit/agents#2607: it held a word or two more, and all of them without a transcript."""

    async def defect(ours: bool) -> bool:
        more = 0.0
        for after in (2, 5, 8):

            async def script(rig: LiveKitRig, after: int = after) -> None:
                rig.session.say(SAYS)
                await hears(rig, after)
                await says(rig, "stop")
                await quiet(rig)

            rig = await agent(ours, synchronized=synchronized).run(script)
            [said] = rig.said("assistant")
            more = max(more, len(said.split()) - words_heard(rig))
        return more > 0.7

    await mended("" if synchronized else "2607", defect)


@KEEPS_RESULTS
async def test_what_was_booked_is_booked_again_after_an_interruption() -> None:
    """livekit/agents#3702: the function's result was lost, and so it was called twice."""

    async def defect(ours: bool) -> bool:
        booked = list[str]()

        @function_tool
        async def book() -> str:
            """Book the table."""
            booked.append("a table")
            return "booked"

        async def script(rig: LiveKitRig) -> None:
            rig.session.generate_reply(user_input="Book a table.")
            await rig.until(lambda: bool(booked))
            await hears(rig, 1)
            await says(rig, "no wait I meant Thursday")
            await rig.until(lambda: len(rig.runs) == 2)

        rig = agent(
            ours,
            agent=Agent(instructions="", tools=[book]),
            replies=[("I book it for you right now, one moment please.", Call("book"))],
        )
        await rig.run(script)
        shown = [item.type for item in rig.runs[1].items]
        results = (shown.count("function_call"), shown.count("function_call_output"))
        return results != (1, 1) or booked != ["a table"]

    await mended("3702", defect)


@pytest.mark.parametrize("words", ["", "uh-huh"])
async def test_a_short_sound_interrupts_though_only_long_ones_shall(words: str) -> None:
    """livekit/agents#3515: min_interruption_duration has no effect where words were heard."""

    async def script(rig: LiveKitRig) -> None:
        rig.session.say(SAYS)
        await hears(rig, 2)
        rig.voice(True)
        await asyncio.sleep(1)
        if words:
            rig.hears(words)
        rig.voice(False)
        await quiet(rig)

    async def defect(ours: bool) -> bool:
        rig = await agent(ours, {"min_duration": 10}).run(script)
        return rig.said("assistant") != [SAYS]

    await mended("3515" if words else "", defect)

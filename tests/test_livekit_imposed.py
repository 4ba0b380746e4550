"""Which speech of LiveKit's keeps a caller's words waiting, and which only looks as if it did?"""

import asyncio
from typing import Any

import pytest
from livekit.agents import Agent, AgentTask, RunContext, StopResponse, function_tool

from bargein.livekit import Bargein
from bargein.testing.livekit_parts import Call
from livekit_rig import LiveKitRig


class Consent(AgentTask[str]):
    """Asks, and takes the caller's answer."""

    async def on_enter(self) -> None:
        await self.session.say("May I book it?")

    async def on_user_turn_completed(self, _: Any, new_message: Any) -> None:
        self.complete(new_message.text_content)
        raise StopResponse


class Desk(Agent):
    """Books what nobody may interrupt, and asks before it does."""

    def __init__(self) -> None:
        super().__init__(instructions="")
        self.answered: str | None = None

    @function_tool
    async def book(self, context: RunContext[Any]) -> str:
        """Book it."""
        context.disallow_interruptions()
        self.answered = await Consent(instructions="")
        return "booked"


async def test_a_task_that_asks_inside_of_an_uninterruptible_tool_hears_the_answer() -> None:
    desk = Desk()

    async def script(rig: LiveKitRig) -> None:
        rig.session.generate_reply()
        await rig.until(lambda: "May I book it?" in rig.said("assistant"))
        await asyncio.sleep(1)
        rig.voice(True)
        rig.hears("yes please")
        rig.voice(False)
        await rig.until(lambda: desk.answered is not None)

    await LiveKitRig(agent=desk, replies=[["One moment.", Call("book")], "Done."]).run(script)
    assert desk.answered == "yes please"


class Slow(Agent):
    """Books for a long time."""

    def __init__(self) -> None:
        super().__init__(instructions="")
        self.booked = asyncio.Event()

    @function_tool
    async def book(self, context: RunContext[Any]) -> str:
        """Book it."""
        context.disallow_interruptions()
        await self.booked.wait()
        return "booked"


async def test_a_caller_is_answered_while_an_uninterruptible_tool_works() -> None:
    desk = Slow()

    async def script(rig: LiveKitRig) -> None:
        rig.session.generate_reply()
        await rig.until(lambda: "One moment." in rig.said("assistant"))
        await asyncio.sleep(1)
        rig.voice(True)
        rig.hears("are you there")
        rig.voice(False)
        await rig.until(lambda: "are you there" in rig.said("user"))
        await rig.until(lambda: len(rig.runs) == 2)
        desk.booked.set()
        await rig.until(lambda: len(rig.runs) == 3)

    await LiveKitRig(agent=desk, replies=[["One moment.", Call("book")], "I am.", "Done."]).run(
        script
    )


@pytest.mark.parametrize("ahead", [False, True])
async def test_an_agent_that_nobody_may_interrupt_answers_each_turn_once(ahead: bool) -> None:
    async def script(rig: LiveKitRig) -> None:
        rig.voice(True)
        rig.hears("I would like")
        await asyncio.sleep(0.4)
        rig.hears("to book a table")
        await asyncio.sleep(0.2)
        rig.voice(False)
        await rig.until(lambda: bool(rig.said("assistant")))
        rig.voice(True)
        rig.hears("for two people")
        rig.voice(False)
        await asyncio.sleep(4)

    rig = await LiveKitRig(
        agent=Agent(instructions="", allow_interruptions=False),
        replies=lambda seen: ["Yes." if "two" in str(seen.items[-1]) else "For how many?"],
        turn_handling={
            "turn_detection": "vad",
            "endpointing": {"min_delay": 0.25, "max_delay": 0.5},
            "preemptive_generation": {"enabled": ahead},
        },
    ).run(script)
    assert rig.said("user") == ["I would like to book a table", "for two people"]
    assert rig.said("assistant") == ["For how many?", "Yes."]
    assert rig.errors == []


HOLD = "Please hold the line, it takes a moment."


class Decides(Agent):
    """Takes each turn itself, and says something that nobody may interrupt."""

    def __init__(self, how: str, manners: Bargein) -> None:
        super().__init__(instructions="")
        self.how, self.manners = how, manners
        self.turns: list[str | None] = []

    async def on_user_turn_completed(self, _: Any, new_message: Any) -> None:
        self.turns.append(new_message.text_content)
        if "reply" in self.how:
            self.session.generate_reply(instructions="Hold.", allow_interruptions=False)
        elif "code" in self.how:
            await self.manners.say(None, HOLD, must_hear=True)
        else:
            self.session.say(HOLD, allow_interruptions=False)
        if "stop" in self.how:
            raise StopResponse


HOWS = ("text", "text and stop", "reply and stop", "code", "code and stop")


@pytest.mark.parametrize("how", HOWS)
async def test_a_turn_that_an_agent_takes_itself_is_not_said_to_it_again(how: str) -> None:
    manners = Bargein(detectors=())
    desk = Decides(how, manners)

    async def script(rig: LiveKitRig) -> None:
        rig.voice(True)
        rig.hears("I would like to book")
        rig.voice(False)
        await rig.until(lambda: HOLD in rig.said("assistant"))
        await asyncio.sleep(2)
        await manners.say(None, "Your code is one two three.", must_hear=True)
        await rig.until(lambda: "Your code is one two three." in rig.said("assistant"))
        await asyncio.sleep(3)

    answer = HOLD if "reply" in how else "Yes."
    rig = await LiveKitRig(manners, agent=desk, replies=lambda _: [answer]).run(script)
    assert desk.turns == ["I would like to book"]
    assert rig.errors == []


@pytest.mark.parametrize("last", ["no thanks", "no thanks on Tuesday", "yes on Tuesday"])
async def test_the_last_words_of_a_call_are_noted_whatever_was_said_before(last: str) -> None:
    async def script(rig: LiveKitRig) -> None:
        rig.voice(True)
        rig.hears("no thanks on Tuesday")
        rig.voice(False)
        await rig.until(lambda: bool(rig.said("assistant")))
        await asyncio.sleep(2)
        await rig.manners.say(None, HOLD, must_hear=True)
        await asyncio.sleep(1)
        rig.voice(True)
        rig.hears(last)
        await asyncio.sleep(0.2)

    rig = await LiveKitRig(replies=lambda _: ["Fine."]).run(script, hang_up=True)
    assert rig.said("user") == ["no thanks on Tuesday", last]

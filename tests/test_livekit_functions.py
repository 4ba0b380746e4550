"""Function calls that are out when somebody talks over the agent, in a real LiveKit session."""

import asyncio
from importlib.metadata import version
from typing import Any

import pytest
from livekit.agents import Agent, RunContext, function_tool

from bargein.livekit import Bargein, ToolError
from bargein.testing.livekit_parts import Call
from livekit_rig import LiveKitRig

DROPS_RESULTS = version("livekit-agents").startswith("1.6.")
"""Before 1.7 LiveKit drops what functions of an interrupted speech answer."""
WAITS = "Let me look that up for you, it will only take a moment, please stay on the line."


class LookUp:
    """A function of the application's that takes its time."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.cancelled = False

    async def look_up(self, context: RunContext, shop: str = "main") -> str:
        """Look it up.

        Args:
            shop: which one.
        """
        assert (context.function_call.name, shop) == ("look_up", "old town")
        self.begun.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return "seven boots"


def rig_of(look_up: LookUp, *, waits: str = WAITS, **options: Any) -> LiveKitRig:
    manners = Bargein(detectors=())
    tool = manners.function_tool(look_up.look_up, **options)

    def answers(chat_ctx: Any) -> Any:
        newest = chat_ctx.items[-1]
        if newest.type == "function_call_output":
            return [f"I have found {newest.output}."]
        if newest.type == "message" and newest.text_content == "How many boots?":
            return [part for part in (waits, Call("look_up", '{"shop": "old town"}')) if part]
        return ["All right."]

    return LiveKitRig(manners, agent=Agent(instructions="", tools=[tool]), replies=answers)


async def looking_up(rig: LiveKitRig, look_up: LookUp, *, talks: bool = True) -> None:
    """The LLM has called the function, and the agent talks meanwhile."""
    rig.session.generate_reply(user_input="How many boots?")
    await asyncio.wait_for(look_up.begun.wait(), 10)
    if talks:
        await rig.until(lambda: rig.manners.floor == "agent")


def outputs(rig: LiveKitRig) -> list[str]:
    items = rig.session.history.items
    return [item.output for item in items if item.type == "function_call_output"]


async def test_a_call_that_is_out_finishes_and_is_told_of_once() -> None:
    look_up = LookUp()
    rig = rig_of(look_up)

    async def script(rig: LiveKitRig) -> None:
        await looking_up(rig, look_up)
        await rig.interrupts("what about shoes")
        await rig.until(lambda: "All right." in rig.said("assistant"))
        look_up.may_end.set()
        await rig.until(lambda: bool(outputs(rig)))
        [left] = rig.manners.unfinished
        assert [(tool.name, tool.result) for tool in left.tools] == [("look_up", "seven boots")]
        await rig.until(lambda: len(rig.runs) == 3)
        await rig.done()

    await rig.run(script)
    assert not look_up.cancelled
    assert outputs(rig) == ["seven boots"]
    assert len(rig.runs) == 3


async def test_a_call_that_is_to_be_cancelled_is_and_the_llm_knows() -> None:
    look_up = LookUp()
    rig = rig_of(look_up, on_interruption="cancel")

    async def script(rig: LiveKitRig) -> None:
        await looking_up(rig, look_up)
        await rig.interrupts("what about shoes")
        await rig.until(lambda: look_up.cancelled)
        await rig.until(lambda: len(rig.runs) == 2)
        await rig.done()

    await rig.run(script)
    assert rig.said("assistant")[-1] == "All right."
    if not DROPS_RESULTS:
        assert outputs(rig) == ["The call was cancelled, because the user interrupted."]
    assert "seven boots" not in outputs(rig)


@pytest.mark.parametrize("words", ["mm-hm", ""])
async def test_a_listeners_noise_cancels_nothing(words: str) -> None:
    look_up = LookUp()
    rig = rig_of(look_up, on_interruption="cancel")

    async def script(rig: LiveKitRig) -> None:
        await looking_up(rig, look_up)
        await asyncio.sleep(0.9)
        rig.voice(True)
        if words:
            rig.hears(words)
        await asyncio.sleep(0.2)
        rig.voice(False)
        await rig.until(lambda: rig.manners.floor == "open")
        look_up.may_end.set()
        await rig.until(lambda: len(rig.said("assistant")) == 2)

    await rig.run(script)
    assert not look_up.cancelled
    assert rig.said("assistant") == [WAITS, "I have found seven boots."]
    assert rig.said("user") == ["How many boots?"]


async def test_a_result_does_not_answer_over_the_callers_words() -> None:
    look_up = LookUp()
    rig = rig_of(look_up, waits="")

    async def script(rig: LiveKitRig) -> None:
        await looking_up(rig, look_up, talks=False)
        rig.voice(True)
        look_up.may_end.set()
        await asyncio.sleep(1.5)
        assert len(rig.runs) == 1
        rig.hears("and in red, please")
        rig.voice(False)
        await rig.until(lambda: len(rig.said("assistant")) == 1)
        await rig.done()

    await rig.run(script)
    assert "and in red, please" in rig.said("user")
    assert len(rig.said("assistant")) == 1
    assert outputs(rig) == ["seven boots"]


async def test_a_result_does_not_answer_somebody_who_asked_for_a_moment() -> None:
    look_up = LookUp()
    rig = rig_of(look_up)

    async def script(rig: LiveKitRig) -> None:
        await looking_up(rig, look_up)
        await rig.interrupts("hang on a second")
        await asyncio.sleep(0.5)
        look_up.may_end.set()
        await asyncio.sleep(2.5)
        assert len(rig.runs) == 1
        rig.voice(True)
        rig.hears("okay, what have you found?")
        rig.voice(False)
        await rig.until(lambda: len(rig.runs) == 2)
        await rig.done()

    await rig.run(script)
    assert len(rig.runs) == 2
    assert outputs(rig) == ["seven boots"]


async def test_a_function_that_cannot_be_registered_so() -> None:
    async def book() -> str:
        """Book it."""
        return "booked"

    manners = Bargein(detectors=())
    with pytest.raises(ToolError, match="complete, cancel, not 'stop'"):
        manners.function_tool(book, on_interruption="stop")
    with pytest.raises(ToolError, match="book is a tool already"):
        manners.function_tool(function_tool(book))
    tool: Any = manners.function_tool(book, name="reserve")
    assert (tool.info.name, tool.info.description) == ("reserve", "Book it.")

"""What was left unsaid is not lost on LiveKit either: "go on" goes on."""

import asyncio
from typing import Any

import pytest
from livekit.agents import Agent, function_tool
from livekit.agents.llm import ChatMessage

from bargein import Kind
from bargein.livekit import Bargein
from bargein.memory import MemoryStore
from bargein.testing.livekit_parts import Call
from livekit_rig import KEEPS_RESULTS, LiveKitRig

POLICY = "Items can be returned within thirty days, as long as you have the receipt."


def manners(**options: Any) -> Bargein:
    return Bargein(detectors=(), **options)


async def cut(rig: LiveKitRig) -> None:
    """The agent explains, and the caller asks something else."""
    await rig.agent_says(POLICY)
    await rig.interrupts("what about shoes", after=4)
    await rig.until(lambda: len(rig.said("user")) == 1)
    await rig.done()


async def asks(rig: LiveKitRig, text: str) -> None:
    """The caller's turn, on an open floor."""
    before = len(rig.said("user"))
    rig.voice(True)
    await asyncio.sleep(0.2)
    rig.hears(text)
    rig.voice(False)
    await rig.until(lambda: len(rig.said("user")) > before)


async def spoken(rig: LiveKitRig) -> None:
    await rig.until(lambda: rig.manners.floor == "agent")
    await rig.done()


def shown(rig: LiveKitRig, run: int) -> list[tuple[str, str]]:
    """The messages that the LLM was shown."""
    items = [one for one in rig.runs[run].items if isinstance(one, ChatMessage)]
    return [(one.role, one.text_content or "") for one in items]


@pytest.mark.parametrize("preemptive", [True, False])
async def test_go_on_says_the_rest_without_a_run_of_the_llm(preemptive: bool) -> None:
    handling = {
        "turn_detection": "vad",
        "endpointing": {"min_delay": 0.25, "max_delay": 0.5},
        "preemptive_generation": {"enabled": preemptive},
    }
    rig = LiveKitRig(turn_handling=handling)

    async def script(rig: LiveKitRig) -> None:
        rig.manners.topic("the returns policy")
        await cut(rig)
        [left] = rig.manners.unfinished
        assert (left.topic, left.kind, left.text) == ("the returns policy", Kind.REDIRECT, POLICY)
        assert 0 < left.progress < 1
        before = len(rig.runs)
        await asks(rig, "Go on, please.")
        await spoken(rig)
        assert len(rig.runs) == before

    await rig.run(script)
    first, second = rig.said("assistant")
    bridged = "Sure, back to the returns policy. "
    rest = second.removeprefix(bridged)
    # Only the clause that broke is said twice.
    assert second.startswith(bridged)
    assert POLICY.endswith(rest)
    assert len(first) + len(rest) >= len(POLICY) - 1
    assert rig.said("user") == ["what about shoes", "Go on, please."]
    assert rig.manners.unfinished == ()


async def test_the_application_may_ask_for_it_and_may_forget_it() -> None:
    async def script(rig: LiveKitRig) -> None:
        assert not rig.manners.resume()
        await cut(rig)
        assert rig.manners.resume()
        await spoken(rig)
        await rig.agent_says(POLICY)
        await rig.interrupts("what about boots", after=4)
        await rig.done()
        rig.manners.forget()
        assert not rig.manners.resume()

    rig = await LiveKitRig().run(script)
    assert len(rig.said("assistant")) == 3
    assert rig.said("assistant")[1].startswith("Sure. ")


@pytest.mark.parametrize("told", [True, False])
async def test_the_llm_is_told_what_went_unheard(told: bool) -> None:
    async def script(rig: LiveKitRig) -> None:
        await cut(rig)
        await asks(rig, "and socks")
        await rig.done()

    rig = await LiveKitRig(manners(tell_llm=told), replies=["Yes.", "Yes."]).run(script)
    for run in range(len(rig.runs)):
        messages = shown(rig, run)
        place = messages.index(("user", "what about shoes"))
        role, text = messages[place - 1]
        assert (role == "developer") is told
        assert ("have the receipt" in text) is told


async def test_the_llm_may_say_it_in_its_own_words() -> None:
    async def script(rig: LiveKitRig) -> None:
        await cut(rig)
        await asks(rig, "where were we")
        await rig.until(lambda: len(rig.runs) == 2)

    rig = await LiveKitRig(manners(resume="llm")).run(script)
    role, text = shown(rig, 1)[-1]
    assert role == "developer"
    assert "as long as you have the receipt." in text


async def test_it_offers_once_and_takes_no_for_an_answer() -> None:
    async def script(rig: LiveKitRig) -> None:
        await cut(rig)
        await rig.agent_says("Shoes as well.")
        await rig.until(lambda: len(rig.said("assistant")) == 3)
        await rig.done()
        await asks(rig, "no thanks")
        await rig.agent_says("All right then.")
        await rig.done()

    rig = await LiveKitRig(manners(resume="offer")).run(script)
    assert rig.said("assistant")[1:] == [
        "Shoes as well.",
        "I had not finished. Shall I go on?",
        "All right then.",
    ]
    assert rig.manners.unfinished == ()


async def test_it_says_that_it_has_understood() -> None:
    async def script(rig: LiveKitRig) -> None:
        await rig.agent_says(POLICY)
        await rig.interrupts("what about shoes", after=4)
        await rig.until(lambda: len(rig.said("assistant")) == 2)

    replies = ["Shoes as well."]
    rig = await LiveKitRig(manners(acknowledge=["redirect"]), replies=replies).run(script)
    assert rig.said("assistant")[1] == "Sure. Shoes as well."


async def test_the_llm_may_decide_with_a_tool() -> None:
    ours = manners(resume="offer")
    tools = ours.tools()
    assert [tool.info.name for tool in tools] == ["resume_speech", "forget_speech"]

    def answers(chat_ctx: Any) -> Any:
        newest = chat_ctx.items[-1]
        if newest.type != "message":
            return ["There is nothing more."]
        wants = {"tell me the rest": "resume_speech", "never mind": "forget_speech"}
        name = wants.get(newest.text_content)
        return [Call(name)] if name else []

    async def script(rig: LiveKitRig) -> None:
        await cut(rig)
        await asks(rig, "tell me the rest")
        await spoken(rig)
        await rig.agent_says(POLICY)
        await rig.interrupts("what about boots", after=4)
        await rig.done()
        await asks(rig, "never mind")
        await rig.until(lambda: not rig.manners.unfinished)
        await rig.done()

    agent = Agent(instructions="", tools=[*tools])
    rig = await LiveKitRig(ours, agent=agent, replies=answers).run(script)
    assert POLICY.endswith(rig.said("assistant")[1].removeprefix("Sure. "))


async def test_go_on_with_nothing_left_is_the_llms() -> None:
    async def script(rig: LiveKitRig) -> None:
        await asks(rig, "go on")
        await rig.until(lambda: bool(rig.said("assistant")))

    rig = await LiveKitRig(replies=["With what?"]).run(script)
    assert rig.said("assistant") == ["With what?"]


async def test_a_call_that_broke_off_is_gone_on_with_in_the_next() -> None:
    store = MemoryStore()

    async def hung_up(rig: LiveKitRig) -> None:
        rig.manners.topic("the returns policy")
        await rig.agent_says(POLICY)
        await asyncio.sleep(1.3)

    await LiveKitRig(manners(store=store, caller="+49 1")).run(hung_up, hang_up=True)

    async def calls_again(rig: LiveKitRig) -> None:
        await rig.agent_says("Hello again.")
        await rig.until(lambda: len(rig.said("assistant")) == 2)
        await rig.done()
        await asks(rig, "yes please")
        await spoken(rig)

    rig = await LiveKitRig(manners(store=store, caller="+49 1")).run(calls_again)
    assert rig.said("assistant")[1:] == [
        "I was telling you about the returns policy. Shall I go on?",
        f"Sure, back to the returns policy. {POLICY}",
    ]


@KEEPS_RESULTS
async def test_a_function_that_is_out_when_the_floor_is_taken_answers_once() -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    @function_tool
    async def look_up() -> str:
        """Look it up."""
        begun.set()
        await may_end.wait()
        return "seven boots"

    waits = "Let me look that up for you, it will only take a moment, please stay on the line."

    def answers(chat_ctx: Any) -> Any:
        newest = chat_ctx.items[-1]
        asked = newest.type == "message" and newest.text_content == "How many boots?"
        return [waits, Call("look_up")] if asked else ["All right."]

    async def script(rig: LiveKitRig) -> None:
        rig.session.generate_reply(user_input="How many boots?")
        await asyncio.wait_for(begun.wait(), 10)
        await rig.until(lambda: rig.manners.floor == "agent")
        await rig.interrupts("what about shoes", after=3)
        may_end.set()
        await rig.until(lambda: "what about shoes" in rig.said("user"))
        await rig.done()

    rig = await LiveKitRig(agent=Agent(instructions="", tools=[look_up]), replies=answers).run(
        script
    )
    outputs = [item for item in rig.session.history.items if item.type == "function_call_output"]
    assert len(outputs) == 1
    assert rig.said("assistant")[-1] == "All right."

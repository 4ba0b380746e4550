"""Function calls that are out when somebody talks over the agent, in a real pipeline."""

import asyncio
from typing import Any

import pytest
from pipecat.frames.frames import FunctionCallFromLLM, LLMMessagesAppendFrame
from pipecat.services.llm_service import FunctionCallParams

from bargein.pipecat import Bargein, ToolError
from rig import Rig

WAITS = "Let me look that up for you, it will only take a moment, please stay on the line."
NAME = "look_up"


class LookUp:
    """A function of the application's that takes its time."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.cancelled = False

    async def __call__(self, params: FunctionCallParams) -> None:
        self.begun.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        await params.result_callback({"boots": 7})


async def looking_up(rig: Rig, look_up: LookUp) -> None:
    """The LLM has called the function, and the agent talks meanwhile."""
    call = FunctionCallFromLLM(
        function_name=NAME, tool_call_id="c1", arguments={}, context=rig.context
    )
    await rig.llm.run_function_calls([call])
    await asyncio.wait_for(look_up.begun.wait(), 10)
    await rig.agent(WAITS)
    await asyncio.sleep(0.8)


async def interrupts(rig: Rig) -> None:
    await rig.voice(True)
    await rig.hears("what about shoes")
    await rig.until(lambda: rig.manners.floor == "user")


def results(rig: Rig) -> list[Any]:
    """What the context says that the function answered."""
    messages: list[Any] = rig.context.get_messages()
    return [m["content"] for m in messages if "boots" in str(m.get("content"))]


def tool_messages(rig: Rig) -> list[Any]:
    messages: list[Any] = rig.context.get_messages()
    return [m["content"] for m in messages if m["role"] == "tool"]


async def test_a_call_that_is_out_finishes_and_is_told_of_once() -> None:
    rig, look_up = Rig(), LookUp()
    rig.manners.register_function(rig.llm, NAME, look_up)

    async def script(rig: Rig) -> None:
        await looking_up(rig, look_up)
        await interrupts(rig)
        look_up.may_end.set()
        await rig.until(lambda: bool(results(rig)))
        assert rig.llm.runs == []  # the caller is still speaking
        await rig.voice(False)
        await rig.until(lambda: len(rig.llm.runs) > 0)
        [left] = rig.manners.unfinished
        assert [(tool.name, tool.result) for tool in left.tools] == [(NAME, '{"boots": 7}')]

    await rig.run(script)
    assert not look_up.cancelled
    assert len(results(rig)) == 1
    assert rig.said("user") == ["what about shoes"]


async def test_a_call_that_is_to_be_cancelled_is_and_the_llm_knows() -> None:
    rig, look_up = Rig(), LookUp()
    rig.manners.register_function(rig.llm, NAME, look_up, on_interruption="cancel")

    async def script(rig: Rig) -> None:
        await looking_up(rig, look_up)
        await interrupts(rig)
        await rig.until(lambda: look_up.cancelled)
        await rig.voice(False)
        await rig.until(lambda: len(rig.llm.runs) > 0)
        [left] = rig.manners.unfinished
        assert left.tools == ()

    await rig.run(script)
    assert results(rig) == []
    assert tool_messages(rig) == ["CANCELLED"]


@pytest.mark.parametrize("words", ["mm-hm", ""])
async def test_a_listeners_noise_cancels_nothing(words: str) -> None:
    rig, look_up = Rig(), LookUp()
    rig.manners.register_function(rig.llm, NAME, look_up, on_interruption="cancel")

    async def script(rig: Rig) -> None:
        await looking_up(rig, look_up)
        await rig.voice(True)
        if words:
            await rig.hears(words)
        await asyncio.sleep(0.2)
        await rig.voice(False)
        await rig.until(lambda: rig.manners.floor == "open")
        look_up.may_end.set()
        await rig.until(lambda: bool(results(rig)))

    await rig.run(script)
    assert not look_up.cancelled
    assert rig.said("assistant") == [WAITS]
    assert rig.said("user") == []


async def test_a_result_does_not_answer_somebody_who_asked_for_a_moment() -> None:
    rig, look_up = Rig(), LookUp()
    rig.manners.register_function(rig.llm, NAME, look_up)

    async def script(rig: Rig) -> None:
        await looking_up(rig, look_up)
        await rig.voice(True)
        await rig.hears("hang on a second")
        await rig.until(lambda: rig.manners.floor == "user")
        await rig.voice(False)
        await asyncio.sleep(0.5)
        look_up.may_end.set()
        await rig.until(lambda: bool(results(rig)))
        await asyncio.sleep(0.5)
        assert rig.llm.runs == []
        await rig.voice(True)
        await rig.hears("okay, what have you found?")
        await rig.voice(False)
        await rig.until(lambda: len(rig.llm.runs) == 1)

    await rig.run(script)
    assert "boots" in str(rig.llm.runs[0][1])
    assert len(results(rig)) == 1


async def test_a_running_function_is_evidence_by_its_name() -> None:
    seen: list[tuple[str, ...]] = []

    def watch(overlap: Any) -> None:
        seen.append(overlap.tools_running)

    rig, look_up = Rig(Bargein(rules=(watch,))), LookUp()
    rig.manners.register_function(rig.llm, NAME, look_up)

    async def script(rig: Rig) -> None:
        await looking_up(rig, look_up)
        await rig.voice(True)
        await rig.until(lambda: bool(seen))
        look_up.may_end.set()

    await rig.run(script)
    assert seen[0] == (NAME,)


async def test_a_function_is_registered_in_one_way() -> None:
    rig, look_up = Rig(), LookUp()
    with pytest.raises(ToolError, match="'sometimes'"):
        rig.manners.register_function(rig.llm, NAME, look_up, on_interruption="sometimes")
    with pytest.raises(ToolError, match="cancel_on_interruption"):
        rig.manners.register_function(rig.llm, NAME, look_up, cancel_on_interruption=True)


async def test_the_application_may_carry_on_with_the_llm_whatever_is_out() -> None:
    rig, look_up = Rig(), LookUp()
    rig.manners.register_function(rig.llm, NAME, look_up)

    async def script(rig: Rig) -> None:
        await looking_up(rig, look_up)
        await rig.until(lambda: rig.manners.floor == "open")
        said: list[Any] = [{"role": "user", "content": "And how are you?"}]
        await rig.worker.queue_frame(LLMMessagesAppendFrame(said, run_llm=True))
        await rig.until(lambda: len(rig.llm.runs) == 1)
        look_up.may_end.set()
        await rig.until(lambda: len(rig.llm.runs) == 2)

    await rig.run(script)
    assert len(results(rig)) == 1

"""What an application learns of an interruption, and what it may do then."""

import asyncio
import time
from typing import Any

import pytest
from pipecat.frames.frames import LLMMessagesAppendFrame, TTSSpeakFrame

from bargein import Kind
from bargein.interruption import Interruption
from bargein.pipecat import Bargein
from bargein.pipecat.manners import BargeinError
from rig import SAYS, Rig


async def interrupted(rig: Rig, words: str = "no wait I meant Thursday") -> None:
    await rig.agent()
    await asyncio.sleep(0.8)
    await rig.voice(True)
    await rig.hears(words)
    await rig.until(lambda: rig.manners.floor == "user")
    await rig.voice(False)
    await asyncio.sleep(0.6)


async def test_an_interruption_tells_all_that_was_known() -> None:
    rig, told = Rig(), list[Interruption]()
    rig.manners.on("yield")(told.append)

    async def script(rig: Rig) -> None:
        rig.manners.topic("the appointment", task="booking", progress=0.4)
        await interrupted(rig)

    await rig.run(script)
    [one] = told
    assert (one.kind, one.caller_words) == (Kind.CORRECTION, "no wait I meant Thursday")
    assert one.heard + one.unheard == SAYS
    assert one.heard
    assert (one.topic, one.task, one.progress) == ("the appointment", "booking", 0.4)
    assert one.at.tzinfo is not None
    # As it was then: neither what was heard of the agent nor the caller's words are in it yet.
    assert [message["content"] for message in one.context] == ["Hello."]
    assert SAYS.startswith(rig.said("assistant")[0])


async def test_progress_is_the_share_of_the_text_where_nobody_says_otherwise() -> None:
    rig, told = Rig(), list[Interruption]()
    rig.manners.on("yield")(told.append)
    await rig.run(interrupted)
    [one] = told
    assert one.progress == len(one.heard) / len(SAYS)


async def test_a_handler_that_takes_its_time_does_not_keep_the_agent_talking() -> None:
    rig, order = Rig(), list[str]()

    @rig.manners.on("yield")
    def slow(_: Interruption) -> None:
        order.append("handler")
        time.sleep(0.5)

    gate = rig.manners.interruption_gate()
    obey = gate._cut

    def cut(*args: Any, **options: Any) -> None:
        order.append("stop")
        obey(*args, **options)

    gate._cut = cut  # type: ignore[method-assign]
    await rig.run(interrupted)
    assert order == ["stop", "handler"]


async def test_handlers_fail_and_hang_each_for_itself() -> None:
    rig = Rig(Bargein(handler_timeout_s=0.2))
    told: list[str] = []

    @rig.manners.on("yield")
    def breaks(_: Interruption) -> None:
        raise RuntimeError("the caller said something secret")

    @rig.manners.on("yield")
    async def hangs(_: Interruption) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told.append("given up")
            raise

    @rig.manners.on("yield")
    async def works(one: Interruption) -> None:
        await asyncio.sleep(0)
        told.append(str(one.kind))

    await rig.run(interrupted)
    assert told == ["Kind.CORRECTION", "given up"]
    errors = [line for line in rig.log if "ERROR" in line]
    assert len(errors) == 2
    assert all("handler" in line for line in errors)
    assert not any("secret" in line for line in errors)


def test_a_handler_of_something_that_never_happens_is_refused() -> None:
    with pytest.raises(BargeinError, match="no event 'on_dance'"):
        Bargein().on("dance")(print)


@pytest.mark.parametrize(
    ("words", "says", "runs"),
    [
        ("stop", "Understood, I will stop. What would you like instead?", 0),
        ("no wait I meant Thursday", "Sorry, let me correct that.", 1),
    ],
)
async def test_it_says_that_it_has_understood(words: str, says: str, runs: int) -> None:
    rig = Rig(Bargein(acknowledge=["cancellation", "correction"]))

    async def script(rig: Rig) -> None:
        await interrupted(rig, words)
        await rig.until(lambda: len(rig.said("assistant")) == 2)

    await rig.run(script)
    assert rig.said("assistant")[1] == says
    assert len(rig.llm.runs) == runs


async def test_it_does_not_unless_it_is_told_to() -> None:
    rig = Rig()

    async def script(rig: Rig) -> None:
        await interrupted(rig, "stop")
        await rig.until(lambda: len(rig.llm.runs) == 1)

    await rig.run(script)
    assert len(rig.said("assistant")) == 1


async def test_its_own_words_for_it_may_be_others() -> None:
    rig = Rig(Bargein(acknowledge="cancellation", speech={"stopped": "Fine."}))

    async def script(rig: Rig) -> None:
        await interrupted(rig, "stop")
        await rig.until(lambda: len(rig.said("assistant")) == 2)

    await rig.run(script)
    assert rig.said("assistant")[1] == "Fine."


def test_what_cannot_be_acknowledged_or_said_is_refused() -> None:
    with pytest.raises(BargeinError, match="'sneeze'"):
        Bargein(acknowledge=["sneeze"])
    with pytest.raises(BargeinError, match="'adieu'"):
        Bargein(speech={"adieu": "Bye."})
    with pytest.raises(BargeinError, match=r"1\.5"):
        Bargein().topic("something", progress=1.5)


async def test_a_reply_that_never_began_to_sound_is_not_in_the_context() -> None:
    """The caller goes on talking while the LLM thinks: nothing of its answer was heard."""
    rig = Rig()
    rig.llm._replies = ["This is never heard by anybody at all.", "Thursday it is."]
    rig.llm._first_token_s = 0.5

    async def script(rig: Rig) -> None:
        said: Any = [{"role": "user", "content": "I need an appointment."}]
        await rig.worker.queue_frame(LLMMessagesAppendFrame(said, run_llm=True))
        await rig.until(lambda: len(rig.llm.runs) == 1)
        await rig.voice(True)
        await rig.hears("on Thursday")
        await rig.voice(False)
        await rig.until(lambda: rig.said("assistant") != [])

    await rig.run(script)
    assert rig.said("assistant") == ["Thursday it is."]
    assert rig.said("user") == ["I need an appointment.", "on Thursday"]
    assert rig.manners.unfinished == ()


@pytest.mark.parametrize("appends", [True, False])
async def test_a_sentence_that_is_cut_while_it_is_still_made_leaves_what_was_heard(
    appends: bool,
) -> None:
    """A voice without word times tells its text only when all of its sound has been made."""
    rig = Rig(word_times=False)
    rig.tts._speed = 1.2

    async def script(rig: Rig) -> None:
        await rig.worker.queue_frame(TTSSpeakFrame(SAYS, append_to_context=appends))
        await rig.until(lambda: rig.manners.floor == "agent")
        await asyncio.sleep(1.5)
        await rig.voice(True)
        await rig.hears("no wait I meant Thursday")
        await rig.voice(False)
        await rig.until(lambda: len(rig.llm.runs) == 1)

    await rig.run(script)
    said = rig.said("assistant")
    if not appends:
        assert said == []
        return
    [heard] = said
    assert SAYS.startswith(heard)
    assert abs(len(heard.split()) - 6) <= 2

"""What a user notices where an application does something unusual with a LiveKit session."""

import asyncio
import threading
from typing import Any

import pytest
from livekit.agents import Agent, AgentSession, AgentTask, function_tool

from bargein import Delivery
from bargein.livekit import Bargein, BargeinError
from bargein.testing.livekit_parts import Call, RoomOutput, ScriptedLLM, ScriptedSTT, ScriptedTTS
from livekit_rig import SAYS, LiveKitRig

CODE = "Your code is four five six, please write it down now."


# --- an agent that speaks as soon as it is there ---


class Greets(Agent):
    """Says at once what must be heard."""

    def __init__(self, manners: Bargein, **options: Any) -> None:
        super().__init__(instructions="", **options)
        self.manners = manners

    async def on_enter(self) -> None:
        await self.manners.say(self.session, CODE, must_hear=True)


class Asks(AgentTask[str]):
    """The same, as a task that another agent waits for."""

    def __init__(self, manners: Bargein) -> None:
        super().__init__(instructions="")
        self.manners = manners

    async def on_enter(self) -> None:
        message_id = await self.manners.say(self.session, CODE, must_hear=True)
        receipt = await self.manners.receipt(message_id)
        self.complete(receipt.state.value)


async def code_heard(rig: LiveKitRig) -> None:
    await rig.until(lambda: bool(rig.manners.receipts))
    await rig.done()


def heard_in_full(rig: LiveKitRig) -> None:
    [receipt] = rig.manners.receipts
    assert (receipt.state, receipt.heard) == (Delivery.DELIVERED, CODE)
    assert CODE in rig.said("assistant")
    assert rig.errors == []


async def test_the_first_agent_greets_with_what_must_be_heard() -> None:
    manners = Bargein(detectors=())

    async def script(rig: LiveKitRig) -> None:
        await rig.until(lambda: rig.manners.floor == "agent")
        rig.voice(True)
        rig.hears("hello is anybody there")
        rig.voice(False)
        await code_heard(rig)
        await rig.until(lambda: len(rig.runs) == 1)

    rig = await LiveKitRig(manners, agent=Greets(manners)).run(script)
    heard_in_full(rig)
    assert rig.said("user") == ["hello is anybody there"]


async def test_an_agent_that_takes_over_greets_with_what_must_be_heard() -> None:
    manners = Bargein(detectors=())

    async def script(rig: LiveKitRig) -> None:
        await rig.agent_waits()
        rig.session.update_agent(Greets(manners))
        await code_heard(rig)

    heard_in_full(await LiveKitRig(manners).run(script))


async def test_a_task_begins_with_what_must_be_heard_and_learns_that_it_was() -> None:
    manners = Bargein(detectors=())
    outcomes: list[str] = []

    @function_tool
    async def tell_code() -> str:
        """Tell the code."""
        outcomes.append(await Asks(manners))
        return "told"

    async def script(rig: LiveKitRig) -> None:
        rig.session.generate_reply(user_input="What is my code?")
        await rig.until(lambda: "Anything else?" in rig.said("assistant"))

    rig = LiveKitRig(
        manners,
        agent=Agent(instructions="", tools=[tell_code]),
        replies=[[Call("tell_code")], "Anything else?"],
    )
    heard_in_full(await rig.run(script))
    assert outcomes == ["delivered"]


async def test_a_session_that_begins_cannot_be_attached_any_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Late(Agent):
        async def on_enter(self) -> None:
            Bargein(detectors=()).attach(self.session)

    session: AgentSession[Any] = AgentSession(llm=ScriptedLLM())
    await session.start(Late(instructions=""))
    await session.aclose()
    told = [record.getMessage() for record in caplog.records if record.name == "bargein"]
    assert len(told) == 1
    assert "attach it before" in told[0]


async def test_before_the_session_begins_nothing_can_be_said() -> None:
    manners = Bargein(detectors=())
    session = manners.session(stt=ScriptedSTT(), llm=ScriptedLLM(), tts=ScriptedTTS())
    with pytest.raises(BargeinError, match="nothing can be said yet"):
        await manners.say(session, CODE)
    await session.aclose()


# --- an avatar that joins late ---


async def in_mid_speech(rig: LiveKitRig) -> None:
    rig.session.say(SAYS)
    await rig.until(lambda: rig.manners.floor == "agent")
    await asyncio.sleep(2)  # all of it has been made by then


@pytest.mark.parametrize("synchronized", [True, False])
async def test_a_speech_goes_on_in_the_voice_of_an_avatar_that_joins(synchronized: bool) -> None:
    avatars: list[RoomOutput] = []

    async def script(rig: LiveKitRig) -> None:
        await in_mid_speech(rig)
        avatars.append(RoomOutput())
        rig.session.output.replace_audio_tail(avatars[0].sink)
        await rig.until(lambda: bool(rig.said("assistant")))
        await rig.agent_says()
        await rig.interrupts()
        await rig.until(lambda: len(rig.runs) == 1)

    rig = await LiveKitRig(synchronized=synchronized).run(script)
    [avatar] = avatars
    whole, cut = rig.said("assistant")
    assert whole == SAYS
    assert SAYS.startswith(cut.rstrip(" .…"))
    assert cut != SAYS
    [before] = rig.studio.room.recording.heard()
    after = avatar.recording.heard()[0]
    lasts_s = before[1] - before[0] + after[1] - after[0]
    assert lasts_s > 0.29 * len(SAYS.split()) - 0.3
    assert rig.errors == []
    await avatar.close()


class Slower(RoomOutput):
    """One that wants the voice at another rate."""

    def __init__(self) -> None:
        super().__init__()
        self.sink._sample_rate = 16_000


@pytest.mark.parametrize("how", ["another rate", "all of the chain"])
async def test_a_speech_that_an_avatar_cuts_is_in_the_history_as_far_as_it_was_heard(
    how: str,
) -> None:
    avatars: list[RoomOutput] = []

    async def script(rig: LiveKitRig) -> None:
        await in_mid_speech(rig)
        avatars.append(Slower() if how == "another rate" else RoomOutput())
        if how == "another rate":
            rig.session.output.replace_audio_tail(avatars[0].sink)
        else:
            rig.session.output.audio = avatars[0].sink
        await rig.until(lambda: rig.manners.floor == "open")
        await rig.until(lambda: bool(rig.said("assistant")))

    rig = await LiveKitRig().run(script)
    [heard] = rig.said("assistant")
    assert SAYS.startswith(heard.rstrip(" .…"))
    assert 3 <= len(heard.split()) <= len(SAYS.split()) - 3
    assert rig.errors == []
    await avatars[0].close()


# --- a worker whose jobs run in threads ---


def test_a_job_in_a_thread_needs_no_import_on_the_main_one() -> None:
    """LiveKit registers plugins on its main thread only."""
    vads: list[Any] = []

    async def job() -> None:
        session = Bargein(detectors=()).session(
            stt=ScriptedSTT(), llm=ScriptedLLM(), tts=ScriptedTTS()
        )
        vads.append(session.vad)

    thread = threading.Thread(target=lambda: asyncio.run(job()))
    thread.start()
    thread.join(20)
    assert [vad.model for vad in vads] == ["silero"]


# --- the application has its own idea of the turn ---

PUSH_TO_TALK = {"turn_handling": {"turn_detection": "manual"}}


def turns(rig: LiveKitRig) -> list[str]:
    """What was said; at the end LiveKit commits once more, be it nothing."""
    return [text for text in rig.said("user") if text]


async def over_the_agent(rig: LiveKitRig, words: str) -> None:
    """The caller has said something over the agent, of which nothing is decided yet."""
    await rig.agent_says(f"{SAYS} {SAYS}")
    await asyncio.sleep(0.9)
    rig.voice(True)
    rig.hears(words)
    await asyncio.sleep(0.02)


async def turn(rig: LiveKitRig, words: str) -> None:
    """The caller says something, and the application takes that as a turn."""
    rig.voice(True)
    rig.hears(words)
    rig.voice(False)
    await asyncio.sleep(0.3)
    rig.session.commit_user_turn(transcript_timeout=0.3)
    await rig.until(lambda: any(words in said for said in rig.said("user")))


async def test_words_that_the_application_throws_away_are_in_no_later_turn() -> None:
    async def script(rig: LiveKitRig) -> None:
        await rig.manners.say(rig.session, CODE, must_hear=True)
        await rig.until(lambda: rig.manners.floor == "agent")
        rig.voice(True)
        rig.hears("never mind")
        rig.voice(False)
        await asyncio.sleep(0.5)
        rig.session.clear_user_turn()
        await rig.until(lambda: bool(rig.manners.receipts))
        await rig.done()
        await turn(rig, "I want Tuesday")

    rig = await LiveKitRig(**PUSH_TO_TALK).run(script)
    assert turns(rig) == ["I want Tuesday"]
    assert rig.said("assistant")[0] == CODE


@pytest.mark.parametrize(
    ("words", "later"), [("uh-huh", "I want Tuesday"), ("hmm well the", "okay I want Tuesday")]
)
async def test_words_thrown_away_while_they_are_judged_are_in_no_later_turn(
    words: str, later: str
) -> None:
    async def script(rig: LiveKitRig) -> None:
        await over_the_agent(rig, words)
        rig.session.clear_user_turn()
        await asyncio.sleep(0.1)
        rig.hears("okay")
        rig.voice(False)
        await rig.done()
        await turn(rig, "I want Tuesday")

    rig = await LiveKitRig(**PUSH_TO_TALK).run(script)
    assert turns(rig) == [later]


@pytest.mark.parametrize("words", ["hmm well the", "uh-huh"])
async def test_a_turn_committed_over_the_agent_is_that_turn_and_no_later_one(words: str) -> None:
    async def script(rig: LiveKitRig) -> None:
        await over_the_agent(rig, words)
        rig.voice(False)
        told = await rig.session.commit_user_turn(transcript_timeout=0.5)
        assert told == words
        await rig.until(lambda: len(turns(rig)) == 1)
        await rig.done()
        await turn(rig, "I want Tuesday")

    rig = await LiveKitRig(**PUSH_TO_TALK).run(script)
    assert turns(rig) == [words, "I want Tuesday"]


async def test_a_turn_committed_over_a_code_is_answered_behind_it() -> None:
    async def script(rig: LiveKitRig) -> None:
        await rig.manners.say(rig.session, CODE, must_hear=True)
        await rig.until(lambda: rig.manners.floor == "agent")
        await asyncio.sleep(0.3)
        rig.voice(True)
        rig.hears("what was that")
        rig.voice(False)
        rig.session.commit_user_turn(transcript_timeout=0.3)
        await rig.until(lambda: bool(rig.manners.receipts))
        await rig.done()
        await turn(rig, "I want Tuesday")

    rig = await LiveKitRig(**PUSH_TO_TALK).run(script)
    assert rig.said("assistant")[0] == CODE
    assert " ".join(turns(rig)) == "what was that I want Tuesday"

"""What a user notices when something goes wrong around a LiveKit call, or is not as usual."""

import asyncio
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc
from livekit.agents import Agent, AgentSession, llm
from livekit.agents.stt import SpeechEventType

from bargein import Delivery
from bargein.interruption import Interruption
from bargein.livekit import Bargein
from bargein.memory import MemoryStore
from bargein.testing.livekit_parts import ScriptedLLM, ScriptedSTT, ScriptedTTS, ScriptedVAD
from livekit_rig import SAYS, LiveKitRig

CODE = "Your code is four five six, please write it down now."


async def contested(rig: LiveKitRig) -> None:
    """The caller has begun to speak over the agent."""
    await rig.agent_says()
    await asyncio.sleep(0.9)
    rig.voice(True)
    await asyncio.sleep(0.15)


async def asks_over_a_code(rig: LiveKitRig) -> None:
    await rig.manners.say(rig.session, CODE, must_hear=True)
    await rig.until(lambda: rig.manners.floor == "agent")
    await asyncio.sleep(0.5)
    rig.voice(True)
    rig.hears("what was that")
    rig.voice(False)


# --- no word is lost ---


async def test_words_over_a_code_are_answered_by_the_agent_who_takes_over() -> None:
    async def script(rig: LiveKitRig) -> None:
        await asks_over_a_code(rig)
        rig.session.update_agent(Agent(instructions="Be kind."))
        await rig.until(lambda: len(rig.runs) == 1)

    rig = await LiveKitRig().run(script)
    assert rig.said("user") == ["what was that"]
    assert rig.said("assistant") == [CODE]


async def test_an_interruption_during_a_handover_is_answered_by_the_next_agent() -> None:
    async def script(rig: LiveKitRig) -> None:
        await contested(rig)
        rig.session.update_agent(Agent(instructions="Be kind."))
        await asyncio.sleep(0.3)
        rig.hears("no wait I meant Thursday")
        rig.voice(False)
        await rig.until(lambda: len(rig.runs) == 1)

    rig = await LiveKitRig().run(script)
    assert rig.said("user") == ["no wait I meant Thursday"]


@pytest.mark.parametrize("hang_up", [True, False])
async def test_words_over_a_code_are_in_the_history_when_the_call_ends(hang_up: bool) -> None:
    rig = await LiveKitRig().run(asks_over_a_code, hang_up=hang_up)
    assert rig.said("user") == ["what was that"]
    assert len(rig.manners.receipts) == 1


@pytest.mark.parametrize("words", ["uh-huh", "no wait I", "hmm well the thing"])
async def test_words_at_the_moment_of_hanging_up_are_in_the_history(words: str) -> None:
    async def script(rig: LiveKitRig) -> None:
        await contested(rig)
        rig.hears(words)

    rig = await LiveKitRig().run(script, hang_up=True)
    assert rig.said("user") == [words]


async def test_a_turn_that_the_application_commits_has_the_words_over_the_agent() -> None:
    async def script(rig: LiveKitRig) -> None:
        await contested(rig)
        rig.hears("what about Thursday")
        rig.session.interrupt()
        await asyncio.sleep(0.3)
        rig.voice(False)
        await asyncio.sleep(0.3)
        rig.session.commit_user_turn(transcript_timeout=0.3)
        await rig.until(lambda: bool(rig.said("user")))

    rig = await LiveKitRig(turn_handling={"turn_detection": "manual"}).run(script)
    assert rig.said("user")[0] == "what about Thursday"


# --- what fails ---


@pytest.mark.parametrize("how", ["it ends", "it fails"])
async def test_a_voice_detection_that_dies_does_not_silence_the_agent(how: str) -> None:
    async def script(rig: LiveKitRig) -> None:
        await contested(rig)
        stream = rig.studio.vad._streams[-1]
        if how == "it ends":
            stream._event_ch.close()
        else:
            stream._task.cancel()
        await rig.until(lambda: rig.manners.floor == "open")

    rig = await LiveKitRig().run(script)
    assert rig.said("assistant") == [SAYS]


@pytest.mark.skipif(
    version("livekit-agents").startswith("1.6."),
    reason="before 1.7 LiveKit itself ends the session when its recogniser ends",
)
async def test_a_recogniser_that_dies_does_not_silence_the_agent() -> None:
    """Where there is no VAD, it alone would have said that the caller stops."""

    async def script(rig: LiveKitRig) -> None:
        await rig.agent_says()
        await asyncio.sleep(0.9)
        rig.studio.stt.tells(SpeechEventType.START_OF_SPEECH)
        await asyncio.sleep(0.2)
        rig.studio.stt._streams[-1]._event_ch.close()
        await rig.until(lambda: rig.manners.floor == "open")

    rig = await LiveKitRig(vad=None, turn_handling={"turn_detection": "stt"}).run(script)
    assert rig.said("assistant") == [SAYS]


async def test_two_interruptions_at_once_are_one() -> None:
    async def script(rig: LiveKitRig) -> None:
        await contested(rig)
        rig.hears("no wait")
        await asyncio.sleep(0.02)
        rig.manners.emergency_stop()
        rig.session.interrupt()
        rig.hears("I meant Thursday")
        rig.voice(False)
        await rig.until(lambda: len(rig.runs) == 1)
        await rig.done()

    rig = await LiveKitRig().run(script)
    assert rig.said("user") == ["no wait I meant Thursday"]
    assert rig.errors == []


# --- one object, one call ---


async def test_two_calls_with_one_object_never_hear_each_other() -> None:
    manners = Bargein(detectors=())

    async def first(rig: LiveKitRig) -> None:
        await rig.agent_says(f"{SAYS} {SAYS}")
        await asyncio.sleep(3)

    async def second(rig: LiveKitRig) -> None:
        await asyncio.sleep(1)
        rig.session.say(SAYS)
        await asyncio.sleep(0.8)
        rig.voice(True)
        rig.hears("no wait my name is Hale")
        rig.voice(False)
        await rig.until(lambda: bool(rig.said("user")))

    one, other = LiveKitRig(manners), LiveKitRig(manners)
    await asyncio.gather(one.run(first), other.run(second))
    assert one.said("user") == []
    assert one.said("assistant") == [f"{SAYS} {SAYS}"]
    assert other.said("user") == ["no wait my name is Hale"]


async def test_attaching_twice_is_attaching_once() -> None:
    def made(manners: Bargein, options: dict[str, Any]) -> AgentSession[Any]:
        session = manners.session(**options)
        manners.attach(session)
        return session

    async def script(rig: LiveKitRig) -> None:
        rig.manners.attach(rig.session)
        await contested(rig)
        rig.hears("uh-huh")
        rig.voice(False)
        await rig.done()

    rig = await LiveKitRig(session=made).run(script)
    assert rig.errors == []
    assert rig.said("assistant") == [SAYS]


async def test_a_session_that_never_ran_has_nothing_to_wait_for() -> None:
    manners = Bargein(detectors=(), store=MemoryStore(), caller="+49 1")
    session = manners.session(
        stt=ScriptedSTT(), vad=ScriptedVAD(), llm=ScriptedLLM(), tts=ScriptedTTS()
    )
    await session.aclose()
    await asyncio.wait_for(manners.aclose(), 5)


# --- what an agent brings along ---


@pytest.mark.parametrize("part", ["stt", "vad"])
async def test_an_agent_with_a_part_of_its_own_speaks_without_us(part: str) -> None:
    own = ScriptedSTT() if part == "stt" else ScriptedVAD()
    options: dict[str, Any] = {part: own}

    async def script(rig: LiveKitRig) -> None:
        rig.session.say(SAYS)
        await asyncio.sleep(1)
        rig.session.update_agent(Agent(instructions=""))
        await rig.until(lambda: len(rig.said("assistant")) == 1)
        await asyncio.sleep(0.5)  # it takes over only then
        await contested(rig)
        rig.hears("uh-huh")
        rig.voice(False)
        await rig.done()

    rig = await LiveKitRig(agent=Agent(instructions="", **options)).run(script)
    [error] = rig.errors
    assert f"pass Agent({part}=manners.{part}(...))" in error
    assert rig.said("assistant") == [SAYS, SAYS]
    assert rig.said("user") == []


async def test_an_agent_whose_own_parts_are_ours_has_manners() -> None:
    manners = Bargein(detectors=())
    stt = ScriptedSTT()
    agent = Agent(instructions="", stt=manners.stt(stt))

    async def script(rig: LiveKitRig) -> None:
        await contested(rig)
        stt.hears("uh-huh")
        rig.voice(False)
        await rig.done()

    rig = await LiveKitRig(manners, agent=agent, stt=None).run(script)
    assert rig.errors == []
    assert rig.said("assistant") == [SAYS]
    assert any(line.startswith("ReportBackchannel") for line in rig.decided)


class Realtime(llm.RealtimeModel):
    """A model that hears the caller on its server."""

    def __init__(self, **capabilities: Any) -> None:
        super().__init__(
            capabilities=llm.RealtimeCapabilities(
                message_truncation=True,
                turn_detection=True,
                user_transcription=True,
                auto_tool_reply_generation=False,
                audio_output=True,
                manual_function_calls=False,
                **capabilities,
            )
        )

    def session(self) -> Any:
        raise NotImplementedError

    async def aclose(self) -> None: ...


@pytest.mark.parametrize("of", ["session", "agent"])
async def test_a_model_that_detects_turns_on_its_server_runs_without_us(
    of: str, caplog: pytest.LogCaptureFixture
) -> None:
    manners = Bargein(detectors=())
    parts: dict[str, Any] = {"stt": ScriptedSTT(), "vad": ScriptedVAD(), "tts": ScriptedTTS()}
    session = manners.session(llm=Realtime() if of == "session" else ScriptedLLM(), **parts)
    if of == "agent":
        told = manners._against_agent(Agent(instructions="", llm=Realtime()), session)
    else:
        [told] = [record.getMessage() for record in caplog.records if record.name == "bargein"]
        assert "the call runs as it would without bargein" in told
    assert "detects turns on its server and interrupts by itself" in told
    assert "RealtimeModel(turn_detection=None)" in told


# --- keys, and calls without a voice ---


async def test_a_key_that_the_caller_presses_breaks_off_what_it_may() -> None:
    room: rtc.EventEmitter[str] = rtc.EventEmitter()

    async def script(rig: LiveKitRig) -> None:
        rig.session._room_io = SimpleNamespace(room=room, aclose=nothing)
        await rig.manners.say(rig.session, CODE, must_hear=True, broken_by=["dtmf:#"])
        await rig.until(lambda: rig.manners.floor == "agent")
        await asyncio.sleep(0.6)
        room.emit("sip_dtmf_received", rtc.SipDTMF(code=1, digit="1", participant=None))
        await asyncio.sleep(0.3)
        assert rig.manners.floor == "agent"
        room.emit("sip_dtmf_received", rtc.SipDTMF(code=11, digit="#", participant=None))
        await rig.until(lambda: bool(rig.manners.receipts))

    async def nothing() -> None: ...

    rig = await LiveKitRig().run(script)
    assert CODE.startswith(rig.said("assistant")[0])
    assert rig.said("assistant") != [CODE]


async def test_nothing_is_promised_where_there_is_no_voice() -> None:
    async def script(rig: LiveKitRig) -> None:
        rig.session.output.audio = None
        message_id = await rig.manners.say(rig.session, CODE, must_hear=True)
        receipt = await asyncio.wait_for(rig.manners.receipt(message_id), 10)
        assert receipt.state is Delivery.UNDELIVERED
        rig.session.generate_reply(user_input="Are you there?")
        await rig.until(lambda: "Yes." in rig.said("assistant"))

    rig = await LiveKitRig(replies=["Yes."]).run(script)
    assert rig.said("assistant") == [CODE, "Yes."]


async def test_the_agent_says_what_the_application_would_say() -> None:
    manners = Bargein(detectors=(), acknowledge=["redirect"], speech={"redirected": "Of course."})

    async def script(rig: LiveKitRig) -> None:
        await rig.agent_says()
        await rig.interrupts("what about shoes", after=4)
        await rig.until(lambda: len(rig.said("assistant")) == 2)

    rig = await LiveKitRig(manners, replies=["Shoes as well."]).run(script)
    assert rig.said("assistant")[1] == "Of course. Shoes as well."


async def test_an_interruption_comes_with_the_history_as_it_was() -> None:
    told: list[Interruption] = []
    manners = Bargein(detectors=())
    manners.on("yield")(told.append)

    async def script(rig: LiveKitRig) -> None:
        await rig.agent_says("Hello.")
        await rig.done()
        await rig.agent_says()
        await rig.interrupts()
        await rig.until(lambda: len(rig.runs) == 1)

    await LiveKitRig(manners).run(script)
    [interruption] = told
    said = [item for item in interruption.context if item.type == "message"]
    assert [item.text_content for item in said] == ["Hello."]


async def test_a_recogniser_that_ends_the_turn_ends_it_for_a_slow_vad_too() -> None:
    async def script(rig: LiveKitRig) -> None:
        rig.voice(True)  # and its end is not noticed
        await asyncio.sleep(0.2)
        rig.studio.stt.tells(SpeechEventType.START_OF_SPEECH)
        rig.hears("is there a lift")
        rig.studio.stt.tells(SpeechEventType.END_OF_SPEECH)
        await rig.until(lambda: len(rig.said("assistant")) == 1)
        await rig.done()

    how = {"turn_detection": "stt", "endpointing": {"min_delay": 0.1, "max_delay": 0.2}}
    rig = LiveKitRig(replies=["Yes, beside the entrance."], turn_handling=how)
    await rig.run(script)
    assert rig.said("assistant") == ["Yes, beside the entrance."]
    assert rig.decided == []

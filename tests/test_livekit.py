"""What a LiveKit application notices."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterable, AsyncIterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from livekit import rtc
from livekit.agents import (
    Agent,
    AgentSession,
    AgentTask,
    LanguageCode,
    ModelSettings,
    StopResponse,
)
from livekit.agents.inference import OverlappingSpeechEvent
from livekit.agents.stt import SpeechData, SpeechEvent, SpeechEventType, STTCapabilities
from livekit.plugins import silero

from bargein import Overlap, Verdict, standard_rules
from bargein.interruption import Interruption
from bargein.livekit import Bargein, BargeinError
from bargein.testing.livekit_parts import RoomOutput, ScriptedSTT, ScriptedTTS, metronome
from bargein.testing.speech import speak
from livekit_caller import pitches, words_of
from livekit_rig import SAYS, LiveKitRig


async def listens(rig: LiveKitRig, words: str = "uh-huh") -> None:
    await rig.agent_says()
    await asyncio.sleep(0.9)
    rig.voice(True)
    await asyncio.sleep(0.2)
    rig.hears(words, final=False)
    rig.voice(False)
    await asyncio.sleep(0.1)
    rig.hears(words)
    await rig.done()


async def interrupts(rig: LiveKitRig) -> None:
    await rig.agent_says()
    await rig.interrupts()
    await rig.until(lambda: len(rig.runs) == 1)
    await rig.done()


async def test_a_backchannel_costs_nothing() -> None:
    rig = await LiveKitRig().run(listens)
    assert rig.said("assistant") == [SAYS]
    assert rig.said("user") == []
    assert rig.runs == []
    assert rig.transcribed == []
    [heard] = rig.studio.room.recording.heard()
    assert heard[1] - heard[0] > 0.29 * len(SAYS.split())


async def test_an_interruption_leaves_what_was_heard_in_the_history() -> None:
    rig = await LiveKitRig(replies=["Thursday, then."]).run(interrupts)
    heard, answer = rig.said("assistant")
    assert SAYS.startswith(heard)
    assert heard != SAYS
    assert answer == "Thursday, then."
    assert rig.said("user") == ["no wait I meant Thursday"]
    [run] = rig.runs
    shown = [(m.role, m.text_content) for m in run.items if m.type == "message"]
    assert shown[-3:-1][0] == ("assistant", heard)
    assert shown[-1] == ("user", "no wait I meant Thursday")


@pytest.mark.parametrize("synchronized", [True, False])
@pytest.mark.parametrize("word_times", [True, False])
async def test_what_was_heard_is_told_to_the_word(word_times: bool, synchronized: bool) -> None:
    tts = ScriptedTTS(word_times=word_times)
    rig = await LiveKitRig(tts=tts, synchronized=synchronized).run(interrupts)
    [heard] = rig.said("assistant")
    assert SAYS.startswith(heard)
    # As many words as there were tones to be heard.
    [(begun, ended)] = rig.studio.room.recording.heard()
    words = round((ended - begun) / 0.3)
    assert abs(len(heard.split()) - words) <= (0 if word_times else 2)


async def test_an_early_yes_is_the_answer() -> None:
    asks = "There is a free slot on Tuesday at three. Shall I book it for you now?"

    async def agrees(rig: LiveKitRig) -> None:
        await rig.agent_says(asks)
        await rig.interrupts("yes", after=12)
        await rig.until(lambda: len(rig.runs) == 1)

    rig = await LiveKitRig().run(agrees)
    assert rig.said("user") == ["yes"]
    assert asks.startswith(rig.said("assistant")[0])
    assert any(line.startswith("YieldFloor(answer)") for line in rig.decided)


async def test_what_is_said_between_two_texts_of_the_agents_stops_neither() -> None:
    async def script(rig: LiveKitRig) -> None:
        rig.session.say("Your appointment is on Tuesday.")
        rig.session.say("Please bring your card.")
        await rig.until(lambda: rig.manners.floor == "agent")
        await asyncio.sleep(1.3)
        rig.voice(True)
        await asyncio.sleep(0.4)
        rig.hears("mm-hm")
        rig.voice(False)
        await rig.done()

    rig = await LiveKitRig().run(script)
    assert rig.said("assistant") == ["Your appointment is on Tuesday.", "Please bring your card."]
    assert [line for line in rig.decided if "Pass" in line or "Yield" in line] == []


async def test_turns_that_the_recogniser_ends_are_whole_turns() -> None:
    """With turn_detection="stt" its beginnings and ends of speech are the turn."""

    async def script(rig: LiveKitRig) -> None:
        stt = rig.studio.stt
        await rig.agent_says()
        await asyncio.sleep(0.9)
        stt.tells(SpeechEventType.START_OF_SPEECH)
        rig.hears("uh-huh", final=False)
        rig.hears("uh-huh")
        stt.tells(SpeechEventType.END_OF_SPEECH)
        await asyncio.sleep(0.6)
        assert rig.manners.floor == "agent"
        stt.tells(SpeechEventType.START_OF_SPEECH)
        rig.hears("no wait", final=False)
        await asyncio.sleep(0.1)
        rig.hears("no wait I meant Thursday")
        stt.tells(SpeechEventType.END_OF_SPEECH)
        await rig.until(lambda: len(rig.runs) == 1)

    rig = await LiveKitRig(vad=None, turn_handling={"turn_detection": "stt"}).run(script)
    assert rig.said("user") == ["no wait I meant Thursday"]
    assert rig.transcribed == ["no wait", "no wait I meant Thursday"]


class WholeUtterances(ScriptedSTT):
    """A recogniser that does not stream."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._capabilities = STTCapabilities(streaming=False, interim_results=False)
        self._text = text

    async def _recognize_impl(self, *_: Any, **__: Any) -> SpeechEvent:
        alternatives = [SpeechData(language=LanguageCode("en"), text=self._text)]
        return SpeechEvent(type=SpeechEventType.FINAL_TRANSCRIPT, alternatives=alternatives)


async def test_a_recogniser_that_does_not_stream_is_given_utterances() -> None:
    async def script(rig: LiveKitRig) -> None:
        await rig.agent_says()
        await asyncio.sleep(0.9)
        rig.voice(True)
        await asyncio.sleep(0.3)
        rig.voice(False)
        await rig.done()

    rig = await LiveKitRig(stt=WholeUtterances("mm-hm")).run(script)
    assert rig.said("assistant") == [SAYS]
    assert any(line.startswith("ReportBackchannel") for line in rig.decided)


async def test_another_agent_takes_over_with_the_same_manners() -> None:
    class Desk(Agent):
        async def on_enter(self) -> None:
            self.session.say(SAYS)

    async def script(rig: LiveKitRig) -> None:
        await rig.agent_says("One moment please, I will put you through.")
        rig.session.update_agent(Desk(instructions=""))
        await rig.until(lambda: len(rig.said("assistant")) == 1)
        await rig.until(lambda: rig.manners.floor == "agent")
        await rig.interrupts()
        await rig.until(lambda: len(rig.runs) == 1)

    rig = await LiveKitRig().run(script)
    first, second = rig.said("assistant")
    assert first == "One moment please, I will put you through."
    assert SAYS.startswith(second)
    assert second != SAYS


async def test_a_task_of_an_agents_has_them_too() -> None:
    class Consent(AgentTask[bool]):
        async def on_enter(self) -> None:
            await self.session.say("May I record this call, for training and for your safety?")

        async def on_user_turn_completed(self, *_: Any, **__: Any) -> None:
            self.complete(True)
            raise StopResponse

    class Desk(Agent):
        agreed: bool | None = None

        async def on_enter(self) -> None:
            self.agreed = await Consent(instructions="")
            self.session.say("Thank you.")

    desk = Desk(instructions="")

    async def script(rig: LiveKitRig) -> None:
        await rig.until(lambda: rig.manners.floor == "agent")
        await rig.interrupts("mm-hm", after=3)
        await asyncio.sleep(1.2)
        rig.voice(True)
        rig.hears("yes")
        rig.voice(False)
        await rig.until(lambda: "Thank you." in rig.said("assistant"))

    rig = await LiveKitRig(agent=desk).run(script)
    assert desk.agreed
    assert rig.said("user") == []
    assert any(line.startswith("ReportBackchannel") for line in rig.decided)


async def test_audio_of_the_applications_own_is_spoken_over_as_politely() -> None:
    async def recorded() -> AsyncIterator[rtc.AudioFrame]:
        pcm, _ = metronome(SAYS, 24000)
        for start in range(0, len(pcm), 2400):
            piece = pcm[start : start + 2400]
            yield rtc.AudioFrame(piece.tobytes(), 24000, 1, len(piece))
            await asyncio.sleep(0.01)

    async def script(rig: LiveKitRig) -> None:
        rig.session.say(SAYS, audio=recorded())
        await rig.until(lambda: rig.manners.floor == "agent")
        await rig.interrupts(after=4)
        await rig.until(lambda: len(rig.runs) == 1)

    rig = await LiveKitRig().run(script)
    [heard] = rig.said("assistant")
    [(begun, ended)] = rig.studio.room.recording.heard()
    assert SAYS.startswith(heard)
    assert abs(len(heard.split()) - round((ended - begun) / 0.3)) <= 2


async def test_a_voice_at_another_rate_keeps_its_word_times() -> None:
    rig = await LiveKitRig(tts=ScriptedTTS(rate=16_000)).run(interrupts)
    [heard] = rig.said("assistant")
    [(begun, ended)] = rig.studio.room.recording.heard()
    assert len(heard.split()) == round((ended - begun) / 0.3)


async def test_an_avatar_that_takes_the_voices_place_gets_it_back_behind_us() -> None:
    async def script(rig: LiveKitRig) -> None:
        await rig.agent_says("Hello there.")
        await rig.done()
        avatar = RoomOutput()
        rig.session.output.replace_audio_tail(avatar.sink)
        await interrupts(rig)
        recorded.extend(avatar.recording.heard())
        rig.session.output.replace_audio_tail(rig.studio.room.sink)
        await avatar.close()

    recorded: list[tuple[float, float]] = []
    rig = await LiveKitRig().run(script)
    hello, heard = rig.said("assistant")
    [(begun, ended)] = recorded
    assert hello == "Hello there."
    assert len(heard.split()) == round((ended - begun) / 0.3)


async def test_an_agents_own_nodes_are_still_its_own() -> None:
    class Loud(Agent):
        async def llm_node(self, *_: Any) -> str:
            return "hello there"

        def tts_node(self, text: AsyncIterable[str], how: ModelSettings) -> Any:
            async def louder() -> AsyncIterator[str]:
                async for piece in text:
                    yield piece.upper()

            return Agent.default.tts_node(self, louder(), how)

    async def script(rig: LiveKitRig) -> None:
        rig.session.generate_reply(user_input="Hi.")
        await rig.until(lambda: bool(rig.said("assistant")))

    rig = await LiveKitRig(agent=Loud(instructions="")).run(script)
    assert rig.said("assistant") == ["hello there"]


async def test_what_is_queued_is_played_out_when_the_session_drains() -> None:
    rig = await LiveKitRig().run(lambda rig: rig.agent_says())
    assert rig.said("assistant") == [SAYS]


async def test_a_hang_up_stops_it_and_leaves_what_was_heard() -> None:
    async def script(rig: LiveKitRig) -> None:
        await rig.agent_says()
        await asyncio.sleep(1.0)

    rig = await LiveKitRig().run(script, hang_up=True)
    [heard] = rig.said("assistant")
    assert SAYS.startswith(heard)
    assert heard != SAYS


async def test_words_that_wait_when_the_caller_hangs_up_are_in_the_history() -> None:
    async def script(rig: LiveKitRig) -> None:
        await rig.manners.say(None, SAYS, must_hear=True)
        await rig.until(lambda: rig.manners.floor == "agent")
        rig.voice(True)
        rig.hears("what did you say")
        rig.voice(False)
        await rig.until(lambda: any(line.startswith("DeferTurn") for line in rig.decided))

    rig = await LiveKitRig().run(script, hang_up=True)
    assert rig.said("user") == ["what did you say"]


async def test_an_emergency_stop_ends_even_a_critical_message() -> None:
    async def script(rig: LiveKitRig) -> None:
        await rig.manners.say(None, SAYS, must_hear=True)
        await rig.until(lambda: rig.manners.floor == "agent")
        await asyncio.sleep(0.5)
        rig.manners.emergency_stop()
        await rig.done()

    rig = await LiveKitRig().run(script)
    assert rig.decided[0].startswith("YieldFloor(emergency)")
    assert len(rig.said("assistant")[0]) < len(SAYS) / 2


async def test_two_calls_in_one_process_know_nothing_of_each_other() -> None:
    one, other = LiveKitRig(), LiveKitRig()
    await asyncio.gather(one.run(listens), other.run(interrupts))
    assert one.said("assistant") == [SAYS]
    assert one.runs == []
    assert other.said("user") == ["no wait I meant Thursday"]


async def test_a_guess_that_is_thrown_away_is_never_said() -> None:
    """A preemptive reply is made while it is not sure that the caller has finished."""

    async def script(rig: LiveKitRig) -> None:
        rig.voice(True)
        await asyncio.sleep(0.2)
        rig.hears("I would like")
        await asyncio.sleep(0.3)
        rig.hears("to book a table")
        rig.voice(False)
        await rig.until(lambda: bool(rig.said("assistant")))
        await rig.done()

    guesses = ["<must-hear>Like what?</must-hear>", "<must-hear>Booked.</must-hear> Bye."]
    rig = await LiveKitRig(replies=guesses).run(script)
    assert rig.said("assistant") == ["Booked.", "Bye."]


async def test_events_tell_what_happens_and_a_failing_handler_is_reported_once() -> None:
    manners = Bargein(detectors=())
    told: list[str] = []
    for name in ("duck", "hold", "resume", "yield", "backchannel"):

        @manners.on(name)
        async def hear(_: object, name: str = name) -> None:
            told.append(name)

    @manners.on("decision")
    async def fails(decision: object) -> None:
        raise RuntimeError(str(decision))

    rig = await LiveKitRig(manners).run(listens)
    assert told == ["duck", "hold", "resume", "backchannel"]
    assert rig.said("assistant") == [SAYS]
    [error] = rig.errors
    assert "RuntimeError" in error
    assert "uh-huh" not in error


class Broken:
    """A rule that fails with the caller's words in its mouth."""

    def __call__(self, overlap: Overlap, /) -> Verdict | None:
        raise ValueError(overlap.words)


async def test_a_failing_rule_is_left_out_and_the_call_goes_on() -> None:
    rules = (Broken(), *standard_rules())
    rig = await LiveKitRig(Bargein(rules=rules, detectors=())).run(listens)
    assert rig.said("assistant") == [SAYS]
    [error] = rig.errors
    assert "rule Broken" in error


async def test_no_words_reach_our_log() -> None:
    rig = await LiveKitRig().run(interrupts)
    assert [line for line in rig.log if "Thursday" in line or "appointment" in line] == []


async def test_a_yield_tells_what_was_heard_and_what_was_not() -> None:
    manners = Bargein(detectors=())
    told: list[Interruption] = []
    manners.on("yield")(told.append)
    rig = await LiveKitRig(manners).run(interrupts)
    [news] = told
    assert news.heard + news.unheard == SAYS
    assert rig.said("assistant")[0].startswith(news.heard)
    assert news.caller_words == "no wait"


async def test_a_hold_costs_the_voice_not_a_word() -> None:
    """LiveKit's own pause drops 200 ms of what was on its way."""

    async def hesitates(rig: LiveKitRig) -> None:
        await rig.agent_says()
        await asyncio.sleep(0.8)
        rig.voice(True)
        await rig.until(lambda: any(line.startswith("PausePlayout") for line in rig.decided))
        await asyncio.sleep(0.5)
        rig.hears("mm-hm")
        rig.voice(False)
        await rig.done()

    rig = await LiveKitRig().run(hesitates)
    heard = words_of(rig.studio.room.recording.pcm)
    # A word that broke is said again from its beginning.
    assert [pitch for pitch, _ in groupby(heard)] == [pitch for pitch, _ in groupby(pitches(SAYS))]
    assert len(pitches(SAYS)) <= len(heard) <= len(pitches(SAYS)) + 1
    assert rig.said("assistant") == [SAYS]


async def test_the_applications_own_interruption_leaves_what_was_heard() -> None:
    async def script(rig: LiveKitRig) -> None:
        await rig.agent_says()
        await asyncio.sleep(1.0)
        await rig.session.interrupt()
        await rig.done()

    rig = await LiveKitRig().run(script)
    [heard] = rig.said("assistant")
    assert SAYS.startswith(heard)
    assert 3 <= len(heard.split()) <= 4
    assert rig.manners.floor == "open"


async def test_livekits_silero_hears_the_onset_of_real_speech() -> None:
    async def script(rig: LiveKitRig) -> None:
        await rig.agent_says()
        await asyncio.sleep(0.6)
        pcm, _ = speak("Wait a moment please, I meant Thursday.", 16_000)
        rig.studio.microphone.play(pcm)
        await rig.until(lambda: rig.decided[:1] == ["DuckPlayout: overlap began"])

    await LiveKitRig(vad=silero.VAD.load()).run(script)


async def test_nothing_is_left_running_when_calls_are_over() -> None:
    await LiveKitRig().run(lambda rig: rig.agent_says("Hello."))
    await asyncio.sleep(0.1)
    before = len(asyncio.all_tasks())
    for _ in range(3):
        await LiveKitRig().run(interrupts)
    await asyncio.sleep(0.1)
    assert len(asyncio.all_tasks()) == before


async def test_livekits_own_detector_is_one_more_opinion() -> None:
    async def script(rig: LiveKitRig) -> None:
        await rig.agent_says()
        await asyncio.sleep(0.6)
        rig.voice(True)
        await asyncio.sleep(0.2)
        rig.session.emit("overlapping_speech", OverlappingSpeechEvent(probability=0.1))
        await asyncio.sleep(0.2)
        rig.voice(False)
        await rig.done()

    rig = await LiveKitRig().run(script)
    assert "HoldFloor(backchannel): sounds like a listener" in rig.decided
    handling = Bargein().turn_handling(turn_detection="vad", interruption={"mode": "adaptive"})
    assert handling["interruption"]["mode"] == "adaptive"


# --- bad input: one sentence, and the call runs as LiveKit would run it ---


def bare(_: Bargein, options: dict[str, Any]) -> AgentSession[Any]:
    """A session as an application makes it that forgot about us."""
    return AgentSession(**options)


async def stock(rig: LiveKitRig) -> None:
    """Any speech of half a second stops an agent without manners."""
    rig.session.say(SAYS)
    await rig.until(lambda: rig.session.agent_state == "speaking")
    await asyncio.sleep(0.4)
    rig.voice(True)
    await asyncio.sleep(0.8)
    rig.hears("uh-huh")
    rig.voice(False)
    await rig.until(lambda: bool(rig.said("user")))


@pytest.mark.parametrize("wrapped", ["nothing", "stt", "vad"])
async def test_a_session_without_our_parts_runs_without_us(wrapped: str) -> None:
    def made(manners: Bargein, options: dict[str, Any]) -> AgentSession[Any]:
        if wrapped != "nothing":
            options[wrapped] = getattr(manners, wrapped)(options[wrapped])
        session = bare(manners, {**options, "aec_warmup_duration": None})
        manners.attach(session)
        return session

    rig = await LiveKitRig(session=made).run(stock)
    [error] = rig.errors
    assert "manners.vad(...)" in error if wrapped == "stt" else "manners.stt(...)" in error
    assert "without bargein" in error
    assert rig.said("user") == ["uh-huh"]


async def test_attached_too_late() -> None:
    async def script(rig: LiveKitRig) -> None:
        rig.manners.attach(rig.session)
        await stock(rig)

    made = {"session": bare, "aec_warmup_duration": None}
    rig = await LiveKitRig(**made).run(script)
    [error] = rig.errors
    assert "attach it before" in error


async def test_a_release_that_is_not_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bargein.livekit.compat.version", lambda _: "2.1.0")
    rig = await LiveKitRig(aec_warmup_duration=None).run(lambda rig: rig.agent_waits())
    [error] = rig.errors
    assert "livekit-agents 2.1.0 is not supported: install >=1.6.1,<2" in error


async def test_a_part_of_the_host_that_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bargein.livekit.compat._SpeechHandleContextVar", None)
    rig = await LiveKitRig().run(lambda rig: rig.agent_waits())
    [error] = rig.errors
    assert "has no a speech of the running task" in error


async def test_one_object_for_two_calls_is_refused() -> None:
    manners = Bargein(detectors=())
    await LiveKitRig(manners).run(lambda rig: rig.agent_says())
    other = await LiveKitRig(manners).run(lambda rig: rig.agent_waits())
    assert any("make a Bargein() for every call" in line for line in other.errors)


async def test_saying_something_where_nothing_can_be_said() -> None:
    manners = Bargein()
    with pytest.raises(BargeinError, match="not attached"):
        await manners.say(None, "Hello.")
    rig = LiveKitRig(Bargein(detectors=()))
    await rig.run(lambda rig: rig.agent_says("Hello."))
    with pytest.raises(BargeinError, match="the call is over"):
        await rig.manners.say(None, "Hello.")


def test_a_missing_host_is_one_sentence() -> None:
    root = Path(__file__).parents[1] / "plugins"
    script = "import sys; sys.path.insert(0, sys.argv[1]); import bargein.livekit"
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, str(root)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stderr.splitlines()[-1] == (
        'ImportError: bargein.livekit needs LiveKit: pip install "bargein[livekit]"'
    )

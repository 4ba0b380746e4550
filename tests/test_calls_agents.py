"""Is the same script the same on every kind of agent? Calls with us and without."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from livekit.agents import Agent, AgentSession
from livekit.plugins import silero
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

from bargein import livekit as ours_on_livekit
from bargein.pipecat import Bargein
from bargein.realtime import Realtime
from bargein.testing import (
    ScriptError,
    agent,
    announce,
    backchannel,
    cough,
    dtmf,
    hang_up,
    interrupt,
    noise,
    parse,
    silence,
    user,
)
from bargein.testing.calls import Call, CallFailed, Unsupported, talk
from bargein.testing.calls.acted import Acted, act
from bargein.testing.calls.livekit import LiveKitAgent, LiveKitLine
from bargein.testing.calls.phone import PhoneAgent
from bargein.testing.calls.pipecat import PipecatAgent, PipecatLine
from bargein.testing.calls.realtime import RealtimeAgent
from bargein.testing.calls.subject import Ran
from bargein.testing.phone import PHONE_RATE, served
from bargein.testing.services import OpenAIRealtime
from bargein.testing.speech import agent_voice
from held import Held as Calls
from phone_rig import host_serializer

EXPLAINS = (
    "Your appointment with Doctor Patel is on Tuesday at three in the afternoon, on the second"
    " floor of the main building. Please bring your insurance card and a photo, and come early."
)
HOURS = "Our business hours are nine to five."
REPLIES = {"appointment": EXPLAINS, "hours": HOURS, "": "Sorry, I did not catch that."}
ASKS = user("When is my appointment?")
LISTENS = (ASKS, backchannel("mm-hm", after_words=6), agent())
INTERRUPTS = (ASKS, interrupt("Sorry, what are your business hours?", during="second"), agent())


def on_pipecat(line: PipecatLine, *, ours: bool = True, output: Any = None) -> Pipeline:
    manners = Bargein(language="en") if ours else None
    stop: list[Any] = [SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.6)]
    if manners is not None:
        params = LLMUserAggregatorParams(
            vad_analyzer=manners.vad(), user_turn_strategies=manners.turn_strategies(stop=stop)
        )
    else:
        params = LLMUserAggregatorParams(
            vad_analyzer=SileroVADAnalyzer(), user_turn_strategies=UserTurnStrategies(stop=stop)
        )
    pair = LLMContextAggregatorPair(LLMContext(), user_params=params)
    ends = (line.input(), line.output()) if output is None else output
    llm, tts = line.llm(REPLIES), line.tts()
    parts = [ends[0], line.stt(), pair.user(), llm, tts, ends[1], pair.assistant()]
    return Pipeline(manners.wrap(parts) if manners is not None else parts)


def on_livekit(line: LiveKitLine, *, ours: bool = True) -> Any:
    parts: dict[str, Any] = {
        "stt": line.stt(),
        "llm": line.llm(REPLIES),
        "tts": line.tts(),
        "aec_warmup_duration": None,
        "user_away_timeout": None,
    }
    turns: dict[str, Any] = {"turn_detection": "vad"}
    if ours:
        session = ours_on_livekit.Bargein(language="en").session(**parts, turn_handling=turns)
    else:
        turns["interruption"] = {"mode": "vad"}
        session = AgentSession(**parts, vad=silero.VAD.load(), turn_handling=turns)
    return session, Agent(instructions="You answer the phone.")


def plain_pipecat(line: PipecatLine) -> Pipeline:
    return on_pipecat(line, ours=False)


def plain_livekit(line: LiveKitLine) -> Any:
    return on_livekit(line, ours=False)


async def on_realtime(*steps: Any, gate: Callable[[], Realtime] | None = None) -> Call:
    answers = {"When is my appointment?": EXPLAINS, "Sorry, what are your business hours?": HOURS}
    async with OpenAIRealtime(answers=answers | {"": REPLIES[""]}, voice=agent_voice) as server:
        tried = RealtimeAgent(server.realtime_url, server=server, gate=gate)
        return await talk(tried, *steps)


async def on_the_phone(*steps: Any) -> Call:
    """A Pipecat bot behind a websocket, as a provider calls it."""
    app, line = FastAPI(), PipecatLine()

    @app.websocket("/media")
    async def media(websocket: WebSocket) -> None:
        await websocket.accept()
        name, call = await parse_telephony_websocket(websocket)
        transport = FastAPIWebsocketTransport(
            websocket,
            FastAPIWebsocketParams(
                audio_in_enabled=True,
                audio_out_enabled=True,
                serializer=host_serializer(name, call),
            ),
        )
        pipeline = on_pipecat(line, ours=False, output=(transport.input(), transport.output()))
        params = PipelineParams(audio_in_sample_rate=PHONE_RATE, audio_out_sample_rate=PHONE_RATE)
        worker = PipelineWorker(pipeline, params=params, enable_rtvi=False)

        @transport.event_handler("on_client_disconnected")
        async def gone(*_: Any) -> None:
            await worker.cancel()

        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await runner.run()

    async with served(lambda _: app) as address:
        tried = PhoneAgent(
            f"ws://{address}/media",
            voice=line.voice,
            stt=line.stt(),
            context=lambda: line.messages,
            runs=lambda: line.runs,
        )
        return await talk(tried, *steps)


SCENE = """# A listener listens, and then objects.
   0  agent   Your appointment is on Tuesday at nine, with Doctor Hale in the main building.
 900  user
1400  asr     uh-huh
2600  user
2700  =>      YieldFloor(correction): a correction
3400  asr     no wait I meant Thursday
"""

CALLS: dict[str, Callable[[], Awaitable[Any]]] = {
    "pipecat, listens, plain": lambda: talk(PipecatAgent(plain_pipecat), *LISTENS),
    "pipecat, listens, ours": lambda: talk(PipecatAgent(on_pipecat), *LISTENS),
    "pipecat, interrupts, plain": lambda: talk(PipecatAgent(plain_pipecat), *INTERRUPTS),
    "pipecat, interrupts, ours": lambda: talk(PipecatAgent(on_pipecat), *INTERRUPTS),
    "livekit, listens, plain": lambda: talk(LiveKitAgent(plain_livekit), *LISTENS),
    "livekit, listens, ours": lambda: talk(LiveKitAgent(on_livekit), *LISTENS),
    "livekit, interrupts, plain": lambda: talk(LiveKitAgent(plain_livekit), *INTERRUPTS),
    "livekit, interrupts, ours": lambda: talk(LiveKitAgent(on_livekit), *INTERRUPTS),
    "realtime, listens, plain": lambda: on_realtime(*LISTENS),
    "realtime, listens, ours": lambda: on_realtime(*LISTENS, gate=lambda: Realtime(language="en")),
    "realtime, interrupts, plain": lambda: on_realtime(*INTERRUPTS),
    "phone, interrupts, plain": lambda: on_the_phone(silence(3000), *INTERRUPTS, dtmf("1")),
    "everything": lambda: talk(
        PipecatAgent(on_pipecat),
        announce("Good morning, this is the clinic. How can I help you today?"),
        agent(),
        noise(-60),
        user("When is my appointment?", peak_db=-10, telephone=True, words_per_minute=190),
        cough(after_ms=1500),
        silence(500),
        dtmf("12#"),
        hang_up(),
    ),
    "acted, plain": lambda: act(PipecatAgent(plain_pipecat), parse(SCENE)),
    "acted, ours": lambda: act(LiveKitAgent(on_livekit), parse(SCENE)),
}


@pytest.fixture(scope="module")
def calls() -> Calls[Any]:
    return Calls(CALLS)


HOSTS = ("pipecat", "livekit", "realtime")


@pytest.mark.parametrize("host", HOSTS)
def test_a_plain_agent_stops_for_a_listener_and_says_so(calls: Calls[Call], host: str) -> None:
    call = calls[f"{host}, listens, plain"]
    with pytest.raises(CallFailed, match=r'stopped \d+ ms after "mm-hm" began; \d+ words went'):
        call.never_stopped()
    with pytest.raises(CallFailed, match='"mm-hm" is in the context'):
        call.not_in_context("mm-hm")
    assert call.llm_runs == 2
    assert call.words_lost[-3:] == ["and", "come", "early."]


@pytest.mark.parametrize("host", HOSTS)
def test_a_polite_one_goes_on(calls: Calls[Call], host: str) -> None:
    call = calls[f"{host}, listens, ours"]
    call.never_stopped()
    call.not_in_context("mm-hm")
    call.spoken_in_full("on the second floor of the main building")
    assert call.llm_runs == 1
    assert call.words_lost == []
    assert call.heard_text == EXPLAINS


@pytest.mark.parametrize(
    "name",
    [
        "pipecat, interrupts, plain",
        "pipecat, interrupts, ours",
        "livekit, interrupts, plain",
        "livekit, interrupts, ours",
        "realtime, interrupts, plain",
        "phone, interrupts, plain",
    ],
)
def test_an_interruption_is_measured_on_every_agent(calls: Calls[Call], name: str) -> None:
    call = calls[name]
    (overlap,) = call.overlaps
    assert overlap.unheard.endswith("and come early.")
    # The audio itself ends there, whatever was cancelled or cleared.
    silent_s = overlap.silent_s
    assert silent_s is not None
    first, last = (round((at - call.began_s) * call.rate) for at in (silent_s, silent_s + 0.4))
    assert abs(call.agent_track[first + call.rate // 50 : last]).max() < 200
    call.heard("Patel is on Tuesday")
    call.heard(HOURS)
    call.recovered()
    assert call.llm_runs == 2
    assert str(call.capabilities) in call.timeline()


def test_what_was_used_is_in_the_report(calls: Calls[Call]) -> None:
    realtime = str(calls["realtime, interrupts, plain"].capabilities)
    assert realtime.startswith("OpenAI Realtime; barge-in: native")
    assert "word times: spread" in realtime
    phone = str(calls["phone, interrupts, plain"].capabilities)
    assert phone.startswith("a websocket in twilio's protocol; barge-in: VAD")
    assert "DTMF: yes" in phone


def test_every_step_is_played(calls: Calls[Call]) -> None:
    call = calls["everything"]
    assert [one.text for one in call.sounds] == ["When is my appointment?", "a cough"]
    call.heard("How can I help you today")
    call.in_context("When is my appointment")
    assert call.missed == []
    assert call.ended_s - call.audible[-1][1] < 3


def test_a_scene_is_judged_by_what_an_agent_of_ones_own_is_heard_to_do(
    calls: Calls[Acted],
) -> None:
    plain, ours = calls["acted, plain"], calls["acted, ours"]
    assert plain.problems[0].startswith('900 ms: the agent stopped for "uh-huh"; ')
    assert plain.call.overlaps[0].stopped_after_ms is not None
    assert ours.problems == ()


async def test_what_an_agent_cannot_do_is_said() -> None:
    with pytest.raises(Unsupported, match="LiveKit has no telephone keys"):
        await talk(LiveKitAgent(on_livekit), dtmf("1"))


async def test_nothing_follows_a_hang_up() -> None:
    with pytest.raises(ScriptError, match="nothing can follow hang_up"):
        await talk(PipecatAgent(on_pipecat), hang_up(), user("Hello"))


async def test_a_word_that_the_agent_never_says_is_named() -> None:
    with pytest.raises(ScriptError, match=r"never came to 'refund'; it said: 'Our business"):
        await talk(
            PipecatAgent(on_pipecat), user("your hours?"), interrupt("Wait", during="refund")
        )


def test_runs_are_those_of_the_model(calls: Calls[Call]) -> None:
    runs: list[Ran] = calls["pipecat, listens, plain"].runs
    assert [one.asked for one in runs] == ["When is my appointment?", "mm-hm"]

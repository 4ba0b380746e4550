"""A call with OpenAI's realtime model goes as it would without us, where the model's server decides
who speaks."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientSession
from livekit.agents import AgentSession

from bargein.livekit import Bargein, BargeinError
from bargein.testing.services import OpenAIRealtime, Said
from livekit_rig import LiveKitRig

openai = pytest.importorskip("livekit.plugins.openai")

COUNT = "One two three four five six seven eight nine ten eleven twelve."
CODE = "Your code is four two seven one."


@pytest.fixture(name="http")
async def _http() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


def ours(manners: Bargein, parts: dict[str, Any]) -> AgentSession[Any]:
    return manners.session(llm=parts["llm"])


def stock(_: Bargein, parts: dict[str, Any]) -> AgentSession[Any]:
    return AgentSession(llm=parts["llm"])


def with_a_voice(manners: Bargein, parts: dict[str, Any]) -> AgentSession[Any]:
    return manners.session(llm=parts["llm"], tts=parts["tts"])


Script = Callable[[LiveKitRig], Awaitable[None]]


async def called(
    http: ClientSession, server: OpenAIRealtime, session: Any, script: Script
) -> LiveKitRig:
    model = openai.realtime.RealtimeModel(
        api_key="any", base_url=f"{server.url}/v1", http_session=http
    )
    return await LiveKitRig(session=session, llm=model).run(script)


def loud(rig: LiveKitRig) -> np.ndarray[Any, Any]:
    """What the caller heard, from the first sound to the last."""
    pcm = rig.studio.room.recording.pcm
    sounding = np.flatnonzero(pcm)
    return pcm[sounding[0] : sounding[-1] + 1]


def only_error(rig: LiveKitRig) -> str:
    [error] = rig.errors
    return error


async def test_what_a_realtime_model_says_is_heard_as_without_us(http: ClientSession) -> None:
    async def script(rig: LiveKitRig) -> None:
        await rig.until(lambda: COUNT in rig.said("assistant"))

    heard = []
    for session in (stock, ours):
        async with OpenAIRealtime([Said("Count, please.", at_ms=300)], [COUNT]) as server:
            rig = await called(http, server, session, script)
        heard.append(loud(rig))
        assert rig.said("user") == ["Count, please."]
        assert rig.said("assistant") == [COUNT]
    assert "detects turns on its server" in only_error(rig)
    assert heard[1].tolist() == heard[0].tolist()


async def test_a_realtime_model_is_interrupted_by_its_server_alone(http: ClientSession) -> None:
    async def script(rig: LiveKitRig) -> None:
        await rig.until(lambda: "Fine." in rig.said("assistant"))

    words = [Said("Count, please.", at_ms=300), Said("Mm-hm.", at_ms=3000)]
    async with OpenAIRealtime(words, [COUNT, "Fine."]) as server:
        rig = await called(http, server, ours, script)
        [session] = server.sessions
        assert len(session.truncated) == 1
    assert rig.said("user") == ["Count, please.", "Mm-hm."]
    assert rig.decided == []


async def test_what_must_be_heard_is_said_as_livekit_says_it(http: ClientSession) -> None:
    async def script(rig: LiveKitRig) -> None:
        await rig.manners.say(rig.session, CODE, must_hear=True)
        await rig.until(lambda: CODE in rig.said("assistant"))

    async with OpenAIRealtime() as server:
        rig = await called(http, server, with_a_voice, script)
    assert "the call runs as it would without bargein" in only_error(rig)
    assert rig.manners.receipts == []


async def test_without_a_voice_a_realtime_model_says_no_text_of_yours(http: ClientSession) -> None:
    async def script(rig: LiveKitRig) -> None:
        with pytest.raises(BargeinError, match=r"nothing can be said: .*add a TTS model"):
            await rig.manners.say(rig.session, CODE, must_hear=True)
        await rig.until(lambda: COUNT in rig.said("assistant"))

    async with OpenAIRealtime([Said("Count, please.", at_ms=300)], [COUNT]) as server:
        await called(http, server, ours, script)

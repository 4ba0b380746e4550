"""What does LiveKit's front desk do in a call, without keys or a server? One call, told.

The clients are LiveKit's own plugins; the services and the caller are on this machine.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from livekit.plugins import deepgram, elevenlabs, openai, silero

from bargein.call import Change
from bargein.livekit import Bargein
from bargein.memory import Receipt

from .livekit_parts import EAR_RATE, Studio
from .phone import babble
from .services import Answer, Call, Deepgram, ElevenLabs, OpenAIChat
from .told import Told, listen

CALLER = "+49 30 901820"
WORD_MS = 250
LONGEST_S = 55.0
"""Then somebody hangs up, whatever was said."""

HELLO = "Hello, what can I do for you?"
CODE = "Your code for the door is 4 2 7 1."
GET_THERE, UH_HUH = "how do I get there", "uh-huh"
NO_WAIT, AGAIN = "no wait book me for Thursday at nine", "what was that"
CALLS = {
    GET_THERE: Call(name="way", arguments={}),
    NO_WAIT: Call(name="book", arguments={"day": "Thursday", "time": "nine"}),
}
TALKS = (("Market Square", UH_HUH), ("river", NO_WAIT), ("4 2", AGAIN))
"""What the caller has heard of the agent when they say what."""


def answer(messages: list[dict[str, Any]]) -> Answer:
    """What the LLM says: it calls the desk's functions, and reads out what they return."""
    if messages[-1].get("role") == "tool":
        result = str(messages[-1]["content"])
        return Answer(f"{result} {CODE}" if result.startswith("Booked") else result)
    said = [str(one.get("content")) for one in messages if one.get("role") == "user"]
    if not said:
        return Answer(HELLO)
    if said[-1] in CALLS:
        return Answer(calls=(CALLS[said[-1]],))
    return Answer("Of course. It is all in a message to you.")


async def play(desk: Any, *, tell: Callable[[str], None] = print) -> Told:
    """Play a call of some 25 s to a front desk, in real time.

    Args:
        desk: the module `pipelines/livekit_front_desk.py`.
        tell: told what happens, a line at a time.

    Raises:
        TimeoutError: the call did not come to its end.
    """
    told = Told()
    with tempfile.TemporaryDirectory() as folder:
        manners: Bargein = desk.manners_of(CALLER, store=str(Path(folder) / desk.STORE))
        tell(f"{CALLER} calls the front desk")
        listen(manners, told, tell)

        @manners.on("receipt_stored")
        def kept(receipt: Receipt) -> None:
            tell(f"{manners.now_ms / 1000:5.1f} s  its receipt is stored" * receipt.stored)

        ear, chat, voice = Deepgram(), OpenAIChat(answer), ElevenLabs(times_from_chunk=False)
        async with ear, chat, voice, ClientSession() as http:
            studio = _studio(desk, manners, http, ear, chat, voice)
            try:
                await studio.start(desk.FrontDesk(manners))
                async with asyncio.timeout(LONGEST_S):
                    await desk.greet(manners, studio.session)
                    await _talk(manners, studio, ear)
            finally:
                await studio.end(drain=False)
                await studio.close()
    told.asked = [one for one in studio.said("user") if one]
    asked = ", ".join(f'"{words}"' for words in told.asked)
    tell(f"the LLM was asked: {asked}")
    return told


def _studio(
    desk: Any,
    manners: Bargein,
    http: ClientSession,
    ear: Deepgram,
    chat: OpenAIChat,
    voice: ElevenLabs,
) -> Studio:
    """A session of the desk's own, with LiveKit's clients for the services on this machine."""
    key = "offline"
    tts: Any = elevenlabs.TTS(
        api_key=key,
        base_url=f"{voice.url}/v1",
        voice_id=key,
        encoding="pcm_24000",
        http_session=http,
    )
    return Studio(
        manners,
        session=lambda ours, parts: desk.build(ours, **parts),
        stt=deepgram.STT(api_key=key, base_url=ear.nova_url, http_session=http),
        llm=openai.LLM(model=key, api_key=key, base_url=chat.base_url),
        tts=tts,
        vad=silero.VAD.load(min_silence_duration=0.3),
    )


async def _talk(manners: Bargein, studio: Studio, ear: Deepgram) -> None:
    """Be the caller; returns when nobody has anything more to say."""
    heard = ""

    @manners.on("change")
    def goes_on(news: Change) -> None:
        nonlocal heard
        heard = news.state.playout.heard if news.state.playout is not None else ""

    async def hears(words: str) -> None:
        while words not in heard:
            await asyncio.sleep(0.02)

    async def hears_all() -> None:
        while manners.busy:
            await asyncio.sleep(0.02)

    async def says(text: str) -> None:
        ms = len(text.split()) * WORD_MS
        studio.microphone.play(babble(ms, EAR_RATE))
        ear.says(text, word_ms=WORD_MS)
        await asyncio.sleep(ms / 1000)

    await hears(HELLO.split(",")[0])
    await hears_all()
    await says(GET_THERE)
    for words, reply in TALKS:
        await hears(words)
        await says(reply)
    await hears("message")
    await hears_all()

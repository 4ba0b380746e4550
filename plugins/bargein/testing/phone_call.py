"""What does a phone agent do in a call, without keys, a cloud or a telephone? One call, told.

The clients are Pipecat's own; the services, the provider and the caller are on this machine.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from typing import Any
from urllib.parse import urlencode

import aiohttp
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.services.elevenlabs.tts import ElevenLabsTTSService
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy

from bargein.memory import MemoryStore
from bargein.pipecat import Bargein

from . import told
from .phone import CALL_SID, Phone, babble, served
from .services import Deepgram, ElevenLabs, OpenAIChat, Said

CALLER = "+49 30 901820"
WAY = (
    "Take the tram as far as Market Square, walk past the old stone fountain towards the river, "
    "turn left at the bakery and cross the small bridge. Ours is the white house next to a garden."
)
CODE = "Your code for the door is 4 2 7 1."
CALL = (
    Said("how do I get there", at_ms=7_000),
    Said("uh-huh", at_ms=11_500),
    Said("no wait I meant Thursday", at_ms=14_500),
    Said("what was that", at_ms=20_300),
)
REPLIES = {
    "how do I get there": WAY,
    "no wait I meant Thursday": f"Thursday is booked. {CODE}",
    "": "Of course. It is all in a message to you.",
}
LONGEST_MS = 60_000
"""Then the caller hangs up, whatever they were told."""
QUIET_MS = 2_000
"""So long silent, the agent has nothing more to say."""


@dataclass(kw_only=True)
class Told(told.Told):
    """What happened in a call on the telephone."""

    caller: str = ""
    """Who it was, as the agent learned it."""
    cleared: int = 0
    """How often the provider was told to throw audio away."""


async def play(agent: Any, *, rules: str = "clinic", tell: Callable[[str], None] = print) -> Told:
    """Play a call of some 25 s to an agent, in real time.

    Args:
        agent: the module `pipelines/pipecat_phone.py`.
        rules: for its ``manners_of``.
        tell: told what happens, a line at a time.
    """
    noted = Told()

    def manners_of(caller: str) -> Bargein:
        manners: Bargein = agent.manners_of(caller, rules=rules, store=MemoryStore())
        noted.caller = caller
        tell(f"{caller} calls; the rules are those for: {rules}")
        told.listen(manners, noted, tell)
        return manners

    async with _services() as (parts, chat):

        def application(address: str) -> Any:
            line = agent.Line(host=address, token="offline", scheme="http")
            return agent.answering(line, manners_of, **parts)

        async with served(application) as address:
            url, parameters = await _dial(agent, address)
            async with Phone(url, parameters=parameters) as phone:
                await _talk(phone)
                while phone.now_ms < LONGEST_MS and (
                    len(chat.requests) < len(REPLIES) or phone.quiet_ms < QUIET_MS
                ):
                    await asyncio.sleep(0.05)
            noted.cleared = len(phone.cleared)
        noted.asked = [str(one["messages"][-1]["content"]) for one in chat.requests]
    asked = ", ".join(f'"{words}"' for words in noted.asked)
    tell(f"the LLM was asked: {asked}")
    tell(f"the telephone was told to throw audio away {noted.cleared} time(s)")
    return noted


@asynccontextmanager
async def _services() -> AsyncIterator[tuple[dict[str, Any], OpenAIChat]]:
    """The three services on this machine, and Pipecat's own clients for them."""
    async with Deepgram(CALL) as ear, OpenAIChat(REPLIES) as chat, ElevenLabs() as voice:
        parts = {
            "stt": DeepgramSTTService(api_key="offline", base_url=ear.ws_url),
            "llm": OpenAILLMService(
                api_key="offline",
                base_url=chat.base_url,
                settings=OpenAILLMService.Settings(model="offline"),
            ),
            "tts": ElevenLabsTTSService(
                api_key="offline",
                url=voice.ws_url,
                settings=ElevenLabsTTSService.Settings(voice="offline"),
            ),
            # Pipecat's own was trained on people, and this caller only babbles.
            "stop": [SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.6)],
        }
        yield parts, chat


async def _dial(agent: Any, address: str) -> tuple[str, dict[str, str]]:
    """Ask what to do with the call, as the provider does; where to stream it, and with what."""
    line = agent.Line(host=address, token="offline", scheme="http")
    form = {"CallSid": CALL_SID, "From": CALLER}
    asked = f"http://{address}/twiml" + "".join(key + form[key] for key in sorted(form))
    headers = {
        "X-Twilio-Signature": line.signed(asked),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://{address}/twiml", data=urlencode(form), headers=headers) as answer,
    ):
        answer.raise_for_status()
        twiml = await answer.text()
    found = re.findall(r'<(Stream|Parameter) (?:url|name)="(.*?)"(?: value="(.*?)")?', twiml)
    url = next(unescape(name) for kind, name, _ in found if kind == "Stream")
    return url, {name: unescape(value) for kind, name, value in found if kind == "Parameter"}


async def _talk(phone: Phone) -> None:
    """Make the sound of what the recogniser is going to hear."""
    for said in CALL:
        while phone.now_ms < said.at_ms and not phone.is_over:
            await asyncio.sleep(0.01)
        await phone.say(babble(len(said.text.split()) * said.word_ms))

"""A front desk on LiveKit that lets callers talk over it, and knows what they mean by that.

A worker to copy. It needs these keys in its environment: DEEPGRAM_API_KEY, OPENAI_API_KEY and
ELEVEN_API_KEY, and to be called, LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET. It needs

    pip install "bargein[livekit]" "livekit-agents[deepgram,openai,elevenlabs]"

and starts with

    python pipelines/livekit_front_desk.py dev

or, on your own microphone and loudspeaker, with ``console`` instead of ``dev``. To hear of a short
call without a key or a server:

    pip install "bargein[livekit,clients]" && python pipelines/livekit_front_desk.py --offline

What is LiveKit's own is as in any worker; what is ours is `manners_of`, and two lines in `build`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from livekit.agents import (
    Agent,
    AgentServer,
    AgentSession,
    JobContext,
    JobProcess,
    cli,
    function_tool,
)

from bargein import DIGIT_CODES, MONEY, Interruption
from bargein.livekit import Bargein
from bargein.memory import Receipt, Store

MODELS = ("DEEPGRAM_API_KEY", "OPENAI_API_KEY", "ELEVEN_API_KEY")
SERVER = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
PLUGINS = ("deepgram", "openai", "elevenlabs", "silero")
NEEDS: dict[str, tuple[str, ...]] = {
    "console": MODELS,
    "dev": (*SERVER, *MODELS),
    "start": (*SERVER, *MODELS),
    "--offline": (),
}
"""Which keys each way to take calls needs; what else LiveKit does needs none."""

LANGUAGE = "en"
STORE = "front_desk.db"
"""Where it is kept what a caller has heard, and what they have not."""
NOTICE = "This call is recorded for training."
INSTRUCTIONS = (
    "You answer the phone of a clinic. Be brief, and speak as one does on the phone. Give the code"
    " for the door, in digits, whenever somebody has booked: it is 4 2 7 1."
)
WAY = (
    "Take the tram as far as Market Square, walk past the old stone fountain towards the river,"
    " turn left at the bakery and cross the small bridge. Ours is the white house next to a garden."
)

log = logging.getLogger("front-desk")


def prewarm(_: JobProcess) -> None:
    """Read what the first call would keep the others waiting for."""
    Bargein.prewarm(language=LANGUAGE)


server = AgentServer(setup_fnc=prewarm)


def manners_of(caller: str, *, store: str | Store = STORE) -> Bargein:
    """The manners of one call: what must be heard, what is kept, and who is told.

    Args:
        caller: whose call it is, such as their number: the next one goes on where this one ended.
        store: where that is kept.
    """
    # Amounts and codes are not talked over, whatever the LLM writes around them.
    manners = Bargein(
        language=LANGUAGE, must_hear_patterns=[DIGIT_CODES, MONEY], store=store, caller=caller
    )

    @manners.on("yield")
    def interrupted(news: Interruption) -> None:
        log.info(f"the caller took the floor: {news}")

    @manners.on("receipt")
    def read_out(receipt: Receipt) -> None:
        log.info(f"what had to be heard: {receipt}")

    return manners


class FrontDesk(Agent):
    """Books appointments and tells the way."""

    def __init__(self, manners: Bargein) -> None:
        """Make one for a call."""
        super().__init__(instructions=INSTRUCTIONS, tools=[*manners.tools()])
        self._manners = manners

    @function_tool
    async def book(self, day: str, time: str) -> str:
        """Book an appointment.

        Args:
            day: on which day, such as Tuesday.
            time: when, such as nine in the morning.
        """
        self._manners.topic("the appointment")
        return f"Booked for {day} at {time}."

    @function_tool
    async def way(self) -> str:
        """How to get to the clinic."""
        self._manners.topic("the way to the clinic")  # a dropped call can go on from there
        return WAY


def build(manners: Bargein, **parts: Any) -> AgentSession[Any]:
    """Make the session of a call.

    Args:
        manners: the call's.
        **parts: as for `AgentSession`, for other models than the four here.
    """
    if "stt" not in parts:
        parts["stt"] = _plugin("deepgram").STT(model="nova-3", interim_results=True)
    if "llm" not in parts:
        parts["llm"] = _plugin("openai").LLM(model="gpt-4.1-mini")
    if "tts" not in parts:
        parts["tts"] = _plugin("elevenlabs").TTS(model="eleven_flash_v2_5")
    if "vad" not in parts:
        parts["vad"] = _plugin("silero").VAD.load()
    # With our own session(...) instead of AgentSession(...), the floor decides; without, LiveKit.
    return manners.session(**parts)


async def greet(manners: Bargein, session: AgentSession[Any]) -> None:
    """Somebody has called: nobody may talk over the notice, anybody over the rest."""
    await manners.say(session, NOTICE, must_hear=True)
    session.generate_reply(instructions="Say hello and ask what you can do.")


@server.rtc_session()
async def answer(ctx: JobContext) -> None:
    """Take a call."""
    await ctx.connect()
    caller = await ctx.wait_for_participant()
    manners = manners_of(caller.attributes.get("sip.phoneNumber") or caller.identity)
    ctx.add_shutdown_callback(manners.aclose)  # what the call leaves is stored by then
    session = build(manners)
    await session.start(FrontDesk(manners), room=ctx.room)
    await greet(manners, session)


def lacks(argv: Sequence[str]) -> str:
    """What is missing for being started like this, in one sentence; empty if nothing is."""
    way = argv[0] if argv else ""
    keys = [key for key in NEEDS.get(way, ()) if not os.environ.get(key)]
    if keys:
        several = len(keys) > 1
        return f"{', '.join(keys)} {'are' if several else 'is'} not set in the environment."
    for name in PLUGINS if way in NEEDS else ():
        try:
            _plugin(name)
        except ImportError as error:
            return f"{error}."
    return ""


def _plugin(name: str) -> Any:
    try:
        # A plugin wants to be imported on the main thread, as it is from `lacks`.
        return import_module(f"livekit.plugins.{name}")
    except ModuleNotFoundError:
        raise ImportError(
            f'livekit-plugins-{name} is not installed: pip install "livekit-agents[{name}]"'
        ) from None


if __name__ == "__main__":
    if missing := lacks(sys.argv[1:]):
        sys.exit(f"livekit_front_desk: {missing}")
    if "--offline" in sys.argv[1:]:
        from bargein.testing.front_desk_call import play

        asyncio.run(play(sys.modules[__name__]))
    else:
        cli.run_app(server)

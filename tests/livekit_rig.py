"""A small real LiveKit session to try things on: scripted models, the room's own output."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

import pytest
from livekit.agents import Agent, llm

from bargein.livekit import Bargein
from bargein.testing import written
from bargein.testing.livekit_parts import Studio

KEEPS_RESULTS = pytest.mark.skipif(
    version("livekit-agents").startswith("1.6."),
    reason="before 1.7 LiveKit itself drops a function's result when its speech is interrupted",
)
SAYS = "Your appointment is on Tuesday at nine, with Doctor Hale in the main building."


class Log(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class LiveKitRig:
    """One call."""

    studio: Studio

    def __init__(
        self, manners: Bargein | None = None, *, agent: Agent | None = None, **options: Any
    ) -> None:
        self.manners = manners or Bargein(detectors=())
        self.decided: list[str] = []
        self.manners.add_event_handler(
            "on_decision", lambda _, d: self.decided.append(written(d).partition(" ")[2])
        )
        self.agent = agent or Agent(instructions="Be brief.")
        self.transcribed: list[str] = []
        self._options = options
        self._log = Log()

    async def run(
        self,
        script: Callable[["LiveKitRig"], Awaitable[None]],
        *,
        hang_up: bool = False,
        within_s: float = 40,
    ) -> "LiveKitRig":
        """Run the script, then end the call as an application does, or as a caller."""
        ours = logging.getLogger("bargein")
        ours.addHandler(self._log)
        self.studio = Studio(self.manners, **self._options)
        self.session = self.studio.session
        self.session.on("user_input_transcribed", lambda e: self.transcribed.append(e.transcript))
        try:
            async with asyncio.timeout(within_s):
                await self.studio.start(self.agent)
                try:
                    await script(self)
                finally:
                    await self.studio.end(drain=not hang_up)
        finally:
            ours.removeHandler(self._log)
            await self.studio.close()
        return self

    async def agent_says(self, text: str = SAYS) -> None:
        """The agent says something; returns when it is being heard."""
        self.session.say(text)
        await self.until(lambda: self.manners.floor == "agent")

    async def agent_waits(self) -> None:
        """The agent says something, whether or not the floor hears of it."""
        await self.session.say("Hello there.")

    async def interrupts(self, words: str = "no wait I meant Thursday", after: int = 3) -> None:
        """The caller talks over the agent, once it has said a few words."""
        await asyncio.sleep(after * 0.3)
        self.voice(True)
        self.hears(" ".join(words.split()[:2]), final=False)
        await asyncio.sleep(0.1)
        self.hears(words)
        self.voice(False)

    def voice(self, on: bool) -> None:
        self.studio.vad.speaks(on)

    def hears(self, text: str, *, final: bool = True) -> None:
        self.studio.stt.hears(text, final=final)

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for something to become true."""
        async with asyncio.timeout(15):
            while not true():
                await asyncio.sleep(0.01)

    async def done(self) -> None:
        """Wait until everything has been said and decided."""
        await self.until(lambda: not self.manners.busy)
        await asyncio.sleep(0.4)

    def said(self, who: str) -> list[str]:
        """What the history says that somebody said."""
        return self.studio.said(who)

    @property
    def runs(self) -> list[llm.ChatContext]:
        """What the LLM was shown, run by run."""
        return self.studio.llm.runs

    @property
    def errors(self) -> list[str]:
        """Our errors in the log."""
        return [one.getMessage() for one in self._log.records if one.levelno >= logging.ERROR]

    @property
    def log(self) -> list[str]:
        """Everything of ours in the log."""
        return [one.getMessage() for one in self._log.records]

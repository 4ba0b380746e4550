"""A call over OpenAI Realtime: the real SDK, a loopback server, and the gate between."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from openai import AsyncOpenAI

from bargein.realtime import Play, Realtime, Send
from bargein.testing import written
from bargein.testing.services import OpenAIRealtime

COUNT = "One two three four five six seven eight nine ten eleven twelve."
WORD_MS = 300
RATE = 24_000


class RealtimeRig:
    """One call."""

    def __init__(self, server: OpenAIRealtime, gate: Realtime, connection: Any) -> None:
        self.server = server
        self.gate = gate
        self.connection = connection
        self.decided: list[str] = []
        self.played = bytearray()
        self.heard_ms = 0
        self.events: list[Any] = []
        gate.add_event_handler(
            "on_decision", lambda _, d: self.decided.append(written(d).partition(" ")[2])
        )

    @property
    def session(self) -> Any:
        """The server's side of it."""
        return self.server.sessions[-1]

    @property
    def last(self) -> Any:
        """The conversation's last item; a function call's has no role."""
        return {"role": ""} | self.session.items.by_id[self.session.items.order[-1]]

    @property
    def statuses(self) -> list[tuple[str, str | None]]:
        """How each response ended."""
        return [(one.status, one.reason) for one in self.session.responses]

    def sent(self, kind: str) -> list[Any]:
        """What of that kind the server got."""
        return self.server.connections[-1].messages(kind)

    def kinds(self) -> list[str]:
        """All that the server got but the caller's audio, in order."""
        got = [m["type"] for m in self.server.connections[-1].received]
        return [kind for kind in got if kind != "input_audio_buffer.append"]

    async def talk(self, ms: int) -> None:
        """The caller's audio, as fast as the line takes it."""
        for _ in range(ms // 20):
            self.gate.hear(bytes(RATE // 25))
            await asyncio.sleep(0)

    async def until(self, true: Callable[[], Any]) -> None:
        """Wait for something to become true."""
        async with asyncio.timeout(15):
            while not true():
                await asyncio.sleep(0.01)

    async def agent_at(self, word: str) -> None:
        """Wait until the agent has been heard up to this word."""
        await self.until(lambda: word in self.gate.being_said)

    async def silent(self) -> None:
        """Wait until the agent has said all it had to say."""
        await self.until(lambda: not self.gate.busy)

    async def outwards(self) -> None:
        async for out in self.gate:
            match out:
                case Send(event=event):
                    await self.connection.send(event)
                case Play(pcm=pcm):
                    self.played += pcm

    async def inwards(self) -> None:
        async for event in self.connection:
            self.events.append(event)
            self.gate.received(event)


@asynccontextmanager
async def connected(server: OpenAIRealtime) -> AsyncIterator[Any]:
    """The SDK's own connection, to a server that listens."""
    client = AsyncOpenAI(
        api_key="any", base_url=f"{server.url}/v1", websocket_base_url=f"{server.ws_url}/v1"
    )
    async with client, client.realtime.connect(model="gpt-realtime") as connection:
        yield connection


@asynccontextmanager
async def realtime_call(
    server: OpenAIRealtime, gate: Realtime | None = None, **session: Any
) -> AsyncIterator[RealtimeRig]:
    """A call that runs; the agent waits for the caller."""
    gate = gate or Realtime(early_onset=False)
    async with server, connected(server) as connection:
        rig = RealtimeRig(server, gate, connection)
        await connection.send(gate.session(**session))
        tasks = [asyncio.create_task(rig.outwards()), asyncio.create_task(rig.inwards())]
        try:
            await rig.until(lambda: rig.server.sessions)
            yield rig
            for task in tasks:
                assert not task.done(), task.exception()
        finally:
            await gate.aclose()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

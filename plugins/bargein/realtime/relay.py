"""How does a client that knows nothing of us get good manners? It connects here, and we to OpenAI.

Pipecat's and LiveKit's Realtime services hold their socket themselves, stop the agent at the first
sound the server hears, and tell it that what they had received was heard. Between them and the
server, both can be put right: the client gets the voice at the pace of the ear, hears of the caller
only when the floor is theirs, and what it says about interruptions is said by the gate instead.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import Callable, Coroutine
from typing import Any, Self

try:
    from aiohttp import ClientError, ClientSession, ClientWebSocketResponse, WSMsgType, web
except ImportError as error:
    raise ImportError('bargein.realtime.relay needs: pip install "bargein[realtime]"') from error

from bargein.core.decisions import YieldFloor
from bargein.manners import BargeinError

from .call import Out, Play, Send, Tell
from .manners import Realtime
from .voice import Source
from .wire import BUSY, OURS, THEIRS, Message

URL = "wss://api.openai.com/v1/realtime"
_PASSED_ON = ("authorization", "openai-organization", "openai-project", "openai-beta")
_TRANSCRIBED = "conversation.item.input_audio_transcription."
_BEHIND_THE_VOICE = (
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.done",
)
"""What says that an answer is over: to a client it is when it has been heard."""
_TAIL_S = 0.3
"""So long behind the last of the voice a client has surely played it: Pipecat collects 40 ms, and
has the text of a word in the same queue."""
_SETTLES_S = 0.15
"""So long an interruption takes in a client: what comes sooner would be thrown away as well."""
_STUCK_S = 20.0
"""Who has taken nothing for so long, while there was something, is not there any more: what is said
meanwhile would be kept for ever."""
_OF_THE_GATE = (
    "conversation.item.truncate",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
)
"""What a client says of an interruption, or of a turn, is the gate's to say."""


class Relay:
    """A Realtime server on this machine, with the manners of `Realtime`, in front of OpenAI's.

    ```python
    async with Relay(lambda: Realtime(language="en")) as relay:
        llm = OpenAIRealtimeLLMService(base_url=relay.url, ...)
    ```

    It listens on 127.0.0.1 only. A client's turn detection may be anything but switched off.
    """

    def __init__(self, manners: Callable[[], Realtime], url: str = URL) -> None:
        """Prepare it.

        Args:
            manners: makes those of one call; asked for every connection.
            url: the server's own address; the client's key, and the model it asks for, go there.
        """
        self._manners = manners
        self._upstream = url
        self._runner: web.AppRunner | None = None
        self._port = 0
        self.calls: list[Realtime] = []
        """The manners of each call that goes on, and of the last that came; the newest last."""

    @property
    def url(self) -> str:
        """Where a client connects to, for clients that want the whole address."""
        return f"ws://127.0.0.1:{self._port}/v1/realtime"

    @property
    def base_url(self) -> str:
        """The same, for clients that add ``/realtime`` themselves."""
        return f"http://127.0.0.1:{self._port}/v1"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/v1/realtime", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        # What a call leaves is stored by then, however long that takes.
        await asyncio.gather(*(gate.aclose() for gate in self.calls), return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        async with ClientSession() as http:
            try:
                server = await http.ws_connect(
                    self._upstream, params=request.query, headers=headers, max_msg_size=0
                )
            except ClientError as error:
                return web.Response(status=getattr(error, "status", 502))
            client = web.WebSocketResponse(max_msg_size=0)
            await client.prepare(request)
            gate = self._manners()
            # Those that are over would keep their sound for as long as this listens.
            self.calls[:] = [one for one in self.calls if not one._call.closed]
            self.calls.append(gate)
            await _Line(gate, client, server).run()
        return client


class _Line:
    """One client, its server, and the gate between them."""

    def __init__(
        self, gate: Realtime, client: web.WebSocketResponse, server: ClientWebSocketResponse
    ) -> None:
        self._gate, self._client, self._server = gate, client, server
        self._call, self._voice = gate._call, gate._out
        self._callers, self._agent = gate._callers, gate._agent
        self._caller: dict[str, list[Message]] = {}
        """What the client has not been told of an item of the caller's yet."""
        self._speech: list[Message] = []
        """That the caller speaks, as long as it is open whose floor it is."""
        self._told = False  # whether the client knows that the caller speaks
        self._to_client: asyncio.Queue[Out] = asyncio.Queue()
        self._no_turns: set[str] = set()
        """Items of the caller's that the client never hears of."""
        self._response_of: dict[str, str] = {}
        """Which response an item of the agent's is of."""
        self._updates = 1  # of the session, that are ours and not the client's
        self._held: dict[str, list[Message]] = {}
        """The ends of an answer that is still being heard, by its response."""
        self._sounding: dict[str, set[str]] = {}  # items of a response that are not over
        self._ours: dict[str, Source] = {}  # what is said without a response, by our item's id
        self._voice.begun = self._begun
        self._voice.sounded = self._sounded
        self._tell_ended, self._voice.ended = self._voice.ended, self._ended
        self._callers.placed = self._placed
        self._call.decided.append(self._decided)
        self._call.cut_done.append(self._floor_taken)

    async def run(self) -> None:
        """Until either of the two hangs up."""
        self._call.send(self._gate.session())
        ways = [
            asyncio.create_task(way)
            for way in (self._from_client(), self._from_server(), self._out(), self._tells())
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._gate.close()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            await self._gate.aclose()
            await self._server.close()
            await self._client.close()

    async def _out(self) -> None:
        async for out in self._gate:
            if isinstance(out, Send):
                if not await self._sent(self._server.send_json(out.event), "server"):
                    return
            else:
                self._to_client.put_nowait(out)

    async def _tells(self) -> None:
        played_s = 0.0
        while True:
            out = await self._to_client.get()
            match out:
                case Play(item_id=item_id) if item_id:
                    event = self._delta(item_id, out.pcm)
                    played_s = self._call.clock_ms() / 1000
                case Tell(event={"type": "input_audio_buffer.speech_started"} as event):
                    # An interruption throws away what the client has not played yet.
                    await asyncio.sleep(played_s + _TAIL_S - self._call.clock_ms() / 1000)
                case Tell(event=event):
                    pass
                case _:
                    continue
            if not await self._sent(self._client.send_json(event), "client"):
                return
            if event["type"] == "input_audio_buffer.speech_started":
                await asyncio.sleep(_SETTLES_S)

    async def _sent(self, sending: Coroutine[Any, Any, None], whom: str) -> bool:
        """Send something; False if nobody takes it."""
        try:
            async with asyncio.timeout(_STUCK_S):
                await sending
        except ConnectionError:
            pass  # whoever reads from there finds out
        except TimeoutError:
            self._call.complain(
                f"bargein: the Realtime {whom} has read nothing for {_STUCK_S:g} s; the relay"
                " hangs up"
            )
            return False
        return True

    # --- the client ---

    async def _from_client(self) -> None:
        async for message in self._client:
            if message.type is not WSMsgType.TEXT:
                continue
            self._call.guarded("an event of the client's", self._asked, message.data)

    def _asked(self, data: str) -> None:
        event: Message = json.loads(data)
        kind = event.get("type")
        if kind in _OF_THE_GATE:
            return
        if kind == "response.cancel" and not self._call.agent_has_floor:
            return  # it has heard that the caller has the floor
        try:
            self._gate.sending(event)
        except BargeinError as error:
            self._call.complain(f"bargein: {error}")
            about = {"type": "invalid_request_error", "code": "bargein", "message": str(error)}
            told = {**about, "param": None, "event_id": event.get("event_id")}
            self._tell({"type": "error", "error": told})

    # --- the server ---

    async def _from_server(self) -> None:
        async for message in self._server:
            if message.type is not WSMsgType.TEXT:
                continue
            self._gate.received(message.data)
            with contextlib.suppress(ValueError, RecursionError):  # the gate has told of it
                self._call.guarded("relay", self._heard, json.loads(message.data))

    def _heard(self, event: Message) -> None:
        """Hand an event on: now, later, or never."""
        kind = event["type"]
        item_id = event.get("item_id") or (event.get("item") or {}).get("id") or ""
        if item_id.startswith(OURS) or _about(event).startswith(OURS) or item_id in self._no_turns:
            return
        if kind == "error" and _about(event).startswith(THEIRS):
            if event["error"].get("code") == BUSY:
                return  # it is asked for again
            event["error"]["event_id"] = None  # the client gave it none
        if kind == "session.updated" and self._updates:
            self._updates -= 1
        elif kind in ("response.output_audio.delta", "response.output_audio_transcript.delta"):
            self._response_of[item_id] = event["response_id"]
            if self._agent.sounds(item_id):
                self._sounding.setdefault(event["response_id"], set()).add(item_id)
        elif kind.startswith("input_audio_buffer.speech_"):
            self._heard_speech(event)
        elif item_id in self._caller:
            self._caller[item_id].append(event)
        elif kind == "input_audio_buffer.committed" and self._callers.undecided(item_id):
            self._caller[item_id] = [event]
        elif self._waits(event):
            self._held.setdefault(_response_of(event), []).append(event)
        else:
            self._tell(event)

    def _heard_speech(self, event: Message) -> None:
        if self._told or not self._call.agent_has_floor:
            self._told = event["type"].endswith("started")
            self._tell(event)
        else:
            self._speech.append(event)

    def _waits(self, event: Message) -> bool:
        item = event.get("item") or {}
        if item.get("type") == "function_call" or event["type"] not in _BEHIND_THE_VOICE:
            return False
        return bool(self._sounding.get(_response_of(event)))

    # --- what the floor decides ---

    def _decided(self, decision: object) -> None:
        if isinstance(decision, YieldFloor) and not self._call.cutting:
            self._floor_taken()

    def _floor_taken(self) -> None:
        """The agent is silent: now the client may know that the caller speaks."""
        speech, self._speech = self._speech, []
        for event in speech:
            self._told = event["type"].endswith("started")
            self._tell(event)

    def _placed(self, item_id: str, is_turn: bool) -> None:
        events = self._caller.pop(item_id, [])
        if is_turn:
            self._floor_taken()
            for event in events:
                self._tell(event)
        else:
            self._no_turns.add(item_id)
            if not self._call.user_speaks:
                self._speech.clear()

    # --- the voice ---

    def _begun(self, source: Source) -> None:
        if source.item_id:
            return
        # Sound that no response of the server's made: to the client it is one.
        source.item_id = f"{OURS}{source.stream.rpartition('/')[2]}"
        self._ours[source.item_id] = source
        self._response_of[source.item_id] = _ids(source)["response_id"]
        about = _ids(source)
        item = _item(source, "in_progress", "")
        self._tell({"type": "response.created", "response": _response(source, "in_progress")})
        self._tell({"type": "response.output_item.added", "item": item, **about})
        self._tell({"type": "conversation.item.added", "previous_item_id": None, "item": item})
        part = {"type": "audio", "transcript": ""}
        self._tell({"type": "response.content_part.added", "part": part, **_part(source)})

    def _sounded(self, source: Source, word: str) -> None:
        kind = "response.output_audio_transcript.delta"
        self._tell({"type": kind, "delta": word, **_part(source)})

    def _ended(self, source: Source, whole: bool, heard_ms: int) -> None:
        """All of it has been heard that will be."""
        if source.item_id in self._ours:
            del self._ours[source.item_id]
            item = _item(source, "completed" if whole else "incomplete", self._voice.heard(source))
            about = _part(source)
            self._tell({"type": "response.output_audio.done", **about})
            text = {"transcript": self._voice.heard(source)}
            self._tell({"type": "response.output_audio_transcript.done", **text, **about})
            self._tell({"type": "response.output_item.done", "item": item, **_ids(source)})
            self._tell({"type": "response.done", "response": _response(source, "completed")})
            source.item_id = ""
        items = self._sounding.get(source.response_id, set())
        items.discard(source.item_id)
        self._tell_ended(source, whole, heard_ms)
        if not items:
            self._sounding.pop(source.response_id, None)
            for event in self._held.pop(source.response_id, []):
                self._tell(event)

    def _delta(self, item_id: str, pcm: bytes) -> Message:
        kind, coded = "response.output_audio.delta", base64.b64encode(pcm).decode()
        response_id = self._response_of.get(item_id, "")
        return {
            "type": kind, "event_id": "", "delta": coded, "item_id": item_id,
            "response_id": response_id, "output_index": 0, "content_index": 0,
        }  # fmt: skip

    def _tell(self, event: Message) -> None:
        event.setdefault("event_id", f"{OURS}relay")
        self._call.out.append(Tell(event=event))
        self._call.awake.set()


def _about(event: Message) -> str:
    """The client's event that an error is about."""
    error: Any = event.get("error")
    return str(error.get("event_id") or "") if isinstance(error, dict) else ""


def _response_of(event: Message) -> str:
    response: Message = event.get("response") or {}
    return str(event.get("response_id") or response.get("id") or "")


def _ids(source: Source) -> Message:
    return {"response_id": source.response_id or f"resp_{source.stream}", "output_index": 0}


def _part(source: Source) -> Message:
    return _ids(source) | {"item_id": source.item_id, "content_index": 0}


def _item(source: Source, status: str, text: str) -> Message:
    content = [{"type": "output_audio", "transcript": text}] if text else []
    return {
        "id": source.item_id, "object": "realtime.item", "type": "message", "role": "assistant",
        "status": status, "content": content,
    }  # fmt: skip


def _response(source: Source, status: str) -> Message:
    no_tokens = {"text_tokens": 0, "audio_tokens": 0, "cached_tokens": 0}
    usage = {
        "total_tokens": 0, "input_tokens": 0, "output_tokens": 0,
        "input_token_details": no_tokens, "output_token_details": no_tokens,
    }  # fmt: skip
    return {
        "object": "realtime.response", "id": _ids(source)["response_id"], "status": status,
        "status_details": None, "output": [], "output_modalities": ["audio"], "metadata": None,
        "usage": None if status == "in_progress" else usage,
    }  # fmt: skip

"""What is the far end of a service, seen from the wire? A loopback server that keeps a record.

It listens on 127.0.0.1 only, on a free port. Every connection is recorded, with what came and what
went, and the n-th connection or request suffers the n-th planned fault.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

try:
    from aiohttp import WSMsgType, web
except ImportError as error:
    raise ImportError(
        'the loopback services need aiohttp: pip install "bargein[testing]"'
    ) from error

from .faults import Delay, Drop, Fault, Half, Malformed, Refuse, Silence, Status

Message: TypeAlias = dict[str, Any]
HOST = "127.0.0.1"


@dataclass(slots=True, kw_only=True, eq=False)
class Connection:
    """One connection or request of a client, and all that went over it."""

    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    """Names in lower case."""
    received: list[Message | bytes] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)
    """What reached the wire whole; what a fault swallowed is not here."""
    is_open: bool = True

    def option(self, name: str, default: str = "") -> str:
        """A query parameter, the first if it came more than once."""
        values = self.query.get(name)
        return values[0] if values else default

    def messages(self, kind: str) -> list[Message]:
        """The JSON messages received whose ``type`` is ``kind``."""
        return [m for m in self.received if isinstance(m, dict) and m.get("type") == kind]


class Wire:
    """Our end of one connection: sends, in order, unless its fault strikes."""

    def __init__(self, request: web.Request, record: Connection, fault: Fault | None) -> None:
        self.request = request
        self.record = record
        self.fault = fault
        self._lock = asyncio.Lock()

    async def send(self, message: Message) -> None:
        """Send one message; on a broken connection, or silenced by a fault, do nothing."""
        async with self._lock:
            if not self.record.is_open:
                return
            fault = self.fault
            if isinstance(fault, Delay):
                await asyncio.sleep(fault.ms / 1000)
            text = json.dumps(message)
            if (
                isinstance(fault, Drop | Half | Malformed | Silence)
                and len(self.record.sent) >= fault.after
            ):
                await self._suffer(fault, text)
                return
            try:
                await self._write(text)
            except (ConnectionError, RuntimeError):
                self.record.is_open = False
            else:
                self.record.sent.append(json.loads(text))

    async def _suffer(self, fault: Fault, text: str) -> None:
        """The fault strikes in place of a message."""
        if isinstance(fault, Drop):
            self.hang_up()
        elif isinstance(fault, Half):
            self._write_half(text)
        elif isinstance(fault, Malformed):
            self.fault = None
            await self._write(text[: len(text) // 2])

    def hang_up(self) -> None:
        """End the connection without a goodbye."""
        self.record.is_open = False
        if self.request.transport is not None:
            self.request.transport.abort()

    def _tear(self, raw: bytes) -> None:
        """Put a part of something on the wire, then end the connection."""
        self.record.is_open = False
        if self.request.transport is not None:
            self.request.transport.write(raw)
            self.request.transport.close()

    async def _write(self, text: str) -> None:
        raise NotImplementedError

    def _write_half(self, text: str) -> None:
        raise NotImplementedError


class Socket(Wire):
    """A WebSocket."""

    def __init__(self, request: web.Request, record: Connection, fault: Fault | None) -> None:
        super().__init__(request, record, fault)
        self.ws = web.WebSocketResponse(max_msg_size=0)

    async def __aiter__(self) -> AsyncIterator[Message | bytes]:
        """What the client sends: JSON as a dict, everything else as bytes."""
        async for message in self.ws:
            if message.type == WSMsgType.BINARY:
                received: Message | bytes = message.data
            elif message.type == WSMsgType.TEXT:
                try:
                    received = json.loads(message.data)
                except ValueError:
                    received = str(message.data).encode()
            else:
                break
            self.record.received.append(received)
            yield received
            if not self.record.is_open:
                break

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye as the service does."""
        async with self._lock:
            if self.record.is_open:
                self.record.is_open = False
                await self.ws.close(code=code, message=reason.encode())

    async def _write(self, text: str) -> None:
        await self.ws.send_str(text)

    def _write_half(self, text: str) -> None:
        raw = text.encode()
        size = len(raw)
        length = bytes([size]) if size < 126 else b"\x7f" + size.to_bytes(8, "big")
        self._tear(b"\x81" + length + raw[: size // 2])


class Stream(Wire):
    """A response of server-sent events."""

    def __init__(self, request: web.Request, record: Connection, fault: Fault | None) -> None:
        super().__init__(request, record, fault)
        self.response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})

    async def done(self) -> None:
        """End the stream as OpenAI does; one that fell silent stays open."""
        if isinstance(self.fault, Silence):
            await self._held()
        elif self.record.is_open:
            await self.response.write(b"data: [DONE]\n\n")
            await self.response.write_eof()

    async def whole(self, message: Message) -> web.StreamResponse:
        """Answer with one JSON document instead of a stream."""
        text = json.dumps(message)
        match self.fault:
            case Delay(ms=ms):
                await asyncio.sleep(ms / 1000)
            case Silence():
                await self._held()
            case Malformed() | Half():
                text = text[: len(text) // 2]
            case Drop():
                self.hang_up()
        self.record.sent.append(message)
        return web.Response(text=text, content_type="application/json")

    async def _held(self) -> None:
        """Wait until the client, or the server's end, hangs up."""
        while self.request.transport is not None and not self.request.transport.is_closing():
            await asyncio.sleep(0.05)

    async def _write(self, text: str) -> None:
        await self.response.write(f"data: {text}\n\n".encode())

    def _write_half(self, text: str) -> None:
        raw = f"data: {text}\n\n".encode()
        self._tear(b"%x\r\n" % len(raw) + raw[: len(raw) // 2])


Serve: TypeAlias = Callable[[Any], Awaitable[None]]


class Server:
    """A loopback service; use it as ``async with Deepgram(...) as deepgram:``."""

    def __init__(self, *, faults: Iterable[Fault | None] = ()) -> None:
        """Plan the faults: the n-th connection suffers the n-th, those after the last none."""
        self.connections: list[Connection] = []
        """One for each connection or request, in order, the failed ones too."""
        self._faults = iter(faults)
        self._wires: list[Wire] = []
        self._app = web.Application()
        self._runner: web.AppRunner | None = None
        self._changed = asyncio.Event()
        self.port = 0

    @property
    def url(self) -> str:
        """Where it is: ``http://127.0.0.1:PORT``."""
        return f"http://{HOST}:{self.port}"

    @property
    def ws_url(self) -> str:
        """Where it is: ``ws://127.0.0.1:PORT``."""
        return f"ws://{HOST}:{self.port}"

    @property
    def received(self) -> list[Message | bytes]:
        """All that came over all connections."""
        return [message for one in self.connections for message in one.received]

    async def start(self) -> Self:
        """Listen; a second start after `close` takes the same port again."""
        if self._runner is None:
            self._runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=0.2)
            await self._runner.setup()
            await web.TCPSite(self._runner, HOST, self.port).start()
            self.port = self._runner.addresses[0][1]
        return self

    async def close(self) -> None:
        """Hang up on everybody and listen no more."""
        for wire in self._wires:
            if wire.record.is_open:
                wire.hang_up()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def strike(self, fault: Fault) -> None:
        """Let every open connection suffer a fault now, or with its next message."""
        for wire in self._wires:
            if not wire.record.is_open:
                continue
            if isinstance(fault, Drop | Refuse | Status):
                wire.hang_up()
            else:
                wire.fault = fault

    def serve_socket(self, path: str, serve: Callable[[Socket], Awaitable[None]]) -> None:
        """Answer WebSockets on a path."""

        async def handle(request: web.Request) -> web.StreamResponse:
            wire = Socket(request, self._record(request), next(self._faults, None))
            if refused := await self._refused(wire):
                return refused
            await wire.ws.prepare(request)
            try:
                await serve(wire)
            finally:
                await wire.close()
                wire.record.is_open = False
            return wire.ws

        self._app.router.add_get(path, handle)

    def serve_request(
        self, path: str, serve: Callable[[Stream, Message], Awaitable[web.StreamResponse]]
    ) -> None:
        """Answer POSTs of JSON on a path."""

        async def handle(request: web.Request) -> web.StreamResponse:
            wire = Stream(request, self._record(request), next(self._faults, None))
            if refused := await self._refused(wire):
                return refused
            body = await request.json()
            wire.record.received.append(body)
            try:
                return await serve(wire, body)
            finally:
                wire.record.is_open = False

        self._app.router.add_post(path, handle)

    def _record(self, request: web.Request) -> Connection:
        query = {name: request.query.getall(name) for name in request.query}
        headers = {name.lower(): value for name, value in request.headers.items()}
        record = Connection(path=request.path, query=query, headers=headers)
        self.connections.append(record)
        return record

    async def _refused(self, wire: Wire) -> web.StreamResponse | None:
        self._wires.append(wire)
        fault = wire.fault
        if isinstance(fault, Refuse):
            wire.hang_up()
            return web.Response(status=503)
        if isinstance(fault, Status):
            wire.record.is_open = False
            headers = (
                {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
            )
            body = {"error": {"message": fault.message, "type": "loopback", "code": fault.code}}
            return web.json_response(body, status=fault.code, headers=headers)
        return None

"""What goes over one connection of a service? Messages, a record of them, and its fault."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from aiohttp import WSMsgType, web

from .faults import Delay, Drop, Fault, Half, Malformed, Silence

Message: TypeAlias = dict[str, Any]


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
        self.ws = web.WebSocketResponse(max_msg_size=0, compress=False)
        self.idle_s: float | None = None
        """How long to wait for a message before a ``TimeoutError``."""

    async def __aiter__(self) -> AsyncIterator[Message | bytes]:
        """What the client sends: JSON as a dict, everything else as bytes."""
        while True:
            message = await self.ws.receive(self.idle_s)
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

"""What is the far end of a service? A loopback server that keeps a record and suffers faults.

It listens on 127.0.0.1 only, on a free port. Every connection is recorded, with what came and what
went, and the n-th connection or request suffers the n-th planned fault.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Self

from aiohttp import web

from .faults import Drop, Fault, Refuse, Status
from .wire import Connection, Message, Socket, Stream, Wire

HOST = "127.0.0.1"


class Server:
    """A loopback service; use it as ``async with Deepgram(...) as deepgram:``."""

    def __init__(self, *, faults: Iterable[Fault | None] = ()) -> None:
        """Plan the faults: the n-th connection suffers the n-th, those after the last none."""
        self.connections: list[Connection] = []
        """One for each connection or request, in order, the failed ones too."""
        self._faults = iter(faults)
        self._wires: list[Wire] = []
        self._routes: list[web.RouteDef] = []
        self._runner: web.AppRunner | None = None
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
            app = web.Application()
            app.router.add_routes(self._routes)
            self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
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

        self._routes.append(web.get(path, handle))

    def serve_request(
        self, path: str, serve: Callable[[Stream, Message], Awaitable[web.StreamResponse]]
    ) -> None:
        """Answer POSTs of JSON on a path."""

        async def handle(request: web.Request) -> web.StreamResponse:
            wire = Stream(request, self._record(request), next(self._faults, None))
            if refused := await self._refused(wire):
                return refused
            try:
                body = await request.json()
            except ValueError:
                return web.json_response({"error": {"message": "no JSON"}}, status=400)
            wire.record.received.append(body)
            try:
                return await serve(wire, body)
            finally:
                wire.record.is_open = False

        self._routes.append(web.post(path, handle))

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

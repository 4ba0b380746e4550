"""A real Chromium of our own, without a window, driven by its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse

BINARY = shutil.which("chromium") or shutil.which("google-chrome")
MISSING = "no Chromium here: install Debian's package chromium"
SWITCHES = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-extensions", "--mute-audio", "--remote-debugging-port=0",
    "--use-fake-device-for-media-stream", "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
)  # fmt: skip
PATIENCE_S = 30.0

WATCH_PEERS = """
const Made = RTCPeerConnection;
window.peers = [];
window.RTCPeerConnection = class extends Made {
  constructor(...given) { super(...given); window.peers.push(this); }
};
"""
"""Keeps every connection, so that a test can ask the browser what came over it."""


async def polled(look: Callable[[], Awaitable[Any]], within_s: float = PATIENCE_S) -> Any:
    """Wait until something is true; its value."""
    until_s = time.monotonic() + within_s
    while not (value := await look()):
        if time.monotonic() > until_s:
            raise TimeoutError
        await asyncio.sleep(0.05)
    return value


class Page:
    """One page."""

    def __init__(self, socket: ClientWebSocketResponse, session: str) -> None:
        self._socket = socket
        self._session = session
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded = asyncio.Event()
        self.complaints: list[str] = []
        """Errors and warnings on its console, exceptions nobody caught, and what did not load."""
        self._reading = asyncio.create_task(self._read())

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def open(self, url: str) -> None:
        """Load a page."""
        self._loaded.clear()
        await self.ask("Page.navigate", url=url)
        await asyncio.wait_for(self._loaded.wait(), PATIENCE_S)

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol."""
        number = next(self._ids)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json(
            {"id": number, "sessionId": self._session, "method": method, "params": params}
        )
        return await asyncio.wait_for(answer, PATIENCE_S)

    async def js(self, expression: str) -> Any:
        """The value of an expression, awaited where it is a promise."""
        done = await self.ask(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        if "exceptionDetails" in done:
            raise RuntimeError(done["exceptionDetails"]["exception"]["description"])
        return done["result"].get("value")

    async def until(self, expression: str, within_s: float = PATIENCE_S) -> Any:
        """Wait until an expression is true; its value."""
        try:
            return await polled(lambda: self.js(expression), within_s)
        except TimeoutError:
            shown = await self.js("document.body.innerText")
            raise TimeoutError(f"never true: {expression}\n{shown}\n{self.complaints}") from None

    async def key(self, key: str) -> None:
        """Press a key."""
        code = {"Tab": 9, "Enter": 13}.get(key, ord(key[0].upper()))
        text = {"Tab": "", "Enter": "\r"}.get(key, key)
        for kind in ("keyDown", "keyUp"):
            down = {"text": text} if kind == "keyDown" and text else {}
            await self.ask(
                "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **down
            )

    async def looks(self, *, scheme: str = "light", width: int = 900, height: int = 900) -> None:
        """The user's taste, and how large their screen is."""
        await self.ask(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        await self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    async def picture(self, path: Path) -> None:
        """What it looks like, as a PNG."""
        shot = await self.ask("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))

    async def _read(self) -> None:
        async for raw in self._socket:
            message = json.loads(raw.data)
            params = message.get("params", {})
            if (waiting := self._waiting.pop(message.get("id", 0), None)) is not None:
                if not waiting.done():
                    waiting.set_result(message.get("result", {}))
                continue
            match message.get("method"):
                case "Page.loadEventFired":
                    self._loaded.set()
                case "Runtime.exceptionThrown":
                    self.complaints.append(json.dumps(params["exceptionDetails"]))
                case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                    self.complaints.append(json.dumps(params["args"]))
                case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                    self.complaints.append(params["entry"]["text"])


@asynccontextmanager
async def chromium(*switches: str) -> AsyncIterator[Page]:
    """Start one, with an empty page; ``switches`` are added to ours."""
    assert BINARY is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            BINARY, *SWITCHES, f"--user-data-dir={folder}", *switches, "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            address = await _address(Path(folder))
            async with ClientSession() as http, http.ws_connect(address, max_msg_size=0) as socket:
                page = Page(socket, await _attached(socket))
                try:
                    for domain in ("Page", "Runtime", "Log"):
                        await page.ask(f"{domain}.enable")
                    await page.ask("Page.addScriptToEvaluateOnNewDocument", source=WATCH_PEERS)
                    yield page
                finally:
                    await page.close()
        finally:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _address(folder: Path) -> str:
    """Where it listens: it writes that down when it does."""
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        try:
            port, path = (folder / "DevToolsActivePort").read_text().split()
        except (FileNotFoundError, ValueError):
            await asyncio.sleep(0.05)
        else:
            return f"ws://127.0.0.1:{port}{path}"
    raise TimeoutError("Chromium never said where it listens")


async def _attached(socket: ClientWebSocketResponse) -> str:
    async def ask(number: int, method: str, **params: Any) -> dict[str, Any]:
        await socket.send_json({"id": -number, "method": method, "params": params})
        while True:
            message = await socket.receive_json(timeout=PATIENCE_S)
            if message.get("id") == -number:
                found: dict[str, Any] = message["result"]
                return found

    targets = await ask(1, "Target.getTargets")
    target = next(one for one in targets["targetInfos"] if one["type"] == "page")
    attached = await ask(2, "Target.attachToTarget", targetId=target["targetId"], flatten=True)
    session: str = attached["sessionId"]
    return session

"""A telephone bot on no framework at all: it talks on and on, and may stop when it hears a sound.

python tests/phone_bot.py PORT
"""

import asyncio
import base64
import contextlib
import json
import sys
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web

from bargein.testing.phone import PHONE_RATE, babble
from bargein.testing.services.voice import from_mu_law, mu_law

STOPS_MS = 240
"""After so much of a voice it stops, with ``?stops``."""
SPEAKS_MS = 8000


async def media(request: web.Request) -> web.WebSocketResponse:
    """Twilio's protocol, as little of it as there must be."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    loud_ms, speaking = 0, None
    async for raw in socket:
        if raw.type is not WSMsgType.TEXT:
            continue
        message: dict[str, Any] = json.loads(raw.data)
        if message["event"] == "start":
            speaking = asyncio.create_task(_speak(socket, message["streamSid"]))
        elif message["event"] == "media" and "stops" in request.query:
            pcm = from_mu_law(base64.b64decode(message["media"]["payload"]))
            loud_ms += 20 if np.abs(pcm.astype(int)).max() > 1000 else 0
            if loud_ms == STOPS_MS and speaking is not None:
                speaking.cancel()
                await socket.send_json({"event": "clear", "streamSid": message["streamSid"]})
        elif message["event"] == "stop":
            break
    if speaking is not None:
        speaking.cancel()
    return socket


async def _speak(socket: web.WebSocketResponse, stream: str) -> None:
    coded = mu_law(babble(SPEAKS_MS))
    size = PHONE_RATE // 10
    for first in range(0, len(coded), size):
        payload = base64.b64encode(coded[first : first + size]).decode()
        with contextlib.suppress(ConnectionError):
            await socket.send_json(
                {"event": "media", "streamSid": stream, "media": {"payload": payload}}
            )
        await asyncio.sleep(0.08)


def application() -> web.Application:
    """The bot."""
    made = web.Application()
    made.router.add_get("/media", media)
    return made


if __name__ == "__main__":
    web.run_app(application(), host="127.0.0.1", port=int(sys.argv[1]), print=None)

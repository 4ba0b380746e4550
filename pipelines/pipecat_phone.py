"""A phone agent on Twilio that lets callers talk over it, and knows what they mean by that.

A whole agent to copy. It needs these keys in its environment: DEEPGRAM_API_KEY, OPENAI_API_KEY,
ELEVENLABS_API_KEY, TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, and PUBLIC_HOST, the name under which
Twilio reaches this machine, such as ``agent.example.com``. It needs

    pip install "bargein[phone]"

and starts with

    python pipelines/pipecat_phone.py

Then let your number's voice webhook be ``https://PUBLIC_HOST/twiml``; what ends its TLS on this
machine passes it on to port 8765, or tell another ``--host`` to listen on. ``--rules`` takes other
settings from ``pipelines/rules``. To hear of a short call without a key, a cloud or a telephone:

    pip install "bargein[phone,testing]" && python pipelines/pipecat_phone.py --offline

What is Pipecat's own is as in any agent; what is ours is `manners_of`, and four lines in `build`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import hmac
import os
import re
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import quoteattr

try:
    import uvicorn
    from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
    from pipecat.runner.utils import parse_telephony_websocket
    from pipecat.services.deepgram.stt import DeepgramSTTService
    from pipecat.services.elevenlabs.tts import ElevenLabsTTSService
    from pipecat.services.openai.llm import OpenAILLMService
    from pipecat.transports.websocket.fastapi import (
        FastAPIWebsocketParams,
        FastAPIWebsocketTransport,
    )
except ImportError as error:
    raise ImportError('pipecat_phone needs: pip install "bargein[phone]"') from error

from loguru import logger
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.transports.base_transport import BaseTransport
from pipecat.workers.runner import WorkerRunner

from bargein import Interruption
from bargein.memory import Receipt, Store
from bargein.pipecat import Bargein

KEYS = (
    "DEEPGRAM_API_KEY",
    "OPENAI_API_KEY",
    "ELEVENLABS_API_KEY",
    "TWILIO_ACCOUNT_SID",
    "TWILIO_AUTH_TOKEN",
    "PUBLIC_HOST",
)
RULES = Path(__file__).with_name("rules")
STORE = "phone.db"
"""Where it is kept what a caller has heard, and what they have not."""
LINE_HZ = 8000
HANDSHAKE_S = 10.0
"""A stream that has not said by then whose it is, is nobody's."""
FORM_BYTES = 64_000
"""Twilio asks with far less."""
ADDRESS = re.compile(r"(?:(?:https|wss)://)?([a-z0-9.-]+(?::\d+)?)/?", re.IGNORECASE)
NOTICE = "This call is recorded for training."
GREETING = "Hello, what can I do for you?"
INSTRUCTIONS = (
    "You answer the phone of a clinic. Be brief, and speak as one does on the phone. Who books gets"
    " the code for the door, in digits: 4 2 7 1."
)
MODEL = "gpt-4.1-mini"
VOICE = "21m00Tcm4TlvDq8ikWAM"
NOBODY = {"+266696687", "+7378742883", "+2562533", "+8566696", "+86282452253"}
"""What Twilio gives for callers who withhold their number; they share no memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How the agent is reached, and by whom."""

    host: str
    token: str
    """Twilio's auth token, with which it signs what it asks."""
    account: str = ""
    """Whose calls are hung up when the agent ends them; nobody's where it is empty."""
    scheme: str = "https"

    def signed(self, text: str) -> str:
        """A signature such as Twilio's own."""
        made = hmac.new(self.token.encode(), text.encode(), hashlib.sha1).digest()
        return base64.b64encode(made).decode()


def manners_of(caller: str, *, rules: str = "clinic", store: str | Store = STORE) -> Bargein:
    """The manners of one call: what must be heard, what is kept, and who is told.

    Args:
        caller: whose call it is: the next one goes on where this one ended. Empty for nobody
            whom one would know again.
        rules: a file of ``pipelines/rules``, without its ending.
        store: where that is kept.
    """
    kept: dict[str, Any] = {"store": store, "caller": caller} if caller else {}
    manners = Bargein.from_toml(RULES / f"{rules}.toml", **kept)

    @manners.on("yield")
    def interrupted(news: Interruption) -> None:
        logger.info(f"the caller took the floor: {news}")

    @manners.on("receipt_acknowledged")
    def played(receipt: Receipt) -> None:
        logger.info(f"the telephone has played what had to be heard: {receipt}")

    return manners


def build(transport: BaseTransport, manners: Bargein, **parts: Any) -> PipelineWorker:
    """Make the pipeline of a call.

    Args:
        transport: the call's line.
        manners: the call's.
        **parts: ``stt``, ``llm``, ``tts`` instead of the three here, and ``stop``, strategies that
            say when a turn is over instead of Pipecat's.
    """
    stt = parts.get("stt") or DeepgramSTTService(api_key=os.environ["DEEPGRAM_API_KEY"])
    llm = parts.get("llm") or OpenAILLMService(
        api_key=os.environ["OPENAI_API_KEY"],
        settings=OpenAILLMService.Settings(model=MODEL, system_instruction=INSTRUCTIONS),
    )
    tts = parts.get("tts") or ElevenLabsTTSService(
        api_key=os.environ["ELEVENLABS_API_KEY"],
        settings=ElevenLabsTTSService.Settings(voice=VOICE),
    )
    pair = LLMContextAggregatorPair(
        LLMContext(),
        user_params=LLMUserAggregatorParams(
            vad_analyzer=manners.vad(),
            user_turn_strategies=manners.turn_strategies(stop=parts.get("stop")),
        ),
    )
    line = [transport.input(), stt, pair.user(), llm, tts, transport.output(), pair.assistant()]
    return PipelineWorker(
        Pipeline(manners.wrap(line)),
        params=PipelineParams(audio_in_sample_rate=LINE_HZ, audio_out_sample_rate=LINE_HZ),
        enable_rtvi=False,
    )


async def greet(manners: Bargein) -> None:
    """Somebody has called: nobody may talk over the notice, anybody over the rest."""
    await manners.say(NOTICE, must_hear=True)
    await manners.say(GREETING)


def answering(line: Line, manners: Callable[[str], Bargein], **parts: Any) -> FastAPI:
    """The application that Twilio talks to.

    Args:
        line: how it is reached.
        manners: makes those of a call, given the caller's number.
        **parts: for `build`.
    """
    app = FastAPI()
    taken: deque[str] = deque(maxlen=10_000)

    @app.post("/twiml")
    async def twiml(request: Request) -> Response:
        """Twilio asks what to do with a call: stream it here."""
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > FORM_BYTES:
                return Response("too long", status_code=413)
        form = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
        asked = f"{line.scheme}://{line.host}/twiml" + "".join(k + form[k] for k in sorted(form))
        claimed = request.headers.get("X-Twilio-Signature", "")
        if not hmac.compare_digest(claimed.encode(), line.signed(asked).encode()):
            return Response("not signed by Twilio", status_code=403)
        caller = form.get("From", "")
        # The websocket proves with it that it is this call's, and who calls.
        ticket = line.signed(f"{form.get('CallSid', '')} {caller}")
        with suppress(ValueError):
            taken.remove(ticket)  # Twilio asks again for a call whose stream has broken off
        url = f"{line.scheme.replace('http', 'ws')}://{line.host}/media"
        return Response(
            f"<Response><Connect><Stream url={quoteattr(url)}>"
            f'<Parameter name="from_number" value={quoteattr(caller)}/>'
            f'<Parameter name="ticket" value={quoteattr(ticket)}/>'
            "</Stream></Connect></Response>",
            media_type="application/xml",
        )

    @app.websocket("/media")
    async def media(websocket: WebSocket) -> None:
        """A call's audio, both ways."""
        await websocket.accept()
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                _, call = await parse_telephony_websocket(websocket)
            given = call.get("body") or {}
            caller, claimed = str(given.get("from_number", "")), str(given.get("ticket"))
        except WebSocketDisconnect:
            return
        except (TimeoutError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            await websocket.close(1008)
            return
        ticket = line.signed(f"{call.get('call_id')} {caller}")
        ours = hmac.compare_digest(claimed.encode(errors="replace"), ticket.encode())
        if not ours or ticket in taken:  # it is for one stream
            await websocket.close(1008)
            return
        taken.append(ticket)
        twilio = TwilioFrameSerializer(
            stream_sid=call["stream_id"],
            call_sid=call["call_id"],
            account_sid=line.account,
            auth_token=line.token,
            params=TwilioFrameSerializer.InputParams(auto_hang_up=bool(line.account)),
        )
        await answer(websocket, twilio, manners("" if caller in NOBODY else caller), **parts)

    return app


async def answer(
    websocket: WebSocket, serializer: TwilioFrameSerializer, manners: Bargein, **parts: Any
) -> None:
    """Take a call; returns when it is over."""
    transport = FastAPIWebsocketTransport(
        websocket,
        FastAPIWebsocketParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            # So audio is thrown away on a true interruption only, and receipts are acknowledged.
            serializer=manners.serializer(serializer),
        ),
    )
    worker = build(transport, manners, **parts)

    async def connected(*_: Any) -> None:
        await greet(manners)

    async def gone(*_: Any) -> None:
        await worker.cancel()

    transport.add_event_handler("on_client_connected", connected)
    transport.add_event_handler("on_client_disconnected", gone)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


def lacks() -> str:
    """Which keys are missing, in one sentence; empty if none is."""
    keys = [key for key in KEYS if not os.environ.get(key)]
    several = len(keys) > 1
    return f"{', '.join(keys)} {'are' if several else 'is'} not set in the environment." * bool(
        keys
    )


def public_host(given: str) -> str:
    """The host that Twilio reaches the agent at, also where somebody has pasted its whole address.

    Raises:
        ValueError: no such thing.
    """
    address = ADDRESS.fullmatch(given.strip())
    if address is None:
        raise ValueError(
            "PUBLIC_HOST must be the host alone that Twilio reaches over https, such as"
            f" agent.example.com, not {given!r}"
        )
    return address[1]


def main() -> None:
    """Answer calls, or play one."""
    there = sorted(path.stem for path in RULES.glob("*.toml"))
    parser = argparse.ArgumentParser(prog="pipecat_phone", description="A phone agent on Twilio.")
    parser.add_argument("--rules", choices=there, default="clinic", help="how it takes its turns")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen")
    parser.add_argument("--port", type=int, default=8765, help="where to listen")
    parser.add_argument("--offline", action="store_true", help="play a short call without keys")
    chosen = parser.parse_args()
    if chosen.offline:
        from bargein.testing.phone_call import play

        logger.remove()
        asyncio.run(play(sys.modules[__name__], rules=chosen.rules))
        return
    if missing := lacks():
        sys.exit(f"pipecat_phone: {missing}")
    try:
        host = public_host(os.environ["PUBLIC_HOST"])
    except ValueError as error:
        sys.exit(f"pipecat_phone: {error}.")
    line = Line(
        host=host,
        token=os.environ["TWILIO_AUTH_TOKEN"],
        account=os.environ["TWILIO_ACCOUNT_SID"],
    )
    app = answering(line, lambda caller: manners_of(caller, rules=chosen.rules))
    uvicorn.run(app, host=chosen.host, port=chosen.port)


if __name__ == "__main__":
    main()

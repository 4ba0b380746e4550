"""A call over a provider's media stream: real host, real websocket, a caller at the other end."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from fastapi import FastAPI, WebSocket
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.serializers.plivo import PlivoFrameSerializer
from pipecat.serializers.telnyx import TelnyxFrameSerializer
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.transports.websocket.fastapi import (
    FastAPIWebsocketParams,
    FastAPIWebsocketTransport,
)

from bargein.pipecat import Bargein
from bargein.testing.phone import PHONE_RATE, Phone, Provider, served
from rig import Rig

Script = Callable[[Rig, Phone], Awaitable[None]]


def host_serializer(provider: str, call: Any) -> FrameSerializer:
    """The host's own, for the stream that has begun."""
    if provider == "telnyx":
        return TelnyxFrameSerializer(
            stream_id=call.stream_id,
            outbound_encoding="PCMU",
            inbound_encoding="PCMU",
            params=TelnyxFrameSerializer.InputParams(auto_hang_up=False),
        )
    if provider == "plivo":
        return PlivoFrameSerializer(
            stream_id=call.stream_id,
            params=PlivoFrameSerializer.InputParams(auto_hang_up=False),
        )
    return TwilioFrameSerializer(
        stream_sid=call.stream_id,
        params=TwilioFrameSerializer.InputParams(auto_hang_up=False),
    )


async def on_the_phone(
    provider: Provider,
    script: Script,
    manners: Bargein | None = None,
    *,
    without_us: dict[str, Any] | None = None,
    **phone: Any,
) -> tuple[Rig, Phone]:
    """Play a call; returns when it is over and both ends are down.

    Args:
        provider: whose stream it is.
        script: what happens in it.
        manners: the call's.
        without_us: options of a rig that has nothing of ours in it.
        **phone: the caller's.
    """
    app, rigs, failed = FastAPI(), list[Rig](), list[BaseException]()
    manners = manners or Bargein()
    caller = Phone("", provider, **phone)

    @app.websocket("/media")
    async def media(websocket: WebSocket) -> None:
        await websocket.accept()
        name, call = await parse_telephony_websocket(websocket)
        inner = host_serializer(name, call)
        transport = FastAPIWebsocketTransport(
            websocket,
            FastAPIWebsocketParams(
                audio_in_enabled=True,
                audio_out_enabled=True,
                audio_out_end_silence_secs=0,
                serializer=inner if without_us else manners.serializer(inner),
            ),
        )
        ends: dict[str, Any] = {"before": [transport.input()], "output": transport.output()}
        rig = Rig(manners, rate=PHONE_RATE, **ends, **(without_us or {}))
        rigs.append(rig)

        @transport.event_handler("on_client_disconnected")
        async def gone(*_: Any) -> None:
            await rig.worker.cancel()

        try:
            await rig.run(lambda rig: script(rig, caller))
        except BaseException as error:
            failed.append(error)

    async with served(lambda _: app) as address:
        caller.url = f"ws://{address}/media"
        async with caller, asyncio.timeout(60):
            while not caller.is_over:
                await asyncio.sleep(0.02)
    if failed:
        raise failed[0]
    return rigs[0], caller


def sounding_ms(phone: Phone) -> int:
    """How much of what was played is no silence, by 20 ms."""
    played = np.frombuffer(bytes(phone.played), np.uint8) & 0x7F
    frames = played[: len(played) // 160 * 160].reshape(-1, 160)
    return int((frames < 0x7C).any(axis=1).sum()) * 20

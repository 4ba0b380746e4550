"""How is a long call held on LiveKit?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from bargein.livekit import Bargein

from ..long_call import LongCall
from ..script import LONG_TALK
from .host import Who, on_call


@asynccontextmanager
async def opened(who: Who) -> AsyncIterator[LongCall]:
    """One that has begun."""
    number = count()
    replies: Any = lambda _: [f"{next(number)} {LONG_TALK.reply}"]  # noqa: E731
    async with on_call(who, replies=replies, manners=Bargein) as call:

        def forget() -> None:
            call.recording.chunks.clear()
            call.studio.llm.runs.clear()

        call.session.generate_reply()
        await call.first_heard()
        yield LongCall(say_over=call.say_over, forget=forget)

"""A caller leaves a real LiveKit room in the middle of everything: what does their call leave?"""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bargein.testing.utterance import utterance
from livekit_caller import Caller, calling
from livekit_server import LiveKitServer, working
from livekit_worker import LEFT

ANSWER = (
    "Items can be returned, as long as you have the receipt and the label is still on them, and we"
    " pay for the parcel if you bring it to our shop."
)
CODE = "Your code is four two seven one. Please write it down."
LONG = utterance("a long um", "Well, the thing is that I have been thinking about this for long.")


@pytest.fixture
def log(livekit_server: LiveKitServer, tmp_path: Path) -> Iterator[Path]:
    """The log of a worker behind the server."""
    with working(livekit_server, tmp_path) as log:
        yield log


async def left(log: Path) -> dict[str, Any]:
    """What the worker tells of a call that is over."""
    async with asyncio.timeout(30):
        while LEFT not in (text := log.read_text("utf-8")):
            await asyncio.sleep(0.1)
    assert "Traceback" not in text
    told: dict[str, Any] = json.loads(text.partition(LEFT)[2].splitlines()[0])
    return told


async def begins_to_speak(caller: Caller) -> None:
    """Loud enough to be heard, and not understood yet."""
    caller._clip = LONG.pcm
    await asyncio.sleep(LONG.begins_s + 0.5)


async def test_a_caller_who_leaves_over_a_code_has_heard_what_the_receipt_says(
    livekit_server: LiveKitServer, log: Path
) -> None:
    async with calling(livekit_server) as caller:
        await caller.asks("say", text=CODE, must_hear=True)
        await caller.hears(3)
        await begins_to_speak(caller)
    told = await left(log)
    [[state, heard]] = told["receipts"]
    assert state == "cut"
    assert CODE.startswith(heard)
    assert 3 <= len(heard.split()) < len(CODE.split())
    assert told["stored"] == [True]
    assert [one.rstrip(" .…") for one in told["assistant"]] == [heard.rstrip(" .…")]


async def test_a_caller_who_leaves_while_the_agent_holds_leaves_what_was_heard(
    livekit_server: LiveKitServer, log: Path
) -> None:
    async with calling(livekit_server) as caller:
        await caller.asks("say", text=ANSWER)
        await caller.hears(4)
        await begins_to_speak(caller)
        await caller.asks("say", text=CODE, must_hear=True)
    told = await left(log)
    [heard] = told["assistant"]
    assert ANSWER.startswith(heard.rstrip(" .…"))
    assert 4 <= len(heard.split()) < len(ANSWER.split()) / 2
    assert told["receipts"] == [["undelivered", ""]]
    assert told["stored"] == [True]

"""A call over WebRTC, through a LiveKit server and a worker, judged by what the caller hears."""

from collections.abc import Iterator
from typing import Any

import pytest

from bargein.testing.tones import WORD_S
from bargein.testing.utterance import Utterance, utterance
from livekit_caller import Caller, calling, pitches
from livekit_server import LiveKitServer, working
from livekit_worker import note

ANSWER = (
    "Items can be returned, as long as you have the receipt and the label is still on them, and we"
    " pay for the parcel if you bring it to our shop."
)
CODE = "Your code is four two seven one. Please write it down."

UH_HUH = utterance("uh-huh", "uh-huh", spoken="[[V'hV]]")
NO_WAIT = utterance("no wait", "No wait, I meant Thursday.")
A_PEN = utterance("a pen", "Wait, I need a pen.")
SHOES = utterance("shoes", "What about shoes?")
GO_ON = utterance("go on", "Go on.")


@pytest.fixture(scope="module")
def line(
    livekit_server: LiveKitServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveKitServer]:
    """A server with a worker behind it."""
    with working(livekit_server, tmp_path_factory.mktemp("worker")):
        yield livekit_server


async def test_uh_huh_leaves_no_gap_and_no_trace(line: LiveKitServer) -> None:
    async with calling(line) as caller:
        told = await over_the_answer(caller, UH_HUH, replies=1)
        heard, gap_s = caller.heard(), caller.longest_gap_s()
    assert heard == pitches(ANSWER)
    assert gap_s < WORD_S
    assert told["assistant"] == [ANSWER]
    assert told["user"] == []
    assert told["decided"][0].startswith("DuckPlayout")
    assert any(one.startswith("ReportBackchannel") for one in told["decided"])


async def test_the_same_uh_huh_stops_a_session_without_manners(line: LiveKitServer) -> None:
    async with calling(line, stock={}) as caller:
        told = await over_the_answer(caller, UH_HUH, replies=2)
        heard = caller.heard()
    assert len(heard) < len(pitches(ANSWER))
    assert told["user"] == [UH_HUH.text]


async def test_an_interruption_is_obeyed_and_answered(line: LiveKitServer) -> None:
    async with calling(line) as caller:
        told = await over_the_answer(caller, NO_WAIT, replies=2)
        heard = caller.heard()
    before, answer = told["assistant"]
    assert ANSWER.startswith(before)
    assert len(before.split()) < len(ANSWER.split()) / 2
    assert answer == note(NO_WAIT.text)
    assert heard == pitches(before) + pitches(answer)
    assert told["user"] == [NO_WAIT.text]


async def test_a_locked_code_is_heard_in_full(line: LiveKitServer) -> None:
    async with calling(line) as caller:
        await caller.asks("say", text=CODE, must_hear=True)
        await caller.hears(2)
        await caller.says(A_PEN)
        told = await caller.told(lambda told: len(told["assistant"]) == 2)
        heard = caller.heard()
    assert told["assistant"] == [CODE, note(A_PEN.text)]
    assert heard == pitches(CODE) + pitches(note(A_PEN.text))
    assert told["user"] == [A_PEN.text]
    assert told["receipts"] == [["delivered", CODE]]


async def test_go_on_goes_on(line: LiveKitServer) -> None:
    async with calling(line) as caller:
        await over_the_answer(caller, SHOES, replies=2)
        await caller.says(GO_ON)
        told = await caller.told(lambda told: len(told["assistant"]) == 3)
        heard = caller.heard()
    before, answer, more = told["assistant"]
    rest = more.removeprefix("Sure. ")
    assert answer == note(SHOES.text)
    assert ANSWER.startswith(before)
    assert ANSWER.endswith(rest)
    assert len(ANSWER.split()) <= len(before.split()) + len(rest.split())
    assert len(rest) < len(ANSWER)
    assert heard == pitches(before) + pitches(answer) + pitches(more)


async def over_the_answer(caller: Caller, says: Utterance, *, replies: int) -> dict[str, Any]:
    """The agent explains, and the caller says something meanwhile."""
    await caller.asks("say", text=ANSWER)
    await caller.hears(4)
    await caller.says(says)
    return await caller.told(lambda told: len(told["assistant"]) == replies)

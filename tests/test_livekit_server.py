"""A call over WebRTC, through a LiveKit server and a worker, judged by what the caller hears."""

from collections.abc import Iterator

import pytest

from bargein.testing.caller import utterance
from bargein.testing.tones import WORD_S
from livekit_caller import calling, pitches
from livekit_server import LiveKitServer, working
from livekit_worker import note

ANSWER = (
    "Items can be returned within thirty days, as long as you have the receipt and the label is"
    " still on them, and we pay for the parcel if you bring it to one of our shops."
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
        await caller.asks("say", text=ANSWER)
        await caller.hears(4)
        await caller.says(UH_HUH)
        told = await caller.told(lambda told: bool(told["assistant"]))
        heard, gap_s = caller.heard(), caller.longest_gap_s()
    assert heard == pitches(ANSWER)
    assert gap_s < WORD_S
    assert told["assistant"] == [ANSWER]
    assert told["user"] == []
    assert told["decided"][0].startswith("DuckPlayout")
    assert any(one.startswith("ReportBackchannel") for one in told["decided"])


async def test_an_interruption_is_obeyed_and_answered(line: LiveKitServer) -> None:
    async with calling(line) as caller:
        await caller.asks("say", text=ANSWER)
        await caller.hears(4)
        await caller.says(NO_WAIT)
        told = await caller.told(lambda told: len(told["assistant"]) == 2)
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
    answer = note(A_PEN.text)
    assert told["assistant"] == [CODE, answer]
    assert heard == pitches(CODE) + pitches(answer)
    assert told["user"] == [A_PEN.text]
    assert told["receipts"] == [["delivered", CODE]]


async def test_go_on_goes_on(line: LiveKitServer) -> None:
    async with calling(line) as caller:
        await caller.asks("say", text=ANSWER)
        await caller.hears(4)
        await caller.says(SHOES)
        await caller.told(lambda told: len(told["assistant"]) == 2)
        await caller.says(GO_ON)
        told = await caller.told(lambda told: len(told["assistant"]) == 3)
        heard = caller.heard()
    before, answer, rest = told["assistant"]
    assert answer == note(SHOES.text)
    assert ANSWER.startswith(before)
    assert ANSWER.endswith(rest)
    assert len(before.split()) + len(rest.split()) >= len(ANSWER.split())
    assert heard == pitches(before) + pitches(answer) + pitches(rest)

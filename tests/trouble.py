"""What happens in a call whose services fail in the middle, and what must be so in the end?"""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from bargein import Delivery
from bargein.testing.services import Delay, Drop, Fault, Half, Malformed, Refuse, Silence, Status
from promises import CODE, EXPLAINS, said_words

ALWAYS = 12
ANSWERS = {
    "Sorry, what was that?": "Four two seven one.",
    "Is there a lift?": "Yes, beside the entrance.",
}


@dataclass(frozen=True)
class Trouble:
    """Which service fails, how, and what the call is doing then."""

    service: str
    fault: Fault
    moment: str
    then: Fault | None = None
    """What every later connection suffers."""

    def __str__(self) -> str:
        return f"{self.service} {self.fault} in a {self.moment}, then {self.then}"

    @property
    def planned(self) -> dict[str, list[Fault | None]]:
        """By connection or request, for the servers; recognisers are struck when it is time."""
        first = None if self.service == "deepgram" else self.fault
        return {self.service: [first, *[self.then] * (ALWAYS if self.then else 0)]}


async def strike(call: Any, trouble: Trouble) -> None:
    """A recogniser's connection fails now."""
    if trouble.service == "deepgram":
        await call.deepgram.strike(trouble.fault)


async def in_a_lock(call: Any, trouble: Trouble) -> None:
    await call.speaks(CODE, must_hear=True)
    await call.hears(1)
    await strike(call, trouble)
    await call.says("Sorry, what was that?")
    await call.until(lambda: call.receipts, 25)
    await call.quiet()


async def in_a_hold(call: Any, trouble: Trouble) -> None:
    await call.speaks(EXPLAINS)
    await call.hears(3)
    call.begins("Right. ... Okay.")
    await call.until(lambda: any(one.startswith("Duck") for one in call.decided))
    await strike(call, trouble)
    await call.quiet()


async def in_a_yield(call: Any, trouble: Trouble) -> None:
    # Pipecat ends a call behind the answer that is being made: for ten minutes, if none comes.
    call.hangs_up = isinstance(trouble.fault, Silence)
    await call.speaks(EXPLAINS)
    await call.hears(3)
    call.begins("Is there a lift?")
    await call.until(lambda: any(one.startswith("Yield") for one in call.decided))
    await strike(call, trouble)
    await call.quiet()


MOMENTS: dict[str, Callable[[Any, Trouble], Awaitable[None]]] = {
    "lock": in_a_lock,
    "hold": in_a_hold,
    "yield": in_a_yield,
}
TROUBLES = [
    *(Trouble("elevenlabs", fault, "lock") for fault in (
        Delay(ms=50), Silence(after=2), Drop(after=2), Half(after=2), Malformed(after=2),
    )),
    Trouble("elevenlabs", Drop(after=2), "lock", then=Refuse()),
    Trouble("elevenlabs", Drop(after=2), "lock", then=Status(code=429)),
    Trouble("elevenlabs", Drop(after=2), "lock", then=Status(code=500)),
    Trouble("elevenlabs", Drop(after=3), "hold"),
    Trouble("elevenlabs", Silence(after=3), "hold"),
    *(Trouble("deepgram", fault, "lock") for fault in (
        Delay(ms=50), Silence(), Drop(), Half(), Malformed(),
    )),
    Trouble("deepgram", Drop(), "hold"),
    Trouble("deepgram", Silence(), "hold"),
    Trouble("deepgram", Drop(), "hold", then=Refuse()),
    Trouble("deepgram", Drop(), "yield"),
    *(Trouble("openai", fault, "yield") for fault in (
        Delay(ms=50), Silence(after=2), Drop(after=2), Half(after=2), Malformed(after=2), Refuse(),
    )),
    Trouble("openai", Status(code=429), "yield", then=Status(code=429)),
    Trouble("openai", Status(code=500), "lock", then=Status(code=500)),
]  # fmt: skip


def heard(connection: Any) -> list[str]:
    """What the recogniser wrote down: for good, and at last, if the connection broke behind it."""
    found, partial = [], ""
    for one in connection.sent:
        if one.get("type") == "Results":
            partial = one["channel"]["alternatives"][0]["transcript"]
            if one["is_final"]:
                found.append(partial)
                partial = ""
    return [*found, partial]


def told_the_truth(call: Any) -> None:
    """A receipt says what was heard, and a message that was not is not forgotten."""
    for receipt in call.receipts:
        if receipt.state is Delivery.DELIVERED:
            assert not receipt.pending
            assert receipt.heard == CODE
            assert receipt.played_ms == receipt.total_ms
        else:
            assert receipt.pending
            assert CODE.startswith(receipt.heard)
            assert len(receipt.heard) < len(CODE)
            assert receipt.total_ms is None or receipt.played_ms < receipt.total_ms
    assert sum(one.state is Delivery.DELIVERED for one in call.receipts) <= 1


def kept_every_word(call: Any) -> None:
    """What the caller said is in the context or was reported as a backchannel, once."""
    reported = [one.partition('"')[2].partition('"')[0] for one in call.decided if "Report" in one]
    kept = Counter(" ".join([*call.said("user"), *reported]).split())
    written = [text for connection in call.deepgram.connections for text in heard(connection)]
    assert kept == Counter(" ".join(written).split())


def answered_the_caller(call: Any) -> None:
    """Whatever the caller said in the end, the model was asked about it."""
    turns = call.said("user")
    asked = [one["messages"][-1]["content"] for one in call.openai.requests]
    assert turns[-1:] == asked[-1:]


def knew_what_was_heard(call: Any) -> None:
    """The context has no more of the agent than was heard, give or take a word at each break.

    And another: on a busy machine a transport that paces itself falls behind its own clock.
    """
    assert said_words(call.said("assistant")) <= call.words_heard + 2.2


def complained_once(call: Any) -> None:
    """We had at most one thing to say about it."""
    assert len(call.log) <= 1

"""What happens in a call that tries one promise, and what must have come of it? On any host."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import pytest

from bargein import Delivery

EXPLAINS = "Your appointment with Doctor Hale is on Tuesday at nine in the main building next door."
CODE = "Your code is four two seven one."
ANSWERS = {
    "When is my appointment?": EXPLAINS,
    "No wait, I meant Thursday.": "Of course, Thursday it is.",
    "Can you book it?": "I have Tuesday at nine. Shall I book it for you now?",
    "Yes.": "Good, it is booked.",
    "What is my code?": f"Sure. <must-hear>{CODE}</must-hear>",
    "Sorry, what was that?": "The code is four two seven one.",
    "Is there a lift?": "Yes, beside the entrance.",
}


class Called(Protocol):
    """A call, as its caller has it."""

    openai: Any
    receipts: list[Any]

    async def says(self, text: str) -> None: ...
    async def asks(self, text: str, words: int = 3) -> None: ...
    async def until(self, true: Callable[[], Any], within_s: float = 20) -> None: ...
    async def quiet(self) -> None: ...


async def _uh_huh(call: Called) -> None:
    await call.asks("When is my appointment?", words=4)
    await call.says("Uh-huh.")
    await call.quiet()


async def _right_okay(call: Called) -> None:
    await call.asks("When is my appointment?", words=2)
    await call.says("Right. ... Okay.")
    await call.quiet()


async def _interrupts(call: Called) -> None:
    await call.asks("When is my appointment?", words=4)
    await call.says("No wait, I meant Thursday.")
    await call.until(lambda: len(call.openai.requests) >= 2)
    await call.quiet()


async def _says_yes_early(call: Called) -> None:
    await call.asks("Can you book it?", words=9)
    await call.says("Yes.")
    await call.until(lambda: len(call.openai.requests) >= 2)
    await call.quiet()


async def _talks_over_a_code(call: Called) -> None:
    await call.asks("What is my code?", words=2)
    await call.says("Sorry, what was that?")
    await call.until(lambda: len(call.openai.requests) >= 2)
    await call.quiet()


async def _goes_on(call: Called) -> None:
    await call.asks("When is my appointment?", words=4)
    await call.says("Is there a lift?")
    await call.until(lambda: len(call.openai.requests) >= 2)
    await call.quiet()
    await call.asks("Please go on.")
    await call.quiet()


SCRIPTS: dict[str, Callable[[Any], Awaitable[None]]] = {
    "uh-huh": _uh_huh,
    "right okay": _right_okay,
    "interrupts": _interrupts,
    "early yes": _says_yes_early,
    "code": _talks_over_a_code,
    "go on": _goes_on,
}

NOISY = {"uh-huh": ("Pause", "Yield"), "right okay": ("Yield",)}
"""What must not be decided; over two words a busy recogniser may be waited for."""


def said_words(texts: Sequence[str]) -> int:
    """How many words that is."""
    return sum(len(text.split()) for text in texts)


def said_ms(text: str) -> int:
    """How long the voice takes for a text."""
    return len(text.split()) * 300


def kept_talking(call: Any, name: str) -> None:
    """An acknowledgement costs nothing."""
    assert call.said("user") == ["When is my appointment?"]
    assert call.said("assistant") == [EXPLAINS]
    assert not [one for one in call.decided if one.startswith(NOISY[name])]
    assert "ReportBackchannel" in "".join(call.decided)
    assert round(call.words_heard) == len(EXPLAINS.split())
    assert [one.audio_ms for one in call.elevenlabs.contexts.values()] == [said_ms(EXPLAINS)]
    assert len(call.openai.requests) == 1


def left_what_was_heard(call: Any) -> None:
    """After an interruption the model knows exactly what was heard."""
    heard, answer = call.said("assistant")
    assert answer == ANSWERS["No wait, I meant Thursday."]
    assert EXPLAINS.startswith(heard)
    assert heard != EXPLAINS
    assert said_words([heard, answer]) == pytest.approx(call.words_heard, abs=0.7)
    assert call.said("user") == ["When is my appointment?", "No wait, I meant Thursday."]
    _, second = call.openai.requests
    assert [one["content"] for one in second["messages"] if one["role"] == "assistant"] == [heard]
    assert second["messages"][-1]["content"] == "No wait, I meant Thursday."
    assert all(one.was_closed for one in call.elevenlabs.contexts.values())


def answered_an_early_yes(call: Any) -> None:
    """A "yes" into the end of a question is answered."""
    assert call.said("user") == ["Can you book it?", "Yes."]
    assert call.said("assistant")[-1] == ANSWERS["Yes."]
    assert len(call.openai.requests) == 2


def gave_the_code_in_full(call: Any) -> None:
    """A code is heard in full, and the caller who talked over it is answered."""
    (receipt,) = call.receipts
    assert (receipt.state, receipt.heard, receipt.pending) == (Delivery.DELIVERED, CODE, False)
    assert receipt.played_ms == pytest.approx(said_ms(CODE), abs=100)
    again = ANSWERS["Sorry, what was that?"]
    assert call.said("assistant") == ["Sure.", CODE, again]
    assert round(call.words_heard) == said_words(["Sure.", CODE, again])
    assert call.said("user") == ["What is my code?", "Sorry, what was that?"]
    answered = call.openai.requests[-1]["messages"]
    assert [one["content"] for one in answered].count(CODE) == 1
    assert len(call.openai.requests) == 2


def went_on(call: Any) -> None:
    """ "Go on" goes on, and nobody asks the model."""
    asked = [one["messages"][-1]["content"] for one in call.openai.requests]
    assert asked == ["When is my appointment?", "Is there a lift?"]
    heard, lift, rest = call.said("assistant")
    assert lift == ANSWERS["Is there a lift?"]
    assert rest.startswith("Sure.")
    assert rest.endswith(EXPLAINS[len(heard) :].strip())
    assert said_words([heard, lift, rest]) == pytest.approx(call.words_heard, abs=0.7)


def failed_nobody(call: Any) -> None:
    """No error, neither the host's nor ours."""
    assert call.host_errors + call.log == []


def guessed_and_resumed(call: Any) -> None:
    """Flux guessed in the middle of an acknowledgement that the turn was over, and took it back."""
    (connection,) = call.deepgram.connections
    events = [one.get("event") for one in connection.sent]
    later = events[events.index("EndOfTurn") + 1 :]
    guesses = ["StartOfTurn", "EagerEndOfTurn", "TurnResumed", "EagerEndOfTurn", "EndOfTurn"]
    assert [one for one in later if one != "Update"] == guesses

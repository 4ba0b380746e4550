"""What is said again of a message that was cut?"""

import pytest

from bargein import (
    Decision,
    Delivery,
    FileReceipt,
    MessageLocked,
    OnCut,
    PlayoutProgressed,
    PlayoutStarted,
    PlayoutStopped,
    PlayoutWorded,
    SpeakAgain,
    State,
    standard_rules,
    step,
)
from bargein.core.locks import MAX_ATTEMPTS

CODE = "Your code is 4 2 7 1."
VALVE = "Please keep the door closed, and do not touch the valve."


def cut(
    text: str, heard: str, said: str | None = None, before: str = "", **locked: int
) -> tuple[FileReceipt, str]:
    """The receipt of a playout that was cut, and what is said at the next chance."""
    state, decided = State(), list[Decision]()
    message = MessageLocked(
        at_ms=0, message_id="m", text=text, on_cut=OnCut.RESUME, heard=before, **locked
    )
    for event in (
        message,
        PlayoutStarted(at_ms=1, message_id="m"),
        PlayoutWorded(at_ms=1, text=text if said is None else said),
        PlayoutProgressed(at_ms=900, heard_chars=len(heard)),
        PlayoutStopped(at_ms=910, completed=False),
        PlayoutStarted(at_ms=2000, message_id="x"),
        PlayoutStopped(at_ms=2500),
    ):
        state, decisions = step(standard_rules("en"), state, event)
        decided += decisions
    (receipt,) = (one for one in decided if isinstance(one, FileReceipt))
    assert receipt.state is Delivery.CUT
    assert receipt.heard + receipt.unheard == text
    assert any(map(str.isalnum, receipt.unheard))
    again = [one.text for one in decided if isinstance(one, SpeakAgain)]
    return receipt, "".join(again)


@pytest.mark.parametrize(
    ("text", "heard", "rest"),
    [
        (CODE, "Your code is 4 2", CODE),
        (CODE, "Your code is 4 2 7 1", CODE),
        (CODE, "", CODE),
        (f"Hello there. {CODE}", "Hello there. Your code is 4 2 7 1", CODE),
        (f"Hello there. {CODE}", "Hello there.", f"Hello there. {CODE}"),
        ("Your code is 4, 2, 7, 1.", "Your code is 4, 2, 7", "Your code is 4, 2, 7, 1."),
        ("It is A, B, four, two.", "It is A, B, four, two", "It is A, B, four, two."),
        (VALVE, "Please keep the door closed,", VALVE),
        (VALVE, "Please keep the door closed, and", "and do not touch the valve."),
        ("你好，请不要挂断。代码是四二。", "你好，请不要挂断。代", "代码是四二。"),
        ("Stay here now - !", "Stay here now", "Stay here now - !"),
    ],
)
def test_it_goes_on_with_the_clause_that_was_cut(text: str, heard: str, rest: str) -> None:
    assert cut(text, heard)[1] == rest


def test_what_was_said_in_other_words_was_not_heard() -> None:
    receipt, rest = cut(CODE, "Your code is four", said="Your code is four two seven one.")
    assert (receipt.heard, rest) == ("", CODE)


def test_spaces_and_text_to_come_are_no_other_words() -> None:
    receipt, _ = cut("Your code is 4271. Bye.", " Your code is 4 2", said=" Your code is 4 2 7 1.")
    assert receipt.heard == "Your code is 42"


def test_what_was_heard_in_an_earlier_attempt_stays_heard() -> None:
    before = "Please keep the door closed, and do"
    rest = "and do not touch the valve."
    for heard, said in (("", rest), ("and", rest), ("& do not", "& do not touch the valve.")):
        receipt, again = cut(VALVE, heard, said=said, before=before, attempts=1)
        assert (receipt.heard, again) == (before, rest)


@pytest.mark.parametrize("before", [CODE, CODE[:-1], "Your code is four"])
def test_what_cannot_have_been_heard_before_is_forgotten(before: str) -> None:
    receipt, _ = cut(CODE, "Your code", before=before, attempts=MAX_ATTEMPTS)
    assert receipt.heard == "Your code"

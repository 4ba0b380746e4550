"""What must be heard of a reply that comes in pieces?"""

import re
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bargein import DIGIT_CODES, MONEY, PHONE_NUMBERS, Marked, MarkError


def read(marked: Marked, *chunks: str) -> list[tuple[str, bool]]:
    """Pieces as (text, must_hear); neighbours of a kind joined, as they are spoken."""
    joined: list[tuple[str, bool]] = []
    pieces = [piece for chunk in chunks for piece in marked.feed(chunk)] + marked.end()
    for piece in pieces:
        if joined and not joined[-1][1] and not piece.must_hear:
            joined[-1] = (joined[-1][0] + piece.text, False)
        else:
            joined.append((piece.text, piece.must_hear))
    return joined


REPLY = "Sure. <must-hear>Your code is 4 2 7 1.</must-hear> Anything else?"
TAGS = ("<must-hear>", "</must-hear>")
SPLIT = [("Sure. ", False), ("Your code is 4 2 7 1.", True), (" Anything else?", False)]


@given(st.lists(st.integers(0, len(REPLY)), max_size=30))
def test_a_tag_may_be_split_anywhere(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(REPLY)]
    chunks = [REPLY[a:b] for a, b in pairwise(places)]
    assert read(Marked(), *chunks) == SPLIT


@pytest.mark.parametrize(
    ("reply", "pieces"),
    [
        ("<must-hear>Never closed. Ends", [("Never closed. Ends", True)]),
        ("<must-hear>a <must-hear>b</must-hear> c</must-hear> d", [("a b c", True), (" d", False)]),
        ("One </must-hear>two", [("One two", False)]),
        ("<MUST-HEAR >loud</Must-Hear>", [("loud", True)]),
        ('<must-hear id="7">x</must-hear>', [("x", True)]),
        ("<must-hear></must-hear>Hi", [("Hi", False)]),
        ("2 < 3 and <b>bold</b> <must", [("2 < 3 and <b>bold</b> <must", False)]),
        ("Half a <must-hear", [("Half a ", False)]),
        ("", []),
    ],
)
def test_odd_tags(reply: str, pieces: list[tuple[str, bool]]) -> None:
    assert read(Marked(), *reply) == pieces


@given(st.lists(st.sampled_from(["<must-hear>", "</must-hear>", "<", "/", "a", " ", "must-hear>"])))
def test_no_tag_is_ever_spoken_and_no_word_is_lost(parts: list[str]) -> None:
    marked = Marked()
    pieces = [piece for part in parts for piece in marked.feed(part)] + marked.end()
    assert not any(tag in piece.text for piece in pieces for tag in TAGS)
    assert not marked.open
    said = "".join(piece.text for piece in pieces)
    whole = re.sub("</?must-hear>", "", "".join(parts))
    if "<" not in whole:
        assert "".join(said.split()) == "".join(whole.split())


@pytest.mark.parametrize(
    ("pattern", "locked", "free"),
    [
        (DIGIT_CODES, "Your code is 4 2 7 1.", "It opens at 9 in 2026."),
        (DIGIT_CODES, "The pin is 48-13-77.", "There are 12 of 100 left."),
        (MONEY, "That makes $4.50 in all.", "That makes 450 steps."),
        (MONEY, "Es kostet 1.200 Euro.", "Es dauert 1.200 Meter."),
        (PHONE_NUMBERS, "Call +49 30 901820 then.", "Call 112 then."),
        (r"(?i)by signing", "By signing you agree.", "You may sign."),
    ],
)
def test_the_sentence_with_a_pattern_is_locked(pattern: object, locked: str, free: str) -> None:
    marked = Marked(patterns=[pattern])  # type: ignore[list-item]
    assert read(marked, *f"{free} {locked} Fine?") == [
        (free, False), (locked, True), (" Fine?", False),
    ]  # fmt: skip


def test_a_reply_that_was_cut_off_leaves_nothing() -> None:
    marked = Marked()
    marked.feed("<must-hear>Your co")
    marked.reset()
    assert read(marked, "Hello.") == [("Hello.", False)]


@pytest.mark.parametrize("options", [{"tag": ""}, {"tag": "a b"}, {"tag": 3}, {"patterns": ["("]}])
def test_what_cannot_be_a_mark_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(MarkError):
        Marked(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "code",
    [
        "Your code is 4. 2. 7. 1.",
        "Your code is 4... 2... 7... 1.",
        "Your code is 2045 67.",
        "Your code is 1984.",
        "PIN 2045.",
        "Please remember 1984.",
    ],
)
def test_a_code_is_whole_however_it_is_written(code: str) -> None:
    marked = Marked(patterns=[DIGIT_CODES])
    assert read(marked, *f"{code} Fine?") == [(code, True), (" Fine?", False)]


@pytest.mark.parametrize("text", ["We met in 1984.", "Since 2019, we do.", "It was May 2026."])
def test_a_year_is_no_code(text: str) -> None:
    assert read(Marked(patterns=[DIGIT_CODES]), text) == [(text, False)]


def test_a_lone_digit_ends_a_sentence_as_soon_as_a_word_follows() -> None:
    marked = Marked(patterns=[DIGIT_CODES])
    assert marked.feed("Take bus 4. ") == []
    assert [piece.text for piece in marked.feed("It")] == ["Take bus 4."]


@pytest.mark.parametrize("pattern", [DIGIT_CODES, MONEY, PHONE_NUMBERS])
@pytest.mark.parametrize("part", ["1,", "1", "12 3, ", "1... ", "+", "2026 x "])
def test_no_text_is_long_enough_to_be_slow(pattern: re.Pattern[str], part: str) -> None:
    def took(length: int) -> float:
        text = (part * length)[:length]
        began = time.perf_counter()
        pattern.search(text)
        return time.perf_counter() - began

    short = min(took(10_000) for _ in range(3))
    assert min(took(100_000) for _ in range(3)) < 50 * max(short, 0.0005)


def test_a_sentence_without_an_end_is_handed_on() -> None:
    marked, text = Marked(patterns=[DIGIT_CODES]), "and so on " * 250
    pieces = [piece.text for character in text for piece in marked.feed(character)]
    assert len("".join(pieces)) > 1_900
    assert "".join(pieces) + "".join(piece.text for piece in marked.end()) == text
    code = "and so on " * 199 + "4 2 7 1 and so on"
    assert any("4 2 7 1" in one for one, must_hear in read(marked, code) if must_hear)

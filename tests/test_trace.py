"""A call that was written down reads back as it was."""

import dataclasses
import json
import typing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bargein import (
    Decision,
    DeferTurn,
    DeliverTurn,
    Delivery,
    Event,
    Kind,
    MessageLocked,
    OnCut,
    PlayoutLocked,
    PlayoutStarted,
    PlayoutStopped,
    PlayoutWorded,
    Reason,
    ReportBackchannel,
    StopAt,
    UserSpeechStarted,
    UserWordsHeard,
)
from bargein.core import trace
from bargein.core.events import TurnTaken
from bargein.core.trace import TraceError
from bargein.testing.core_player import play_logged
from bargein.testing.rules import rules_of
from bargein.testing.scene import load

SCENES = Path(__file__).parent / "scenes"

TYPES = [*typing.get_args(Event), *typing.get_args(Decision)]


@st.composite
def entries(draw: st.DrawFn) -> typing.Any:
    kind = draw(st.sampled_from(TYPES))
    hints = typing.get_type_hints(kind)
    made = {
        Reason: st.sampled_from(Reason),
        OnCut: st.sampled_from(OnCut),
        Delivery: st.sampled_from(Delivery),
        tuple[str, ...]: st.lists(st.text()).map(tuple),
        StopAt: st.sampled_from(StopAt),
        Kind: st.sampled_from(Kind),
        int: st.integers(0, 10**7),
        str: st.text(),
        bool: st.booleans(),
        float: st.floats(0, 1),
    }
    values = {}
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        options = (hint,) if hint in made else typing.get_args(hint)
        some = [made[one] for one in options if one in made]
        values[field.name] = draw(st.one_of(*some, *([st.none()] if type(None) in options else [])))
    return kind(**values)


@given(entries())
def test_every_entry_reads_back_as_it_was_written(entry: typing.Any) -> None:
    line = trace.write(entry)
    assert line.splitlines() == [line]
    assert trace.read(line) == entry


UNSEEN = [
    "a\nb", "\x00", "\x1b[2J\x1b]0;gone\x07", "\x9b31m", "\x7f", "\x85", "\u2028", "\u2029",
    "\u202eyadseut\u202c", "\u2066a\u2069", "half a character: \ud83d", "\r\n\x0b\x0c\x1c",
]  # fmt: skip


@pytest.mark.parametrize("said", UNSEEN)
def test_whatever_is_said_is_one_line_that_obeys_nobody(said: str) -> None:
    """Not the terminal that shows it, nor the tool that takes it apart."""
    entry = UserWordsHeard(at_ms=1, text=said, is_final=True)
    line = trace.write(entry, {"call": said})
    assert line.isprintable()
    assert line.encode()
    assert trace.read(line) == entry
    assert json.loads(line)["about"] == {"call": said}


def test_what_people_write_stays_readable() -> None:
    for said in ("¿Qué tal?", "नमस्ते क्\u200dष", "👨\u200d👩\u200d👧", "全角\u3000空白", "שלום"):
        assert said in trace.write(UserWordsHeard(at_ms=1, text=said, is_final=True))


@pytest.mark.parametrize("name", ["critical", "critical_emergency", "lock_hangup", "lock_two"])
def test_a_must_hear_text_is_written_down_only_where_somebody_asks_for_it(name: str) -> None:
    scene = load(SCENES / f"{name}.scene")
    events, decisions = play_logged(scene, rules_of(scene))
    hide, asked = trace.Redaction(), "".join(trace.write(entry) for entry in (*events, *decisions))
    hidden = [hide(entry) for entry in (*events, *decisions)]
    written = "".join(trace.write(entry) for entry in hidden)
    assert "code is" in asked
    assert "is four two" not in written.replace('"message_id": "Your code is four two', "")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("hello", "not a line of a trace"),
        ("[1, 2]", "not a line of a trace"),
        ('{"v": 99, "type": "UserSpeechStarted", "at_ms": 1}', "schema 99"),
        ('{"v": 1, "type": "Sneezed", "at_ms": 1}', "unknown type 'Sneezed'"),
        ('{"v": 1, "type": "YieldFloor", "at_ms": 1, "reason": "whim"}', "fields that do not fit"),
        ('{"v": 1, "type": "UserSpeechStarted", "loudness": 3}', "fields that do not fit"),
    ],
)
def test_a_broken_line_is_named(line: str, says: str) -> None:
    with pytest.raises(TraceError, match=says):
        trace.read(line)


@pytest.mark.parametrize(
    "line",
    [
        '{"v": 1, "type": "UserSpeechStarted", "at_ms": "soon"}',
        '{"v": 1, "type": "UserSpeechStarted", "at_ms": true}',
        '{"v": 1, "type": "UserWordsHeard", "at_ms": 1, "text": 7, "is_final": true}',
        '{"v": 1, "type": "UserWordsHeard", "at_ms": 1, "text": "a", "is_final": []}',
        '{"v": 1, "type": "OverlapScored", "at_ms": 1, "source": "x",'
        ' "backchannel_probability": NaN}',
        '{"v": 1, "type": "MessageLocked", "at_ms": 1, "message_id": "m", "text": "a",'
        ' "broken_by": "all"}',
        '{"v": 1, "type": "ResumeSpeech", "at_ms": 1, "reason": "go on", "message_id": "m",'
        ' "text": "a", "tools": [["book"]]}',
        '{"v": true, "type": "UserSpeechStarted", "at_ms": 1}',
        '{"v": 1, "type": ["UserSpeechStarted"], "at_ms": 1}',
        '{"v": 1, "type": "Journal", "a": ' + "[" * 100_000,
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_before_it_reaches_the_floor(line: str) -> None:
    with pytest.raises(TraceError):
        list(trace.read_all([line]))


def test_a_broken_line_of_a_file_is_named_by_its_number() -> None:
    good = trace.write(UserSpeechStarted(at_ms=1))
    with pytest.raises(TraceError, match="line 3"):
        list(trace.read_all([good, "", "oops"]))


CODE = "Your code is 4271."


def written(*entries: Event | Decision) -> str:
    hide = trace.Redaction()
    return "".join(trace.write(hide(entry)) for entry in entries)


@pytest.mark.parametrize(
    "started",
    [
        (PlayoutStarted(at_ms=1, message_id="m", must_hear=True),),
        (PlayoutStarted(at_ms=1, message_id="m"),),
        (PlayoutStarted(at_ms=1, message_id="m"), PlayoutLocked(at_ms=2, must_hear=False)),
    ],
)
def test_a_locked_message_is_hidden_whatever_its_playout_says(started: tuple[Event, ...]) -> None:
    locked = MessageLocked(at_ms=0, message_id="m", text=CODE)
    lines = written(locked, *started, PlayoutWorded(at_ms=3, text="Your code is four."))
    assert "code" not in lines
    # Another playout is nobody's secret.
    after = (PlayoutStarted(at_ms=5, message_id="n"), PlayoutWorded(at_ms=5, text="Goodbye."))
    assert "Goodbye." in written(locked, *started, PlayoutStopped(at_ms=4), *after)


@pytest.mark.parametrize(
    "repeat",
    [
        UserWordsHeard(at_ms=1, text="so 4 2-7, 1 at 10", is_final=True),
        TurnTaken(at_ms=1, text="so 4 2-7, 1 at 10"),
        DeferTurn(at_ms=1, reason=Reason.NOISE, text="so 4 2-7, 1 at 10"),
        DeliverTurn(at_ms=1, reason=Reason.NOISE, text="so 4 2-7, 1 at 10"),
        ReportBackchannel(at_ms=1, reason=Reason.NOISE, text="so 4 2-7, 1 at 10"),
        PlayoutWorded(at_ms=1, text="so 4 2-7, 1 at 10"),
    ],
)
def test_digits_of_a_locked_text_are_hidden_where_somebody_repeats_them(
    repeat: Event | Decision,
) -> None:
    assert "so x x-x, x at 10" in written(MessageLocked(at_ms=0, message_id="m", text=CODE), repeat)
    assert "so 4 2-7, 1 at 10" in written(repeat)

"""A call that was written down reads back as it was."""

import dataclasses
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bargein import Decision, Event, Kind, Reason, StopAt, UserSpeechStarted
from bargein.core import trace
from bargein.core.trace import TraceError

TYPES = [*typing.get_args(Event), *typing.get_args(Decision)]


@st.composite
def entries(draw: st.DrawFn) -> typing.Any:
    kind = draw(st.sampled_from(TYPES))
    hints = typing.get_type_hints(kind)
    made = {
        Reason: st.sampled_from(Reason),
        StopAt: st.sampled_from(StopAt),
        Kind: st.sampled_from(Kind),
        int: st.integers(0, 10**7),
        str: st.text(),
        bool: st.booleans(),
        float: st.floats(0, 1),
    }
    values = {}
    for field in dataclasses.fields(kind):
        options = typing.get_args(hints[field.name]) or (hints[field.name],)
        some = [made[one] for one in options if one in made]
        values[field.name] = draw(st.one_of(*some, *([st.none()] if type(None) in options else [])))
    return kind(**values)


@given(entries())
def test_every_entry_reads_back_as_it_was_written(entry: typing.Any) -> None:
    line = trace.write(entry)
    assert "\n" not in line
    assert trace.read(line) == entry


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


def test_a_broken_line_of_a_file_is_named_by_its_number() -> None:
    good = trace.write(UserSpeechStarted(at_ms=1))
    with pytest.raises(TraceError, match="line 3"):
        list(trace.read_all([good, "", "oops"]))

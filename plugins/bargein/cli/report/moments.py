"""What came of each thing the caller said? Call by call, and the same thing side by side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from typing import Literal

from .lanes import CUT, Lanes, Mark, Playout, Span
from .lines import Line

SAME_BREATH_MS = 700
"""A silence of so long is none between two things the caller says."""
READ_MS = 250
"""No recogniser writes a word down sooner after the onset."""
LATE_MS = 1_500
"""None takes longer."""
SOON_MS = 3_000
"""A turn that is taken later was none of its own."""

KEPT_OUT, LOST = "kept out of the turn", "never answered"

Flag = Literal["", "good", "bad"]


@dataclass(slots=True, kw_only=True)
class Moment:
    """Something the caller said, and what the agent did."""

    onset_ms: int
    ended_ms: int
    words: str
    over_agent: bool
    stopped: bool = False
    did: str = ""
    then: str = ""
    """What became of the words."""
    why: str = ""
    kind: str = ""
    held: bool = False
    """Was it decided that the agent goes on?"""
    duck_ms: int | None = None
    decision_ms: int | None = None
    silence_ms: int | None = None
    """From the onset, each."""
    unsaid: int = 0
    answered: bool = False
    """Did its words reach the LLM?"""
    lines: list[int] = field(default_factory=list)
    """Every line that tells of it, its onset first."""
    of: dict[str, int] = field(default_factory=dict)
    """The line where each of the three milliseconds ends."""
    flag: Flag = ""
    """Of what the agent did."""
    then_flag: Flag = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The same thing, said in several calls."""

    says: str
    cells: tuple[Moment | None, ...]


def moments(lanes: Lanes, lines: Sequence[Line]) -> list[Moment]:
    """Everything the caller said in a call, in order."""
    spoken = _breaths(lanes)
    until = [*(one.from_ms for one, _ in spoken[1:]), lanes.until_ms + 1]
    found = [
        _moment(lanes, lines, one, texts, next_ms)
        for (one, texts), next_ms in zip(spoken, until, strict=False)
    ]
    turns = [line for line in lines if line.type == "TurnTaken" and line.text("text")]
    for place, one in enumerate(found):
        after = [p for p in lanes.playouts if one.onset_ms < p.from_ms < until[place]]
        marks = [mark for mark in lanes.marks if one.onset_ms <= mark.at_ms < until[place]]
        _kept(one, marks)
        if turns and _plain(one.words):
            _then(one, marks, _turn_with(found[place:], turns), after)
    return found


def _turn_with(rest: Sequence[Moment], turns: Sequence[Line]) -> Line | None:
    """The turn that holds the first moment's words."""
    said = f" {_plain(rest[0].words)} "
    for turn in turns:
        if turn.at_ms < rest[0].onset_ms:
            continue
        text = f" {_plain(turn.text('text'))} "
        for later in rest[1:]:
            # The same words may be a part of what is said next.
            if later.onset_ms < turn.at_ms and _plain(later.words):
                text = text.replace(f" {_plain(later.words)} ", " | ", 1)
        if said in text:
            return turn
    return None


def _breaths(lanes: Lanes) -> list[tuple[Span, list[Span]]]:
    """Everything the caller says in one go, and the words of it."""
    spoken: list[tuple[Span, list[Span]]] = [(one, []) for one in lanes.vad]
    for said in lanes.heard:
        # What is said before its words can be read was said by somebody else's breath.
        near = [
            texts
            for one, texts in spoken
            if one.from_ms <= said.from_ms - READ_MS and said.from_ms <= one.until_ms + LATE_MS
        ]
        if near:
            near[-1].append(said)
        else:
            spoken.append((said, [said]))  # the detector missed it, or was late
            spoken.sort(key=lambda pair: pair[0].from_ms)
    found: list[tuple[Span, list[Span]]] = []
    for one, texts in spoken:
        if found:
            before, words = found[-1]
            if one.from_ms - before.until_ms < SAME_BREATH_MS and not (words and texts):
                until_ms = max(before.until_ms, one.until_ms)
                lines = tuple(dict.fromkeys((*before.lines, *one.lines)))
                found[-1] = (replace(before, until_ms=until_ms, lines=lines), words + texts)
                continue
        found.append((one, texts))
    return found


def _moment(
    lanes: Lanes, lines: Sequence[Line], one: Span, texts: list[Span], next_ms: int
) -> Moment:
    onset_ms = one.from_ms
    playing = next((p for p in lanes.playouts if p.from_ms <= onset_ms < p.until_ms), None)
    found = Moment(
        onset_ms=onset_ms,
        ended_ms=one.until_ms,
        words=" ".join(span.text for span in texts),
        over_agent=playing is not None,
        lines=[*one.lines, *(number for span in texts for number in span.lines)],
    )
    if not any(span.what == "final" for span in texts):
        # A recogniser that is cut short, or that nobody had to listen to, is in the turn.
        found.words = _turn_of(found, lines, next_ms) or found.words
    marks = [mark for mark in lanes.marks if onset_ms <= mark.at_ms < next_ms]
    if playing is None:
        found.did = "the agent was silent"
    else:
        # What the agent says after it has finished is another matter.
        until_ms = playing.until_ms - (playing.completed is True)
        _did(found, playing, lanes, [mark for mark in marks if mark.at_ms <= until_ms])
    return found


def _turn_of(found: Moment, lines: Sequence[Line], next_ms: int) -> str:
    said = _plain(found.words)
    for line in lines:
        its = line.type == "TurnTaken" and found.onset_ms <= line.at_ms < next_ms
        if its and said in _plain(line.text("text")):
            return line.text("text")
    return ""


def _did(found: Moment, playing: Playout, lanes: Lanes, marks: list[Mark]) -> None:
    onset_ms = found.onset_ms
    for mark in marks:
        if mark.type == "DuckPlayout" and found.duck_ms is None:
            found.duck_ms, found.of["duck_ms"] = mark.at_ms - onset_ms, mark.line
            found.lines.append(mark.line)
        if mark.type in ("HoldFloor", "YieldFloor"):
            if found.decision_ms is None:
                found.decision_ms, found.of["decision_ms"] = mark.at_ms - onset_ms, mark.line
            found.why, found.kind = mark.reason, mark.kind
            found.lines.append(mark.line)
    yields = [mark for mark in marks if mark.type == "YieldFloor"]
    cuts = [mark for mark in marks if mark.type == CUT]
    if yields or cuts:
        found.stopped = True
        found.silence_ms = playing.until_ms - onset_ms
        found.unsaid = playing.unheard_words
        found.lines += playing.sources[1:] if found.unsaid else playing.lines[-1:]
        found.of["silence_ms"] = playing.lines[-1]
        verb = "gives way" if yields else "cut off"
        found.did = f"{verb} after {found.silence_ms} ms"
        return
    found.held = any(mark.type == "HoldFloor" for mark in marks)
    last_ms = min(playing.until_ms, max([mark.at_ms for mark in marks], default=onset_ms))
    quiet = [s for s in lanes.softer if s.from_ms >= onset_ms and s.from_ms <= last_ms]
    silent_ms = sum(s.until_ms - s.from_ms for s in quiet if s.what == "paused")
    if silent_ms:
        found.did = f"goes on after {silent_ms} ms of silence"
    elif quiet:
        found.did = "lowers its voice, goes on"
    else:
        found.did = "goes on"


def _kept(found: Moment, marks: list[Mark]) -> None:
    for mark in marks:
        if mark.type == "ReportBackchannel":
            found.then = KEPT_OUT
            found.why = found.why or mark.reason
            found.kind = found.kind or mark.kind
            found.lines.append(mark.line)


def _then(found: Moment, marks: list[Mark], turn: Line | None, after: Sequence[Playout]) -> None:
    resumed = [mark for mark in marks if mark.type in ("ResumeSpeech", "OfferResumption")]
    if resumed:  # which is instead of an answer
        found.then = resumed[0].says
        found.lines.append(resumed[0].line)
    elif turn is not None:
        deferred = [mark.line for mark in marks if mark.type == "DeferTurn"]
        late_ms = turn.at_ms - found.ended_ms
        late = f" {late_ms / 1000:.0f} s later" if late_ms > SOON_MS else ""
        found.answered = True
        found.then = f"{'kept, then ' if deferred else ''}sent to the LLM{late}"
        found.lines += [turn.number, *deferred[:1]]
    elif found.then != KEPT_OUT and after:
        found.then = "the agent speaks next"
        found.lines.append(after[0].lines[0])
    elif found.then != KEPT_OUT and not any(m.type in ("DeferTurn", "DeliverTurn") for m in marks):
        found.then = LOST


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def side_by_side(calls: Sequence[Sequence[Moment]]) -> list[Row]:
    """Put together what is the same in several calls, by its words and its place."""
    says: list[str] = []
    places: list[list[Moment | None]] = []
    for count, call in enumerate(calls):
        mine = [_plain(one.words) for one in call]
        match = SequenceMatcher(None, says, mine, autojunk=False)
        new_says: list[str] = []
        new_places: list[list[Moment | None]] = []
        for tag, low, high, first, last in match.get_opcodes():
            if tag == "equal":
                for at in range(high - low):
                    new_says.append(says[low + at])
                    new_places.append([*places[low + at], call[first + at]])
            else:
                new_says += [*says[low:high], *mine[first:last]]
                new_places += [[*place, None] for place in places[low:high]]
                new_places += [[*[None] * count, one] for one in call[first:last]]
        says, places = new_says, new_places
    rows = [Row(says=_called(place), cells=tuple(place)) for place in places]
    for row in rows:
        _flag(row)
    return rows


def _called(place: Sequence[Moment | None]) -> str:
    return next((one.words for one in place if one is not None), "")


def _flag(row: Row) -> None:
    """Good and bad, by what was understood in the call whose trace holds decisions."""
    judged = [one for one in row.cells if one is not None and (one.why or one.then == KEPT_OUT)]
    listened = any(one.then == KEPT_OUT or not one.words for one in judged)
    goes_on = any(one.held and not one.stopped for one in judged)
    gives_way = any(one.stopped for one in judged)
    if goes_on and gives_way:
        return  # two that judge are of two minds, and nobody here knows better
    for one in row.cells if judged else ():
        if one is None:
            continue
        if one.then == LOST and listened:
            one.then = ""
        if one.over_agent and goes_on:
            one.flag = "bad" if one.stopped else "good"
        elif one.over_agent and gives_way and one.stopped:
            one.flag = "good"
        if one.then == LOST or (listened and one.answered):
            one.then_flag = "bad"
        elif one.then == KEPT_OUT:
            one.then_flag = "good"

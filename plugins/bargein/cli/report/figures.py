"""Which figures sum a call up, and which lines does each come from?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from .lanes import Lanes
from .lines import Line
from .moments import Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of one call."""

    says: str
    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """What a figure is made from."""

    lanes: Lanes
    lines: Sequence[Line]
    moments: Sequence[Moment]

    def typed(self, *types: str) -> list[Line]:
        """Every line of these types."""
        return [line for line in self.lines if line.type in types]


def figures(calls: Sequence[Sum]) -> list[tuple[str, tuple[Figure | None, ...]]]:
    """Each figure, and what it is in each call; those that no call has are left out."""
    rows = [(name, tuple(one(call) for call in calls)) for name, one in FIGURES.items()]
    return [(name, cells) for name, cells in rows if any(cell is not None for cell in cells)]


def _lasted(call: Sum) -> Figure | None:
    if not call.lines:
        return None
    seconds = call.lanes.until_ms // 1000
    ends = tuple({call.lines[0].number: 0, call.lines[-1].number: 0})
    return Figure(says=f"{seconds // 60}:{seconds % 60:02}", lines=ends)


def _over(call: Sum) -> Figure | None:
    over = [one for one in call.moments if one.over_agent]
    return Figure(says=str(len(over)), lines=tuple(one.lines[0] for one in over))


def _stopped(call: Sum) -> Figure | None:
    return _count([one for one in call.moments if one.stopped])


def _needless(call: Sum) -> Figure | None:
    if not any(one.flag for one in call.moments):
        return None
    return _count([one for one in call.moments if one.flag == "bad"])


def _count(stops: Sequence[Moment]) -> Figure:
    return Figure(says=str(len(stops)), lines=tuple(one.of["silence_ms"] for one in stops))


def _unsaid(call: Sum) -> Figure | None:
    cut = [one for one in call.lanes.playouts if one.completed is False]
    if not any(one.words for one in call.lanes.playouts):
        return None
    total = sum(one.unheard_words for one in cut)
    return Figure(says=str(total), lines=tuple(number for one in cut for number in one.sources))


def _latency(field: str) -> Callable[[Sum], Figure | None]:
    def figure(call: Sum) -> Figure | None:
        known = [one for one in call.moments if getattr(one, field) is not None]
        if not known:
            return None
        took = round(median(getattr(one, field) for one in known))
        lines = tuple(number for one in known for number in (one.lines[0], one.of[field]))
        return Figure(says=f"{took} ms", lines=lines)

    return figure


def _listening(call: Sum) -> Figure | None:
    return _lines(call, "ReportBackchannel")


def _later(call: Sum) -> Figure | None:
    return _lines(call, "DeliverTurn")


def _resumed(call: Sum) -> Figure | None:
    return _lines(call, "ResumeSpeech")


def _lines(call: Sum, kind: str) -> Figure | None:
    found = call.typed(kind)
    if not found and not call.lanes.marks:
        return None
    return Figure(says=str(len(found)), lines=tuple(line.number for line in found))


def _receipts(call: Sum) -> Figure | None:
    found = call.typed("FileReceipt")
    if not found:
        return None
    delivered = sum(line.text("state") == "delivered" for line in found)
    return Figure(says=f"{delivered} of {len(found)}", lines=tuple(line.number for line in found))


def _turns(call: Sum) -> Figure | None:
    found = call.typed("TurnTaken")
    return Figure(says=str(len(found)), lines=tuple(line.number for line in found))


FIGURES: dict[str, Callable[[Sum], Figure | None]] = {
    "Length": _lasted,
    "Caller spoke over the agent": _over,
    "Agent stopped": _stopped,
    "… needlessly": _needless,
    "Words left unsaid": _unsaid,
    "Onset to softer voice (median)": _latency("duck_ms"),
    "Onset to decision (median)": _latency("decision_ms"),
    "Onset to silence (median)": _latency("silence_ms"),
    "Listening noises kept out": _listening,
    "Words kept for later": _later,
    "Must-hear delivered": _receipts,
    "Went on with the rest": _resumed,
    "Turns taken": _turns,
}

"""What was going on at each instant of a call? Spans, words and marks, each with its lines."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from .lines import DECISIONS, Line

LETTER_MS = 65
"""How long an agent takes for a letter, where the trace does not tell."""
YIELDS_WITHIN_MS = 3_000
"""A voice that stops so long after a yield stops because of it."""

PLAIN = {
    "DuckPlayout": "lowers its voice",
    "PausePlayout": "falls silent for now",
    "ResumePlayout": "full voice again",
    "HoldFloor": "goes on",
    "YieldFloor": "gives way",
    "PassFloor": "has finished",
    "ReportBackchannel": "only listening",
    "DeferTurn": "keeps the words",
    "DeliverTurn": "delivers the words",
    "FileReceipt": "receipt",
    "SpeakAgain": "says it again",
    "ResumeSpeech": "goes on with the rest",
    "OfferResumption": "offers to go on",
    "AcknowledgeYield": "has understood",
}
CUT = "Cut"
"""The agent's voice was cut, and no decision of ours says why: it was the host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Something that lasted."""

    from_ms: int
    until_ms: int
    what: str
    lines: tuple[int, ...]
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A word, when it was said or would have been."""

    at_ms: int
    text: str
    heard: bool


@dataclass(slots=True, kw_only=True)
class Playout:
    """Something the agent said, or began to."""

    from_ms: int
    until_ms: int = 0
    text: str = ""
    completed: bool | None = None
    """None where the trace ends before it."""
    lines: list[int]
    worded: list[int] = field(default_factory=list)
    """The lines that say what it says."""
    far: int | None = None
    """The line that says how far it came: its last progress, or the decision to stop."""
    progress: list[tuple[int, int]] = field(default_factory=list)
    """When how many letters had been heard; each time more."""
    words: list[Word] = field(default_factory=list)
    unsaid: int = 0
    """How many words the decision to stop left unsaid, where the words themselves were not kept."""

    @property
    def sources(self) -> tuple[int, ...]:
        """Every line that tells how much of it was heard."""
        far = () if self.far is None else (self.far,)
        return (self.lines[0], *self.worded, *far, *self.lines[1:])

    @property
    def unheard_words(self) -> int:
        """How many words of it nobody heard."""
        return self.unsaid or sum(not word.heard for word in self.words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A decision, or a cut of the host's own."""

    at_ms: int
    type: str
    says: str
    reason: str
    kind: str
    detail: str
    line: int


@dataclass(slots=True, kw_only=True)
class Lanes:
    """A whole call."""

    until_ms: int = 0
    playouts: list[Playout] = field(default_factory=list)
    vad: list[Span] = field(default_factory=list)
    floor: list[Span] = field(default_factory=list)
    softer: list[Span] = field(default_factory=list)
    """Where the agent's voice was lowered, or paused."""
    locks: list[Span] = field(default_factory=list)
    resumes: list[Span] = field(default_factory=list)
    heard: list[Span] = field(default_factory=list)
    """What the caller said: its final words, or what could be read of them."""
    marks: list[Mark] = field(default_factory=list)


def lanes(lines: Sequence[Line]) -> Lanes:
    """Draw a call from its lines, in the order of its clock."""
    return _Drawing(lines).done


class _Drawing:
    """One call, line by line."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.done = Lanes(until_ms=lines[-1].at_ms if lines else 0)
        self._decided = any(line.type in DECISIONS for line in lines)
        self._open: dict[str, tuple[Line, str]] = {}  # since when each lane shows what
        self._locked: dict[str, Line] = {}
        self._playing: Playout | None = None
        self._speaking = False
        self._words: tuple[Line, Line] | None = None  # partials that no final has followed yet
        self._yielded: Line | None = None
        self._floor: tuple[int, int, str] = (0, 0, "open")
        for line in lines:
            self._line(line)
            self._moves(line)
        self._end(lines[-1] if lines else None)

    def _line(self, line: Line) -> None:
        match line.type:
            case "PlayoutStarted":
                self._stop(line, completed=True)
                self._playing = Playout(from_ms=line.at_ms, lines=[line.number])
            case "PlayoutWorded" if self._playing:
                self._playing.text += line.text("text") or _unkept(line)
                self._playing.worded.append(line.number)
            case "PlayoutProgressed" if self._playing:
                chars = line.whole("heard_chars") or 0
                if not self._playing.progress or chars > self._playing.progress[-1][1]:
                    self._playing.progress.append((line.at_ms, chars))
                    self._playing.far = line.number
            case "PlayoutStopped":
                self._stop(line, completed=line.true("completed", unsaid=True))
            case "UserSpeechStarted" if not self._speaking:
                self._speaking = True
                self._heard()
                self._shows("vad", line, "speaks")
            case "UserSpeechStopped":
                self._speaking = False
                self._shows("vad", line)
            case "UserWordsHeard":
                self._hear(line)
            case "TurnTaken":
                self._heard()
            case "MessageLocked":
                self._locked.setdefault(line.text("message_id"), line)
            case "DuckPlayout":
                self._shows("softer", line, "lowered")
            case "PausePlayout":
                self._shows("softer", line, "paused")
            case "ResumePlayout":
                self._shows("softer", line)
            case "YieldFloor":
                self._shows("softer", line)
                self._yielded = line
                if self._playing:
                    self._playing.unsaid = line.size("unheard_words")
            case "FileReceipt":
                self._receipt(line)
            case "ResumeSpeech" | "SpeakAgain" | "OfferResumption":
                self.done.resumes.append(
                    Span(
                        from_ms=line.at_ms,
                        until_ms=line.at_ms,
                        what=PLAIN[line.type],
                        lines=(line.number,),
                        text=line.text("text"),
                    )
                )
        if line.type in DECISIONS:
            self._mark(line)

    def _stop(self, line: Line, *, completed: bool | None) -> None:
        one, self._playing = self._playing, None
        if one is None:
            return
        self._shows("softer", line)
        one.until_ms, one.completed = line.at_ms, completed
        one.lines.append(line.number)
        one.words = words(one)
        if completed is not False or "·" not in one.text:
            one.unsaid = 0
        elif one.unsaid and self._yielded is not None:
            one.far = self._yielded.number
        self.done.playouts.append(one)
        yielded = self._yielded
        ours = yielded is not None and line.at_ms - yielded.at_ms <= YIELDS_WITHIN_MS
        if completed is False and not ours:
            self.done.marks.append(
                Mark(
                    at_ms=line.at_ms,
                    type=CUT,
                    says="cut off",
                    reason="the host stopped it",
                    kind="",
                    detail=_count(one.unheard_words, "word") + " unsaid" if one.words else "",
                    line=line.number,
                )
            )

    def _hear(self, line: Line) -> None:
        self._words = (self._words[0] if self._words else line, line)
        if line.true("is_final"):
            self._heard()

    def _heard(self) -> None:
        """What could be read of the caller's words so far is all there is of them."""
        if self._words is None:
            return
        (began, last), self._words = self._words, None
        self.done.heard.append(
            Span(
                from_ms=began.at_ms,
                until_ms=last.at_ms,
                what="final" if last.true("is_final") else "partial",
                lines=tuple(dict.fromkeys((began.number, last.number))),
                text=last.text("text") or _unkept(last).strip(),
            )
        )

    def _receipt(self, line: Line) -> None:
        # Without its beginning, the trace was cut at the front.
        began = self._locked.pop(line.text("message_id"), line)
        self.done.locks.append(
            Span(
                from_ms=began.at_ms,
                until_ms=line.at_ms,
                what=line.text("state") or "over",
                lines=(began.number, line.number),
                text=began.text("text"),
            )
        )

    def _mark(self, line: Line) -> None:
        self.done.marks.append(
            Mark(
                at_ms=line.at_ms,
                type=line.type,
                says=PLAIN.get(line.type, line.type),
                reason=line.text("reason"),
                kind=line.text("kind"),
                detail=_detail(line),
                line=line.number,
            )
        )

    def _shows(self, lane: str, line: Line, what: str = "") -> None:
        """From now on a lane shows this; what it showed so far is over."""
        if lane in self._open:
            began, shown = self._open.pop(lane)
            from_ms = began.at_ms
            if lane == "vad":
                onset_ms = began.whole("onset_at_ms")
                from_ms = from_ms if onset_ms is None else max(0, min(onset_ms, from_ms))
            getattr(self.done, lane).append(
                Span(
                    from_ms=from_ms,
                    until_ms=line.at_ms,
                    what=shown,
                    lines=(began.number, line.number),
                )
            )
        if what:
            self._open[lane] = (line, what)

    def _moves(self, line: Line) -> None:
        """Whose floor it is: `bargein.core.floor`, as far as a trace tells."""
        at_ms, number, now = self._floor
        then = now
        match line.type, now:
            case "UserSpeechStarted", "open":
                then = "user"
            case (("UserSpeechStarted" | "DuckPlayout" | "PausePlayout"), "agent"):
                then = "contested"
            case "UserSpeechStopped", "user":
                then = "open"
            case "UserSpeechStopped", "contested" if not self._decided:
                then = "agent"
            case "PlayoutStarted", "open":
                then = "agent"
            case "PlayoutStarted", "user":
                then = "contested"
            case "PlayoutStopped", ("agent" | "contested"):
                then = "user" if self._speaking else "open"
            case "HoldFloor", "contested":
                then = "agent"
            case "YieldFloor", _:
                then = "user"
            case "CallEnded", _:
                then = "open"
        if then != now:
            self.done.floor.append(
                Span(from_ms=at_ms, until_ms=line.at_ms, what=now, lines=(number, line.number))
            )
            self._floor = (line.at_ms, line.number, then)

    def _end(self, last: Line | None) -> None:
        if last is None:
            return
        self._stop(last, completed=None)
        self._heard()
        for lane in list(self._open):
            self._shows(lane, last)
        at_ms, number, now = self._floor
        self.done.floor.append(
            Span(from_ms=at_ms, until_ms=last.at_ms, what=now, lines=(number, last.number))
        )
        for began in self._locked.values():
            self.done.locks.append(
                Span(
                    from_ms=began.at_ms,
                    until_ms=last.at_ms,
                    what="no receipt",
                    lines=(began.number,),
                    text=began.text("text"),
                )
            )
        self.done.marks.sort(key=lambda mark: mark.at_ms)


def _unkept(line: Line) -> str:
    """As many words of dots, as long, as a journal without transcripts says there were."""
    count, letters = line.size("text_words"), line.size("text_chars")
    return " " + " ".join(["·" * max(1, letters // count - 1)] * count) if count else ""


def words(one: Playout) -> list[Word]:
    """Each word of what was to be said: when, and whether it was heard."""
    points = [(one.from_ms, 0)]
    for at_ms, chars in one.progress:
        if chars > 0:
            points.append((at_ms, chars))
    far = points[-1][1]
    if one.completed is not False and far < len(one.text):
        far = len(one.text) if one.completed else far
        points.append((one.until_ms, max(far, points[-1][1] + 1)))
    lasted = points[-1][0] - one.from_ms
    letter_ms = lasted / points[-1][1] if points[-1][1] and lasted else LETTER_MS
    found, place = [], 0
    for text in one.text.split():
        place = one.text.index(text, place)
        heard = place < far
        ms = _at(points, place) if heard else one.until_ms + (place - far) * letter_ms
        found.append(Word(at_ms=round(ms), text=text, heard=heard))
        place += len(text)
    return found


def _at(points: Sequence[tuple[int, int]], chars: int) -> float:
    """When the letter was reached."""
    after = min(max(1, bisect_left(points, chars, key=lambda point: point[1])), len(points) - 1)
    (from_ms, low), (until_ms, high) = points[after - 1], points[after]
    return from_ms + (until_ms - from_ms) * (chars - low) / max(1, high - low)


def _detail(line: Line) -> str:
    match line.type:
        case "YieldFloor":
            unheard = len(line.text("unheard").split()) or line.size("unheard_words")
            said = line.text("caller_words")
            told = f', caller: "{said}"' if said else ""
            return f"{_count(unheard, 'word')} unsaid{told}"
        case "FileReceipt":
            return line.text("state")
        case "ReportBackchannel" | "DeferTurn" | "DeliverTurn" | "ResumeSpeech" | "SpeakAgain":
            return f'"{line.text("text")}"' if line.text("text") else ""
    return ""


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")

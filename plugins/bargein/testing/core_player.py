"""What does the core decide in a scene? Played in virtual time, exact to the millisecond."""

from __future__ import annotations

from dataclasses import dataclass

from bargein.core.decisions import (
    Decision,
    DeferTurn,
    DeliverTurn,
    PausePlayout,
    ReportBackchannel,
    ResumePlayout,
    StopAt,
    YieldFloor,
)
from bargein.core.events import (
    ControlRaised,
    Event,
    OverlapScored,
    PlayoutProgressed,
    PlayoutStarted,
    PlayoutStopped,
    PlayoutWorded,
    TimePassed,
    ToolFinished,
    ToolStarted,
    UserSpeechStarted,
    UserSpeechStopped,
    UserWordsHeard,
)
from bargein.core.floor import State, step
from bargein.core.overlap import Rules

from .scene import Line, Scene

WORD_MS = 300
"""How long the scripted agent takes for a word: 200 words a minute, a brisk voice."""


def written(decision: Decision) -> str:
    """A decision the way scenes write it: ``900 YieldFloor(correction): floor taken``."""
    kind = getattr(decision, "kind", None)
    name = type(decision).__name__ + (f"({kind.value})" if kind else "")
    if isinstance(decision, DeferTurn | DeliverTurn | ReportBackchannel):
        name += f' "{decision.text}"'
    line = f"{decision.at_ms} {name}: {decision.reason.value}"
    if isinstance(decision, YieldFloor):
        line += f' | heard "{decision.heard}"'
    return line


def matches(line: str, expected: str) -> bool:
    """Is this the decision that was written? What was heard counts only where it is written."""
    if " | heard " not in expected:
        line = line.partition(" | heard ")[0]
    return line == expected


@dataclass
class _Message:
    text: str
    must_hear: bool

    @property
    def onsets(self) -> list[int]:
        """Where each word ends in the text."""
        ends: list[int] = []
        for word in self.text.split():
            ends.append(self.text.index(word, ends[-1] if ends else 0) + len(word))
        return ends


class _Agent:
    """A voice that says a word every 300 ms, and does as it is told."""

    def __init__(self, words: bool) -> None:
        self._words = words
        self._queue: list[_Message] = []
        self._now: _Message | None = None
        self._said = 0  # words begun
        self._next_ms: int | None = None  # when the next word begins, or the message ends
        self._paused = False

    def say(self, text: str, must_hear: bool, at_ms: int) -> None:
        self._queue.append(_Message(text, must_hear))
        if self._now is None:
            self._next_ms = at_ms

    @property
    def next_ms(self) -> int | None:
        return None if self._paused else self._next_ms

    def happens(self, at_ms: int) -> list[Event]:
        """What the ear notices at this instant; the first word's onset starts the playout."""
        events: list[Event] = []
        if self._now is not None and self._said == len(self._now.onsets):
            self._now = None
            if not self._queue:
                self._next_ms = None
                return [PlayoutStopped(at_ms=at_ms)]
        if self._now is None:
            self._now, self._said = self._queue.pop(0), 0
            events += [
                PlayoutStarted(
                    at_ms=at_ms,
                    message_id=self._now.text,
                    must_hear=self._now.must_hear,
                ),
                PlayoutWorded(at_ms=at_ms, text=self._now.text),
            ]
        heard = self._now.onsets[self._said]
        waiting = sum(len(message.onsets) for message in self._queue)
        left = (len(self._now.onsets) - self._said + waiting) * WORD_MS
        events.append(PlayoutProgressed(at_ms=at_ms, heard_chars=heard, left_ms=left))
        self._said += 1
        self._next_ms = at_ms + WORD_MS
        return events

    def obey(self, decision: Decision, at_ms: int) -> list[tuple[int, Event]]:
        """Do it; returns what will be noticed later because of it."""
        match decision:
            case PausePlayout():
                # At the end of the word in the air, which is where the next one begins.
                self._paused = True
            case ResumePlayout() if self._paused:
                self._paused = False
                if self._next_ms is not None:
                    self._next_ms = max(self._next_ms, at_ms)
            case YieldFloor() if self._now is not None:
                stopped_ms = at_ms
                if decision.stop_at is not StopAt.NOW and self._next_ms is not None:
                    stopped_ms = max(at_ms, self._next_ms)
                self._now, self._next_ms, self._paused = None, None, False
                self._queue.clear()
                return [(stopped_ms, PlayoutStopped(at_ms=stopped_ms, completed=False))]
        return []


def play(scene: Scene, rules: Rules) -> list[Decision]:
    """Play a scene through the core, waking it exactly at its own deadlines."""
    return play_logged(scene, rules)[1]


def play_logged(scene: Scene, rules: Rules) -> tuple[list[Event], list[Decision]]:
    """Play a scene; every event that was fed, and every decision."""
    state, said, log = State(), list[Decision](), list[Event]()
    agent = _Agent(words=scene.options.get("words") != "no")
    lines, later = list(scene.lines), list[tuple[int, Event]]()

    def feed(event: Event) -> None:
        nonlocal state
        log.append(event)
        state, decisions = step(rules, state, event)
        for decision in decisions:
            said.append(decision)
            later.extend(agent.obey(decision, decision.at_ms))
            later.sort(key=lambda entry: entry[0])

    while True:
        instants = [
            (state.due_at_ms, 0),
            (agent.next_ms, 1),
            (later[0][0] if later else None, 2),
            (lines[0].at_ms if lines else None, 3),
        ]
        known = [(at_ms, order) for at_ms, order in instants if at_ms is not None]
        if not known:
            return log, said
        at_ms, order = min(known)
        if order == 0:
            feed(TimePassed(at_ms=at_ms))
        elif order == 1:
            for event in agent.happens(at_ms):
                feed(event)
        elif order == 2:
            feed(later.pop(0)[1])
        else:
            line = lines.pop(0)
            if line.who in ("agent", "agent!"):
                agent.say(line.what, line.who == "agent!", line.at_ms)
            else:
                feed(event_of(line))


def event_of(line: Line) -> Event:
    """The event that a line of the caller's side is."""
    at_ms, what = line.at_ms, line.what
    match line.who:
        case "user":
            return UserSpeechStarted(at_ms=at_ms)
        case "user.":
            return UserSpeechStopped(at_ms=at_ms)
        case "asr~":
            return UserWordsHeard(at_ms=at_ms, text=what, is_final=False, language=line.language)
        case "asr":
            return UserWordsHeard(at_ms=at_ms, text=what, is_final=True, language=line.language)
        case "score":
            probability, source = what.split(maxsplit=1)
            return OverlapScored(
                at_ms=at_ms, source=source, backchannel_probability=float(probability)
            )
        case "tool":
            return ToolStarted(at_ms=at_ms, name=what)
        case "tool.":
            return ToolFinished(at_ms=at_ms, name=what)
        case _:
            return ControlRaised(at_ms=at_ms, name=what)

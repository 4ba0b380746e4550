"""What does the core decide in a scene? Played in virtual time, exact to the millisecond."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bargein.core.decisions import (
    AcknowledgeYield,
    Decision,
    DeferTurn,
    DeliverTurn,
    FileReceipt,
    Kind,
    OfferResumption,
    PausePlayout,
    ReportBackchannel,
    ResumePlayout,
    ResumeSpeech,
    SpeakAgain,
    StopAt,
    YieldFloor,
)
from bargein.core.events import (
    CallEnded,
    ControlRaised,
    Event,
    MessageLocked,
    OnCut,
    OverlapScored,
    PlayoutProgressed,
    PlayoutStarted,
    PlayoutStopped,
    PlayoutWorded,
    ResumptionAsked,
    ResumptionDropped,
    TimePassed,
    ToolFinished,
    ToolStarted,
    TopicNamed,
    TurnTaken,
    UserSpeechStarted,
    UserSpeechStopped,
    UserWordsHeard,
)
from bargein.core.floor import step
from bargein.core.marked import Marked
from bargein.core.overlap import Rules
from bargein.core.state import State
from bargein.core.unfinished import Mode, Resumption, Unfinished, recalled
from bargein.language import Judges
from bargein.language.speech import acknowledgement, bridge, offer

from .scene import Line, Scene

WORD_MS = 300
"""How long the scripted agent takes for a word: 200 words a minute, a brisk voice."""
PATIENCE_MS = 140
"""How long a yield waits for the end of a word: what was let out already, and `Playback`'s."""

LEASE_MS = 20_000
"""How long a worker that died keeps others from going on with what it knew of, unless said."""

_WORDED = (DeferTurn, DeliverTurn, ReportBackchannel, SpeakAgain, ResumeSpeech)
"""Decisions that are written with their text."""


def written(decision: Decision) -> str:
    """A decision the way scenes write it: ``900 YieldFloor(correction): floor taken``."""
    kind = decision.state if isinstance(decision, FileReceipt) else getattr(decision, "kind", None)
    name = type(decision).__name__ + (f"({kind.value})" if kind else "")
    if isinstance(decision, _WORDED):
        name += f' "{decision.text}"'
    line = f"{decision.at_ms} {name}: {decision.reason.value}"
    if isinstance(decision, YieldFloor | FileReceipt):
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
    message_id: str

    @property
    def onsets(self) -> list[int]:
        """Where each word ends in the text."""
        ends: list[int] = []
        for word in self.text.split():
            ends.append(self.text.index(word, ends[-1] if ends else 0) + len(word))
        return ends


class _Agent:
    """A voice that says a word every 300 ms, and does as it is told."""

    def __init__(self, speech: Mapping[str, str]) -> None:
        self._speech = speech
        self._queue: list[_Message] = []
        self._now: _Message | None = None
        self._halves = 0  # of words, said
        self._next_ms: int | None = None  # when the next half begins, or the message ends
        self._paused = False

    def say(self, message: _Message, at_ms: int) -> None:
        self._queue.append(message)
        if self._now is None and self._next_ms is None:
            self._next_ms = at_ms

    @property
    def next_ms(self) -> int | None:
        return None if self._paused and not self._halves % 2 else self._next_ms

    def happens(self, at_ms: int) -> list[Event]:
        """What the ear notices: the first word's onset starts the playout, and a word has been
        heard when half of it was."""
        events: list[Event] = []
        if self._now is not None and self._halves == 2 * len(self._now.onsets):
            self._now = None
            if not self._queue:
                self._next_ms = None
                return [PlayoutStopped(at_ms=at_ms)]
        if self._now is None:
            self._now, self._halves = self._queue.pop(0), 0
            events += [
                PlayoutStarted(
                    at_ms=at_ms,
                    message_id=self._now.message_id,
                    must_hear=self._now.must_hear,
                ),
                PlayoutWorded(at_ms=at_ms, text=self._now.text),
            ]
        words = (self._halves + 1) // 2
        heard = self._now.onsets[words - 1] if words else 0
        waiting = sum(len(message.onsets) for message in self._queue)
        left = (2 * (len(self._now.onsets) + waiting) - self._halves) * WORD_MS // 2
        events.append(PlayoutProgressed(at_ms=at_ms, heard_chars=heard, left_ms=left))
        self._halves += 1
        self._next_ms = at_ms + WORD_MS // 2
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
            case YieldFloor():
                return self._cut(decision, at_ms)
            case SpeakAgain():
                self.say(_Message(decision.text, True, decision.message_id), at_ms)
            case ResumeSpeech() if not decision.in_own_words:
                text = bridge(self._speech, decision.topic, decision.text)
                self.say(_Message(text, False, text), at_ms)
            case OfferResumption():
                text = offer(self._speech, decision.topic)
                self.say(_Message(text, False, text), at_ms)
            case AcknowledgeYield():
                text = acknowledgement(self._speech, decision.kind)
                self.say(_Message(text, False, text), at_ms)
        return []

    def _cut(self, decision: YieldFloor, at_ms: int) -> list[tuple[int, Event]]:
        if self._now is None:
            return []
        stopped_ms = at_ms
        if decision.stop_at is not StopAt.NOW and self._next_ms is not None:
            word_ends_ms = self._next_ms + self._halves % 2 * WORD_MS // 2
            if word_ends_ms - at_ms <= PATIENCE_MS:
                stopped_ms = max(at_ms, word_ends_ms)
        kept = [] if decision.breaks_lock else [one for one in self._queue if one.must_hear]
        self._now, self._queue, self._paused = None, kept, False
        self._next_ms = stopped_ms if kept else None
        return [(stopped_ms, PlayoutStopped(at_ms=stopped_ms, completed=False))]


def play(scene: Scene, rules: Rules) -> list[Decision]:
    """Play a scene through the core, waking it exactly at its own deadlines."""
    return play_logged(scene, rules)[1]


def play_logged(scene: Scene, rules: Rules) -> tuple[list[Event], list[Decision]]:
    """Play a scene; every event that was fed, and every decision."""
    player = _Player(scene, rules)
    player.play()
    return player.log, player.said


def play_traced(scene: Scene, rules: Rules) -> list[Event | Decision]:
    """Play a scene; events and decisions in the order of a trace."""
    player = _Player(scene, rules)
    player.play()
    return player.trace


class _Player:
    """One scene, on its way."""

    def __init__(self, scene: Scene, rules: Rules) -> None:
        self._lines = list(scene.lines)
        self._on_cut = OnCut(scene.options.get("on_cut", "report"))
        self._rules = rules
        languages = tuple(scene.options.get("language", "en").split())
        self._judges = Judges(languages)
        self._memory = Resumption(
            mode=Mode(scene.options.get("resume", "off")),
            ttl_ms=int(scene.options.get("resume_ttl", 300_000)),
            acknowledged=frozenset(map(Kind, scene.options.get("acknowledge", "").split())),
        )
        self._lease_ms = int(scene.options.get("lease", LEASE_MS))
        self._shelf: dict[str, Unfinished] = {}
        self._free_at_ms = 0  # when the claims of a worker that died are over
        self._state = State(resumption=self._memory)
        self._agent = _Agent(self._judges.speech)
        self._last_said = ""
        self._later: list[tuple[int, Event]] = []
        self._unfinished: dict[str, FileReceipt] = {}
        self.log: list[Event] = []
        self.said: list[Decision] = []
        self.trace: list[Event | Decision] = []

    def play(self) -> None:
        while True:
            instants = [
                (self._state.due_at_ms, 0),
                (self._later[0][0] if self._later else None, 1),
                (self._agent.next_ms, 2),
                (self._lines[0].at_ms if self._lines else None, 3),
            ]
            known = [(at_ms, order) for at_ms, order in instants if at_ms is not None]
            if not known:
                return
            at_ms, order = min(known)
            if order == 0:
                self._feed(TimePassed(at_ms=at_ms))
            elif order == 1:
                self._feed(self._later.pop(0)[1])
            elif order == 2:
                for event in self._agent.happens(at_ms):
                    self._feed(event)
            else:
                self._line(self._lines.pop(0))

    def _feed(self, event: Event) -> None:
        self.log.append(event)
        if isinstance(event, PlayoutWorded):
            self._last_said = event.text
        self._state, decisions = step(self._rules, self._state, event)
        self.trace += [event, *decisions]
        for decision in decisions:
            self.said.append(decision)
            if isinstance(decision, FileReceipt):
                self._unfinished.pop(decision.message_id, None)
                if decision.pending:
                    self._unfinished[decision.message_id] = decision
            self._later += self._agent.obey(decision, decision.at_ms)
            self._later.sort(key=lambda entry: entry[0])

    def _line(self, line: Line) -> None:
        match line.who:
            case "agent" | "agent!":
                self._say(line.what, line.at_ms, must_hear=line.who == "agent!")
            case "reply":
                marked = Marked()
                for piece in (*marked.feed(line.what), *marked.end()):
                    self._say(piece.text.strip(), line.at_ms, must_hear=piece.must_hear)
            case "hangup" | "crash":
                if line.who == "hangup":
                    self._feed(CallEnded(at_ms=line.at_ms))
                self._free_at_ms = line.at_ms + (self._lease_ms if line.who == "crash" else 0)
                kept = self._state.resumption.kept
                self._shelf = {left.message_id: left for left in kept}
                self._agent, self._later = _Agent(self._judges.speech), []
                self._state = State(at_ms=line.at_ms)
            case "call":
                self._state = State(at_ms=line.at_ms, resumption=self._memory)
                for receipt in self._unfinished.values():
                    self._feed(self._pending(receipt, line.at_ms))
                at_ms = max(line.at_ms, self._free_at_ms)
                for left in self._shelf.values():
                    event = recalled(left, at_ms=at_ms, age_ms=at_ms - left.cut_at_ms)
                    self._later.append((at_ms, event))
            case "turn":
                kind, agrees = self._judges.turn(line.what, agent_said=self._last_said)
                self._feed(TurnTaken(at_ms=line.at_ms, text=line.what, kind=kind, agrees=agrees))
            case "topic":
                self._feed(TopicNamed(at_ms=line.at_ms, topic=line.what))
            case "resume":
                self._feed(ResumptionAsked(at_ms=line.at_ms))
            case "forget":
                self._feed(ResumptionDropped(at_ms=line.at_ms))
            case _:
                self._feed(event_of(line))

    def _say(self, text: str, at_ms: int, *, must_hear: bool) -> None:
        if must_hear:
            self._feed(MessageLocked(at_ms=at_ms, message_id=text, text=text, on_cut=self._on_cut))
        self._agent.say(_Message(text, must_hear, text), at_ms)

    def _pending(self, receipt: FileReceipt, at_ms: int) -> MessageLocked:
        return MessageLocked(
            at_ms=at_ms,
            message_id=receipt.message_id,
            text=receipt.heard + receipt.unheard,
            on_cut=self._on_cut,
            attempts=receipt.attempts,
            heard=receipt.heard if self._on_cut is OnCut.RESUME else "",
            pending=True,
        )


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

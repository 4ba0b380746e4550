"""Which overlap does an entry belong to, what was known then, and what came of it?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

from bargein.core.decisions import (
    Decision,
    DuckPlayout,
    HoldFloor,
    PassFloor,
    PausePlayout,
    ReportBackchannel,
    ResumePlayout,
    ResumeSpeech,
    YieldFloor,
)
from bargein.core.events import (
    CallEnded,
    ControlRaised,
    Event,
    OverlapScored,
    PlayoutProgressed,
    PlayoutStarted,
    PlayoutStopped,
    ToolFinished,
    ToolStarted,
    TurnTaken,
    UserSpeechStarted,
    UserSpeechStopped,
    UserWordsHeard,
)

from .episode import Episode, Mistake, Outcome

Entry: TypeAlias = Event | Decision
Listening: TypeAlias = Callable[[str, str], bool]
"""Do these words of a caller only listen to these of the agent?"""

HELD_FOR_MS = 2_000
"""Late words may still turn a hold over for so long after the caller fell silent."""
YIELDED_FOR_MS = 10_000
"""So long after the caller fell silent no more words are waited for."""
_REMEMBERED = 16
"""How many yields are kept for the rest to be gone on with."""


class Follower:
    """Reads a call's entries in their order. No clock of its own; keeps no words but the caller's
    of the overlap at hand."""

    def __init__(self, listens: Listening = lambda _caller, _agent: False) -> None:
        """Begin at the call's beginning; ``listens`` tells a backchannel that took the floor."""
        self._listens = listens
        self._open: Episode | None = None
        self._numbered = 0
        self._cut: dict[str, Episode] = {}
        self._speaking_since_ms: int | None = None
        self._silent_since_ms: int | None = None
        self._playing_since_ms: int | None = None
        self._stopped_at_ms: int | None = None
        self._left_ms: int | None = None
        self._must_hear = False
        self._paused_at_ms: int | None = None
        self._finals = ""
        self._partial = ""
        self._agent_said = ""
        self._backchannel = False
        self._scores: dict[str, float] = {}
        self._controls: list[tuple[int, str]] = []
        self._loose: UserWordsHeard | None = None
        self._message_id = ""
        self._tools: dict[str, str] = {}

    @property
    def open(self) -> Episode | None:
        """The overlap at hand, as far as it is known."""
        return self._open

    @property
    def undecided(self) -> Episode | None:
        """The overlap at hand, while nobody has decided it."""
        one = self._open
        return one if one is not None and one.outcome is Outcome.NONE else None

    def __call__(self, entry: Entry) -> tuple[dict[str, Any], tuple[Episode, ...]]:
        """Take the next entry.

        Returns:
            What is known about it, as in ``SCHEMA.md``; and overlaps of which something is news:
            the yield itself, what came of one, or that its rest was gone on with.
        """
        over = self._lapsed(entry.at_ms)
        about, news = self._take(entry)
        return about, (*over, *news)

    def close(self) -> tuple[Episode, ...]:
        """No more entries: what has come of the overlap at hand."""
        return self._settle()

    # --- the entries ---

    def _take(self, entry: Entry) -> tuple[dict[str, Any], tuple[Episode, ...]]:
        match entry:
            case PlayoutProgressed():
                self._left_ms = entry.left_ms
                return {}, ()
            case UserSpeechStarted():
                return self._caller_began(entry)
            case UserSpeechStopped():
                self._speaking_since_ms, self._silent_since_ms = None, entry.at_ms
            case UserWordsHeard():
                self._loose = entry
                if self._open is not None:
                    self._words(entry)
            case OverlapScored():
                self._scores[entry.source] = entry.backchannel_probability
            case ControlRaised():
                # Which key was pressed may be a secret.
                name = "dtmf" if entry.name.startswith("dtmf:") else entry.name
                self._controls.append((entry.at_ms, name))
            case ToolStarted():
                self._tools[entry.call_id or entry.name] = entry.name
            case ToolFinished():
                self._tools.pop(entry.call_id or entry.name, None)
            case PlayoutStarted():
                return self._agent_began(entry)
            case PlayoutStopped():
                return self._agent_stopped(entry)
            case TurnTaken():
                return self._turn_taken(entry)
            case CallEnded():
                return self._within(), self._settle()
            case ReportBackchannel() if self._open is not None:
                self._backchannel = True
            case DuckPlayout() | PausePlayout() | ResumePlayout() | HoldFloor() | YieldFloor():
                return self._decided(entry)
            case PassFloor() if self.undecided is not None:
                self._know(outcome=Outcome.PASS, reason=entry.reason, decided_at_ms=entry.at_ms)
            case ResumeSpeech():
                cut = self._cut.pop(entry.message_id, None)
                if cut is not None:
                    gone_on = replace(cut, resumed_at_ms=entry.at_ms)
                    if self._open is not None and self._open.number == cut.number:
                        self._open = gone_on
                    return self._within(), (gone_on,)
            case _:
                pass
        return self._within(), ()

    def _caller_began(self, event: UserSpeechStarted) -> tuple[dict[str, Any], tuple[Episode, ...]]:
        if self._speaking_since_ms is not None:
            return self._within(), ()
        onset_at_ms = event.at_ms if event.onset_at_ms is None else event.onset_at_ms
        self._speaking_since_ms, self._silent_since_ms = onset_at_ms, None
        over: tuple[Episode, ...] = ()
        if self._open is not None and not self._yielded and self.undecided is None:
            over = self._settle()  # what was held is over: this is another
        if self._playing_since_ms is not None and self._open is None:
            self._begin(onset_at_ms)
        return self._within(), over

    def _agent_began(self, event: PlayoutStarted) -> tuple[dict[str, Any], tuple[Episode, ...]]:
        over = self._settle() if self._yielded else ()
        self._playing_since_ms, self._stopped_at_ms = event.at_ms, None
        self._message_id, self._must_hear = event.message_id, event.must_hear
        self._left_ms = None
        if self._speaking_since_ms is not None and self._open is None:
            self._begin(event.at_ms)
        return self._within(), over

    def _agent_stopped(self, event: PlayoutStopped) -> tuple[dict[str, Any], tuple[Episode, ...]]:
        self._playing_since_ms, self._stopped_at_ms = None, event.at_ms
        about = self._within()
        if self._yielded and self._open is not None and self._open.silent_at_ms is None:
            self._know(silent_at_ms=event.at_ms)
            about["onset_to_silence_ms"] = self._open.onset_to_silence_ms
        return about, ()

    def _turn_taken(self, event: TurnTaken) -> tuple[dict[str, Any], tuple[Episode, ...]]:
        about = self._within()
        if not self._yielded:
            return about, ()
        # What is said after a yield is the host's to gather: it comes here all at once.
        self._finals, self._partial = event.text or self._finals, ""
        self._know(caller_words=len(self._caller_words))
        return about, self._settle()

    def _words(self, event: UserWordsHeard) -> None:
        if event.is_final:
            self._finals, self._partial = f"{self._finals} {event.text}".strip(), ""
        else:
            self._partial = event.text
        self._know(caller_words=len(self._caller_words), by_caller=True)

    def _decided(
        self, entry: DuckPlayout | PausePlayout | ResumePlayout | HoldFloor | YieldFloor
    ) -> tuple[dict[str, Any], tuple[Episode, ...]]:
        news: tuple[Episode, ...] = ()
        if self._open is None:
            if isinstance(entry, ResumePlayout):
                self._paused_at_ms = None
                return {}, ()
            began = self._speaking_since_ms
            self._begin(entry.at_ms if began is None else began)
            if self._loose is not None and self._loose.at_ms == entry.at_ms:
                self._words(self._loose)  # words without a voice: they are the overlap
        about = self._within()
        assert self._open is not None
        match entry:
            case DuckPlayout():
                if self._open.duck_at_ms is None:
                    self._know(duck_at_ms=entry.at_ms)
                about["onset_to_duck_ms"] = max(0, entry.at_ms - self._open.onset_at_ms)
            case PausePlayout():
                self._paused_at_ms = entry.at_ms
                if self._open.pause_at_ms is None:
                    self._know(pause_at_ms=entry.at_ms)
                about["onset_to_pause_ms"] = max(0, entry.at_ms - self._open.onset_at_ms)
                about["evidence"] = self._evidence(entry.at_ms)
            case ResumePlayout():
                self._know(resumed_at_ms=entry.at_ms)
                about["onset_to_resume_ms"] = max(0, entry.at_ms - self._open.onset_at_ms)
                if self._paused_at_ms is not None:
                    about["silent_ms"] = max(0, entry.at_ms - self._paused_at_ms)
                    self._paused_at_ms = None
            case HoldFloor() | YieldFloor():
                yields = isinstance(entry, YieldFloor)
                about["onset_to_decision_ms"] = max(0, entry.at_ms - self._open.onset_at_ms)
                about["evidence"] = self._evidence(entry.at_ms)
                if not self._yielded and (yields or self.undecided is not None):
                    self._know(
                        outcome=Outcome.YIELD if yields else Outcome.HOLD,
                        kind=entry.kind,
                        reason=entry.reason,
                        decided_at_ms=entry.at_ms,
                        words_to_decision=self._open.caller_words,
                    )
                    if isinstance(entry, YieldFloor):
                        news = self._cut_off(entry)
        about["caller_words"] = self._open.caller_words
        return about, news

    def _cut_off(self, entry: YieldFloor) -> tuple[Episode, ...]:
        self._agent_said, self._paused_at_ms = entry.heard, None
        # Some hosts fall silent in the same breath, and say so first.
        silent = self._playing_since_ms is None and self._stopped_at_ms == entry.at_ms
        cut = self._know(
            heard_words=len(entry.heard.split()),
            heard_chars=len(entry.heard),
            unheard_words=len(entry.unheard.split()),
            unheard_chars=len(entry.unheard),
            message_id=entry.message_id,
            resumed_at_ms=None,
            silent_at_ms=entry.at_ms if silent else None,
        )
        self._cut[entry.message_id] = cut
        while len(self._cut) > _REMEMBERED:
            self._cut.pop(next(iter(self._cut)))
        return (cut,)

    # --- the overlap at hand ---

    def _begin(self, onset_at_ms: int) -> None:
        self._numbered += 1
        self._finals = self._partial = self._agent_said = ""
        self._backchannel = False
        self._scores = {}
        self._controls = [one for one in self._controls if one[0] >= onset_at_ms]
        self._open = Episode(
            number=self._numbered,
            onset_at_ms=onset_at_ms,
            by_caller=self._speaking_since_ms is not None,
            message_id=self._message_id if self._playing_since_ms is not None else "",
            must_hear=self._must_hear and self._playing_since_ms is not None,
        )

    def _know(self, **known: Any) -> Episode:
        assert self._open is not None
        self._open = replace(self._open, **known)
        if self._yielded and self._open.message_id in self._cut:
            self._cut[self._open.message_id] = self._open
        return self._open

    def _within(self) -> dict[str, Any]:
        if self._open is None:
            return {}
        return {"overlap": self._open.number, "onset_at_ms": self._open.onset_at_ms}

    @property
    def _yielded(self) -> bool:
        return self._open is not None and self._open.outcome is Outcome.YIELD

    @property
    def _caller_words(self) -> list[str]:
        return f"{self._finals} {self._partial}".split()

    def _lapsed(self, at_ms: int) -> tuple[Episode, ...]:
        """What is over because so much time has passed."""
        one = self._open
        if one is None or self._speaking_since_ms is not None:
            return ()
        since = max(self._silent_since_ms or 0, one.decided_at_ms or one.onset_at_ms)
        patience = YIELDED_FOR_MS if self._yielded or one.decided_at_ms is None else HELD_FOR_MS
        return self._settle() if at_ms - since >= patience else ()

    def _settle(self) -> tuple[Episode, ...]:
        one = self._open
        if one is None:
            return ()
        if one.interrupts:
            words = " ".join(self._caller_words)
            if not words:
                one = self._know(mistake=Mistake.NO_WORDS)
            elif self._backchannel or self._listens(words, self._agent_said):
                one = self._know(mistake=Mistake.BACKCHANNEL)
        one = self._know(over=True)
        self._open = None
        self._finals = self._partial = self._agent_said = ""
        return (one,)

    def _evidence(self, at_ms: int) -> dict[str, Any]:
        """What a decision rests on, without a word of it."""
        found: dict[str, Any] = {
            "user_speaking": self._speaking_since_ms is not None,
            "words": len(self._caller_words),
            "words_final": bool(self._finals) and not self._partial,
        }
        if self._speaking_since_ms is None and self._silent_since_ms is not None:
            found["user_silent_ms"] = max(0, at_ms - self._silent_since_ms)
        if self._playing_since_ms is not None:
            found["agent_spoke_ms"] = max(0, at_ms - self._playing_since_ms)
            if self._left_ms is not None:
                found["agent_left_ms"] = self._left_ms
            if self._must_hear:
                found["must_hear"] = True
        if self._scores:
            found["scores"] = dict(self._scores)
        if self._tools:
            found["tools_running"] = list(self._tools.values())
        if self._controls:
            found["controls"] = [name for _, name in self._controls]
        return found

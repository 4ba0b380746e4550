"""What do the parts of one call share, whatever the host? Its floor, and the hooks around it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from bargein.core.decisions import Decision
from bargein.core.events import (
    ControlRaised,
    Event,
    MessageLocked,
    OverlapScored,
    PlayoutLocked,
    PlayoutStopped,
    ResumptionAsked,
    ResumptionDropped,
    TimePassed,
    TopicNamed,
    TurnTaken,
    UserSpeechStarted,
    UserSpeechStopped,
)
from bargein.core.overlap import Rules
from bargein.core.state import State
from bargein.core.transitions import Floor
from bargein.core.unfinished import Mode, Resumption, Unfinished
from bargein.pump import Pump, call_clock

Ear: TypeAlias = Literal["host", "early"]
"""Who says that the user speaks: the host's own voice activity detection, or our early onset."""
Log: TypeAlias = Callable[[str], None]

_MAY_SPEAK = (PlayoutStopped, TurnTaken, ResumptionAsked)
"""Behind these the agent may go on with something, or offer to."""
_SCRIPTS = 16
"""How many messages' texts are kept: the one that sounds, and those that may still come to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something happened, and everything it decided has been set in motion."""

    event: Event
    state: State
    """How things stand now."""


class Call:
    """One call's floor, and the hooks by which the parts of a host hear of it."""

    def __init__(self, rules: Rules, resumption: Resumption | None = None, *, error: Log) -> None:
        """Open the floor.

        Args:
            rules: who gets it.
            resumption: how what was left unsaid is remembered.
            error: the host's log, for what failed.
        """
        self._clock = call_clock()
        self._error = error
        self._pump = Pump(
            rules,
            decided=self._decided,
            happened=self._happened,
            settled=self._settled,
            report=self.report,
            clock=self._clock,
            state=State(resumption=resumption or Resumption()),
        )
        self._memory = self._pump.state.resumption
        self._speaking: set[Ear] = set()
        self._interruptible = True
        self._reported: set[str] = set()
        self._scripts: dict[str, str] = {}
        self.closed = False
        self.decided: list[Callable[[Decision], None]] = []
        """Told of every decision, in order."""
        self.happened: list[Callable[[Event], None]] = []
        """Told of every event, before it is judged."""
        self.changed: list[Callable[[Change], None]] = []
        """Told of every event, behind all that it decided."""
        self.remembered: list[Callable[[tuple[Unfinished, ...]], None]] = []
        """Told of what would be left unsaid if the call broke off now, when that has changed."""
        self.failed: list[Callable[[], None]] = []
        """Told that the core failed and the call goes on without rules."""
        self.troubled: list[Callable[[str], None]] = []
        """Told of every failure of ours by where it was, however often."""
        self.cut_done: list[Callable[[], None]] = []
        """Told that a yield has been heard out, and what was heard is in the context."""
        self.lapsed: Callable[[], Iterable[str]] = lambda: ()
        """What was left unsaid and may be another worker's to say by now, by its id."""
        self.closing: list[Callable[[], None]] = []
        """Told that the call is over."""
        self.cutting = False
        """True from a yield until it has been heard out."""
        self.voice_queued: Callable[[], bool] = lambda: False
        """Is there any audio that has not been let out?"""
        self.host_turn: Callable[[], object | None] = lambda: None
        """The OpenTelemetry context of the turn that the host traces now, if it does."""
        self.words_awaited: Callable[[], bool] = lambda: False
        """Is the final transcript of what the caller has just said still to come?"""
        self.played_ms: Callable[[str], tuple[float, float | None]] = lambda _: (0.0, None)
        """How much of a message was played, and how long all of it is where that is known."""
        self.last_said = ""
        """What the agent said last, as far as it was heard."""
        self.muted = False

    @property
    def now_ms(self) -> int:
        return self._pump.now_ms

    def clock_ms(self) -> float:
        """The call's clock, uncut."""
        return self._clock()

    @property
    def floor(self) -> Floor:
        return self._pump.floor

    @property
    def agent_has_floor(self) -> bool:
        """Is the agent being heard, contested or not?"""
        return self._pump.floor in (Floor.AGENT, Floor.CONTESTED)

    @property
    def decides_words(self) -> bool:
        """Do words wait for a decision? Over the agent's voice, and after "hang on"."""
        return self.agent_has_floor or self.waits_a_moment or self.locked

    @property
    def waits_a_moment(self) -> bool:
        """Has the caller asked for a moment, and not come back yet?"""
        return self._pump.state.moment is not None

    @property
    def locked(self) -> bool:
        """Is a message that must be heard on its way, or being heard?"""
        return self._pump.state.locks.active

    @property
    def lock_sounds(self) -> bool:
        """Is a message that must be heard being heard?"""
        return self._pump.state.locks.playing is not None

    @property
    def interruptible(self) -> bool:
        """May the caller talk over the agent's ordinary speech?"""
        return self._interruptible

    @interruptible.setter
    def interruptible(self, interruptible: bool) -> None:
        self._interruptible = interruptible
        self.feed(PlayoutLocked(at_ms=self.now_ms, must_hear=not interruptible))

    @property
    def unfinished(self) -> tuple[Unfinished, ...]:
        """What was left unsaid, and may be gone on with; the newest last."""
        return self._pump.state.resumption.stack

    @property
    def remembers(self) -> bool:
        """Is what was left unsaid kept at all?"""
        return self._pump.state.resumption.mode is not Mode.OFF

    @property
    def topic(self) -> TopicNamed | None:
        """What the agent talks about, where the application said so."""
        return self._pump.state.resumption.topic

    @property
    def busy(self) -> bool:
        """Is the agent being heard, or is something still to be decided?"""
        return not self.closed and (
            self.cutting
            or self.agent_has_floor
            or self.voice_queued()
            or self.words_awaited()
            or self._pump.state.due_at_ms is not None
        )

    @property
    def user_speaks(self) -> bool:
        return bool(self._speaking)

    @property
    def host_hears_user(self) -> bool:
        return "host" in self._speaking

    # --- what happens ---

    def feed(self, event: Event) -> None:
        if isinstance(event, _MAY_SPEAK) and self.unfinished:
            for message_id in self.lapsed():
                self._pump.feed(ResumptionDropped(at_ms=event.at_ms, message_id=message_id))
        self._pump.feed(event)

    def settle(self) -> None:
        """Let every deadline that has passed be settled now."""
        self._pump.feed(TimePassed(at_ms=self.now_ms))

    def lock(self, message: MessageLocked) -> None:
        """A message that must be heard has been handed in."""
        self.feed(replace(message, at_ms=self.now_ms))

    def speech(self, event: UserSpeechStarted | UserSpeechStopped, ear: Ear) -> None:
        """The user speaks as soon as one ear hears it, until the host's word or until the ear that
        hears early hears no more: a host may wait for half a second of silence."""
        if self.muted:
            return
        if isinstance(event, UserSpeechStarted):
            self._speaking.add(ear)
            self.feed(event)
            return
        heard = ear in self._speaking
        if ear == "host":
            # The host's word ends it: an early ear that hears no more audio would hang here.
            self._speaking.clear()
        self._speaking.discard(ear)
        if heard or not self._speaking:
            self.feed(event)

    def raise_control(self, name: str) -> None:
        self.feed(ControlRaised(at_ms=self.now_ms, name=name))

    def score(self, source: str, probability: float) -> None:
        """A detector's opinion; no more than a number between 0 and 1 counts as one."""
        if 0.0 <= probability <= 1.0:
            self.feed(
                OverlapScored(at_ms=self.now_ms, source=source, backchannel_probability=probability)
            )

    def mute(self, muted: bool) -> None:
        """The host listens to nobody for now, and so do we."""
        if muted and self._speaking:
            self.speech(UserSpeechStopped(at_ms=self.now_ms), "host")
        self.muted = muted

    def close(self) -> None:
        """The call is over."""
        if self.closed:
            return
        self.closed = True
        self.cutting = False
        self._pump.close()
        for hook in tuple(self.closing):
            self.guarded("closing hook", hook)

    def cut_heard(self) -> None:
        """A yield's last word is out and written down: the caller's turn may be answered."""
        if self.cutting:
            self.cutting = False
            for hook in tuple(self.cut_done):
                self.guarded("cut hook", hook)

    # --- what the agent is going to say ---

    def add_script(self, stream: str, text: str, *, apart: bool = True) -> str:
        """More text of a message became known; returns what was added, spaces included.

        Args:
            stream: of which message.
            text: what more.
            apart: whether it is a piece of its own, such as a sentence; a token is none.
        """
        known = self._scripts.get(stream, "")
        if apart and known and not known[-1].isspace() and not text[:1].isspace():
            text = " " + text
        self._scripts[stream] = known + text
        while len(self._scripts) > _SCRIPTS:
            self._scripts.pop(next(iter(self._scripts)))
        return text

    def script(self, stream: str) -> str:
        return self._scripts.get(stream, "")

    def drop_script(self, stream: str) -> None:
        self._scripts.pop(stream, None)

    # --- hooks ---

    def _decided(self, decision: Decision) -> None:
        for hook in tuple(self.decided):
            self.guarded("decision hook", hook, decision)

    def _happened(self, event: Event) -> None:
        for hook in tuple(self.happened):
            self.guarded("event hook", hook, event)

    def _settled(self, event: Event) -> None:
        if self.changed:
            change = Change(event=event, state=self._pump.state)
            for told in tuple(self.changed):
                self.guarded("change hook", told, change)
        memory = self._pump.state.resumption
        if memory is not self._memory:
            before, self._memory = self._memory.kept, memory
            if memory.kept != before:
                for hook in tuple(self.remembered):
                    self.guarded("memory hook", hook, memory.kept)

    def guarded(self, where: str, act: Callable[..., None], *args: object) -> None:
        """Run something of ours; if it fails, the call goes on and one report is made."""
        try:
            act(*args)
        except Exception as error:
            self.report(where, error)

    def complain(self, text: str) -> None:
        """Tell the log of something that is not as it should be."""
        self._error(text)

    def report(self, where: str, error: Exception) -> None:
        """Tell the log of a failure, once."""
        for told in tuple(self.troubled):
            told(where)
        if where in self._reported:
            return
        self._reported.add(where)
        # The error's text may quote the caller, so only its type and its place are told.
        frames = traceback.extract_tb(error.__traceback__)
        place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        self._error(
            f"bargein: {where} failed with {type(error).__name__}{place};"
            " the call goes on without it"
        )
        if where == "core":
            for hook in tuple(self.failed):
                hook()

"""When is the model asked for an answer, and when is it stopped? One answer at a time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from bargein.core.decisions import Decision, YieldFloor

from .call import RealtimeCall
from .wire import BUSY, Message, Refused, ResponseBegan, ResponseEnded, cancel

_OVERTAKEN = frozenset(
    {
        "response_cancel_not_active",
        "item_delete_invalid_item_id",
        "item_truncate_invalid_item_id",
        "input_audio_buffer_commit_empty",
        "invalid_value",  # such as a truncation beyond the end
    }
)
"""What a server says when something of ours came too late to matter."""
_LOST_S = 10.0
"""A server from which so long nothing comes of an answer may be asked for the next: its last word
got lost, or it says that it is busy."""
_ASKED = 16
"""So many of our own events are remembered, for the errors that are about them."""


@dataclass(slots=True, kw_only=True, eq=False)
class Ask:
    """A run of the model that is wanted."""

    event: Message
    tag: str = ""
    text: str = ""
    """What the model is told to say."""
    must_hear: bool = False
    answers: bool = False
    """True for one that answers whatever the conversation holds by then."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Run:
    ask: Ask | None
    """None for one that somebody else has asked for."""
    response_id: str = ""
    cancelled: bool = field(default=False)


class Answers:
    """Asks for one answer after the other, at the moment when it may come."""

    def __init__(self, call: RealtimeCall) -> None:
        """Ask in a call."""
        self._call = call
        self._wanted: list[Ask] = []
        self._run: _Run | None = None
        self._asked: dict[str, Ask] = {}  # by the id of the event that asked
        self._reported: set[str] = set()
        self._news = 0  # grows with everything that comes of an answer
        self._lost_timer: asyncio.TimerHandle | None = None
        call.decided.append(self._obey)
        call.closing.append(self._close)
        call.moved.append(self.flush)
        call.cut_done.append(self.flush)

    @property
    def active(self) -> bool:
        """Does the model answer, or has it been asked to?"""
        return self._run is not None

    def want(self, ask: Ask) -> None:
        """Ask for this when it may be answered."""
        if ask.answers:
            # One answer serves all that was said; what the application asked for goes before.
            plain = [one for one in self._wanted if one.answers]
            if plain and "response" not in ask.event:
                return
            self._wanted = [one for one in self._wanted if not one.answers]
        self._wanted.append(ask)
        self.flush()

    def called_off(self, tag: str) -> None:
        """This message is not wanted any more."""
        self._wanted = [one for one in self._wanted if one.tag != tag]

    def flush(self) -> None:
        """Ask for the next one, if it may be asked for now."""
        call = self._call
        if self._run is not None:
            self._watch()
            return
        if call.cutting or call.closed:
            return
        for ask in self._wanted:
            if not ask.must_hear and (call.locked or call.waits_a_moment or call.user_speaks):
                continue
            self._wanted.remove(ask)
            self._run = _Run(ask=ask)
            self._asked[call.send(ask.event)] = ask
            while len(self._asked) > _ASKED:
                self._asked.pop(next(iter(self._asked)))
            return

    def _watch(self) -> None:
        """Somebody waits behind an answer whose end may never be told."""
        if self._wanted and self._lost_timer is None and not self._call.closed:
            loop, guarded = asyncio.get_running_loop(), self._call.guarded
            self._lost_timer = loop.call_later(
                _LOST_S, guarded, "realtime", self._lost, self._run, self._news
            )

    def _lost(self, run: _Run, news: int) -> None:
        self._lost_timer = None
        if run is self._run and news == self._news:
            self._run = None
        self.flush()

    def _close(self) -> None:
        if self._lost_timer is not None:
            self._lost_timer.cancel()

    # --- what the server tells ---

    def lives(self) -> None:
        """More of an answer has come."""
        self._news += 1

    def began(self, fact: ResponseBegan) -> Ask | None:
        """An answer begins; whose?"""
        self.lives()
        run = self._run
        if run is None or run.response_id:
            run = self._run = _Run(ask=None)
        run.response_id = fact.response_id
        if run.cancelled:
            self._call.send(cancel(fact.response_id))
        return run.ask

    def ended(self, fact: ResponseEnded) -> None:
        """An answer is over."""
        if self._run is not None and self._run.response_id in ("", fact.response_id):
            self._run = None
            self.flush()

    def refused(self, fact: Refused) -> None:
        """The server reports an error. Ours are told once; nobody's ends the call."""
        ask = self._asked.pop(fact.event_id, None)
        if ask is not None and fact.code == BUSY:
            # Somebody else's answer: ours comes behind it.
            ask.event.pop("event_id", None)
            self._wanted.insert(0, ask)
            self._run = _Run(ask=None)
            return
        if ask is not None and self._run is not None and self._run.ask is ask:
            self._run = None
            self.flush()
        overtaken = fact.event_id.startswith("bargein_") and fact.code in _OVERTAKEN
        if not overtaken and fact.code not in self._reported:
            self._reported.add(fact.code)
            self._call.complain(
                f"bargein: the Realtime server reports {fact.code or 'an error'}; the call goes on"
            )

    def reset(self) -> None:
        """The connection is new: nobody answers there, and what was asked is asked again."""
        run, self._run = self._run, None
        if run is not None and run.ask is not None and not run.response_id and not run.cancelled:
            run.ask.event.pop("event_id", None)
            self._wanted.insert(0, run.ask)
        self.flush()

    # --- what the floor wants ---

    def _obey(self, decision: Decision) -> None:
        if not isinstance(decision, YieldFloor):
            return
        everything = decision.breaks_lock
        self._wanted = [one for one in self._wanted if one.must_hear and not everything]
        self.stop(everything=everything)

    def stop(self, *, everything: bool = False) -> None:
        """Stop the model, unless what it makes must be heard."""
        run = self._run
        if run is None or run.cancelled:
            return
        if run.ask is not None and run.ask.must_hear and not everything:
            return
        run.cancelled = True
        if run.response_id:
            self._call.send(cancel(run.response_id))

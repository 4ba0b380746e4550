"""Which messages must still be heard in full, and what became of each?"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from .decisions import Decision, DeliverTurn, Delivery, FileReceipt, Reason, SpeakAgain, YieldFloor
from .events import (
    BROKEN_BY,
    CallEnded,
    Event,
    MessageLocked,
    OnCut,
    PlayoutStarted,
    PlayoutStopped,
)
from .playout import Playout, has_words

START_MS = 8_000
"""A message that is not heard so long after the agent fell silent will not come."""
MAX_ATTEMPTS = 5
"""A message that was cut so often is not tried again."""

_CLAUSE = re.compile(
    r"(?<=[.!?…,;:؟।،])\s+(?=[^\W\d][^\s\d.…,;:!?]+\s+[^\W\d])|(?<=[。！？，；：])(?=[^\W\d]{2})"
)
"""Between clauses. One begins with two words, so that "4, 2, 7, 1" and "A, B, C" stay whole."""


class LockError(ValueError):
    """A must-hear message that cannot be spoken as it was asked for."""


def policy_of(on_cut: OnCut | str, broken_by: Iterable[str]) -> tuple[OnCut, tuple[str, ...]]:
    """What becomes of a message that is cut, and what may cut it.

    Raises:
        LockError: no such policy.
    """
    try:
        on_cut = OnCut(on_cut)
    except ValueError:
        raise LockError(
            f"on_cut must be one of {', '.join(one.value for one in OnCut)}, not {on_cut!r}"
        ) from None
    names = (broken_by,) if isinstance(broken_by, str) else tuple(broken_by)
    if not all(isinstance(name, str) and name for name in names):
        raise LockError(f"broken_by must hold names such as 'handoff', not {broken_by!r}")
    return on_cut, names


def must_hear(
    text: str,
    message_id: str,
    *,
    on_cut: OnCut | str = OnCut.REPORT,
    broken_by: Iterable[str] = BROKEN_BY,
) -> MessageLocked:
    """A message that must be heard in full, as it is handed in.

    Raises:
        LockError: an empty text, or no such policy.
    """
    if not isinstance(text, str) or not has_words(text):
        raise LockError(f"a message that must be heard needs words to say, not {text!r}")
    on_cut, names = policy_of(on_cut, broken_by)
    return MessageLocked(
        at_ms=0,
        message_id=message_id,
        text=" ".join(text.split()),
        on_cut=on_cut,
        broken_by=names,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """One must-hear message on its way."""

    message_id: str
    text: str
    on_cut: OnCut
    broken_by: tuple[str, ...]
    attempts: int = 0
    heard: str = ""
    """What was heard of it before this attempt, where only the rest is spoken now."""

    @property
    def rest(self) -> str:
        """What this attempt says: from the beginning of the clause that was cut, because half a
        code helps nobody."""
        # A last word may have been cut short, so its clause is said again.
        at = len(self.heard) if self.heard[-1:].isspace() else len(self.heard) - 1
        return self.text[_clause_at(self.text, at) :].lstrip()

    @property
    def tried_enough(self) -> bool:
        return self.on_cut is OnCut.REPORT or self.attempts >= MAX_ATTEMPTS

    def heard_by(self, said: Playout | None) -> str:
        """What has been heard of it by now; never all of it, as it was not said to its end."""
        rest = self.rest
        # A service that says "four" for "4" leaves nobody knowing where in our text it was cut.
        if said is None or not _bare(rest).startswith(_bare(said.text)):
            return self.heard
        ends = [0, *(found.end() for found in re.finditer(r"\S", rest))]
        at = len(self.text) - len(rest) + ends[len(_bare(said.heard))]
        if not has_words(self.text[at:]):
            at = _clause_at(self.text, at - 1)
        return max(self.heard, self.text[:at], key=len)

    def again(self, heard: str) -> Locked:
        """Ready for the next attempt."""
        return replace(self, heard=heard if self.on_cut is OnCut.RESUME else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Locks:
    """The must-hear messages of a call."""

    queued: tuple[Locked, ...] = ()
    """Handed in, and not heard yet."""
    playing: Locked | None = None
    pending: tuple[Locked, ...] = ()
    """To be spoken at the next chance."""
    quiet_since_ms: int | None = None
    """Since when nothing sounds although something is queued."""

    @property
    def active(self) -> bool:
        """Is one being heard, or about to be?"""
        return self.playing is not None or bool(self.queued)

    @property
    def due_at_ms(self) -> int | None:
        return None if self.quiet_since_ms is None else self.quiet_since_ms + START_MS

    def queued_as(self, message_id: str) -> Locked | None:
        """The message of that name that is on its way."""
        here = (message for message in self.queued if message.message_id == message_id)
        return next(here, None)

    def of(self, message_id: str) -> Locked | None:
        """The message that is being heard, if it is this one."""
        playing = self.playing
        return playing if playing and playing.message_id == message_id else None


def _bare(text: str) -> str:
    return "".join(text.split())


def _clause_at(text: str, at: int) -> int:
    """Where the clause begins that this place is in."""
    return max((found.end() for found in _CLAUSE.finditer(text) if found.end() <= at), default=0)


Settled: TypeAlias = tuple[Locks, tuple[Decision, ...]]


def settle(
    locks: Locks,
    event: Event,
    said: Playout | None,
    decisions: Iterable[Decision],
    *,
    agent_sounds: bool,
    user_speaks: bool,
) -> Settled:
    """Take one event.

    Args:
        locks: as they were.
        event: what happened.
        said: the playout as it was when it happened.
        decisions: what was decided about it.
        agent_sounds: whether the agent is heard after it.
        user_speaks: whether the user speaks.
    """
    at_ms = event.at_ms
    filed: list[Decision] = []
    match event:
        case MessageLocked():
            locks = _handed_in(locks, event)
        case PlayoutStarted():
            if locks.playing is not None:
                # The next message follows without a gap.
                locks = _ended(locks, said, at_ms, Reason.AGENT_FINISHED, filed)
            begun = locks.queued_as(event.message_id)
            if begun is not None:
                queued = tuple(one for one in locks.queued if one is not begun)
                locks = replace(locks, playing=begun, queued=queued)
        case PlayoutStopped() if locks.playing is not None:
            reason = Reason.AGENT_FINISHED if event.completed else Reason.AGENT_CUT
            locks = _ended(locks, said, at_ms, reason, filed)
        case CallEnded():
            locks = _ended(locks, said, at_ms, Reason.CALL_ENDED, filed)
            locks = _unheard(locks, at_ms, Reason.CALL_ENDED, filed, again=False)
            return replace(locks, pending=(), quiet_since_ms=None), tuple(filed)
    broken = next((one for one in decisions if isinstance(one, YieldFloor)), None)
    if broken is not None and broken.breaks_lock:
        # Who breaks a message off does not want to hear it again at once, nor those behind it.
        locks = _ended(locks, said, at_ms, broken.reason, filed, again=False)
        locks = _unheard(locks, at_ms, broken.reason, filed, again=False)
    if locks.due_at_ms is not None and at_ms >= locks.due_at_ms and not agent_sounds:
        locks = _unheard(locks, at_ms, Reason.NEVER_SOUNDED, filed, again=True)
    if isinstance(event, PlayoutStopped) and event.completed and said is not None:
        speaks = user_speaks or any(isinstance(one, DeliverTurn) for one in decisions)
        if locks.pending and not locks.active and not speaks:
            locks, again = _next_chance(locks, at_ms)
            filed.append(again)
    since_ms: int | None = None
    if locks.queued and not agent_sounds:
        since_ms = at_ms if locks.quiet_since_ms is None else locks.quiet_since_ms
    if since_ms != locks.quiet_since_ms:
        locks = replace(locks, quiet_since_ms=since_ms)
    return locks, tuple(filed)


def _handed_in(locks: Locks, event: MessageLocked) -> Locks:
    heard = event.heard
    if not event.text.startswith(heard) or not has_words(event.text[len(heard) :]):
        heard = ""
    message = Locked(
        message_id=event.message_id,
        text=event.text,
        on_cut=event.on_cut,
        broken_by=tuple(event.broken_by),
        attempts=event.attempts,
        heard=heard,
    )
    if event.pending:
        return replace(locks, pending=(*locks.pending, message))
    return replace(locks, queued=(*locks.queued, replace(message, attempts=message.attempts + 1)))


def _ended(
    locks: Locks,
    said: Playout | None,
    at_ms: int,
    reason: Reason,
    filed: list[Decision],
    *,
    again: bool = True,
) -> Locks:
    """The message that was being heard has ended, by itself or not."""
    message = locks.playing
    if message is None:
        return locks
    whole = reason is Reason.AGENT_FINISHED
    heard = message.text if whole else message.heard_by(said)
    played_ms = said.audible_ms if said else 0
    left_ms = 0 if whole else (said.left_ms if said else None)
    receipt = _receipt(message, at_ms, reason, Delivery.DELIVERED if whole else Delivery.CUT, heard)
    total_ms = None if left_ms is None else played_ms + left_ms
    filed.append(replace(receipt, played_ms=played_ms, total_ms=total_ms))
    locks = replace(locks, playing=None)
    if whole or message.tried_enough or not again:
        return locks
    return replace(locks, pending=(*locks.pending, message.again(heard)))


def _unheard(
    locks: Locks, at_ms: int, reason: Reason, filed: list[Decision], *, again: bool
) -> Locks:
    """What was queued will not be heard now."""
    filed += [
        _receipt(message, at_ms, reason, Delivery.UNDELIVERED, message.heard)
        for message in locks.queued
    ]
    pending = tuple(message for message in locks.queued if again and not message.tried_enough)
    return replace(locks, queued=(), pending=(*locks.pending, *pending))


def _receipt(
    message: Locked, at_ms: int, reason: Reason, state: Delivery, heard: str
) -> FileReceipt:
    return FileReceipt(
        at_ms=at_ms,
        reason=reason,
        message_id=message.message_id,
        state=state,
        heard=heard,
        unheard=message.text[len(heard) :],
        attempts=message.attempts,
        pending=state is not Delivery.DELIVERED and not message.tried_enough,
    )


def _next_chance(locks: Locks, at_ms: int) -> tuple[Locks, SpeakAgain]:
    """The agent has said what it had to say, and nobody else speaks."""
    message, *others = locks.pending
    message = replace(message, attempts=message.attempts + 1)
    locks = replace(locks, pending=tuple(others), queued=(message,))
    return locks, SpeakAgain(
        at_ms=at_ms,
        reason=Reason.NEXT_CHANCE,
        message_id=message.message_id,
        text=message.rest,
    )

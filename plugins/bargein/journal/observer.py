"""How does a call's journal, and whoever watches it, come to know of the call?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeAlias

from bargein.core.decisions import Decision, FileReceipt
from bargein.core.events import Event, MessageLocked, PlayoutStarted, PlayoutStopped

from .episode import Episode
from .follow import Follower, Listening
from .journal import CallJournal
from .watcher import CallFacts, Watcher

Report: TypeAlias = Callable[[str, Exception], None]
STUCK_MS = 10_000
"""An overlap that is undecided for so long is stuck: the core gives none half of that."""


class Observer:
    """Sees every entry of a call first, and hands on what it makes of it."""

    def __init__(
        self,
        facts: CallFacts,
        *,
        journal: Callable[[], CallJournal] | None,
        watchers: Sequence[Watcher],
        listens: Listening,
        now_ms: Callable[[], int],
        report: Report,
        host_turn: Callable[[], object | None] = lambda: None,
        stuck_ms: int = STUCK_MS,
    ) -> None:
        """Observe from the first entry on: before that there is no call.

        Args:
            facts: which call.
            journal: opens what it is written down in.
            watchers: told of what comes of overlaps.
            listens: whether words of the caller's only listen.
            now_ms: the call's clock.
            report: told of a watcher that fails.
            host_turn: the OpenTelemetry context of the host's turn.
            stuck_ms: how long an overlap may stay undecided.
        """
        self._facts = facts
        self._open_journal = journal
        self._journal: CallJournal | None = None
        self._watchers = list(watchers)
        self._follow = Follower(listens)
        self._now_ms = now_ms
        self._report = report
        self._host_turn = host_turn
        self._stuck_ms = stuck_ms
        self._number = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_for = 0
        self._begun = False
        self._closed = False
        self._troubled = False
        self._spoken_from_ms: int | None = None

    def happened(self, event: Event) -> None:
        """An event of the call, in order."""
        self._take(event)
        if isinstance(event, MessageLocked):
            for watcher in self._watchers:
                self._guarded(watcher, watcher.locked, self._facts, event)
        elif isinstance(event, PlayoutStarted | PlayoutStopped):
            self._spoke(event.at_ms)
            self._spoken_from_ms = event.at_ms if isinstance(event, PlayoutStarted) else None

    def decided(self, decision: Decision) -> None:
        """A decision of the call, in order."""
        self._take(decision)
        if isinstance(decision, FileReceipt):
            for watcher in self._watchers:
                self._guarded(watcher, watcher.receipt, self._facts, decision)

    def trouble(self, where: str) -> None:
        """Something of ours failed."""
        # A watcher that fails at hearing of its failure would hear of that, too.
        if self._closed or self._troubled:
            return
        self._troubled = True
        self._begin()
        # A journal that fails is not told so: that line would be the next to fail.
        if self._journal is not None and where != "journal":
            self._journal.note(self._now_ms(), "trouble", where=where)
        for watcher in self._watchers:
            self._guarded(watcher, watcher.trouble, self._facts, where, self._now_ms())
        self._troubled = False

    def close(self) -> None:
        """The call is over."""
        if self._closed:
            return
        self._closed = True
        if not self._begun:
            return
        self._watch_for(None)
        at_ms = self._now_ms()
        self._spoke(at_ms)
        self._tell(self._follow.close(), at_ms)
        if self._journal is not None:
            self._journal.close(at_ms)
        for watcher in self._watchers:
            self._guarded(watcher, watcher.closed, self._facts, at_ms)

    def _take(self, entry: Event | Decision) -> None:
        if self._closed:
            return
        self._begin()
        about, news = self._follow(entry)
        if self._journal is not None:
            self._journal.write(entry, about)
        self._tell(news, entry.at_ms)
        one = self._follow.open
        if one is not None and one.number > self._number:
            self._number = one.number
            turn = self._host_turn()
            for watcher in self._watchers:
                self._guarded(watcher, watcher.onset, self._facts, one, turn)
        self._watch_for(self._follow.undecided)

    def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        if self._open_journal is not None:
            self._journal = self._open_journal()
        for watcher in self._watchers:
            self._guarded(watcher, watcher.opened, self._facts, self._now_ms())

    def _tell(self, news: Sequence[Episode], at_ms: int) -> None:
        for episode in news:
            if self._journal is not None and episode.over:
                self._journal.overlap(at_ms, episode)
            for watcher in self._watchers:
                self._guarded(watcher, watcher.overlap, self._facts, episode, at_ms)

    def _spoke(self, until_ms: int) -> None:
        if self._spoken_from_ms is None:
            return
        from_ms, self._spoken_from_ms = self._spoken_from_ms, None
        for watcher in self._watchers:
            self._guarded(watcher, watcher.spoke, self._facts, from_ms, until_ms)

    def _watch_for(self, undecided: Episode | None) -> None:
        number = undecided.number if undecided is not None and self._watchers else 0
        if number == self._alarm_for:
            return
        self._alarm_for = number
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if number:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                return  # a call played without a clock
            self._alarm = loop.call_later(self._stuck_ms / 1000, self._stuck)

    def _stuck(self) -> None:
        undecided = self._follow.undecided
        if undecided is not None:
            for watcher in self._watchers:
                self._guarded(watcher, watcher.stuck, self._facts, undecided, self._now_ms())

    def _guarded(self, watcher: Watcher, act: Callable[..., None], *args: object) -> None:
        try:
            act(*args)
        except Exception as error:
            self._report(f"watcher {type(watcher).__name__}", error)

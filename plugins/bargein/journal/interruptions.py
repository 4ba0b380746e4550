"""How often are agents interrupted, for what, and was it for something?"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from bargein.core.decisions import Kind

from .episode import Episode, Mistake
from .watcher import CallFacts, Watcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """One interruption of one call."""

    call_id: str
    agent: str
    at_s: float
    """When the floor was yielded, on the clock of this history."""
    episode: Episode


class Interruptions(Watcher):
    """The interruptions of a call, or of all calls that are given the same one.

    A call has its own: ``manners.interruptions``. For many, hand one to each:
    ``Bargein(watchers=[history])``.
    """

    def __init__(
        self,
        *,
        keep_s: float = 86_400,
        keep: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with none.

        Args:
            keep_s: for how long one is remembered.
            keep: how many are, at most.
            clock: seconds; for tests.
        """
        self._keep_s = keep_s
        self._clock = clock
        self._keep = keep
        self._found: dict[tuple[str, int], Interrupted] = {}
        self._began: dict[str, float] = {}
        self._over: deque[tuple[float, float]] = deque()

    # --- what there was ---

    def all(self, window_s: float | None = None) -> list[Interrupted]:
        """Interruptions of the last ``window_s`` seconds, or all that are remembered; the oldest
        first."""
        since = self._since(window_s)
        return [one for one in self._found.values() if one.at_s >= since]

    def count(self, window_s: float | None = None) -> int:
        """How many."""
        return len(self.all(window_s))

    def rate(self, window_s: float = 300) -> float:
        """Interruptions a minute of call, in the last ``window_s`` seconds. Two calls at once count
        as two minutes a minute; less than one minute counts as one."""
        return self.count(window_s) / max(1.0, self.call_minutes(window_s))

    def call_minutes(self, window_s: float = 300) -> float:
        """How much time of calls lies within the last ``window_s`` seconds."""
        now_s, since = self._clock(), self._since(window_s)
        stretches = [*self._over, *((began_s, now_s) for began_s in self._began.values())]
        return sum(max(0.0, end - max(begin, since)) for begin, end in stretches) / 60

    def by_kind(self, window_s: float | None = None) -> dict[Kind | None, int]:
        """How many of each kind; None for those that were not understood when they came."""
        return dict(Counter(one.episode.kind for one in self.all(window_s)))

    def false(self, window_s: float | None = None) -> dict[Mistake, int]:
        """Those that turned out to be for nothing: no words followed, or only a backchannel. Known
        when the caller's turn is over."""
        found = (one.episode.mistake for one in self.all(window_s))
        return dict(Counter(mistake for mistake in found if mistake is not None))

    def progress(self, window_s: float | None = None) -> list[float]:
        """How far the agent was at each cut, from 0 to 1, where its text was known."""
        found = (one.episode.progress for one in self.all(window_s))
        return [progress for progress in found if progress is not None]

    def times_to_resume_ms(self, window_s: float | None = None) -> list[int]:
        """From the agent's silence until it went on with the rest, for those where it did."""
        found = (one.episode.silent_ms for one in self.all(window_s))
        return [silent_ms for silent_ms in found if silent_ms is not None]

    # --- what is told ---

    def opened(self, call: CallFacts, at_ms: int) -> None:
        self._began[call.call_id] = self._clock() - at_ms / 1000

    def overlap(self, call: CallFacts, episode: Episode, at_ms: int) -> None:
        if not episode.interrupts or episode.decided_at_ms is None:
            return
        key = (call.call_id, episode.number)
        known = self._found.get(key)
        at_s = (
            self._clock() - (at_ms - episode.decided_at_ms) / 1000 if known is None else known.at_s
        )
        self._found[key] = Interrupted(
            call_id=call.call_id, agent=call.agent, at_s=at_s, episode=episode
        )
        self._forget()

    def closed(self, call: CallFacts, at_ms: int) -> None:  # noqa: ARG002
        began_s = self._began.pop(call.call_id, None)
        if began_s is not None:
            self._over.append((began_s, self._clock()))
        self._forget()

    def _since(self, window_s: float | None) -> float:
        return float("-inf") if window_s is None else self._clock() - window_s

    def _forget(self) -> None:
        since = self._clock() - self._keep_s
        while self._found:
            key, oldest = next(iter(self._found.items()))
            if len(self._found) <= self._keep and oldest.at_s >= since:
                break
            del self._found[key]
        while self._over and self._over[0][1] < since:
            self._over.popleft()

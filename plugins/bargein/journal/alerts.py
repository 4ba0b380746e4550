"""When should somebody look? Told once, with the figures that say why."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from bargein.core.decisions import Delivery, FileReceipt

from .baseline import Baseline, Sensitivity
from .episode import Episode
from .watcher import CallFacts, Watcher

log = logging.getLogger("bargein.alerts")

_AGENTS = 256
"""How many agents' versions are kept, the newest; a name that is made up for each call is none."""


class Trouble(Enum):
    """What is wrong."""

    INTERRUPTION_RATE = "interruption rate"
    """Callers take the floor far more often than they used to."""
    STUCK_HOLD = "stuck hold"
    """An overlap stays undecided, and the agent ducked or silent."""
    LOCK_CUT = "lock cut"
    """A message that must be heard was not heard in full."""
    STORE_DOWN = "store down"
    """Receipts and unfinished messages cannot be stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Somebody should look."""

    trouble: Trouble
    text: str
    """A sentence for a person; without a word of any call."""
    agent: str
    """Which, and its version: ``"desk@1.4"``."""
    call_id: str
    """In which call it was noticed."""
    value: float | None = None
    """Interruptions a minute of the agent's speech; or for how many ms it has been stuck."""
    baseline: float | None = None
    """What is usual for that agent."""


Tell: TypeAlias = Callable[[Alert], object]


def to_log(alert: Alert) -> None:
    """Tell the log ``bargein.alerts``, as a warning."""
    log.warning("bargein: %s", alert.text)


class Alerts(Watcher):
    """Watches over many calls: give the same one to each, ``Bargein(watchers=[alerts])``."""

    def __init__(
        self,
        tell: Tell | Iterable[Tell] = to_log,
        *,
        sensitivity: Sensitivity | None = None,
        quiet_s: float = 900,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch.

        Args:
            tell: whom: one function or several, called on the call's event loop, so let them be
                quick. `to_log`, or `Telemetry.alert` for OpenTelemetry.
            sensitivity: when a rate has risen.
            quiet_s: for how long the same trouble of the same agent, or of the same message, is not
                told again. (A rate that stays high is not told again at all.)
            clock: seconds; for tests.
        """
        self._tell: tuple[Tell, ...] = (tell,) if callable(tell) else tuple(tell)
        self._sensitivity = sensitivity or Sensitivity()
        self._quiet_s = quiet_s
        self._clock = clock
        self._told: dict[tuple[Trouble, str], float] = {}
        self._baselines: dict[str, Baseline] = {}
        self._newest: dict[str, str] = {}
        self._yielded: dict[str, int] = {}
        """Interruptions of a call that the end of the agent's speech has not followed yet."""

    def baseline(self, agent: str) -> float | None:
        """The usual interruptions a minute of an agent's speech; None where it is new."""
        known = self._baselines.get(agent)
        return known.rate if known is not None and known.calls else None

    def call_ended(self, call: CallFacts, *, interruptions: int, minutes: float) -> None:
        """One more call of an agent is over; for calls that are counted elsewhere.

        Args:
            call: which.
            interruptions: how many it had.
            minutes: how long the agent spoke in it.
        """
        self._count(call, interruptions, minutes)
        self._baseline(call).ended(call.call_id)

    def _count(self, call: CallFacts, interruptions: int, minutes: float) -> None:
        spike = self._baseline(call).take(call.call_id, interruptions, minutes)
        if spike is not None:
            who = f"the agent {call.agent}" if call.agent else "the agent"
            self._say(
                Alert(
                    trouble=Trouble.INTERRUPTION_RATE,
                    text=f"{who} is interrupted {spike.rate:.2f} times a minute of its speech,"
                    f" {spike.baseline:.2f} is usual (in {spike.calls} calls)",
                    agent=call.agent,
                    call_id=call.call_id,
                    value=spike.rate,
                    baseline=spike.baseline,
                )
            )

    # --- what is told ---

    def overlap(self, call: CallFacts, episode: Episode, at_ms: int) -> None:  # noqa: ARG002
        if episode.interrupts and not episode.over:
            self._yielded[call.call_id] = self._yielded.get(call.call_id, 0) + 1

    def spoke(self, call: CallFacts, from_ms: int, until_ms: int) -> None:
        # Not when it yields: an interruption is held against the speech that it ended.
        interruptions = self._yielded.pop(call.call_id, 0)
        self._count(call, interruptions, (until_ms - from_ms) / 60_000)

    def stuck(self, call: CallFacts, episode: Episode, at_ms: int) -> None:
        for_ms = at_ms - episode.onset_at_ms
        self._once(
            call,
            Trouble.STUCK_HOLD,
            f"an overlap has been undecided for {for_ms / 1000:.0f} s in the call {call.call_id}",
            key=call.agent,
            value=float(for_ms),
        )

    def receipt(self, call: CallFacts, receipt: FileReceipt) -> None:
        if receipt.state is not Delivery.DELIVERED:
            again = "; it is still to be said" if receipt.pending else ""
            self._once(
                call,
                Trouble.LOCK_CUT,
                f"the message {receipt.message_id} had to be heard and is {receipt.state.value}"
                f" ({receipt.reason.value}){again}, in the call {call.call_id}",
                key=f"{call.call_id} {receipt.message_id}",
            )

    def trouble(self, call: CallFacts, where: str, at_ms: int) -> None:  # noqa: ARG002
        if where.partition(":")[0] == "store":
            self._once(
                call,
                Trouble.STORE_DOWN,
                f"the store fails, so receipts may be lost; noticed in the call {call.call_id}",
                key=call.agent,
            )

    def closed(self, call: CallFacts, at_ms: int) -> None:  # noqa: ARG002
        if interruptions := self._yielded.pop(call.call_id, 0):
            self._count(call, interruptions, 0.0)
        self._baseline(call).ended(call.call_id)

    # --- whom to tell ---

    def _baseline(self, call: CallFacts) -> Baseline:
        known = self._baselines.get(call.agent)
        if known is None:
            before = self._baselines.get(self._newest.get(call.agent_name, ""))
            known = before.successor() if before else Baseline(sensitivity=self._sensitivity)
            self._baselines[call.agent] = known
            self._newest[call.agent_name] = call.agent
            while len(self._baselines) > _AGENTS:
                oldest = next(iter(self._baselines))
                del self._baselines[oldest]
                self._newest = {name: one for name, one in self._newest.items() if one != oldest}
        return known

    def _once(
        self,
        call: CallFacts,
        trouble: Trouble,
        text: str,
        *,
        key: str,
        value: float | None = None,
    ) -> None:
        now_s = self._clock()
        told = {one: at_s for one, at_s in self._told.items() if now_s - at_s < self._quiet_s}
        self._told = told
        if (trouble, key) in told:
            return
        told[trouble, key] = now_s
        self._say(
            Alert(trouble=trouble, text=text, agent=call.agent, call_id=call.call_id, value=value)
        )

    def _say(self, alert: Alert) -> None:
        failed: Exception | None = None
        for tell in self._tell:
            try:
                tell(alert)
            except Exception as error:
                failed = error  # the others are told all the same
        if failed is not None:
            raise failed

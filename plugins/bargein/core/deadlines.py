"""When must something happen even if nobody does anything?"""

from __future__ import annotations

from .decisions import Reason
from .overlap import Overlap, Ruling, Verdict, WordsGo
from .state import State
from .transitions import Floor

MAX_HOLD_MS = 3_000
"""No rule keeps an overlap open longer than this after the user fell silent."""
MAX_PAUSE_MS = 8_000
"""No rule keeps the agent mute longer than this, even if the user never falls silent."""
MAX_OVERLAP_MS = 12_000
"""No rule keeps the agent ducked longer than this."""


def ceiling(state: State, overlap: Overlap, verdict: Verdict) -> Verdict:
    """A rule may wait, but never for ever."""
    silent_ms = overlap.silent_since_ms
    if silent_ms is not None and state.at_ms >= silent_ms + MAX_HOLD_MS:
        return Verdict(ruling=Ruling.HOLD, reason=Reason.USER_SILENT, words=WordsGo.DELIVERED)
    mute_ms = state.paused_at_ms
    if (mute_ms is not None and state.at_ms >= mute_ms + MAX_PAUSE_MS) or (
        state.at_ms >= overlap.began_at_ms + MAX_OVERLAP_MS
    ):
        return Verdict(ruling=Ruling.HOLD, reason=Reason.HELD_TOO_LONG, words=WordsGo.DELIVERED)
    return verdict


def due(state: State) -> int | None:
    """The next instant at which something changes if nothing happens."""
    instants = [kept.until_ms for kept in state.kept]
    instants.append(state.locks.due_at_ms)
    if state.moment is not None:
        instants.append(state.moment_until_ms)
    verdict, overlap = state.verdict, state.overlap
    if verdict and overlap and state.floor is Floor.CONTESTED:
        instants += [verdict.ask_again_at_ms, overlap.began_at_ms + MAX_OVERLAP_MS]
        if overlap.silent_since_ms is not None:
            instants.append(overlap.silent_since_ms + MAX_HOLD_MS)
        if state.paused_at_ms is not None:
            instants.append(state.paused_at_ms + MAX_PAUSE_MS)
        else:
            instants.append(verdict.pause_at_ms)
    elif verdict and state.floor is Floor.AGENT and state.user_speaking:
        instants.append(verdict.ask_again_at_ms)
    return min((ms for ms in instants if ms is not None and ms > state.at_ms), default=None)

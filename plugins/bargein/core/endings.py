"""What happens when the agent has finished?"""

from __future__ import annotations

from dataclasses import replace

from .decisions import Decision, Kind, PassFloor, Reason, ReportBackchannel, ResumePlayout
from .events import CallEnded, PlayoutStopped
from .overlap import Overlap, Rules, Ruling, WordsGo, ask
from .playout import Playout
from .state import Kept, State, Step, quiet
from .transitions import Floor
from .waiting import delivery


def finished(rules: Rules, state: State, was: Floor, event: PlayoutStopped | CallEnded) -> Step:
    """The agent's audio ended by itself or by somebody else's hand; whatever waited goes on."""
    completed = isinstance(event, PlayoutStopped) and event.completed
    reason = Reason.AGENT_FINISHED if completed else Reason.AGENT_CUT
    if isinstance(event, CallEnded):
        reason = Reason.CALL_ENDED
    state, resumed = full_voice(state, reason)
    said, overlap = state.playout, state.overlap
    state = replace(state, playout=None, overlap=None, verdict=None)
    if was not in (Floor.AGENT, Floor.CONTESTED):
        return state, resumed
    waiting = state.kept
    if state.finals:
        text = " ".join(state.finals)
        waiting += (Kept(text=text, kind=None, reason=reason, words=WordsGo.WEIGHED),)
    state = replace(state, finals=(), kept=())

    placed: list[Decision] = []
    turn: tuple[Kept, ...] = ()
    kind: Kind | None = None
    for kept in waiting:
        if kept.words is WordsGo.WEIGHED and overlap is not None and completed:
            verdict = ask(rules, _afterwards(overlap, said, kept, state.at_ms))
            if verdict.ruling is Ruling.HOLD:
                placed.append(
                    ReportBackchannel(
                        at_ms=state.at_ms,
                        reason=verdict.reason,
                        text=kept.text,
                        kind=verdict.kind or Kind.BACKCHANNEL,
                    )
                )
                continue
            kind = verdict.kind
        turn += (kept,)
    state = quiet(replace(state, floor=Floor.OPEN))
    if state.locks.queued and not isinstance(event, CallEnded):
        # Another message that must be heard follows: what was said waits for that one as well.
        still = tuple(replace(kept, words=WordsGo.DELIVERED, until_ms=None) for kept in turn)
        return replace(state, kept=still), (*resumed, *placed)
    if turn or state.user_speaking:
        placed.append(PassFloor(at_ms=state.at_ms, reason=reason))
    if turn:
        placed.append(delivery(state, (state.moment or ()) + turn, reason, kind))
        state = replace(state, moment=None)
    return state, (*resumed, *placed)


def _afterwards(overlap: Overlap, said: Playout | None, kept: Kept, at_ms: int) -> Overlap:
    """The overlap as it looks now that the agent has said everything."""
    return replace(
        overlap,
        seen_at_ms=at_ms,
        finals=kept.text,
        partial="",
        user_speaking=False,
        silent_since_ms=overlap.silent_since_ms or at_ms,
        agent_said=said.text if said else "",
        agent_unsaid="",
        agent_left_ms=0,
        agent_finished=True,
        must_hear=False,
        paused=False,
    )


def full_voice(state: State, reason: Reason) -> Step:
    """Full voice again, if it was not."""
    if not state.ducked and state.paused_at_ms is None:
        return state, ()
    playout = replace(state.playout, paused=False) if state.playout else None
    state = replace(state, ducked=False, paused_at_ms=None, playout=playout)
    return state, (ResumePlayout(at_ms=state.at_ms, reason=reason),)

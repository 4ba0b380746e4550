"""What does somebody who watches a call have to know, as it happens?

One JSON object for each change, the same on every host: for a page, a wallboard, a supervisor.
Every one has ``type`` and ``at_ms``, the call's own clock in milliseconds.

``floor``: how things stand.
    ``floor``: ``"open"``, ``"agent"``, ``"user"`` or ``"contested"``. ``ducked``: the agent speaks
    softer while somebody talks over it. ``held``: it is silent and has not given up. ``locked``: a
    message is on its way, or being heard, that nobody may talk over. ``waits``: the caller asked
    for a moment. ``can_go_on``: something was left unsaid.

``answer``: what the agent is saying, whenever more of it is known or was heard.
    ``message_id``, ``must_hear``, ``heard`` and ``unheard`` (together all of its text), ``over``:
    true in the last one of a message.

``caller``: what the recogniser makes of the caller: over the agent's voice at once, else when the
turn is over.
    ``text``, ``is_final``.

``decision``: the agent's manners decided something.
    ``decision``: its name, such as ``"YieldFloor"``. ``reason`` and ``kind`` (or null): as in
    `bargein.Reason` and `bargein.Kind`. ``says``: the same in plain words. ``text``: the caller's
    words it is about, if any.

``receipt``: how far a message came that had to be heard.
    ``message_id``, ``state``: ``"delivered"``, ``"cut"`` or ``"undelivered"``, ``reason``,
    ``heard``, ``played_ms``, ``total_ms`` (or null), ``attempts``, ``pending``: it is spoken again,
    ``stored``.

And back, from a page with buttons: ``{"type": "go_on"}`` and ``{"type": "stop"}``, for `Feed.obey`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from bargein.call import Change
from bargein.core.decisions import (
    AcknowledgeYield,
    Decision,
    DeferTurn,
    DeliverTurn,
    DuckPlayout,
    FileReceipt,
    HoldFloor,
    OfferResumption,
    PassFloor,
    PausePlayout,
    ReportBackchannel,
    ResumePlayout,
    ResumeSpeech,
    SpeakAgain,
    YieldFloor,
)
from bargein.core.events import PlayoutStarted, PlayoutStopped, TurnTaken, UserWordsHeard
from bargein.core.playout import Playout
from bargein.core.state import State
from bargein.manners import Manners
from bargein.memory import Receipt

News: TypeAlias = dict[str, Any]
"""One message, ready for `json.dumps`."""

PLAIN: dict[type[Decision], str] = {
    DuckPlayout: "The agent lowers its voice",
    PausePlayout: "The agent pauses",
    ResumePlayout: "The agent goes on",
    HoldFloor: "The agent keeps the floor",
    YieldFloor: "The agent stops for the caller",
    PassFloor: "The floor is the caller's",
    ReportBackchannel: "Nobody has to answer that",
    DeferTurn: "The caller's words wait",
    DeliverTurn: "The caller's words are handed on",
    FileReceipt: "A receipt is filed",
    SpeakAgain: "The agent says it again",
    ResumeSpeech: "The agent goes on with what was left unsaid",
    OfferResumption: "The agent offers to go on",
    AcknowledgeYield: "The agent says that it has understood",
}


class Feed:
    """Sends news of a call: ``Feed(manners, send=connection.send_app_message)``."""

    def __init__(
        self, manners: Manners[Any], send: Callable[[News], None], *, words: bool = True
    ) -> None:
        """Begin to send.

        Args:
            manners: of the call.
            send: takes one message. It is called behind everything a decision sets in motion, and
                if it fails, that is reported once and hurts nobody.
            words: whether to send what the two say; False leaves every text empty, for people who
                may see how a call goes, and not what it is about. What must be heard may be a
                one-time code.
        """
        self._manners = manners
        self._deliver = send
        self._words = words
        self._floor: News = {}
        self._said: Playout | None = None
        self._cut: YieldFloor | None = None
        manners.on("decision")(self._decided)
        manners.on("change")(self._changed)
        manners.on("receipt")(self._filed)

    def obey(self, wish: object) -> bool:
        """Do what somebody at the other end asks for; False if it is nothing of ours.

        Args:
            wish: what came from there; anything at all.
        """
        match wish:
            case {"type": "go_on"}:
                self._manners.resume()
            case {"type": "stop"}:
                self._manners.emergency_stop()
            case _:
                return False
        return True

    def _changed(self, change: Change) -> None:
        event, state = change.event, change.state
        match event:
            case UserWordsHeard():
                text, is_final = self._text(event.text), event.is_final
                self._send("caller", event.at_ms, text=text, is_final=is_final)
            case TurnTaken():
                self._send("caller", event.at_ms, text=self._text(event.text), is_final=True)
        floor = _floor(state)
        if floor != self._floor:
            self._floor = floor
            self._send("floor", state.at_ms, **floor)
        if isinstance(event, PlayoutStarted | PlayoutStopped) or state.playout is None:
            completed = isinstance(event, PlayoutStopped) and event.completed
            self._over(state.at_ms, completed=completed)
        if state.playout is not None:
            if _differs(state.playout, self._said):
                self._answer(state.at_ms, state.playout)
            self._said = state.playout

    def _over(self, at_ms: int, *, completed: bool) -> None:
        said, cut = self._said, self._cut
        self._said = self._cut = None
        if said is None:
            return
        if cut is not None and cut.message_id == said.message_id:
            said = said.progressed(len(cut.heard), None)
        elif completed:
            said = said.progressed(len(said.text), None)
        self._answer(at_ms, said, over=True)

    def _answer(self, at_ms: int, said: Playout, *, over: bool = False) -> None:
        self._send(
            "answer",
            at_ms,
            message_id=said.message_id,
            must_hear=said.must_hear,
            heard=self._text(said.heard),
            unheard=self._text(said.unheard),
            over=over,
        )

    def _decided(self, decision: Decision) -> None:
        text = ""
        match decision:
            case YieldFloor():
                self._cut, text = decision, decision.caller_words
            case ReportBackchannel() | DeferTurn() | DeliverTurn():
                text = decision.text
        kind = getattr(decision, "kind", None)
        self._send(
            "decision",
            decision.at_ms,
            decision=type(decision).__name__,
            says=_plain(decision),
            reason=decision.reason.value,
            kind=None if kind is None else kind.value,
            text=self._text(text),
        )

    def _filed(self, receipt: Receipt) -> None:
        self._send(
            "receipt",
            self._manners.now_ms,
            message_id=receipt.message_id,
            state=receipt.state.value,
            reason=receipt.reason.value,
            heard=self._text(receipt.heard),
            played_ms=receipt.played_ms,
            total_ms=receipt.total_ms,
            attempts=receipt.attempts,
            pending=receipt.pending,
            stored=receipt.stored,
        )

    def _text(self, text: str) -> str:
        return text if self._words else ""

    def _send(self, name: str, at_ms: int, /, **members: Any) -> None:
        self._deliver({"type": name, "at_ms": at_ms, **members})


def _plain(decision: Decision) -> str:
    what = PLAIN[type(decision)]
    if isinstance(decision, YieldFloor) and decision.kind is not None:
        what += f" ({decision.kind.value})"
    return f"{what}: {decision.reason.value}."


def _floor(state: State) -> News:
    must_hear = state.playout is not None and state.playout.must_hear
    return {
        "floor": state.floor.value,
        "ducked": state.ducked,
        "held": state.paused_at_ms is not None,
        "locked": must_hear or state.locks.active,
        "waits": state.moment is not None,
        "can_go_on": bool(state.resumption.stack),
    }


def _differs(said: Playout, before: Playout | None) -> bool:
    return before is None or (said.message_id, said.must_hear, said.text, said.heard_chars) != (
        before.message_id,
        before.must_hear,
        before.text,
        before.heard_chars,
    )

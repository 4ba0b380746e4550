"""What becomes of what the caller said? Answered, kept for later, or taken out of the conversation.

The server makes an item of every stretch of the caller's sound, and its words come behind it. Until
the floor has decided about them, nobody answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from bargein.core.decisions import (
    Decision,
    DeferTurn,
    DeliverTurn,
    Kind,
    ReportBackchannel,
    YieldFloor,
)
from bargein.core.events import UserSpeechStarted, UserSpeechStopped, UserWordsHeard
from bargein.core.overlap import Ruling
from bargein.core.playout import has_words
from bargein.language import Judges

from .call import RealtimeCall
from .wire import CallerSpeech, Committed, Transcribed, delete

WORDS_S = 3.0
"""So long after an item was made its words are waited for; then it is answered without them."""


@dataclass(slots=True, kw_only=True, eq=False)
class Item:
    """A stretch of the caller's sound."""

    item_id: str
    over: bool
    """Did it begin, or go on, while the agent was being heard?"""
    took: bool
    """Has it taken the floor already?"""
    text: str = ""
    timer: asyncio.TimerHandle | None = None


class Callers:
    """Follows the caller's items from their sound to their place."""

    def __init__(
        self,
        call: RealtimeCall,
        judges: Judges,
        *,
        needs_words: Callable[[], bool],
        turn: Callable[[str, str], None],
    ) -> None:
        """Follow them in a call.

        Args:
            call: the call whose floor decides.
            judges: tell a backchannel whose words came when the agent had finished.
            needs_words: whether it matters now what the caller says, before it is answered.
            turn: told of a complete turn: its words, and its last item.
        """
        self._call = call
        self._judges = judges
        self._needs_words = needs_words
        self._turn = turn
        self._over = self._took = False
        self._items: dict[str, Item] = {}
        """Those whose place is open."""
        self._waiting: list[Item] = []
        self._deferred: list[list[Item]] = []
        self._due: list[Item] = []
        """A turn that is complete, and waits for the agent's last word."""
        call.decided.append(self._obey)
        call.cut_done.append(lambda: call.soon(self._take_turn))
        call.moved.append(self._moved)
        call.closing.append(self._close)

    def undecided(self, item_id: str) -> bool:
        """Is it open what becomes of this item, whose words have not come?"""
        return item_id in self._items

    # --- what the server tells ---

    def speech(self, fact: CallerSpeech) -> None:
        """The caller begins, or is silent."""
        call = self._call
        if fact.on:
            self._over, self._took = call.agent_has_floor, False
            call.speech(UserSpeechStarted(at_ms=call.now_ms), "host")
        else:
            call.speech(UserSpeechStopped(at_ms=call.now_ms), "host")

    def committed(self, fact: Committed) -> None:
        """A stretch of sound is an item now."""
        call = self._call
        call.settle()
        over = self._over or call.agent_has_floor
        item = Item(item_id=fact.item_id, over=over, took=self._took)
        self._over = self._took = False
        if not (over or call.decides_words or call.cutting or self._needs_words()):
            self._settled(item)
            self._due.append(item)
            self._take_turn()
            return
        self._items[item.item_id] = item
        self._wait(item)

    def transcribed(self, fact: Transcribed) -> None:
        """What was said in an item."""
        call, item = self._call, self._items.get(fact.item_id)
        if item is None:
            return
        if not fact.is_final:
            return
        if item.timer is not None:
            item.timer.cancel()
            item.timer = None
        if fact.text is None:
            self._moved()  # it is answered without its words
            return
        self._settled(item)
        item.text = fact.text.strip()
        call.settle()
        if not has_words(item.text):
            self._out_of_it(item)
        elif call.decides_words:
            self._waiting.append(item)
            call.feed(UserWordsHeard(at_ms=call.now_ms, text=item.text, is_final=True))
        elif item.over and not item.took and self._only_listened(item.text):
            self._out_of_it(item)
            self.backchannel(item.text)
        else:
            self._due.append(item)
            self._take_turn()

    def partial(self, text: str) -> None:
        """A recogniser of the application's own hears this so far."""
        call = self._call
        call.settle()
        if call.agent_has_floor and text.strip():
            call.feed(UserWordsHeard(at_ms=call.now_ms, text=text, is_final=False))

    placed: Callable[[str, bool], None] = lambda *_: None
    """Told of an item that is the caller's turn, or a part of it; False for one that is no turn."""

    def _out_of_it(self, item: Item) -> None:
        """The model is not to know of this."""
        self._call.send(delete(item.item_id))
        self.placed(item.item_id, False)

    backchannel: Callable[[str], None] = lambda _: None
    """Told of words that came too late for the floor, and were only a listener's."""

    # --- what the floor decides ---

    def _obey(self, decision: Decision) -> None:
        match decision:
            case YieldFloor():
                self._took = self._call.user_speaks
                for item in self._items.values():
                    item.took = True
                if decision.kind is not Kind.HOLD:
                    self._release()
            case DeliverTurn():
                self._release()
            case DeferTurn():
                self._deferred.append(self._taken())
            case ReportBackchannel():
                self._drop(decision.text)
            case _:
                pass

    def _taken(self) -> list[Item]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def _release(self) -> None:
        """All that waited is the caller's turn."""
        for items in self._deferred:
            self._due += items
        self._deferred.clear()
        self._due += self._taken()
        if self._due:
            self._call.soon(self._take_turn)

    def _drop(self, text: str) -> None:
        """These words were a listener's: the model is not to know them."""
        if self._waiting and _text(self._waiting) == text:
            items = self._taken()
        else:
            found = next((items for items in self._deferred if _text(items) == text), None)
            if found is None:
                return
            self._deferred.remove(found)
            items = found
        for item in items:
            self._out_of_it(item)

    def _take_turn(self) -> None:
        if self._call.cutting or not self._due:
            return
        due, self._due = self._due, []
        for item in due:
            self.placed(item.item_id, True)
        self._turn(_text(due), due[-1].item_id)

    def _only_listened(self, text: str) -> bool:
        """It was said over the agent, and its words came when the agent had finished."""
        judgement = self._judges(
            text, agent_said=self._call.last_said, agent_finished=False, is_final=True
        )
        return judgement.ruling is Ruling.HOLD

    # --- words that do not come ---

    def _wait(self, item: Item) -> None:
        loop = asyncio.get_running_loop()
        item.timer = loop.call_later(WORDS_S, self._call.guarded, "realtime", self._late, item)

    def _late(self, item: Item) -> None:
        item.timer = None
        self._moved()

    def _moved(self) -> None:
        """An item without words is answered once nobody is talking."""
        call = self._call
        late = [item for item in self._items.values() if item.timer is None]
        if not late or call.decides_words or call.user_speaks or call.cutting:
            return
        for item in late:
            self._settled(item)
        self._due += late
        call.soon(self._take_turn)

    def _settled(self, item: Item) -> None:
        if item.timer is not None:
            item.timer.cancel()
            item.timer = None
        self._items.pop(item.item_id, None)

    def _close(self) -> None:
        for item in tuple(self._items.values()):
            self._settled(item)


def _text(items: list[Item]) -> str:
    return " ".join(item.text for item in items if item.text)

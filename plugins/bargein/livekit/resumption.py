"""When may the LLM answer, and when does the agent go on with what was left unsaid?"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from livekit.agents import AgentSession, llm
from livekit.agents.voice.speech_handle import SpeechHandle

from bargein.core.decisions import (
    AcknowledgeYield,
    Decision,
    OfferResumption,
    ResumeSpeech,
    YieldFloor,
)
from bargein.language import Judges
from bargein.language.speech import acknowledgement, bridge, offer
from bargein.notes import missed, wanted
from bargein.turns import Turns

from . import compat
from .call import LiveKitCall

_TURN_S, _LOOK_S = 0.8, 0.1
"""So long after the caller has stopped, their turn is complete or none is coming."""
_NOTES = 8
"""So many notes to the LLM are kept: the history itself shows what was heard of older replies."""


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of our own accord when a run of the LLM was asked for."""

    text: str = ""
    answers: bool = False
    """True where the LLM has nothing to add."""


class Memory:
    """Goes on with what was left unsaid instead of running the LLM, where the caller wants that.

    While a message is locked it holds the LLM's answer, so that the answer knows the message.
    """

    def __init__(
        self,
        call: LiveKitCall,
        judges: Judges,
        *,
        speech: Mapping[str, str],
        tell_llm: bool,
    ) -> None:
        """Make the memory of a call. `Bargein` does it for you.

        Args:
            call: the call whose floor remembers.
            judges: tell "go on", yes and no.
            speech: the agent's own words for it.
            tell_llm: whether the LLM is told what an interruption left unheard.
        """
        self._call = call
        self._turns = Turns(call, judges)
        self._speech = speech
        self._tells = tell_llm
        self._seen: deque[str] = deque(maxlen=64)
        self._notes: deque[tuple[str, llm.ChatMessage, bool]] = deque(maxlen=_NOTES)
        self._changed = asyncio.Event()
        self.session: AgentSession[Any] | None = None
        call.decided.append(self._obey)

    async def before_a_run(self, chat_ctx: llm.ChatContext, handle: SpeechHandle | None) -> Said:
        """The LLM is about to be asked: what is said before that, or instead."""
        if handle is not None:
            await self._due(chat_ctx, handle)
        newest, said = _turn(chat_ctx), Said()
        matters = newest is not None and newest.id not in self._seen and self._matters()
        # A run that was begun on a guess reaches nobody until its turn is confirmed.
        if newest and matters and (handle is None or await compat.scheduled(handle)):
            said = self._turn_taken(newest)
        if not said.answers:
            self._put_notes(chat_ctx)
        return said

    async def _due(self, chat_ctx: llm.ChatContext, handle: SpeechHandle) -> None:
        """Wait for a locked message, and for a caller who asked for a moment."""
        waited = False
        while before := self._call.speeches.before(handle):
            waited = True
            await asyncio.wait([asyncio.ensure_future(_over(one.handle)) for one in before])
        while self._call.waits_a_moment and not handle.interrupted:
            self._changed.clear()
            await self._changed.wait()
        if chat_ctx.items and isinstance(chat_ctx.items[-1], llm.FunctionCallOutput):
            await self._quiet(handle)
        if waited and self.session is not None:
            chat_ctx.merge(self.session.current_agent.chat_ctx, exclude_instructions=True)

    async def _quiet(self, handle: SpeechHandle) -> None:
        """A function's result is spoken of over nobody's words: their turn may be the better
        reason to."""
        call, quiet_s = self._call, _TURN_S
        while not handle.interrupted and (call.user_speaks or quiet_s < _TURN_S):
            quiet_s = 0.0 if call.user_speaks else quiet_s + _LOOK_S
            await asyncio.sleep(_LOOK_S)

    def _matters(self) -> bool:
        """Does it make a difference what the caller said?"""
        call = self._call
        return bool(call.unfinished) or self._turns.cut is not None or call.may_acknowledge

    def _turn_taken(self, newest: llm.ChatMessage) -> Said:
        """The caller's turn is complete."""
        self._seen.append(newest.id)
        decided, cut = self._turns.taken(newest.text_content or "")
        for decision in decided:
            match decision:
                case ResumeSpeech() if decision.in_own_words:
                    self._note(newest, wanted(decision), behind=True)
                    return Said()
                case ResumeSpeech():
                    return Said(self._rest(decision), answers=True)
                case AcknowledgeYield():
                    if not decision.instead:
                        self._missed(newest, cut)
                    said = acknowledgement(self._speech, decision.kind)
                    return Said(said, answers=decision.instead)
                case _:
                    pass
        self._missed(newest, cut)
        return Said()

    def _missed(self, turn: llm.ChatMessage, cut: YieldFloor | None) -> None:
        if cut is not None and self._tells:
            self._note(turn, missed(cut), behind=False)

    def _note(self, turn: llm.ChatMessage, text: str, *, behind: bool) -> None:
        note = llm.ChatMessage(role="developer", content=[text], created_at=turn.created_at)
        self._notes.append((turn.id, note, behind))

    def _put_notes(self, chat_ctx: llm.ChatContext) -> None:
        """The session makes the LLM's messages anew for every run."""
        for turn_id, note, behind in self._notes:
            ids = [item.id for item in chat_ctx.items]
            if turn_id in ids and note.id not in ids:
                chat_ctx.items.insert(ids.index(turn_id) + behind, note)

    def _obey(self, decision: Decision) -> None:
        self._changed.set()
        match decision:
            case ResumeSpeech() if self._turns.deciding:
                pass
            case ResumeSpeech() if decision.in_own_words:
                self._ask(lambda session: session.generate_reply(instructions=wanted(decision)))
            case ResumeSpeech():
                self._ask(lambda session: session.say(self._rest(decision)))
            case OfferResumption():
                asks = offer(self._speech, decision.topic)
                self._ask(lambda session: session.say(asks))
            case _:
                pass

    def _rest(self, decision: ResumeSpeech) -> str:
        return bridge(self._speech, decision.topic, decision.text)

    def _ask(self, act: Callable[[AgentSession[Any]], SpeechHandle]) -> None:
        if self.session is None:
            return
        with contextlib.suppress(RuntimeError):  # the session comes to its end
            act(self.session)


async def _over(handle: SpeechHandle) -> None:
    await handle


def _turn(chat_ctx: llm.ChatContext) -> llm.ChatMessage | None:
    """The user's turn that is to be answered, if that is what is asked of the LLM."""
    for item in reversed(chat_ctx.items):
        if not isinstance(item, llm.ChatMessage):
            return None
        if item.role == "user":
            return item
        if item.role == "assistant":
            return None
    return None

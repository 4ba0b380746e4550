"""When may the LLM answer, and when does the agent go on with what was left unsaid?"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from livekit.agents import AgentSession, llm
from livekit.agents.voice.speech_handle import SpeechHandle

from bargein.core.decisions import Decision, Kind, OfferResumption, ResumeSpeech, YieldFloor
from bargein.core.events import TurnTaken
from bargein.language import Judges
from bargein.language.speech import bridge, offer
from bargein.notes import missed, wanted

from . import compat
from .call import LiveKitCall

_NOTES = 8
"""So many notes to the LLM are kept: the history itself shows what was heard of older replies."""


class Memory:
    """Goes on with what was left unsaid instead of running the LLM, where the caller wants that.

    While a message is locked it holds the LLM's answer, so that the answer knows the message.
    """

    def __init__(self, call: LiveKitCall, judges: Judges, *, tell_llm: bool) -> None:
        """Make the memory of a call. `Bargein` does it for you.

        Args:
            call: the call whose floor remembers.
            judges: tell "go on", yes and no, and have the agent's own words for it.
            tell_llm: whether the LLM is told what an interruption left unheard.
        """
        self._call = call
        self._judges = judges
        self._tells = tell_llm
        self._cut: YieldFloor | None = None
        self._asked: ResumeSpeech | None = None
        self._looking = False
        self._seen: deque[str] = deque(maxlen=64)
        self._notes: deque[tuple[str, llm.ChatMessage, bool]] = deque(maxlen=_NOTES)
        self.session: AgentSession[Any] | None = None
        call.decided.append(self._obey)

    async def before_a_run(
        self, chat_ctx: llm.ChatContext, handle: SpeechHandle | None
    ) -> str | None:
        """The LLM is about to be asked: what is said instead, if anything."""
        if handle is not None:
            await self._locks_heard(chat_ctx, handle)
        newest = _turn(chat_ctx)
        said: str | None = None
        if newest is not None and newest.id not in self._seen and self._matters():
            # A run that was begun on a guess reaches nobody until its turn is confirmed.
            if handle is None or await compat.scheduled(handle):
                said = self._taken(newest)
        if said is None:
            self._put_notes(chat_ctx)
        return said

    async def _locks_heard(self, chat_ctx: llm.ChatContext, handle: SpeechHandle) -> None:
        waited = False
        while before := self._call.speeches.before(handle):
            waited = True
            await asyncio.wait([asyncio.ensure_future(_over(one.handle)) for one in before])
        if waited and self.session is not None:
            chat_ctx.merge(self.session.current_agent.chat_ctx, exclude_instructions=True)

    def _matters(self) -> bool:
        return bool(self._call.unfinished) or self._cut is not None

    def _taken(self, newest: llm.ChatMessage) -> str | None:
        """The caller's turn is complete."""
        self._seen.append(newest.id)
        text = newest.text_content or ""
        asked = self._asked_by(text)
        cut, self._cut = self._cut, None
        if asked is not None and asked.in_own_words:
            self._note(newest, wanted(asked), behind=True)
        elif asked is not None:
            return bridge(self._judges.speech, asked.topic, asked.text)
        elif cut is not None and self._tells:
            self._note(newest, missed(cut), behind=False)
        return None

    def _asked_by(self, text: str) -> ResumeSpeech | None:
        """Does the caller want to hear the rest of something?"""
        call = self._call
        if not call.unfinished:
            return None
        self._asked, self._looking = None, True
        call.guarded("resumption memory", self._tell, text)
        asked, self._asked, self._looking = self._asked, None, False
        return asked

    def _tell(self, text: str) -> None:
        call = self._call
        kind, agrees = self._judges.turn(text, agent_said=call.last_said)
        call.feed(TurnTaken(at_ms=call.now_ms, text=text, kind=kind, agrees=agrees))

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
        match decision:
            case YieldFloor() if not decision.breaks_lock and decision.kind is not Kind.ANSWER:
                self._cut = decision if decision.unheard.strip() else None
            case ResumeSpeech() if self._looking:
                self._asked = decision
            case ResumeSpeech() if decision.in_own_words:
                self._speak(lambda s: s.generate_reply(instructions=wanted(decision)))
            case ResumeSpeech():
                text = bridge(self._judges.speech, decision.topic, decision.text)
                self._speak(lambda s: s.say(text))
            case OfferResumption():
                asks = offer(self._judges.speech, decision.topic)
                self._speak(lambda s: s.say(asks))
            case _:
                pass

    def _speak(self, act: Any) -> None:
        if self.session is None:
            return
        try:
            act(self.session)
        except RuntimeError:
            pass  # the session comes to its end


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

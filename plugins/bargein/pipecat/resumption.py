"""When may the LLM answer, and when does the agent go on? User aggregator -> **here** -> LLM."""

from __future__ import annotations

from typing import Any

from pipecat.frames.frames import Frame, LLMContextFrame, TTSSpeakFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from bargein.core.decisions import Decision, Kind, OfferResumption, ResumeSpeech, YieldFloor
from bargein.core.events import TurnTaken
from bargein.language import Judges
from bargein.language.speech import bridge, offer
from bargein.notes import missed, wanted

from .call import PipecatCall


class ResumptionMemory(FrameProcessor):
    """Goes on with what was left unsaid instead of running the LLM, where the caller wants that.

    While a message is locked it holds the LLM's answer, so that the answer knows the message.
    """

    def __init__(
        self, call: PipecatCall, judges: Judges, *, tell_llm: bool = True, **kwargs: Any
    ) -> None:
        """Make the memory of a call. `Bargein` does it for you.

        Args:
            call: the call whose floor remembers.
            judges: tell "go on", yes and no, and have the agent's own words for it.
            tell_llm: whether the LLM is told what an interruption left unheard.
            **kwargs: for `FrameProcessor`.
        """
        super().__init__(enable_direct_mode=True, **kwargs)
        self._bargein_call = call
        self._judges = judges
        self.context: LLMContext | None = None
        """The call's context, once it is known."""
        self._turns = 0  # how many of the context's messages have been looked at
        self._asked: ResumeSpeech | None = None
        self._looking = False
        self._tells = tell_llm
        self._cut: YieldFloor | None = None
        call.decided.append(self._obey)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Go on, hold a run, or let it pass."""
        await super().process_frame(frame, direction)
        if direction is FrameDirection.DOWNSTREAM and isinstance(frame, LLMContextFrame):
            self.context = frame.context
            if not getattr(frame, "speculation", False):
                speech = self._turn(frame.context)
                if speech is not None:
                    await self.push_frame(speech)
                    return
            if self._bargein_call.held_run.hold(frame, self, direction):
                return
        await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Forget what is held."""
        await super().cleanup()  # type: ignore[no-untyped-call]
        self._bargein_call.held_run.drop()

    def _turn(self, context: LLMContext) -> TTSSpeakFrame | None:
        """The caller's turn is complete: what is said instead of an answer, if anything."""
        messages = context.get_messages()
        newest: Any = messages[-1] if len(messages) > self._turns else None
        self._turns = len(messages)
        text = newest.get("content") if isinstance(newest, dict) else None
        if not isinstance(text, str) or newest.get("role") != "user":
            return None
        asked = self._asked_by(text)
        cut, self._cut = self._cut, None
        if asked is not None and asked.in_own_words:
            self._note(context, wanted(asked), place=len(messages))
        elif asked is not None:
            return self._speech(asked)
        elif cut is not None and self._tells:
            self._note(context, missed(cut), place=len(messages) - 1)
        return None

    def _note(self, context: LLMContext, text: str, *, place: int) -> None:
        messages = list(context.get_messages())
        messages.insert(place, {"role": "developer", "content": text})
        context.set_messages(messages)
        self._turns = len(messages)

    def _asked_by(self, text: str) -> ResumeSpeech | None:
        """Does the caller want to hear the rest of something?"""
        call = self._bargein_call
        if not call.unfinished:
            return None
        self._asked, self._looking = None, True
        call.guarded("resumption memory", self._tell, text)
        asked, self._asked, self._looking = self._asked, None, False
        return asked

    def _tell(self, text: str) -> None:
        call = self._bargein_call
        kind, agrees = self._judges.turn(text, agent_said=call.last_said)
        call.feed(TurnTaken(at_ms=call.now_ms, text=text, kind=kind, agrees=agrees))

    def _obey(self, decision: Decision) -> None:
        match decision:
            case YieldFloor() if not decision.breaks_lock and decision.kind is not Kind.ANSWER:
                self._cut = decision if decision.unheard.strip() else None
            case ResumeSpeech() if self._looking:
                self._asked = decision
            case ResumeSpeech():
                self.create_task(self.push_frame(self._speech(decision)))
            case OfferResumption():
                asks = TTSSpeakFrame(offer(self._judges.speech, decision.topic))
                self.create_task(self.push_frame(asks))
            case _:
                pass

    def _speech(self, decision: ResumeSpeech) -> TTSSpeakFrame:
        return TTSSpeakFrame(bridge(self._judges.speech, decision.topic, decision.text))

"""When may the LLM answer, and when does the agent go on? User aggregator -> **here** -> LLM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipecat.frames.frames import Frame, LLMContextFrame, TTSSpeakFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

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

from .call import PipecatCall


class ResumptionMemory(FrameProcessor):
    """Goes on with what was left unsaid instead of running the LLM, where the caller wants that.

    While a message is locked it holds the LLM's answer, so that the answer knows the message.
    """

    def __init__(
        self,
        call: PipecatCall,
        judges: Judges,
        *,
        speech: Mapping[str, str],
        tell_llm: bool = True,
        **kwargs: Any,
    ) -> None:
        """Make the memory of a call. `Bargein` does it for you.

        Args:
            call: the call whose floor remembers.
            judges: tell "go on", yes and no.
            speech: the agent's own words for it.
            tell_llm: whether the LLM is told what an interruption left unheard.
            **kwargs: for `FrameProcessor`.
        """
        super().__init__(enable_direct_mode=True, **kwargs)
        self._bargein_call = call
        call.has_memory = True
        self._floor_turns = Turns(call, judges)
        self._speech = speech
        self.context: LLMContext | None = None
        """The call's context, once it is known."""
        self._seen: object = None  # the user's message that was looked at last
        self._tells = tell_llm
        call.decided.append(self._obey)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Go on, hold a run, or let it pass."""
        await super().process_frame(frame, direction)
        if direction is FrameDirection.DOWNSTREAM and isinstance(frame, LLMContextFrame):
            self.context = frame.context
            if not getattr(frame, "speculation", False):
                speech, answered = self._turn(frame.context)
                if speech is not None:
                    await self.push_frame(speech)
                if answered:
                    return
            if self._bargein_call.held_run.hold(frame, self, direction):
                return
        await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Forget what is held."""
        await super().cleanup()  # type: ignore[no-untyped-call]
        self._bargein_call.held_run.drop()

    def _turn(self, context: LLMContext) -> tuple[TTSSpeakFrame | None, bool]:
        """The caller's turn is complete: what is said at once, and whether that answers it."""
        # Not by their number: an application may shorten the context at any time.
        newest: Any = next(
            (
                message
                for message in reversed(context.get_messages())
                if isinstance(message, dict) and message.get("role") == "user"
            ),
            None,
        )
        if newest is None or newest is self._seen:
            return None, False
        self._seen = newest
        decided, cut = self._floor_turns.taken(_text_of(newest.get("content")))
        for decision in decided:
            match decision:
                case ResumeSpeech() if decision.in_own_words:
                    self._note(context, wanted(decision), before=None)
                    return None, False
                case ResumeSpeech():
                    return self._rest(decision), True
                case AcknowledgeYield():
                    if cut is not None and not decision.instead:
                        self._missed(context, cut)
                    said = acknowledgement(self._speech, decision.kind)
                    return TTSSpeakFrame(said), decision.instead
                case _:
                    pass
        if cut is not None:
            self._missed(context, cut)
        return None, False

    def _missed(self, context: LLMContext, cut: YieldFloor) -> None:
        if self._tells:
            self._note(context, missed(cut), before=self._seen)

    def _note(self, context: LLMContext, text: str, *, before: object) -> None:
        """Tell the LLM something, before that message or at the end."""
        messages = list(context.get_messages())
        place = next((n for n, one in enumerate(messages) if one is before), len(messages))
        messages.insert(place, {"role": "developer", "content": text})
        context.set_messages(messages)

    def _obey(self, decision: Decision) -> None:
        match decision:
            case ResumeSpeech() if not self._floor_turns.deciding:
                self.create_task(self._goes_on(decision))
            case OfferResumption():
                asks = TTSSpeakFrame(offer(self._speech, decision.topic))
                self.create_task(self.push_frame(asks))
            case _:
                pass

    async def _goes_on(self, decision: ResumeSpeech) -> None:
        """The application, or the LLM itself, asks for it."""
        if decision.in_own_words and self.context is not None:
            self._note(self.context, wanted(decision), before=None)
            run = LLMContextFrame(self.context)
            if not self._bargein_call.held_run.hold(run, self, FrameDirection.DOWNSTREAM):
                await self.push_frame(run)
        else:
            await self.push_frame(self._rest(decision))

    def _rest(self, decision: ResumeSpeech) -> TTSSpeakFrame:
        return TTSSpeakFrame(bridge(self._speech, decision.topic, decision.text))


def _text_of(content: object) -> str:
    """What a message says; of one with images, say, only the words."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (part.get("text") for part in content if isinstance(part, dict))
    return " ".join(part for part in parts if isinstance(part, str))

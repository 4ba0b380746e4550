"""How does a Pipecat application adopt all of this? One object a call."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

from loguru import logger
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import TTSSpeakFrame
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregator
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.services.llm_service import LLMService
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.turns.user_stop import BaseUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import (
    UserTurnStrategies,
    default_user_turn_stop_strategies,
)

from bargein.core.events import OnCut
from bargein.core.overlap import Rules
from bargein.core.unfinished import Resumption
from bargein.manners import BargeinError, Manners

from .call import PipecatCall
from .filter import BackchannelFilter
from .gate import InterruptionGate
from .ledger import PlayoutLedger
from .lock import CriticalMessageLock, MustHearFrame
from .resumption import ResumptionMemory
from .telephony import ManneredSerializer
from .tools import (
    FunctionCallHandler,
    FunctionSchema,
    OnInterruption,
    register,
    register_function,
)
from .turns import FloorTurnStart, ProposedTurnStop
from .vad import BargeinVADAnalyzer, EarlyEar

__all__ = ["Bargein", "BargeinError"]


class Bargein(Manners[PipecatCall]):
    """Good manners for one call: makes its processors, which share one floor.

    ```python
    manners = Bargein(language="en")
    user, assistant = LLMContextAggregatorPair(context, user_params=LLMUserAggregatorParams(
        vad_analyzer=manners.vad(), user_turn_strategies=manners.turn_strategies()))
    pipeline = Pipeline(manners.wrap(
        [transport.input(), stt, user, llm, tts, transport.output(), assistant]))
    ```

    Events, each with the decision: ``on_duck``, ``on_hold``, ``on_resume``, ``on_yield``,
    ``on_backchannel``, and ``on_decision`` for every one; ``on_receipt`` with the `Receipt` of a
    message that had to be heard, ``on_receipt_acknowledged`` when the far end says that it was
    played, and ``on_receipt_stored`` when the store has either;
    ``on_change`` with the `Change` that any event brought.
    """

    _host = "pipecat"

    def _open(self, rules: Rules, resumption: Resumption) -> PipecatCall:
        return PipecatCall(rules, resumption)

    def _context(self) -> tuple[Any, ...]:
        context = self._memory.context if self._memory else None
        # Each a copy: the host writes the results of function calls into the messages themselves.
        return () if context is None else tuple(map(copy.copy, context.get_messages()))

    def _assemble(self) -> None:
        self._lock = CriticalMessageLock(
            self._call,
            tag=self._must_hear_tag,
            patterns=self._must_hear_patterns,
            on_cut=self._policy[0],
            broken_by=self._policy[1],
            begins=self._begin,
            ends=self._end,
        )
        self._lock_placed = False
        self._ear = EarlyEar(self._call, self._microphone)
        self._memory: ResumptionMemory | None = None
        self._strategies: UserTurnStrategies | None = None
        self._filter: BackchannelFilter | None = None
        self._gate: InterruptionGate | None = None
        self._ledger: PlayoutLedger | None = None

    # --- the parts, for placing by hand ---

    def vad(self, params: VADParams | None = None, **options: Any) -> BargeinVADAnalyzer:
        """A VAD analyzer for the aggregator or a `VADProcessor`: one inference serves both."""
        return BargeinVADAnalyzer(self._ear, params=params, **options)

    def turn_strategies(
        self, *, stop: list[BaseUserTurnStopStrategy] | None = None
    ) -> UserTurnStrategies:
        """What goes into ``LLMUserAggregatorParams(user_turn_strategies=...)``.

        Args:
            stop: your own stop strategies; the host's defaults if None. Proposals of a service
                with its own turn detection are resolved in either case.
        """
        if self._strategies is None:
            self._strategies = UserTurnStrategies(
                start=[FloorTurnStart(self._call)],
                stop=[*(stop or default_user_turn_stop_strategies()), ProposedTurnStop()],
            )
        return self._strategies

    def backchannel_filter(self) -> BackchannelFilter:
        """STT -> **this** -> user aggregator."""
        if self._filter is None:
            self._filter = BackchannelFilter(
                self._call,
                recommend=None if self._strategies else self.turn_strategies,
                early=self._ear if self._early_onset else None,
                detectors=self._detectors,
                microphone=self._microphone,
            )
        return self._filter

    def resumption_memory(self) -> ResumptionMemory:
        """User aggregator -> **this** -> LLM."""
        if self._memory is None:
            self._memory = ResumptionMemory(
                self._call,
                self._judges,
                speech=self._speech,
                tell_llm=self._tells_llm,
            )
        return self._memory

    def critical_message_lock(self) -> CriticalMessageLock:
        """LLM -> **this** -> TTS."""
        self._lock_placed = True
        return self._lock

    def interruption_gate(self) -> InterruptionGate:
        """TTS -> **this** -> transport.output()."""
        if self._gate is None:
            self._gate = InterruptionGate(self._call, voice=self._voice)
        return self._gate

    def playout_ledger(self) -> PlayoutLedger:
        """transport.output() -> **this** -> assistant aggregator."""
        if self._ledger is None:
            self._ledger = PlayoutLedger(
                self._call, max_lock_ms=self._max_lock_ms, microphone=self._microphone
            )
        return self._ledger

    def serializer(self, serializer: FrameSerializer) -> ManneredSerializer:
        """Put this around Pipecat's serializer for Twilio, Telnyx or Plivo.

        The far end is told to throw audio away only where the caller takes the floor, and never
        what must be heard; and it says when it has played that (``receipt.acknowledged_at``).

        Raises:
            BargeinError: another provider's.
        """
        return ManneredSerializer(serializer, self._call, self._archive.acknowledged)

    def wrap(self, processors: Sequence[FrameProcessor]) -> list[FrameProcessor]:
        """Insert every processor where it belongs.

        A pipeline with a Realtime service is left as it is, and one error says so: its voice and
        its turns are made on a server. Give that a `bargein.realtime.relay.Relay`.

        Raises:
            BargeinError: no user aggregator or no output transport, or in the wrong order.
        """
        if realtime := next(filter(_is_realtime, processors), None):
            logger.error(
                f"bargein: {realtime.name} makes its voice and its turns on a server, so the call"
                " runs as it would without bargein: put a bargein.realtime.relay.Relay before it"
            )
            return list(processors)
        user = _only(processors, LLMUserAggregator, "LLMUserAggregator")
        output = _only(processors, BaseOutputTransport, "output transport")
        if user > output:
            raise BargeinError(
                "the output transport comes before the user aggregator: order the pipeline"
                " input, STT, user aggregator, LLM, TTS, output, assistant aggregator"
            )
        speech = _speech(processors, user, output)
        aggregator = processors[user]
        assert isinstance(aggregator, LLMUserAggregator)
        self.resumption_memory().context = aggregator.context
        return [
            *processors[:user],
            self.backchannel_filter(),
            processors[user],
            self.resumption_memory(),
            *processors[user + 1 : speech],
            self.critical_message_lock(),
            *processors[speech:output],
            self.interruption_gate(),
            processors[output],
            self.playout_ledger(),
            *processors[output + 1 :],
        ]

    # --- during the call ---

    async def say(
        self,
        text: str,
        *,
        must_hear: bool = False,
        message_id: str = "",
        on_cut: OnCut | str | None = None,
        broken_by: Iterable[str] | None = None,
        append_to_context: bool = True,
    ) -> str:
        """Speak a text, behind what is being said.

        Args:
            text: what to say.
            must_hear: whether nobody may talk over it. What the caller says meanwhile is answered
                afterwards, and a `Receipt` tells how far it came.
            message_id: names it in its receipts; made up where it is empty.
            on_cut: what becomes of it if it is cut; as for all of the call, if None.
            broken_by: what may break it off; as for all of the call, if None.
            append_to_context: whether it becomes part of the LLM's context once it was spoken.

        Returns:
            The message's id.

        Raises:
            LockError: no words, or no such policy.
            BargeinError: this call has no `CriticalMessageLock`.
        """
        if self._call.closed:
            raise BargeinError("nothing can be said any more: the call is over")
        if not self._lock_placed:
            raise BargeinError(
                "nothing can be said without a CriticalMessageLock: use Bargein.wrap([...]), or put"
                " manners.critical_message_lock() between LLM and TTS"
            )
        message = MustHearFrame(
            text,
            message_id=message_id,
            on_cut=self._policy[0] if on_cut is None else on_cut,
            broken_by=self._policy[1] if broken_by is None else broken_by,
            append_to_context=append_to_context,
        )
        plain = TTSSpeakFrame(message.locked.text, append_to_context=append_to_context)
        self._archive.receipts.pop(message.message_id, None)  # of an earlier one with that id
        await self._lock.say(message if must_hear else plain)
        return message.message_id

    def register_function(
        self,
        llm: LLMService,
        name: str,
        handler: FunctionCallHandler,
        *,
        on_interruption: OnInterruption | str = OnInterruption.COMPLETE,
        **options: Any,
    ) -> None:
        """Register a function with an LLM service, and say what becomes of a call that is out when
        the caller takes the floor. A backchannel or a cough never touches one.

        Args:
            llm: the service.
            name: the function's name.
            handler: the function, as Pipecat calls it.
            on_interruption: ``"complete"``: it finishes, its result enters the context once and is
                spoken of when nobody speaks; or ``"cancel"``.
            **options: for `LLMService.register_function`.

        Raises:
            ToolError: nothing of that kind can become of it.
        """
        register_function(llm, name, handler, on_interruption, **options)

    def tools(self, llm: LLMService) -> list[FunctionSchema]:
        """Let the LLM decide: registers ``resume_speech`` and ``forget_speech`` with it.

        Returns:
            Their schemas, for ``ToolsSchema(standard_tools=[*manners.tools(llm), ...])``.
        """
        return register(llm, self.resume, self.forget)


def _only(processors: Sequence[FrameProcessor], kind: type[Any], name: str) -> int:
    found = [place for place, one in enumerate(processors) if isinstance(one, kind)]
    if len(found) != 1:
        raise BargeinError(
            f"wrap() needs exactly one {name} in the list and found {len(found)}: place the"
            " processors by hand with backchannel_filter(), interruption_gate() and"
            " playout_ledger()"
        )
    return found[0]


def _is_realtime(processor: FrameProcessor) -> bool:
    """Does it speak and listen itself, on a server?"""
    tells = getattr(processor, "service_metadata_frame", None)
    return bool(
        isinstance(processor, LLMService)
        and tells is not None
        and getattr(tells(), "is_realtime_service", False)
    )


def _speech(processors: Sequence[FrameProcessor], user: int, output: int) -> int:
    """Where the reply's text is complete and not yet spoken: before the TTS, behind the LLM."""
    between = range(user + 1, output)
    for place in between:
        if isinstance(processors[place], TTSService):
            return place
    # Services that sit in a switcher of the application's are not seen from here.
    llm = [place for place in between if isinstance(processors[place], LLMService)]
    return llm[-1] + 1 if llm else user + 1

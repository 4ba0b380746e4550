"""How does a Pipecat application adopt all of this? One object a call."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import Frame, TTSSpeakFrame
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregator
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.llm_service import LLMService
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.turns.user_stop import BaseUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import (
    UserTurnStrategies,
    default_user_turn_stop_strategies,
)

from bargein.core.decisions import (
    Decision,
    DuckPlayout,
    HoldFloor,
    OfferResumption,
    ReportBackchannel,
    ResumePlayout,
    ResumeSpeech,
    YieldFloor,
)
from bargein.core.events import (
    BROKEN_BY,
    Event,
    OnCut,
    ResumptionAsked,
    ResumptionDropped,
    TopicNamed,
)
from bargein.core.marked import Pattern
from bargein.core.overlap import Overlap, Rules
from bargein.core.resumption import Mode, Resumption, Unfinished
from bargein.detect import Detector, Level
from bargein.language import Judges, Language
from bargein.language.standard import Preset, standard_rules
from bargein.memory import Archive, Receipt, Records, Store, open_store
from bargein.playback import Playback

from .call import Call
from .filter import BackchannelFilter
from .gate import InterruptionGate
from .ledger import PlayoutLedger
from .lock import CriticalMessageLock, MustHearFrame, policy_of
from .resumption import ResumptionMemory
from .tools import FunctionSchema, register
from .turns import FloorTurnStart, ProposedTurnStop
from .vad import BargeinVADAnalyzer, EarlyEar

Handler: TypeAlias = Callable[["Bargein", Any], Awaitable[None] | None]
_H = TypeVar("_H", bound=Handler)

_EVENTS: dict[type[Any], str] = {
    DuckPlayout: "on_duck",
    HoldFloor: "on_hold",
    ResumePlayout: "on_resume",
    YieldFloor: "on_yield",
    ReportBackchannel: "on_backchannel",
    ResumeSpeech: "on_resume_speech",
    OfferResumption: "on_offer",
}
EVENTS = (*_EVENTS.values(), "on_decision", "on_receipt", "on_receipt_stored")


class BargeinError(ValueError):
    """A pipeline that was put together in a way that cannot work."""


class Bargein:
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
    message that had to be heard, and ``on_receipt_stored`` when the store has it.
    """

    def __init__(
        self,
        *,
        language: str | Language | Sequence[str | Language] = "en",
        preset: str | Preset = "balanced",
        rules: Rules | None = None,
        early_onset: bool = True,
        detectors: Sequence[Detector] = (Level(),),
        voice: Callable[[], Playback[Frame]] = Playback,
        interruptible: bool | Callable[[Overlap], bool] = True,
        must_hear_tag: str = "must-hear",
        must_hear_patterns: Iterable[Pattern] = (),
        on_cut: OnCut | str = OnCut.REPORT,
        broken_by: Iterable[str] = BROKEN_BY,
        max_lock_ms: int = 30_000,
        resume: Mode | str = Mode.VERBATIM,
        resume_ttl_s: float = 300,
        tell_llm: bool = True,
        handler_timeout_s: float = 2.0,
        store: str | Path | Store | None = None,
        caller: str = "",
        records: Records | None = None,
        **options: Any,
    ) -> None:
        """Prepare the manners of one call.

        Args:
            language: what the caller speaks: a tag, ``"hi+en"`` for a mixture, a loaded
                `Language`, several of these for the recogniser's tag to choose from, or
                ``"auto"``.
            preset: ``"patient"``, ``"balanced"``, ``"eager"``, or a `Preset` of your own.
            rules: your own rules instead of the standard ones; an empty tuple behaves as Pipecat
                does without us.
            early_onset: hear the caller's onset within a window or two, so that ducking starts
                before the host has confirmed speech.
            detectors: hear from the sound alone whether somebody listens or takes the floor; their
                scores count until the words are clear. See `bargein.detect`.
            voice: makes the paced playback, for other numbers than its defaults.
            interruptible: False for an agent nobody may talk over; may be set during the call, too.
                A function is asked about every overlap (`standard_rules`).
            must_hear_tag: what stands between ``<tag>`` and ``</tag>`` in a reply must be heard.
            must_hear_patterns: every sentence of a reply in which one is found must be heard, such
                as `DIGIT_CODES`, `MONEY`, `PHONE_NUMBERS`, or regular expressions of your own.
            on_cut: what becomes of such a message if it is cut: ``"repeat"``, ``"resume"`` or
                ``"report"``.
            broken_by: what may break it off; see `MustHearFrame`.
            max_lock_ms: a message that is locked for longer is warned of, once.
            resume: how the agent goes on with what was left unsaid, when it is told to:
                ``"verbatim"`` (the rest as it was, without the LLM), ``"llm"`` (in its own words),
                ``"offer"`` (as verbatim, and once a digression is over it offers to), ``"off"``.
            resume_ttl_s: for how long it is worth going on with.
            tell_llm: whether the LLM is told, in a developer message, what an interruption left
                unheard, so that it neither repeats it nor takes it as known.
            handler_timeout_s: how long an async event handler may take.
            store: where receipts and unfinished messages are kept: a file such as ``"calls.db"``,
                ``"redis://..."``, or a `Store`. Needs ``caller``.
            caller: who calls, so that a message finds them in their next call.
            records: both of these with more of a say, such as a pepper and a cipher.
            **options: further arguments of `standard_rules`.

        Raises:
            LanguageError: no such language.
            RuleError: impossible numbers, or no such preset.
        """
        if rules is not None and options:
            raise BargeinError(
                f"rules were given, so {', '.join(options)} would not be read: pass them to"
                " standard_rules(...)"
            )
        if not isinstance(interruptible, bool):
            options["interruptible"] = interruptible
        if rules is None:
            rules = standard_rules(language, preset=preset, **options)
        self._policy = policy_of(on_cut, broken_by)
        owned: Store | None = None
        if store is not None:
            if records is not None:
                raise BargeinError("give either store and caller, or records")
            opened = open_store(store)
            owned = opened if isinstance(store, str | Path) else None
            records = Records(opened, caller)
        try:
            mode = Mode(resume)
        except ValueError:
            raise BargeinError(
                f"resume must be one of {', '.join(one.value for one in Mode)}, not {resume!r}"
            ) from None
        self._judges = Judges((language,) if isinstance(language, Language) else language)
        self._call = Call(rules, Resumption(mode=mode, ttl_ms=round(resume_ttl_s * 1000)))
        if interruptible is False:
            self._call.interruptible = False
        self._archive = Archive(
            records,
            filed=self._filed,
            stored=lambda receipt: self._tell_all("on_receipt_stored", receipt),
            report=self._call.report,
            measured=lambda message_id: self._call.voice_played_ms(
                self._call.messages.stream_of(message_id)
            ),
            owned=owned,
        )
        self._call.happened.append(self._archive.happened)
        self._call.decided.append(self._archive.decided)
        self._call.closing.append(self._nothing_more)
        self._awaited_receipts: dict[str, list[asyncio.Future[Receipt]]] = {}
        self._lock = CriticalMessageLock(
            self._call,
            tag=must_hear_tag,
            patterns=must_hear_patterns,
            on_cut=self._policy[0],
            broken_by=self._policy[1],
            archive=self._archive,
        )
        self._max_lock_ms = max_lock_ms
        self._tells_llm = tell_llm
        self._handler_timeout_s = handler_timeout_s
        self._memory: ResumptionMemory | None = None
        self._call.decided.append(self._tell)
        self._ear = EarlyEar(self._call)
        self._early_onset = early_onset
        self._detectors = tuple(detectors)
        self._voice = voice
        self._strategies: UserTurnStrategies | None = None
        self._filter: BackchannelFilter | None = None
        self._gate: InterruptionGate | None = None
        self._ledger: PlayoutLedger | None = None
        self._lock_placed = False
        self._handlers: dict[str, list[Handler]] = {name: [] for name in EVENTS}
        self._running: set[asyncio.Task[None]] = set()

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
            )
        return self._filter

    def resumption_memory(self) -> ResumptionMemory:
        """User aggregator -> **this** -> LLM."""
        if self._memory is None:
            self._memory = ResumptionMemory(self._call, self._judges, tell_llm=self._tells_llm)
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
            self._ledger = PlayoutLedger(self._call, max_lock_ms=self._max_lock_ms)
        return self._ledger

    def wrap(self, processors: Sequence[FrameProcessor]) -> list[FrameProcessor]:
        """Insert every processor where it belongs.

        Raises:
            BargeinError: no user aggregator or no output transport, or in the wrong order.
        """
        user = _only(processors, LLMUserAggregator, "LLMUserAggregator")
        output = _only(processors, BaseOutputTransport, "output transport")
        if user > output:
            raise BargeinError(
                "the output transport comes before the user aggregator: order the pipeline"
                " input, STT, user aggregator, LLM, TTS, output, assistant aggregator"
            )
        speech = _speech(processors, user, output)
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

    async def receipt(self, message_id: str) -> Receipt:
        """Wait for the next receipt of a message, or return the one there is.

        Raises:
            CancelledError: the call is over, and there was none.
        """
        known = self._archive.receipts.get(message_id)
        if known is not None:
            return known
        awaited: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._awaited_receipts.setdefault(message_id, []).append(awaited)
        return await awaited

    def topic(self, name: str, *, task: str = "", progress: float | None = None) -> None:
        """Say what the agent talks about from now on, so that it can name it when it goes on.

        Args:
            name: as it is said in "Sure, back to ...": "the returns policy". Empty for none.
            task: what the agent is doing, for your own use.
            progress: how far it is, from 0 to 1, where you know that better than the text does.
        """
        self._call.feed(
            TopicNamed(at_ms=self._call.now_ms, topic=name, task=task, progress=progress)
        )

    def resume(self) -> bool:
        """Go on with what was last left unsaid; False if there is nothing."""
        there = bool(self._call.unfinished)
        self._call.feed(ResumptionAsked(at_ms=self._call.now_ms))
        return there

    def forget(self) -> None:
        """Nobody wants to hear the rest of what was last left unsaid."""
        self._call.feed(ResumptionDropped(at_ms=self._call.now_ms))

    def tools(self, llm: LLMService) -> list[FunctionSchema]:
        """Let the LLM decide: registers ``resume_speech`` and ``forget_speech`` with it.

        Returns:
            Their schemas, for ``ToolsSchema(standard_tools=[*manners.tools(llm), ...])``.
        """
        return register(llm, self.resume, self.forget)

    @property
    def unfinished(self) -> tuple[Unfinished, ...]:
        """What was left unsaid in this call and is worth going on with, the newest last."""
        return self._call.unfinished

    @property
    def receipts(self) -> list[Receipt]:
        """The newest receipt of every message of this call that had to be heard."""
        return list(self._archive.receipts.values())

    @property
    def interruptible(self) -> bool:
        """May the caller talk over the agent? May be set at any time, in mid-sentence, too."""
        return self._call.interruptible

    @interruptible.setter
    def interruptible(self, interruptible: bool) -> None:
        self._call.interruptible = interruptible

    def emergency_stop(self) -> None:
        """Stop the agent now, whatever it is saying."""
        self._call.raise_control("emergency_stop")

    def raise_control(self, name: str) -> None:
        """Raise a flag of your own, for your own rules to see."""
        self._call.raise_control(name)

    def score(self, backchannel_probability: float, *, source: str = "application") -> None:
        """Tell what a detector of your own makes of the caller's sound right now.

        Args:
            backchannel_probability: from 0, taking the floor, to 1, a listener.
            source: which detector; its newest opinion counts.
        """
        self._call.score(source, backchannel_probability)

    @property
    def floor(self) -> str:
        """Who holds the floor: ``"open"``, ``"agent"``, ``"user"`` or ``"contested"``."""
        return self._call.floor.value

    @property
    def busy(self) -> bool:
        """Is the agent being heard, or something still to be decided?"""
        return self._call.busy

    @property
    def now_ms(self) -> int:
        """The call's own clock, in whole milliseconds."""
        return self._call.now_ms

    def on_event(self, hook: Callable[[Event], None]) -> None:
        """Be told of every event as it happens, before it is judged; for traces."""
        self._call.happened.append(hook)

    # --- events ---

    def event_handler(self, name: str) -> Callable[[_H], _H]:
        """Decorate a handler, sync or async, of one of the events above."""

        def decorate(handler: _H) -> _H:
            self.add_event_handler(name, handler)
            return handler

        return decorate

    def add_event_handler(self, name: str, handler: Handler) -> None:
        """Call ``handler(manners, decision)`` whenever that happens.

        Raises:
            BargeinError: no such event.
        """
        if name not in self._handlers:
            raise BargeinError(f"no event {name!r}; there are {', '.join(EVENTS)}")
        self._handlers[name].append(handler)

    def _tell(self, decision: Decision) -> None:
        self._tell_all("on_decision", decision)
        if name := _EVENTS.get(type(decision)):
            self._tell_all(name, decision)

    def _filed(self, receipt: Receipt) -> None:
        for awaited in self._awaited_receipts.pop(receipt.message_id, ()):
            if not awaited.done():
                awaited.set_result(receipt)
        self._tell_all("on_receipt", receipt)

    def _nothing_more(self) -> None:
        for futures in self._awaited_receipts.values():
            for awaited in futures:
                awaited.cancel()
        self._awaited_receipts.clear()

    def _tell_all(self, name: str, news: Decision | Receipt) -> None:
        for handler in self._handlers[name]:
            self._call.guarded(f"handler {_name(handler)}", self._run, handler, news)

    def _run(self, handler: Handler, news: Decision | Receipt) -> None:
        result = handler(self, news)
        if inspect.isawaitable(result):
            task = asyncio.ensure_future(self._awaited(handler, result))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _awaited(self, handler: Handler, result: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(self._handler_timeout_s):
                await result
        except Exception as error:
            self._call.report(f"handler {_name(handler)}", error)


def _name(handler: Handler) -> str:
    return getattr(handler, "__qualname__", type(handler).__name__)


def _only(processors: Sequence[FrameProcessor], kind: type[Any], name: str) -> int:
    found = [place for place, one in enumerate(processors) if isinstance(one, kind)]
    if len(found) != 1:
        raise BargeinError(
            f"wrap() needs exactly one {name} in the list and found {len(found)}: place the"
            " processors by hand with backchannel_filter(), interruption_gate() and"
            " playout_ledger()"
        )
    return found[0]


def _speech(processors: Sequence[FrameProcessor], user: int, output: int) -> int:
    """Where the reply's text is complete and not yet spoken: before the TTS, behind the LLM."""
    between = range(user + 1, output)
    for place in between:
        if isinstance(processors[place], TTSService):
            return place
    # Services that sit in a switcher of the application's are not seen from here.
    llm = [place for place in between if isinstance(processors[place], LLMService)]
    return llm[-1] + 1 if llm else user + 1

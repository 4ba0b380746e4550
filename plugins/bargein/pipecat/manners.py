"""How does a Pipecat application adopt all of this? One object a call."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias, TypeVar

from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import Frame
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregator
from pipecat.processors.frame_processor import FrameProcessor
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
    ReportBackchannel,
    ResumePlayout,
    YieldFloor,
)
from bargein.core.events import Event
from bargein.core.overlap import Rules
from bargein.detect import Detector, Level
from bargein.language import Language
from bargein.language.standard import Preset, standard_rules
from bargein.playback import Playback

from .call import Call
from .filter import BackchannelFilter
from .gate import InterruptionGate
from .ledger import PlayoutLedger
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
}
EVENTS = (*_EVENTS.values(), "on_decision")


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
    ``on_backchannel``, and ``on_decision`` for every one.
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
        if rules is None:
            rules = standard_rules(language, preset=preset, **options)
        self._call = Call(rules)
        self._call.decided.append(self._tell)
        self._ear = EarlyEar(self._call)
        self._early_onset = early_onset
        self._detectors = tuple(detectors)
        self._voice = voice
        self._strategies: UserTurnStrategies | None = None
        self._filter: BackchannelFilter | None = None
        self._gate: InterruptionGate | None = None
        self._ledger: PlayoutLedger | None = None
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

    def interruption_gate(self) -> InterruptionGate:
        """TTS -> **this** -> transport.output()."""
        if self._gate is None:
            self._gate = InterruptionGate(self._call, voice=self._voice)
        return self._gate

    def playout_ledger(self) -> PlayoutLedger:
        """transport.output() -> **this** -> assistant aggregator."""
        if self._ledger is None:
            self._ledger = PlayoutLedger(self._call)
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
        return [
            *processors[:user],
            self.backchannel_filter(),
            *processors[user:output],
            self.interruption_gate(),
            processors[output],
            self.playout_ledger(),
            *processors[output + 1 :],
        ]

    # --- during the call ---

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
        name = _EVENTS.get(type(decision))
        told = self._handlers[name] if name else []
        for handler in (*self._handlers["on_decision"], *told):
            self._call.guarded(f"handler {_name(handler)}", self._run, handler, decision)

    def _run(self, handler: Handler, decision: Decision) -> None:
        result = handler(self, decision)
        if inspect.isawaitable(result):
            task = asyncio.ensure_future(self._awaited(handler, result))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _awaited(self, handler: Handler, result: Awaitable[None]) -> None:
        try:
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

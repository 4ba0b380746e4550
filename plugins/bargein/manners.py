"""What does an application set, ask and hear of the manners of a call, whatever the host?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from bargein.call import Call, Change
from bargein.core.decisions import (
    Decision,
    DuckPlayout,
    HoldFloor,
    Kind,
    OfferResumption,
    ReportBackchannel,
    ResumePlayout,
    ResumeSpeech,
    YieldFloor,
)
from bargein.core.events import (
    BROKEN_BY,
    Event,
    MessageLocked,
    OnCut,
    ResumptionAsked,
    ResumptionDropped,
    TopicNamed,
)
from bargein.core.locks import policy_of
from bargein.core.marked import Pattern
from bargein.core.overlap import Overlap, Rules
from bargein.core.unfinished import Mode, Resumption, Unfinished, recalled
from bargein.detect import Detector, Level
from bargein.echo import EchoDetector
from bargein.handlers import Handler, HandlerError, Handlers
from bargein.interruption import Interruption
from bargein.journal import Interruptions, Journal, Watcher
from bargein.language import Judges, Language
from bargein.language.speech import ACKNOWLEDGED, PLAIN
from bargein.language.standard import Preset, read_now, standard_rules
from bargein.memory import (
    PATIENCE_S,
    Archive,
    Receipt,
    Records,
    Shelf,
    Store,
    Writer,
    open_store,
)
from bargein.microphone import Microphone
from bargein.playback import Playback
from bargein.settings import settings
from bargein.watching import Watching

C = TypeVar("C", bound=Call)
_H = TypeVar("_H", bound=Callable[..., Any])

_EVENTS: dict[type[Any], str] = {
    DuckPlayout: "on_duck",
    HoldFloor: "on_hold",
    ResumePlayout: "on_resume",
    ReportBackchannel: "on_backchannel",
    ResumeSpeech: "on_resume_speech",
    OfferResumption: "on_offer",
}
EVENTS = (
    *_EVENTS.values(),
    "on_yield",
    "on_decision",
    "on_change",
    "on_receipt",
    "on_receipt_stored",
    "on_receipt_acknowledged",
)


class BargeinError(ValueError):
    """A call that was put together in a way that cannot work."""


class Manners(Generic[C]):
    """Good manners for one call. Each host's `Bargein` is one of these, with that host's parts."""

    _host = ""
    """The host's name, for whoever watches."""

    def __init__(
        self,
        *,
        language: str | Language | Sequence[str | Language] = "en",
        preset: str | Preset = "balanced",
        rules: Rules | None = None,
        early_onset: bool = True,
        detectors: Sequence[Detector] = (Level(),),
        echo: bool | EchoDetector = False,
        voice: Callable[[], Playback[Any]] = Playback,
        interruptible: bool | Callable[[Overlap], bool] = True,
        must_hear_tag: str = "must-hear",
        must_hear_patterns: Iterable[Pattern] = (),
        on_cut: OnCut | str = OnCut.REPORT,
        broken_by: Iterable[str] = BROKEN_BY,
        max_lock_ms: int = 30_000,
        resume: Mode | str = Mode.VERBATIM,
        resume_ttl_s: float = 300,
        acknowledge: Iterable[Kind | str] = (),
        speech: Mapping[str, str] | None = None,
        tell_llm: bool = True,
        handler_timeout_s: float = 2.0,
        store: str | Path | Store | None = None,
        caller: str = "",
        records: Records | None = None,
        journal: Journal | str | Path | Callable[[str], object] | None = None,
        watchers: Sequence[Watcher] = (),
        call_id: str = "",
        agent: str = "",
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
            echo: hear when the agent's own voice comes back in the caller's microphone, so that it
                neither stops itself nor answers itself: for lines on which nobody cancels the echo.
                It takes up to 0.9 ms of the processor for every 20 ms of an echo, and a caller may
                be heard a tenth of a second later. An `EchoDetector` for other numbers.
            voice: makes the paced playback, for other numbers than its defaults.
            interruptible: False for an agent nobody may talk over; may be set during the call, too.
                A function is asked about every overlap (`standard_rules`).
            must_hear_tag: what stands between ``<tag>`` and ``</tag>`` in a reply must be heard. An
                LLM can be talked into repeating a tag: where its user or a tool writes text, take a
                name that they cannot guess.
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
            acknowledge: kinds of interruptions that the agent says it has understood, before it
                answers: ``"cancellation"``, ``"correction"``, ``"redirect"``, ``"clarification"``.
            speech: what it says then, and when it goes on or offers to, instead of the language's
                own words; by the names of `bargein.language.speech.PLAIN`.
            tell_llm: whether the LLM is told, in a developer message, what an interruption left
                unheard, so that it neither repeats it nor takes it as known.
            handler_timeout_s: how long an async event handler may take.
            store: where receipts and unfinished messages are kept: a file such as ``"calls.db"``,
                ``"redis://..."``, or a `Store`. Needs ``caller``.
            caller: who calls, so that a message finds them in their next call.
            records: both of these with more of a say, such as a pepper and a cipher.
            journal: where the call is written down, a line for each event and decision: a file such
                as ``"calls/{call}.jsonl"``, a function that takes a line, or a `Journal`, which can
                also be told to write transcripts.
            watchers: told of overlaps as they go, in this call and in others that share them:
                `Interruptions`, `Alerts`, `bargein.journal.otel.Telemetry`, a `Watcher` of yours.
            call_id: what the journal and watchers call this call; made up where it is empty.
            agent: which agent this is, and its version: ``"desk@1.4"``.
            **options: further arguments of `standard_rules`.

        Raises:
            JournalError: a journal that cannot work.
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
        self._speech = {**self._judges.speech, **_speech(speech or {})}
        self._policy = policy_of(on_cut, broken_by)
        self._must_hear_tag = must_hear_tag
        self._must_hear_patterns = tuple(must_hear_patterns)
        self._max_lock_ms = max_lock_ms
        self._tells_llm = tell_llm
        self._early_onset = early_onset
        self._detectors = tuple(detectors)
        detector = echo if isinstance(echo, EchoDetector) else EchoDetector() if echo else None
        self._voice = voice
        self._call: C = self._open(
            rules,
            Resumption(
                mode=mode,
                ttl_ms=round(resume_ttl_s * 1000),
                acknowledged=_acknowledged(acknowledge),
            ),
        )
        self._microphone = Microphone(self._call, detector)
        self._watching = Watching(
            self._call,
            host=self._host,
            journal=journal,
            watchers=watchers,
            call_id=call_id,
            agent=agent,
            judges=self._judges,
        )
        if interruptible is False:
            self._call.interruptible = False
        self._handlers: Handlers[Any] = Handlers(
            EVENTS, self, timeout_s=handler_timeout_s, report=self._call.report
        )
        self._owned = owned
        self._writer = Writer(self._call.report)
        self._archive = Archive(
            records,
            filed=self._filed,
            stored=lambda receipt: self._handlers.tell("on_receipt_stored", receipt),
            acknowledged=lambda receipt: self._handlers.tell("on_receipt_acknowledged", receipt),
            writer=self._writer,
            report=self._call.report,
            measured=lambda message_id: self._call.played_ms(message_id),
        )
        self._shelf: Shelf | None = None
        if records is not None and mode is not Mode.OFF:
            self._shelf = Shelf(
                records,
                ttl_s=resume_ttl_s,
                recalled=self._recalled,
                lost=self._lost,
                writer=self._writer,
                report=self._call.report,
            )
            self._call.remembered.append(self._remembered)
            self._call.lapsed = self._shelf.lapsed
        self._call.happened.append(self._archive.happened)
        self._call.decided.append(self._archive.decided)
        self._call.closing.append(self._nothing_more)
        self._awaited_receipts: dict[str, list[asyncio.Future[Receipt]]] = {}
        self._assemble()
        self._call.decided.append(self._tell)
        self._call.changed.append(self._tell_change)

    @staticmethod
    def prewarm(
        *,
        language: str | Language | Sequence[str | Language] = "en",
        ignore: Iterable[str] = (),
        always_interrupt: Iterable[str] = (),
    ) -> None:
        """Read the grammar of a language before there are calls, as where a worker starts.

        That takes a tenth of a second or so for each language, in which no other call in the
        process goes on; it is read once a process.

        Args:
            language: as for the calls; ``"auto"`` reads all languages there are.
            ignore: the same.
            always_interrupt: the same.

        Raises:
            LanguageError: no such language.
        """
        read_now(language, ignore=ignore, always_interrupt=always_interrupt)

    @classmethod
    def from_toml(cls, path: str | Path, **overrides: Any) -> Self:
        """Prepare the manners of one call with the settings of a file.

        Args:
            path: the file; `bargein.settings` tells what may stand in it.
            **overrides: arguments that count more than the file, and what only a call knows, such
                as ``caller``.

        Raises:
            SettingsError: the file cannot be read, or says something impossible.
        """
        return cls(**{**settings(path), **overrides})

    def _open(self, rules: Rules, resumption: Resumption) -> C:
        """The host's own kind of call."""
        raise NotImplementedError

    def _assemble(self) -> None:
        """Make the host's parts."""

    async def _begin(self) -> None:
        """The call has begun: bring what earlier ones left."""
        for message in await self._archive.undelivered():
            self._call.lock(
                MessageLocked(
                    at_ms=0,
                    message_id=message.message_id,
                    text=message.text,
                    on_cut=message.on_cut,
                    broken_by=message.broken_by,
                    attempts=message.attempts,
                    heard=message.heard,
                    pending=True,
                )
            )
        if self._shelf is not None:
            await self._shelf.open()

    async def _end(self) -> None:
        """The call is over: let what it leaves be stored."""
        self._call.close()  # a host ends its parts in an order of its own
        try:
            if self._shelf is not None:
                await self._shelf.close()
        finally:
            try:
                await self._writer.close()
            finally:
                try:
                    await self._let_go()
                finally:
                    await self._watching.end()

    async def _let_go(self) -> None:
        if self._owned is None:
            return
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._owned.close()
        except Exception as error:
            self._call.report("store", error)

    def _remembered(self, kept: tuple[Unfinished, ...]) -> None:
        if self._shelf is not None:
            self._shelf.changed(kept, self._call.now_ms)

    def _recalled(self, left: Unfinished, age_ms: int) -> None:
        self._call.feed(recalled(left, at_ms=self._call.now_ms, age_ms=age_ms))

    def _lost(self, message_id: str) -> None:
        self._call.feed(ResumptionDropped(at_ms=self._call.now_ms, message_id=message_id))

    # --- during the call ---

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

    def topic(
        self, name: str, *, task: str = "", progress: float | None = None, context_note: str = ""
    ) -> None:
        """Say what the agent talks about from now on, so that it can name it when it goes on.

        Args:
            name: as it is said in "Sure, back to ...": "the returns policy". Empty for none.
            task: what the agent is doing, for your own use.
            progress: how far it is, from 0 to 1, where you know that better than the text does.
            context_note: what the LLM should know when it goes on with this in its own words, in
                another call perhaps.

        Raises:
            BargeinError: a progress that is none.
        """
        if progress is not None and not 0 <= progress <= 1:
            raise BargeinError(f"progress must be from 0 to 1, not {progress!r}")
        self._call.feed(
            TopicNamed(
                at_ms=self._call.now_ms,
                topic=name,
                task=task,
                progress=progress,
                context_note=context_note,
            )
        )

    def resume(self) -> bool:
        """Go on with what was last left unsaid; False if there is nothing."""
        there = bool(self._call.unfinished)
        self._call.feed(ResumptionAsked(at_ms=self._call.now_ms))
        return there

    def forget(self) -> None:
        """Nobody wants to hear the rest of what was last left unsaid."""
        self._call.feed(ResumptionDropped(at_ms=self._call.now_ms))

    @property
    def unfinished(self) -> tuple[Unfinished, ...]:
        """What was left unsaid in this call and is worth going on with, the newest last."""
        return self._call.unfinished

    @property
    def receipts(self) -> list[Receipt]:
        """The newest receipt of every message of this call that had to be heard."""
        return list(self._archive.receipts.values())

    @property
    def interruptions(self) -> Interruptions:
        """This call's interruptions so far: how often, of which kinds, and which were false."""
        return self._watching.interruptions

    @property
    def call_id(self) -> str:
        """What the journal calls this call."""
        return self._watching.facts.call_id

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

    def _context(self) -> tuple[Any, ...]:
        """The LLM's messages as they are."""
        return ()

    def _interruption(self, decision: YieldFloor) -> Interruption:
        topic, text = self._call.topic, decision.heard + decision.unheard
        named = topic.progress if topic else None
        return Interruption(
            kind=decision.kind,
            reason=decision.reason,
            caller_words=decision.caller_words,
            heard=decision.heard,
            unheard=decision.unheard,
            progress=len(decision.heard) / max(1, len(text)) if named is None else named,
            message_id=decision.message_id,
            at=datetime.now(UTC),
            at_ms=decision.at_ms,
            topic=topic.topic if topic else "",
            task=topic.task if topic else "",
            context=self._context(),
        )

    # --- events ---

    def on(self, name: str) -> Callable[[_H], _H]:
        """Decorate a handler of one of the events: ``@manners.on("yield")``, with the news alone.

        Handlers may be async, or not; one that is not keeps the event loop while it runs.
        """

        def decorate(handler: _H) -> _H:
            def told(_: object, news: object) -> Any:
                return handler(news)

            told.__qualname__ = getattr(handler, "__qualname__", type(handler).__name__)
            self.add_event_handler(f"on_{name}", told)
            return handler

        return decorate

    def event_handler(self, name: str) -> Callable[[_H], _H]:
        """The same as Pipecat writes it: ``@manners.event_handler("on_yield")``, with us and it."""

        def decorate(handler: _H) -> _H:
            self.add_event_handler(name, handler)
            return handler

        return decorate

    def add_event_handler(self, name: str, handler: Handler[Any]) -> None:
        """Call ``handler(manners, news)`` whenever that happens.

        Raises:
            BargeinError: no such event.
        """
        try:
            self._handlers.add(name, handler)
        except HandlerError as error:
            raise BargeinError(str(error)) from None

    def _tell(self, decision: Decision) -> None:
        self._handlers.tell("on_decision", decision)
        if isinstance(decision, YieldFloor):
            if self._handlers.wanted("on_yield"):
                self._handlers.tell("on_yield", self._interruption(decision))
        elif name := _EVENTS.get(type(decision)):
            self._handlers.tell(name, decision)

    def _tell_change(self, change: Change) -> None:
        self._handlers.tell("on_change", change)

    def _filed(self, receipt: Receipt) -> None:
        for awaited in self._awaited_receipts.pop(receipt.message_id, ()):
            if not awaited.done():
                awaited.set_result(receipt)
        self._handlers.tell("on_receipt", receipt)

    def _nothing_more(self) -> None:
        for futures in self._awaited_receipts.values():
            for awaited in futures:
                awaited.cancel()
        self._awaited_receipts.clear()


def _speech(texts: Mapping[str, str]) -> Mapping[str, str]:
    unknown = [name for name in texts if name not in PLAIN]
    if unknown:
        raise BargeinError(
            f"speech has no {', '.join(map(repr, unknown))}; there are {', '.join(PLAIN)}"
        )
    return texts


def _acknowledged(kinds: Iterable[Kind | str]) -> frozenset[Kind]:
    names = (kinds,) if isinstance(kinds, str | Kind) else tuple(kinds)
    known = {kind.value: kind for kind in ACKNOWLEDGED}
    found = {known.get(name.value if isinstance(name, Kind) else name) for name in names}
    if None in found:
        raise BargeinError(f"acknowledge must be of {', '.join(known)}, not {names!r}")
    return frozenset(kind for kind in found if kind is not None)

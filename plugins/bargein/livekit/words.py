"""What becomes of the caller's words? STT -> **here** -> the session's turn."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from livekit.agents import stt

from bargein.core.decisions import (
    Decision,
    DeferTurn,
    DeliverTurn,
    Kind,
    ReportBackchannel,
    YieldFloor,
)
from bargein.core.events import UserSpeechStarted, UserSpeechStopped, UserWordsHeard
from bargein.lastwords import LastWords
from bargein.microphone import Microphone

from .call import LiveKitCall
from .speeches import Speech

Tell: TypeAlias = Callable[[stt.SpeechEvent], None]
_T = stt.SpeechEventType
_DEAF_S = 0.1
"""How often it is looked whether the session may be told of words that wait for its speech."""
_PARTIAL = (_T.INTERIM_TRANSCRIPT, _T.PREFLIGHT_TRANSCRIPT)


def read(event: stt.SpeechEvent, at_ms: int) -> UserWordsHeard | None:
    """The words of an event; None where it has none."""
    if event.type not in (_T.FINAL_TRANSCRIPT, *_PARTIAL) or not event.alternatives:
        return None
    best = event.alternatives[0]
    if not best.text.strip():
        return None
    return UserWordsHeard(
        at_ms=at_ms,
        text=best.text,
        is_final=event.type is _T.FINAL_TRANSCRIPT,
        language=str(best.language or ""),
    )


def _saying(event: stt.SpeechEvent, text: str) -> stt.SpeechEvent:
    """The event with this text."""
    best = event.alternatives[0]
    if text == best.text:
        return event
    return replace(event, alternatives=[replace(best, text=text, words=None)])


@dataclass(slots=True)
class _Kept:
    """Final transcripts that wait for a decision, in the order they came."""

    events: list[stt.SpeechEvent] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join(event.alternatives[0].text.strip() for event in self.events)


def _joined(events: Iterable[stt.SpeechEvent]) -> stt.SpeechEvent:
    """Final words that are released together: told one by one, the first could be a turn."""
    first, *others = events
    if not others:
        return first
    said = [event.alternatives[0] for event in (first, *others)]
    words = [word for one in said for word in one.words or ()]
    whole = replace(
        said[0],
        text=" ".join(one.text.strip() for one in said),
        end_time=said[-1].end_time,
        confidence=min(one.confidence for one in said),
        words=words or None,
    )
    return replace(first, alternatives=[whole])


class CallerWords:
    """Acknowledgements never reach the session; nothing else is lost.

    While the agent has the floor every transcript waits here for the floor's decision: reported as
    a backchannel, kept until the agent has finished, or released into the user's turn. It outlives
    the streams of the recogniser, which the session makes anew when it likes.
    """

    def __init__(self, call: LiveKitCall, microphone: Microphone | None = None) -> None:
        """Decide about the words of a call. `Bargein` does it for you."""
        self._call = call
        self._microphone = microphone
        self._last_words = LastWords(call, self._take_for_final, close=self._close_turn)
        self._said_so_far: stt.SpeechEvent | None = None  # the last partial that came
        self._listeners: list[Tell] = []
        self._waiting = _Kept()
        self._deferred: list[_Kept] = []
        self._outbox: deque[stt.SpeechEvent] = deque()
        self._partial: stt.SpeechEvent | None = None  # what the session thinks is being said
        self._speaks = False  # whether the recogniser hears speech
        self._told_speaks = False  # and whether it has told the session
        self._withheld_start: stt.SpeechEvent | None = None
        self._told_last = ""  # what the session was told as it ended
        self._told: list[stt.SpeechEvent] = []  # final, and not yet a turn of the session's
        self.clear: Callable[[], None] = lambda: None
        """Let the session forget what it was told since its last turn."""
        self._again: asyncio.TimerHandle | None = None
        self.has_vad = False
        """True where a VAD tells when the caller speaks; else the recogniser does."""
        call.decided.append(self._obey)
        call.failed.append(self.release_all)
        call.hung_up.append(self._hang_up)
        call.speeches.ended.append(self._speech_over)

    def listened_to_by(self, tell: Tell) -> None:
        """The session listens from now on."""
        self._listeners.append(tell)
        self._flush()

    def not_listened_to_by(self, tell: Tell) -> None:
        """The session has stopped listening there."""
        self._listeners.remove(tell)

    def hears_no_more(self) -> None:
        """A recogniser's stream is over: what it heard of the caller's speech is, too."""
        if self._speaks:
            self._speech(stt.SpeechEvent(type=_T.END_OF_SPEECH))

    def failed(self) -> None:
        """The recogniser's connection broke: of what the caller is saying no final will come."""
        self._last_words.give_up()

    def leftovers(self) -> str:
        """The call is over: what the caller said last and the session has made no turn of."""
        kept, self._deferred = self._deferred, []
        self._outbox.extend(event for one in (*kept, self._taken()) for event in one.events)
        text = _Kept(list(self._outbox)).text
        self._outbox.clear()
        if self._again is not None:
            self._again.cancel()
            self._again = None
        return text or (self._told_last if self._told else "")

    def heard(self, event: stt.SpeechEvent) -> None:
        """The recogniser has something to say."""
        try:
            self._judged(event)
        except Exception as error:  # it would end the recogniser's stream, and the caller unheard
            self._call.report("words", error)
            self.release_all()
            self._tell(event)

    def _judged(self, event: stt.SpeechEvent) -> None:
        call = self._call
        if event.type in (_T.START_OF_SPEECH, _T.END_OF_SPEECH):
            self._speech(event)
            return
        heard = read(event, call.now_ms)
        if heard is None or not call.in_charge:
            self._tell(event)
            return
        if self._microphone is not None:
            text = self._microphone.callers_words(heard.text)
            if not text:
                return  # only the agent's own, come back
            event, heard = _saying(event, text), replace(heard, text=text)
        if heard.is_final:
            text = self._last_words.final(heard.text)
            if not text:
                return  # it was not waited for any longer
            event, heard = _saying(event, text), replace(heard, text=text)
        else:
            self._said_so_far = event
            self._last_words.partial(heard.text)
        call.settle()
        if heard.is_final:
            self._final(event, heard)
        else:
            self._interim(event, heard)

    def release_all(self) -> None:
        """Everything that waited is the user's turn."""
        for kept in self._deferred:
            self._outbox.extend(kept.events)
        self._deferred.clear()
        self._outbox.extend(self._taken().events)
        self._flush()

    def turn_taken(self) -> None:
        """What the session was told is a turn of its own."""
        self._told.clear()

    def take_back(self) -> None:
        """Nobody may interrupt what is said next: a turn that ended meanwhile would be dropped."""
        if not self._told or self._call.ending():
            return
        self._outbox.extendleft(reversed(self._told))
        self._told.clear()
        self.clear()
        if self._again is None:
            self._again = asyncio.get_running_loop().call_later(_DEAF_S, self._look_again)

    def forget(self) -> None:
        """Nothing that was said so far is of any interest."""
        self._taken()
        self._last_words.forget()
        self._deferred.clear()
        self._outbox.clear()
        self._partial = self._withheld_start = None
        self._told_last = ""
        self._told.clear()

    def _hang_up(self) -> None:
        self.release_all()
        self._flush(hangs_up=True)  # just before it commits what was said last

    # --- what comes in ---

    def _speech(self, event: stt.SpeechEvent) -> None:
        call = self._call
        self._speaks = event.type is _T.START_OF_SPEECH
        if not self.has_vad:
            now_ms = call.now_ms
            call.speech(
                UserSpeechStarted(at_ms=now_ms)
                if self._speaks
                else UserSpeechStopped(at_ms=now_ms),
                "host",
            )
        # With turns that the recogniser ends, these two are the turn. Where the agent only waits,
        # the session hears of them all the same, and again with the words: who speaks is not away.
        decides = call.in_charge and bool(call.decides_words or self._outbox)
        if decides and self._speaks:
            self._withheld_start = event
        if not decides or not (call.agent_has_floor or call.locked or self._outbox):
            self._tell_speech(event)

    def _interim(self, event: stt.SpeechEvent, heard: UserWordsHeard) -> None:
        call = self._call
        if call.agent_has_floor:
            call.feed(replace(heard, at_ms=call.now_ms))
            if call.agent_has_floor:
                return
        if not call.locked and not self._outbox:
            self._tell(event)

    def _final(self, event: stt.SpeechEvent, heard: UserWordsHeard) -> None:
        call = self._call
        if not call.decides_words:
            self._outbox.append(event)
        else:
            self._waiting.events.append(event)
            call.feed(replace(heard, at_ms=call.now_ms))
        self._flush()

    def _take_for_final(self, text: str) -> None:
        """The recogniser will say no more of this."""
        call, partial = self._call, self._said_so_far
        if partial is None or not call.in_charge:
            return
        event = replace(_saying(partial, text), type=_T.FINAL_TRANSCRIPT)
        heard = read(event, call.now_ms)
        assert heard is not None
        call.settle()
        self._final(event, heard)

    def _close_turn(self) -> None:
        """Nor that the caller is silent."""
        if self._speaks and self._call.in_charge:
            self._speech(stt.SpeechEvent(type=_T.END_OF_SPEECH))

    # --- what the floor decides ---

    def _obey(self, decision: Decision) -> None:
        if not self._call.in_charge:
            return
        match decision:
            case YieldFloor(kind=Kind.HOLD):
                pass  # "hang on": what they said begins the turn that they will take
            case YieldFloor() | DeliverTurn():
                self.release_all()
            case DeferTurn():
                self._deferred.append(self._taken())
            case ReportBackchannel():
                self._reported(decision.text)
            case _:
                pass

    def _taken(self) -> _Kept:
        waiting, self._waiting = self._waiting, _Kept()
        return waiting

    def _reported(self, text: str) -> None:
        # Of words that the application cleared meanwhile, the floor still knows.
        if self._waiting.events and f" {text}".endswith(f" {self._waiting.text}"):
            self._taken()
        else:
            found = next((kept for kept in self._deferred if kept.text == text), None)
            if found is not None:
                self._deferred.remove(found)
        if self._partial is not None:
            # The session saw the beginning of it before the agent spoke, and would keep that.
            best = self._partial.alternatives[0]
            self._tell(
                stt.SpeechEvent(type=_T.INTERIM_TRANSCRIPT, alternatives=[replace(best, text="")])
            )

    # --- what goes out ---

    def _flush(self, *, hangs_up: bool = False) -> None:
        """Let out what is decided, unless the session would throw it away."""
        if not self._outbox or not self._listeners:
            return
        if self._call.ending() and not hangs_up:
            return  # a reply that is begun while the session drains would keep it from ending
        if self._deaf(hangs_up=hangs_up):
            if self._again is None:
                loop = asyncio.get_running_loop()
                self._again = loop.call_later(_DEAF_S, self._look_again)
            return
        if self._withheld_start and not self._told_speaks:
            self._tell(self._withheld_start)
            self._told_speaks = True
        self._withheld_start = None
        said, self._outbox = _joined(self._outbox), deque()
        if hangs_up:
            self._told_last = said.alternatives[0].text
        self._tell(said)
        self._tell_speech(stt.SpeechEvent(type=_T.END_OF_SPEECH))

    def _look_again(self) -> None:
        self._again = None
        self._flush()

    def _deaf(self, *, hangs_up: bool) -> bool:
        """Would the session make too little of a turn that is complete now?

        It drops one that meets a speech which nobody may interrupt (or ends under one that is said
        next) or an agent that hands over, and answers one from a history that lacks what is still
        being cut.
        """
        call = self._call
        if call.speeches.imposed or (not hangs_up and call.drops_turns()):
            return True
        speech = call.current_speech()
        if speech is None or speech.done():
            return False
        return speech.interrupted or not speech.allow_interruptions

    def _speech_over(self, _: Speech) -> None:
        self._flush()

    def _tell_speech(self, event: stt.SpeechEvent) -> None:
        if self._speaks != self._told_speaks:
            self._told_speaks = self._speaks
            self._tell(event)

    def _tell(self, event: stt.SpeechEvent) -> None:
        if event.type in _PARTIAL:
            self._partial = event if read(event, 0) else None
        elif event.type is _T.FINAL_TRANSCRIPT and read(event, 0):
            self._partial = None
            self._told.append(event)
        for tell in tuple(self._listeners):
            tell(event)

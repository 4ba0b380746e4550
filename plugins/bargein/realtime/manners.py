"""How does an application that talks to OpenAI Realtime adopt all of this? One object a call."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from bargein.core.decisions import (
    AcknowledgeYield,
    Decision,
    OfferResumption,
    Reason,
    ReportBackchannel,
    ResumeSpeech,
)
from bargein.core.events import CallEnded, OnCut, ToolFinished, ToolStarted
from bargein.core.locks import must_hear as locked
from bargein.core.overlap import Rules
from bargein.core.rules import Noise
from bargein.core.unfinished import Resumption
from bargein.hearing import Hearing
from bargein.language.speech import acknowledgement, offer
from bargein.language.standard import PRESETS, Preset
from bargein.manners import BargeinError, Manners
from bargein.notes import FORGET, FORGETS, RESUME, RESUMES, missed, wanted
from bargein.turns import Turns

from . import wire
from .answers import Answers, Ask
from .call import Out, Play, RealtimeCall, Send
from .callers import Callers
from .ear import LocalEar, SpeechProbability, needed_silero, silero
from .settings import Detection, detection_of, session, settled
from .speech import Speech
from .voice import Voice
from .wire import Message

__all__ = ["Out", "Play", "Realtime", "Send"]

_WORDS_LATE_MS = 1_500
"""Words come behind the item, and that behind the silence: so late after it they may still come."""
_SILENCE_MS = 500
"""The server tells so much later that the caller is silent; a listener's "mm-hm" seems so long."""
_MAX_WORDLESS_MS = 8_000
"""There are no partial words, so that a long sentence is silent until it is over."""


class Realtime(Manners[RealtimeCall]):
    """Good manners for one call over OpenAI Realtime. It opens no socket: you hold yours.

    ```python
    gate = Realtime(language="en")
    await connection.send(gate.session(instructions="..."))

    async def outwards():
        async for out in gate:
            match out:
                case Send(event=event): await connection.send(event)
                case Play(pcm=pcm): speaker.write(pcm)

    async for event in connection:
        gate.received(event)          # everything the server sends
    ```

    The caller's audio goes in with ``gate.hear(pcm)``, and your own events with
    ``gate.sending(event)``. Events of ours as on every host: ``@gate.on("yield")``.
    """

    _host = "realtime"

    def __init__(
        self,
        *,
        turn_detection: Detection | Mapping[str, Any] = "server_vad",
        vad: SpeechProbability | None = None,
        silence_ms: int = 500,
        language: Any = "en",
        preset: str | Preset = "balanced",
        rules: Rules | None = None,
        early_onset: bool = True,
        **options: Any,
    ) -> None:
        """Prepare the manners of one call.

        Args:
            turn_detection: ``"server_vad"`` or ``"semantic_vad"``, or either with its numbers as a
                dictionary: the server says when the caller speaks. ``"local"``: it is heard here,
                and what was said is committed here.
            vad: tells speech from other sound, for ``"local"`` and early onsets; Silero, where a
                wheel brings it, if None.
            silence_ms: so long a silence ends what was said, with ``"local"``.
            language: as for every host; see `Manners`, also for all that follows.
            preset: the numbers. Words and silence are told of late here: those of a preset by its
                name allow for that.
            rules: your own rules instead of the standard ones.
            early_onset: hear the caller's onset here, long before the server tells of it.
            **options: for `Manners` and `standard_rules`.

        Raises:
            BargeinError: no such turn detection, or nothing to hear the caller with.
        """
        self._detection = detection_of(turn_detection)
        if self._detection is None and vad is None:
            vad = needed_silero()
        elif early_onset and vad is None:
            vad = silero()

        self._vad, self._silence_ms = vad, silence_ms
        self._standard = rules is None
        if isinstance(preset, str) and preset in PRESETS:
            numbers = PRESETS[preset]
            preset = replace(
                numbers,
                words_late_ms=max(numbers.words_late_ms, _WORDS_LATE_MS),
                pause_after_ms=numbers.pause_after_ms + _SILENCE_MS,
            )
        super().__init__(
            language=language, preset=preset, rules=rules, early_onset=early_onset, **options
        )

    def _open(self, rules: Rules, resumption: Resumption) -> RealtimeCall:
        if self._standard:
            rules = tuple(
                replace(rule, max_wordless_ms=_MAX_WORDLESS_MS) if isinstance(rule, Noise) else rule
                for rule in rules
            )
        return RealtimeCall(rules, resumption)

    def _assemble(self) -> None:
        call = self._call
        # In this order each hears of a decision: the voice stops before anybody speaks of it.
        self._out = Voice(call, voice=self._voice, max_lock_ms=self._max_lock_ms)
        self._answers = Answers(call)
        self._agent = Speech(
            call,
            self._out,
            self._answers,
            tag=self._must_hear_tag,
            patterns=self._must_hear_patterns,
        )
        self._turns = Turns(call, self._judges)
        self._callers = Callers(
            call, self._judges, needs_words=self._needs_words, turn=self._turn_taken
        )
        self._callers.backchannel = self._late_backchannel
        self._ear = LocalEar(
            call,
            self._vad,
            early=self._early_onset,
            commits=self._detection is None,
            silence_ms=self._silence_ms,
        )
        self._ear.told = lambda on: self._callers.speech(wire.CallerSpeech(on=on))
        self._hearing = Hearing(call, self._detectors)
        self._functions: dict[str, str] = {}
        """Calls of functions that are out: the function's name by the call's id."""
        self._connected = False
        self._ended = asyncio.Event()
        self._begins: asyncio.Task[None] | None = None
        self._ends: asyncio.Task[None] | None = None
        call.decided.append(self._obey)

    # --- what goes in ---

    def session(self, **settings: Any) -> Message:
        """The ``session.update`` to begin with: yours, with what the floor needs of it.

        Args:
            **settings: of the session's: ``instructions``, ``tools``, ``audio`` and so on. Audio is
                24 kHz PCM both ways, and the transcription stays on.

        Raises:
            BargeinError: the transcription is turned off, or the audio is another.
        """
        return session(self._detection, settings)

    def received(self, event: object) -> None:
        """Take an event of the server's: a dictionary, JSON, or an SDK's object."""
        if not self._call.closed:
            self._call.guarded("an event of the server's", self._received, event)

    def hear(self, pcm: bytes) -> None:
        """Take the caller's next audio: 24 kHz, 16 bit, mono. It is sent on from here."""
        call = self._call
        if call.closed or call.muted:
            return
        self._hearing.hear(pcm, wire.RATE)
        self._ear.hear(pcm)

    def sending(self, event: Mapping[str, Any]) -> None:
        """Send an event of your own, when it is time for that.

        A ``response.create`` waits for a message that must be heard, for the caller to be silent,
        and for the response before it. Of a ``session.update`` the turn detection stays ours.

        Raises:
            BargeinError: it asks for audio that is not 24 kHz PCM, or for no transcription.
        """
        call, event = self._call, dict(event)
        call.named(event, wire.THEIRS)
        match event.get("type"):
            case "input_audio_buffer.append":
                self.hear(base64.b64decode(event["audio"]))
            case "response.create":
                self._answers.want(Ask(event=event, answers=True))
            case "response.cancel":
                self._answers.stop()
                self._out.drop()
            case "session.update":
                event["session"] = settled(event.get("session") or {}, self._detection)
                call.send(event)
            case _:
                item = event.get("item") or {}
                if item.get("type") == "function_call_output":
                    self._answered(item.get("call_id", ""), str(item.get("output") or ""))
                call.send(event)

    def words(self, text: str) -> None:
        """Tell what a recogniser of your own hears so far, for decisions before the caller's
        silence. The server's transcription still tells what they said in the end."""
        self._callers.partial(text)

    def speech(self, speaking: bool) -> None:
        """Tell what your own voice activity detection hears, with ``turn_detection="local"``."""
        self._ear.spoke(speaking)

    # --- what comes out ---

    async def __aiter__(self) -> AsyncIterator[Out]:
        """All that is to be sent and played, each when it is due; ends with the call."""
        call = self._call
        if self._begins is None:
            self._begins = asyncio.create_task(self._begin())
        while True:
            call.awake.clear()
            look_ms = self._out.let_out()
            while call.out:
                yield call.out.popleft()
            if call.closed:
                return
            if look_ms is None:
                await call.awake.wait()
                continue
            try:
                async with asyncio.timeout(max(0.0, look_ms - call.clock_ms()) / 1000):
                    await call.awake.wait()
            except TimeoutError:
                pass

    def tools(self) -> list[Message]:
        """Let the model decide: ``gate.session(tools=[*gate.tools(), ...])``."""
        no_arguments = {"type": "object", "properties": {}}
        return [
            {"type": "function", "name": name, "description": told, "parameters": no_arguments}
            for name, told in ((RESUME, RESUMES), (FORGET, FORGETS))
        ]

    @property
    def being_said(self) -> str:
        """What has been heard of the message that sounds now; empty while none does."""
        return self._out.heard_now

    async def say(
        self,
        text: str,
        *,
        must_hear: bool = False,
        message_id: str = "",
        on_cut: OnCut | str | None = None,
        broken_by: Iterable[str] | None = None,
        audio: bytes = b"",
    ) -> str:
        """Speak a text, behind what is being said.

        Args:
            text: what to say. The model is told to say exactly that; models do not always.
            must_hear: whether nobody may talk over it. What the caller says meanwhile is answered
                afterwards, and a `Receipt` tells how far it came. Said in other words it counts as
                cut.
            message_id: names it in its receipts; made up where it is empty.
            on_cut: what becomes of it if it is cut; as for all of the call, if None.
            broken_by: what may break it off; as for all of the call, if None.
            audio: the text as sound of your own, 24 kHz, 16 bit, mono: played as it is, and the
                model is told that it was said.

        Returns:
            The message's id.

        Raises:
            LockError: no words, or no such policy.
            BargeinError: the call is over.
        """
        message = locked(
            text,
            message_id or str(uuid4()),
            on_cut=self._policy[0] if on_cut is None else on_cut,
            broken_by=self._policy[1] if broken_by is None else broken_by,
        )
        if self._call.closed:
            raise BargeinError("nothing can be said any more: the call is over")
        self._archive.receipts.pop(message.message_id, None)  # of an earlier one with that id
        if must_hear:
            self._call.lock(message)
        if audio:
            self._agent.say(message, audio, must_hear=must_hear)
        else:
            self._agent.ask(message.text, message.message_id, must_hear=must_hear)
        return message.message_id

    def close(self) -> None:
        """The call is over: somebody hung up, or the connection is gone."""
        call = self._call
        if call.closed:
            return
        call.feed(CallEnded(at_ms=call.now_ms))
        call.close()
        self._hearing.close()
        call.awake.set()
        self._ends = asyncio.get_running_loop().create_task(self._over())

    async def aclose(self) -> None:
        """End the call, and wait until what it leaves is stored."""
        self.close()
        await self._ended.wait()

    async def _over(self) -> None:
        try:
            if self._begins is not None:
                await asyncio.gather(self._begins, return_exceptions=True)
            await self._end()
        finally:
            self._ended.set()

    # --- what the server tells ---

    def _received(self, event: object) -> None:
        call = self._call
        match wire.read(wire.decoded(event)):
            case wire.SessionBegan() if not self._connected:
                self._connected = True
            case wire.SessionBegan():
                self._agent.reconnected()
            case wire.CallerSpeech() as fact if self._detection is not None:
                self._callers.speech(fact)
            case wire.Committed() as fact:
                self._callers.committed(fact)
            case wire.Transcribed() as fact:
                self._callers.transcribed(fact)
            case wire.ResponseBegan() as fact:
                self._agent.began(fact)
            case wire.ResponseEnded() as fact:
                self._agent.ended(fact)
            case wire.AudioMade() | wire.WordsMade() as fact:
                self._agent.made(fact)
            case wire.AudioEnded() as fact:
                self._agent.audio_ended(fact)
            case wire.FunctionCalled(name="resume_speech" | "forget_speech") as fact:
                self._asked_by_model(fact)
            case wire.FunctionCalled() as fact:
                self._functions[fact.call_id] = fact.name
                call.feed(ToolStarted(at_ms=call.now_ms, name=fact.name, call_id=fact.call_id))
            case wire.Refused() as fact:
                self._answers.refused(fact)
            case _:
                pass

    def _asked_by_model(self, fact: wire.FunctionCalled) -> None:
        """One of our own tools: the model decides whether it goes on."""
        there = bool(self.unfinished)
        if fact.name == RESUME:
            self.resume()
        else:
            self.forget()
        self._call.send(wire.answered(fact.call_id, "done" if there else "nothing was left unsaid"))
        if fact.name != RESUME or not there:
            self._answers.want(Ask(event=wire.respond(), answers=True))

    def _answered(self, call_id: str, result: str) -> None:
        name = self._functions.pop(call_id, None)
        if name is not None:
            call = self._call
            call.feed(ToolFinished(at_ms=call.now_ms, name=name, call_id=call_id, result=result))

    # --- what the floor decides ---

    def _obey(self, decision: Decision) -> None:
        match decision:
            case ResumeSpeech() if not self._turns.deciding:
                self._go_on(decision)
            case OfferResumption():
                self._agent.ask(offer(self._speech, decision.topic))
            case _:
                pass

    def _needs_words(self) -> bool:
        """Does it matter what the caller said, before it is answered?"""
        call = self._call
        return bool(call.unfinished) or self._turns.cut is not None or call.may_acknowledge

    def _turn_taken(self, text: str, item_id: str) -> None:
        """The caller's turn is complete."""
        decided, cut = self._turns.taken(text)
        if cut is not None and self._tells_llm:
            self._call.send(wire.note(missed(cut)))
        for decision in decided:
            match decision:
                case ResumeSpeech():
                    self._go_on(decision, item_id)
                    return
                case AcknowledgeYield():
                    said = acknowledgement(self._speech, decision.kind)
                    if decision.instead:
                        self._agent.ask(said)
                        return
                    quoted = json.dumps(said, ensure_ascii=False)
                    self._call.send(wire.note(f"Begin your answer with exactly this: {quoted}"))
                case _:
                    pass
        self._answers.want(Ask(event=wire.respond(), answers=True))

    def _go_on(self, decision: ResumeSpeech, item_id: str = "") -> None:
        """With the samples there are; else the model says the rest."""
        if decision.in_own_words:
            self._call.send(wire.note(wanted(decision)))
            self._answers.want(Ask(event=wire.respond(), answers=True))
        else:
            self._agent.again(decision.message_id, decision.text, after=item_id)

    def _late_backchannel(self, text: str) -> None:
        self._tell(ReportBackchannel(at_ms=self._call.now_ms, reason=Reason.BACKCHANNEL, text=text))

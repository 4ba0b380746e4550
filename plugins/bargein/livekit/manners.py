"""How does a LiveKit application adopt all of this? One object a call."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterable
from functools import partial
from typing import Any
from uuid import uuid4

from livekit.agents import (
    AgentSession,
    CloseEvent,
    FunctionToolsExecutedEvent,
    SpeechCreatedEvent,
    inference,
    llm,
    stt,
    vad,
)
from livekit.agents.voice import io

from bargein.core.events import CallEnded, OnCut
from bargein.core.locks import must_hear as locked
from bargein.core.overlap import Rules
from bargein.core.resumption import Resumption
from bargein.manners import BargeinError, Manners
from bargein.playback import Playback

from . import compat
from .call import LiveKitCall, log
from .lock import Lock
from .nodes import Nodes
from .resumption import Memory
from .stt import BargeinSTT
from .tools import tools
from .vad import BargeinVAD, CallerEar
from .voice import VoiceOutput
from .words import CallerWords

__all__ = ["Bargein", "BargeinError"]

INTERRUPTION: dict[str, Any] = {
    "min_words": 0,
    "discard_audio_if_uninterruptible": False,
    "resume_false_interruption": False,
    "false_interruption_timeout": None,
}
"""What LiveKit's own handling of interruptions has to leave to the floor."""
_WHOLE_FRAME_MS = 50
"""The room's output takes whole frames of that length; the rest of one would be heard late."""


class Bargein(Manners[LiveKitCall]):
    """Good manners for one call: makes the adapters around a session's parts.

    ```python
    manners = Bargein(language="en")
    session = AgentSession(stt=manners.stt(deepgram.STT()), vad=manners.vad(silero.VAD.load()),
                           llm=..., tts=..., turn_handling=manners.turn_handling())
    manners.attach(session)
    ```

    `session` does all of that in one call. Events as on every host: ``@manners.on("yield")``.
    """

    def _open(self, rules: Rules, resumption: Resumption) -> LiveKitCall:
        return LiveKitCall(rules, resumption)

    def _context(self) -> tuple[Any, ...]:
        session = self._session
        # Each a copy: the session may go on writing into its own.
        return () if session is None else tuple(map(copy.copy, session.history.items))

    def _assemble(self) -> None:
        call = self._call
        self._session: AgentSession[Any] | None = None
        self._words = CallerWords(call)
        self._ear = CallerEar(call, early_onset=self._early_onset, detectors=self._detectors)
        self._lock = Lock(
            call,
            tag=self._must_hear_tag,
            patterns=self._must_hear_patterns,
            on_cut=self._policy[0],
            broken_by=self._policy[1],
        )
        self._memory = Memory(
            call,
            self._judges,
            speech=self._speech,
            tell_llm=self._tells_llm,
        )
        self._nodes = Nodes(call, self._lock, self._memory)
        self._vad: BargeinVAD | None = None
        self._top: io.AudioOutput | None = None
        self._ended = asyncio.Event()
        if self._voice is Playback:
            self._voice = partial(Playback, pad_ms=_WHOLE_FRAME_MS)

    # --- the parts, for a session of your own ---

    def stt(self, inner: stt.STT[Any] | str) -> BargeinSTT:
        """Your STT, with the floor in between: ``AgentSession(stt=manners.stt(...))``."""
        if isinstance(inner, str):
            inner = inference.STT.from_model_string(inner)
        return BargeinSTT(self._words, inner, voice=lambda: self._vad and self._vad.inner)

    def vad(self, inner: vad.VAD) -> BargeinVAD:
        """Your VAD, with the floor listening: ``AgentSession(vad=manners.vad(...))``."""
        self._vad = BargeinVAD(self._ear, inner)
        return self._vad

    def turn_handling(self, **overrides: Any) -> Any:
        """What goes into ``AgentSession(turn_handling=...)``.

        Args:
            **overrides: the rest of LiveKit's options, such as ``turn_detection`` or
                ``endpointing``. Of ``interruption``, what the floor decides stays its own; with
                ``{"mode": "adaptive"}`` LiveKit's detector is heard as one more opinion.
        """
        theirs = overrides.pop("interruption", {})
        interruption = {"mode": "vad", **theirs, **INTERRUPTION}
        return {**overrides, "interruption": interruption}

    def attach(self, session: AgentSession[Any]) -> None:
        """Let the floor decide in this session. Call it before ``session.start(...)``.

        Where something speaks against it, one error in the log says so, and the call runs as
        LiveKit runs it.
        """
        self._listen(session)
        against = self._against(session)
        if against:
            log.error(f"bargein: {against}; the call runs as it would without bargein")
            return
        call = self._call
        self._words.has_vad = session.vad is not None
        options: dict[str, Any] = session.options.interruption  # type: ignore[assignment]
        options.update(INTERRUPTION)
        if options.setdefault("mode", "vad") == "adaptive":
            call.vetoed = options
        compat.hear_from_the_start(session)
        call.has_stt = call.attached = True
        call.spawn(self._begin())

    def session(self, **options: Any) -> AgentSession[Any]:
        """An `AgentSession` with all of this in place.

        Args:
            **options: as for `AgentSession`; ``vad`` is LiveKit's Silero unless it is given.
        """
        if "vad" not in options:
            from livekit.plugins import silero

            options["vad"] = silero.VAD.load()
        if options.get("stt"):
            options["stt"] = self.stt(options["stt"])
        if options["vad"] is not None:
            options["vad"] = self.vad(options["vad"])
        options["turn_handling"] = self.turn_handling(**(options.get("turn_handling") or {}))
        options.setdefault("aec_warmup_duration", None)
        session: AgentSession[Any] = AgentSession(**options)
        self.attach(session)
        return session

    # --- during the call ---

    async def say(
        self,
        session: AgentSession[Any] | None,
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
            session: the attached one, or None for just that.
            text: what to say.
            must_hear: whether nobody may talk over it. What the caller says meanwhile is answered
                afterwards, and a `Receipt` tells how far it came.
            message_id: names it in its receipts; made up where it is empty.
            on_cut: what becomes of it if it is cut; as for all of the call, if None.
            broken_by: what may break it off; as for all of the call, if None.
            append_to_context: whether it becomes part of the history once it was spoken.

        Returns:
            The message's id.

        Raises:
            LockError: no words, or no such policy.
            BargeinError: no such session, or it does not run.
        """
        message = locked(
            text,
            message_id or str(uuid4()),
            on_cut=self._policy[0] if on_cut is None else on_cut,
            broken_by=self._policy[1] if broken_by is None else broken_by,
        )
        attached = self._session
        if self._call.closed:
            raise BargeinError("nothing can be said any more: the call is over")
        if attached is None or session not in (None, attached):
            raise BargeinError(
                "nothing can be said in a session that is not attached: manners.attach(session)"
            )
        if not compat.started(attached):
            raise BargeinError("nothing can be said yet: await session.start(...) first")
        self._archive.receipts.pop(message.message_id, None)  # of an earlier one with that id
        if must_hear and self._call.attached:
            self._lock.say(message, add_to_chat_ctx=append_to_context)
        elif must_hear:  # as well as LiveKit can by itself
            attached.say(message.text, allow_interruptions=False, add_to_chat_ctx=append_to_context)
        else:
            attached.say(message.text, add_to_chat_ctx=append_to_context)
        return message.message_id

    def tools(self) -> list[llm.FunctionTool[Any, Any]]:
        """Let the LLM decide: ``Agent(tools=[*manners.tools(), ...])``."""
        return tools(self.resume, self.forget)

    async def aclose(self) -> None:
        """Wait until the call is over and what it leaves is stored."""
        await self._ended.wait()

    # --- what the session tells ---

    def _against(self, session: AgentSession[Any]) -> str:
        """Why the floor cannot decide in this session; empty if it can."""
        if self._session is not None and self._session is not session:
            return "these manners are another session's: make a Bargein() for every call"
        if compat.started(session):
            return "attach(session) comes after session.start(...): attach it before"
        if lacks := compat.missing(session):
            return lacks
        model = session.llm
        if isinstance(model, llm.RealtimeModel) and model.capabilities.turn_detection:
            return (
                "the realtime model detects turns on its server and interrupts by itself: turn that"
                " off, as in RealtimeModel(turn_detection=None), and give the session an STT and a"
                " VAD"
            )
        if not isinstance(session.stt, BargeinSTT):
            return (
                "the session's STT is not ours, so nobody knows what the caller says: pass"
                " stt=manners.stt(...)"
            )
        if session.vad is not None and not isinstance(session.vad, BargeinVAD):
            return (
                "the session's VAD is not ours and interrupts by itself: pass vad=manners.vad(...)"
            )
        return ""

    def _listen(self, session: AgentSession[Any]) -> None:
        if self._session is not None:
            return
        self._session = session
        for part in (self._lock, self._memory, self._nodes):
            part.session = session
        session.on("speech_created", self._speech_created)
        session.on("function_tools_executed", self._tools_executed)
        session.on("overlapping_speech", self._overlap)
        session.on("close", self._closed)
        self._call.ending = partial(compat.closing, session)
        self._call.current_speech = lambda: session.current_speech

    def _speech_created(self, event: SpeechCreatedEvent) -> None:
        call, session = self._call, self._session
        if session is None or not call.attached:
            return
        call.speeches.created(event)
        call.guarded("agent", self._nodes.around, session.current_agent)
        call.guarded("voice", self._place, session)

    def _place(self, session: AgentSession[Any]) -> None:
        """Put the voice at the end of the chain: whoever puts an avatar there takes it out."""
        top = session.output.audio
        if top is None:
            return
        leaf, placed = top, False
        while leaf.next_in_chain is not None:
            placed = placed or (isinstance(leaf, VoiceOutput) and not leaf.closed)
            leaf = leaf.next_in_chain
        if not placed:
            session.output.replace_audio_tail(
                VoiceOutput(self._call, leaf, voice=self._voice, max_lock_ms=self._max_lock_ms)
            )
            top = session.output.audio
        if top is not self._top and top is not None:
            if self._top is not None:
                self._top.off("playback_finished", self._finished)
            self._top = top
            top.on("playback_finished", self._finished)

    def _finished(self, event: io.PlaybackFinishedEvent) -> None:
        """What the session writes into its history is what this event says was heard."""
        if event.interrupted and self._call.heard_text is not None:
            event.synchronized_transcript = self._call.heard_text

    def _tools_executed(self, event: FunctionToolsExecutedEvent) -> None:
        outputs = {output.call_id: output for output in event.function_call_outputs if output}
        for tool in event.function_calls:
            output = outputs.get(tool.call_id)
            self._nodes.tool_finished(tool.call_id, output.output if output else "")

    def _overlap(self, event: Any) -> None:
        """LiveKit's own detector has an opinion of who talks over whom."""
        if not getattr(event, "agent_ended", False):
            self._call.score("livekit", 1.0 - event.probability)

    async def _over(self) -> None:
        try:
            await self._end()
        finally:
            self._ended.set()

    def _closed(self, _: CloseEvent) -> None:
        call = self._call
        if call.closed:
            return
        call.feed(CallEnded(at_ms=call.now_ms))
        call.close()
        call.spawn(self._over())

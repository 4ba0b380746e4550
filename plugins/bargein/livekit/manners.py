"""How does a LiveKit application adopt all of this? One object a call."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from uuid import uuid4

from livekit import rtc
from livekit.agents import (
    Agent,
    AgentSession,
    CloseEvent,
    ConversationItemAddedEvent,
    FunctionToolsExecutedEvent,
    SpeechCreatedEvent,
    inference,
    llm,
    stt,
    utils,
    vad,
)
from livekit.agents.llm import FunctionTool, RawFunctionTool
from livekit.agents.voice import io

from bargein.core.events import CallEnded, OnCut
from bargein.core.locks import must_hear as locked
from bargein.core.overlap import Rules
from bargein.core.unfinished import Resumption
from bargein.functions import OnInterruption, ToolError
from bargein.manners import BargeinError, Manners
from bargein.playback import Playback

from . import compat
from .call import LiveKitCall, log
from .functions import Functions
from .lock import Lock
from .nodes import Nodes
from .resumption import Memory
from .stt import BargeinSTT
from .tail import swapped_behind_the_voice
from .tools import tools
from .user_turn import turns_of_the_application
from .vad import BargeinVAD, CallerEar
from .voice import VoiceOutput
from .words import CallerWords

__all__ = ["Bargein", "BargeinError", "ToolError"]

INTERRUPTION: dict[str, Any] = {
    "min_words": 0,
    "discard_audio_if_uninterruptible": False,
    "resume_false_interruption": False,
    "false_interruption_timeout": None,
}
"""What LiveKit's own handling of interruptions has to leave to the floor."""
_SERVER_TURNS = (
    "detects turns on its server and interrupts by itself: turn that off, as in"
    " RealtimeModel(turn_detection=None), and give the session an STT and a VAD"
)
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

    _host = "livekit"

    def _open(self, rules: Rules, resumption: Resumption) -> LiveKitCall:
        return LiveKitCall(rules, resumption)

    def _context(self) -> tuple[Any, ...]:
        session = self._session
        # Each a copy: the session may go on writing into its own.
        return () if session is None else tuple(map(copy.copy, session.history.items))

    def _assemble(self) -> None:
        call = self._call
        self._session: AgentSession[Any] | None = None
        self._words = CallerWords(call, self._microphone)
        self._ear = CallerEar(
            call,
            early_onset=self._early_onset,
            detectors=self._detectors,
            microphone=self._microphone,
        )
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
        self._functions = Functions(call)
        self._nodes = Nodes(call, self._lock, self._memory, self._functions)
        self._nodes.turn_taken = self._words.turn_taken
        self._agent: Agent | None = None
        self._room: rtc.Room | None = None
        self._vad: BargeinVAD | None = None
        self._top: io.AudioOutput | None = None
        self._makes_stt = False
        self._stops_again = False
        call.cut_done.append(self._cut_heard)
        self._ended = asyncio.Event()
        if self._voice is Playback:
            self._voice = partial(Playback, pad_ms=_WHOLE_FRAME_MS)

    # --- the parts, for a session of your own ---

    def stt(self, inner: stt.STT[Any] | str) -> BargeinSTT:
        """Your STT, with the floor in between: ``AgentSession(stt=manners.stt(...))``."""
        if isinstance(inner, str):
            inner = inference.STT.from_model_string(inner)
        self._makes_stt = True
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
        if self._session is session and self._call.attached:
            return
        self._listen(session)
        against = self._against(session)
        if against:
            self._keep_apart(session)
            log.error(f"bargein: {against}; the call runs as it would without bargein")
            return
        call = self._call
        self._words.has_vad = session.vad is not None
        options: dict[str, Any] = session.options.interruption  # type: ignore[assignment]
        options.update(INTERRUPTION)
        if options.setdefault("mode", "vad") == "adaptive":
            call.vetoed = options
        compat.hear_from_the_start(session)
        turns_of_the_application(session, self._words)
        call.hung_up.append(partial(compat.end_without_an_empty_turn, session))
        swapped_behind_the_voice(session.output)
        call.has_stt = call.attached = True
        call.spawn(self._begin())

    def session(self, **options: Any) -> AgentSession[Any]:
        """An `AgentSession` with all of this in place.

        Args:
            **options: as for `AgentSession`; ``vad`` is LiveKit's own Silero unless it is given.
        """
        session: AgentSession[Any]
        if _takes_turns_itself(options.get("llm"), with_stt=bool(options.get("stt"))):
            session = AgentSession(**options)  # what we would add, turns that off in part
            self.attach(session)
            return session
        if "vad" not in options:
            options["vad"] = inference.VAD(model="silero")
        if options.get("stt"):
            options["stt"] = self.stt(options["stt"])
        if options["vad"] is not None:
            options["vad"] = self.vad(options["vad"])
        options["turn_handling"] = self.turn_handling(**(options.get("turn_handling") or {}))
        options.setdefault("aec_warmup_duration", None)
        session = AgentSession(**options)
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
            BargeinError: no such session, it does not run, or it has no voice.
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
        if not compat.speaks(attached):
            raise BargeinError("nothing can be said yet: await session.start(...) first")
        self._archive.receipts.pop(message.message_id, None)  # of an earlier one with that id
        said: dict[str, Any] = {"add_to_chat_ctx": append_to_context}
        try:
            if must_hear and self._call.attached:
                self._lock.say(message, **said)
            elif must_hear:  # as well as LiveKit can by itself
                attached.say(message.text, allow_interruptions=False, **said)
            else:
                attached.say(message.text, **said)
        except RuntimeError as error:
            raise BargeinError(f"nothing can be said: {error}") from None
        return message.message_id

    def emergency_stop(self) -> None:
        """Stop the agent now, whatever it is saying, and whatever it is about to say."""
        super().emergency_stop()
        call = self._call
        if call.attached and call.speeches.silence("emergency_stop") and call.cutting:
            self._stops_again = True

    def _cut_heard(self) -> None:
        """The floor stopped what sounded. What was behind it and will not come, it waits for."""
        if self._stops_again:
            self._stops_again = False
            self._call.raise_control("emergency_stop")

    def function_tool(
        self,
        function: Callable[..., Any],
        *,
        on_interruption: OnInterruption | str = OnInterruption.COMPLETE,
        **options: Any,
    ) -> FunctionTool[Any, Any] | RawFunctionTool[Any, Any]:
        """A function as a tool of an agent's: ``Agent(tools=[manners.function_tool(book)])``.

        It says what becomes of a call that is out when the caller takes the floor. A backchannel
        or a cough never touches one.

        Args:
            function: your own, as for LiveKit's ``function_tool``.
            on_interruption: ``"complete"``: it finishes, its result enters the history once and is
                spoken of when nobody speaks; or ``"cancel"``.
            **options: for LiveKit's ``function_tool``, such as ``name``.

        Raises:
            ToolError: nothing of that kind can become of it.
        """
        return self._functions.tool(function, on_interruption, **options)

    def tools(self) -> list[llm.FunctionTool[Any, Any]]:
        """Let the LLM decide: ``Agent(tools=[*manners.tools(), ...])``."""
        return tools(self.resume, self.forget)

    async def aclose(self) -> None:
        """Wait until the call is over and what it leaves is stored.

        A session that does not run has no call that could end: what there is, is stored at once.
        """
        session = self._session
        if session is None or not compat.started(session):
            self._hung_up()
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
        if _detects_turns(session.llm, session):
            return f"the realtime model {_SERVER_TURNS}"
        if session.stt is None and self._makes_stt:
            pass  # its agents have theirs
        elif not isinstance(session.stt, BargeinSTT) or session.stt.words is not self._words:
            return (
                "the session's STT is not ours, so nobody knows what the caller says: pass"
                " stt=manners.stt(...)"
            )
        ear = session.vad.ear if isinstance(session.vad, BargeinVAD) else None
        if session.vad is not None and ear is not self._ear:
            return (
                "the session's VAD is not ours and interrupts by itself: pass vad=manners.vad(...)"
            )
        return ""

    def _keep_apart(self, session: AgentSession[Any]) -> None:
        """Two sessions shall not hear each other, whatever parts of ours they were given."""
        attached = self._session
        if attached is None or attached is session:
            return
        for theirs, first in ((session.stt, attached.stt), (session.vad, attached.vad)):
            if not isinstance(theirs, BargeinSTT | BargeinVAD):
                continue
            theirs.foreign = True
            if theirs is first:
                self._call.attached = False  # one part for both: nobody can tell them apart

    def _listen(self, session: AgentSession[Any]) -> None:
        if self._session is not None:
            return
        self._session = session
        for part in (self._lock, self._memory, self._nodes, self._functions):
            part.session = session
        session.on("speech_created", self._speech_created)
        session.on("function_tools_executed", self._tools_executed)
        session.on("overlapping_speech", self._overlap)
        session.on("agent_state_changed", self._look_around)
        session.on("conversation_item_added", self._item_added)
        session.on("close", self._closed)
        self._call.ending = partial(compat.closing, session)
        self._call.drops_turns = partial(compat.drops_turns, session)
        self._call.current_speech = lambda: session.current_speech
        self._call.host_turn = lambda: compat.traced_turn(session.current_speech)

    def _speech_created(self, event: SpeechCreatedEvent) -> None:
        call, session = self._call, self._session
        if session is None or not call.attached:
            return
        call.speeches.created(event)
        # The answer to a turn is created before the turn is in the history, and takes none back:
        # LiveKit says of each that the application has asked for it.
        handle = event.speech_handle
        answers = event.source != "say" and handle.input_details.modality == "audio"
        if event.user_initiated and not (answers or handle.allow_interruptions):
            call.guarded("words", self._words.take_back)
        self._look_around(event)
        call.guarded("agent", self._nodes.around, session.current_agent)
        call.guarded("voice", self._place, session)

    def _look_around(self, _: object) -> None:
        """Has another agent taken over, or is there a room whose keys may be pressed?"""
        session, call = self._session, self._call
        if session is None or not call.attached or call.closed:
            return
        call.guarded("agent", self._look_at_agent, session)
        call.guarded("keys", self._listen_to_keys, session)

    def _look_at_agent(self, session: AgentSession[Any]) -> None:
        agent = compat.speaking_agent(session)
        if agent is self._agent:
            return
        self._agent = agent
        self._call.guarded("agent", self._nodes.around, agent)
        against = self._against_agent(agent, session)
        call = self._call
        call.has_stt = not against
        if agent.interruption_detection == "adaptive":
            call.vetoed = session.options.interruption  # type: ignore[assignment]
        if against:
            self._words.release_all()
            log.error(
                f"bargein: {type(agent).__name__} {against}; while it speaks, the call runs as it"
                " would without bargein"
            )

    def _against_agent(self, agent: Agent, session: AgentSession[Any]) -> str:
        """What of its own does an agent bring that the floor cannot do with?"""
        model = agent.llm if utils.is_given(agent.llm) else session.llm
        if _detects_turns(model, session):
            return _SERVER_TURNS
        heard = agent.stt if utils.is_given(agent.stt) else session.stt
        if not isinstance(heard, BargeinSTT) or heard.words is not self._words:
            return "has an STT that is not ours: pass Agent(stt=manners.stt(...))"
        if utils.is_given(agent.vad) and agent.vad is not None:
            if not isinstance(agent.vad, BargeinVAD) or agent.vad.ear is not self._ear:
                return "has a VAD that is not ours: pass Agent(vad=manners.vad(...))"
            self._words.has_vad = True
        else:
            self._words.has_vad = session.vad is not None and not utils.is_given(agent.vad)
        return ""

    def _listen_to_keys(self, session: AgentSession[Any]) -> None:
        if self._room is not None:
            return
        with contextlib.suppress(RuntimeError):  # it runs without a room
            self._room = session.room_io.room
            self._room.on("sip_dtmf_received", self._key)

    def _key(self, event: rtc.SipDTMF) -> None:
        self._call.raise_control(f"dtmf:{event.digit}")

    def _item_added(self, event: ConversationItemAddedEvent) -> None:
        self._look_around(event)
        if getattr(event.item, "role", "") == "user" and self._call.in_charge:
            self._functions.turn_taken()
            self._words.turn_taken()

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
                VoiceOutput(
                    self._call,
                    leaf,
                    voice=self._voice,
                    max_lock_ms=self._max_lock_ms,
                    microphone=self._microphone,
                )
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
            self._functions.finished(tool.call_id, output.output if output else "")

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
        self._hung_up()

    def _hung_up(self) -> None:
        call = self._call
        if call.closed:
            return
        call.feed(CallEnded(at_ms=call.now_ms))
        if (said := self._words.leftovers()) and self._session is not None:
            self._session.history.add_message(role="user", content=said)
        call.close()
        if self._room is not None:
            self._room.off("sip_dtmf_received", self._key)
        call.spawn(self._over())


def _detects_turns(model: object, session: AgentSession[Any]) -> bool:
    """Would a model's own server stop the agent, whatever anybody here thinks of it?"""
    # LiveKit turns that off by itself, where the model lets it and the session wants it so.
    asked = utils.is_given(session.interruption_detection)
    wanted = bool(asked and session.vad and session.turn_detection != "realtime_llm")
    return _takes_turns_itself(model, with_stt=wanted)


def _takes_turns_itself(model: object, *, with_stt: bool) -> bool:
    """Does a model's own server detect turns, unless it lets others do so who hear words?"""
    if not isinstance(model, llm.RealtimeModel) or not model.capabilities.turn_detection:
        return False
    return not (with_stt and getattr(model.capabilities, "can_disable_turn_detection", False))

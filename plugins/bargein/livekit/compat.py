"""What of LiveKit is not public and needed all the same? Looked at before a call relies on it."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import Any

from livekit.agents import Agent, AgentSession
from livekit.agents.voice import io
from livekit.agents.voice.speech_handle import SpeechHandle

try:
    from livekit.agents.voice.agent_activity import _SpeechHandleContextVar
except ImportError:  # a later release has moved it: `missing` says so
    _SpeechHandleContextVar = None  # type: ignore[assignment]

Proxy: Any = getattr(io, "_AudioSinkProxy", ())
"""Stands before whatever plays, which can be swapped there; `isinstance` of nothing without it."""

OLDEST, BEFORE = (1, 6, 1), (2,)
"""The releases that are supported: from the one, up to the other."""
_NOTES_NO_EMPTY_TURN = (1, 8)


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split(".")[:3] if part.isdigit())


def missing(session: AgentSession[Any]) -> str:
    """What this release of LiveKit lacks that a call needs; empty if there is nothing."""
    release = version("livekit-agents")
    if not OLDEST <= _numbers(release) < BEFORE:
        return f"livekit-agents {release} is not supported: install >=1.6.1,<2"
    lacks = [
        name
        for name, there in (
            ("a speech of the running task", _SpeechHandleContextVar is not None),
            ("SpeechHandle._wait_for_scheduled", hasattr(SpeechHandle, "_wait_for_scheduled")),
            ("AgentOutput.replace_audio_tail", hasattr(io.AgentOutput, "replace_audio_tail")),
            ("AgentSession._closing", hasattr(session, "_closing")),
            ("AgentSession._started", hasattr(session, "_started")),
            ("AgentSession._activity", hasattr(session, "_activity")),
            ("live options", isinstance(session.options.interruption, dict)),
        )
        if not there
    ]
    return f"livekit-agents {release} has no {', no '.join(lacks)}" if lacks else ""


def speech() -> SpeechHandle | None:
    """The speech that the running task makes: an agent's nodes are not told which it is."""
    return _SpeechHandleContextVar.get(None)


async def scheduled(handle: SpeechHandle) -> bool:
    """Wait until a speech is on its way; False if it was thrown away, as guesses are."""
    if not handle.scheduled and not handle.done():
        there = asyncio.ensure_future(handle._wait_for_scheduled())
        try:
            await handle.wait_if_not_interrupted([there])
        finally:
            there.cancel()
    return handle.scheduled and not handle.interrupted


def queued(handle: SpeechHandle) -> bool:
    """Does a speech wait until the session comes to it? One that was begun may still call tools,
    for as long as they take. A release that does not tell has none that waits."""
    return handle.scheduled and not getattr(handle, "_generations", True)


def closing(session: AgentSession[Any]) -> bool:
    """Is the session coming to its end?"""
    return bool(session._closing)


def started(session: AgentSession[Any]) -> bool:
    """Does the session run, or is it about to, as in its first agent's `on_enter`?"""
    return bool(session._started) or speaks(session)


def speaks(session: AgentSession[Any]) -> bool:
    """Can something be said in the session?"""
    return session._activity is not None


def speaking_agent(session: AgentSession[Any]) -> Agent:
    """Who speaks and listens: one that hands over does until it has finished."""
    activity = session._activity
    return session.current_agent if activity is None else activity.agent


def drops_turns(session: AgentSession[Any]) -> bool:
    """Does the session throw away every turn, as while one agent hands over to the next?"""
    activity = session._activity
    return activity is None or bool(activity.scheduling_paused)


def end_without_an_empty_turn(session: AgentSession[Any]) -> None:
    """Let a turn that ends as the call does be noted once, and nothing behind it.

    At a call's end, LiveKit before 1.8 commits what it was told just now and the turn that waits
    for its end. Where both come to pass, the second finds no words left and notes that.
    """
    activity = session._activity
    if activity is None or _numbers(version("livekit-agents")) >= _NOTES_NO_EMPTY_TURN:
        return
    commit = activity.on_end_of_turn

    def with_words(info: Any) -> bool:
        if activity.stt is not None and not info.new_transcript:
            return False
        return commit(info)

    activity.on_end_of_turn = with_words  # type: ignore[method-assign]


def traced_turn(speech: SpeechHandle | None) -> object | None:
    """The OpenTelemetry context of the turn that a speech is, where there is one. A release that
    has none costs our spans their parents and nothing else, so `missing` does not ask."""
    return getattr(speech, "_agent_turn_context", None)


def hear_from_the_start(session: AgentSession[Any]) -> None:
    """No deaf seconds while an echo canceller settles: nothing said then would ever be heard."""
    session.options.aec_warmup_duration = None
    session._aec_warmup_remaining = 0.0

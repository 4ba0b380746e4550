"""On what does the benchmark measure? The same LiveKit session with us in it, and without."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeAlias

import numpy as np
from livekit.agents import AgentSession

from bargein.core.decisions import Decision
from bargein.livekit import Bargein
from bargein.testing.livekit_parts import VOICE_RATE, Recording, ScriptedTTS, Studio
from bargein.testing.tones import PCM, WORD_S, Voice, metronome

from ..script import LATENCY_S, until

Who: TypeAlias = Literal["ours", "stock", "min_words_2", "min_words_3"]
STOCK: dict[Who, str] = {
    "stock": "LiveKit's default",
    "min_words_2": "min_words=2",
    "min_words_3": "min_words=3",
}
"""What each stock host is called in the table."""
SILENCE_S = 0.25
"""How long after the caller's last sound the detector says so."""


def between(recording: Recording, from_s: float, until_s: float) -> PCM:
    """What was heard from one instant of ``time.monotonic`` to another."""
    start = max(0, round((from_s - recording.from_s) * VOICE_RATE))
    stop = max(start, round((until_s - recording.from_s) * VOICE_RATE))
    pcm = recording.pcm[start:stop]
    return np.pad(pcm, (0, stop - start - len(pcm)))


class OnCall:
    """A call that runs."""

    def __init__(self, who: Who, studio: Studio) -> None:
        """Keep what it is made of."""
        self.who = who
        self.studio = studio
        self.session: AgentSession[Any] = studio.session
        self.recording = studio.room.recording

    async def first_heard(self, within_s: float = 8.0, after_s: float = 0.0) -> float:
        """Wait until the agent is heard; when that was, on ``time.monotonic``."""
        until_s = time.monotonic() + within_s
        while time.monotonic() < until_s:
            runs = [run for run in self.recording.heard() if run[1] > after_s]
            if runs:
                return max(runs[0][0], after_s)
            await asyncio.sleep(0.02)
        raise RuntimeError(f"the agent was not heard within {within_s} s")

    async def say_over(self, text: str, at_s: float) -> None:
        """The caller says this, from that instant of ``time.monotonic`` on.

        The detector scores every window of it from the first on, and the recogniser's partials
        come some time behind the end of each word.
        """
        hears, words = self.studio.stt.hears, text.split()
        ends_s = len(words) * WORD_S
        told: list[tuple[float, Callable[[], None]]] = [
            (0.0, lambda: self.studio.vad.speaks(True)),
            (ends_s + SILENCE_S, lambda: self.studio.vad.speaks(False)),
            (ends_s + LATENCY_S + 0.15, lambda: hears(text)),
        ]
        for count in range(1, len(words) + 1):
            partial = " ".join(words[:count])
            told.append(
                (count * WORD_S + LATENCY_S, lambda partial=partial: hears(partial, final=False))  # type: ignore[misc]
            )
        for after_s, tell in sorted(told, key=lambda entry: entry[0]):
            await until(at_s + after_s)
            tell()

    async def cough(self, at_s: float) -> None:
        """The caller makes a sound that no recogniser writes down."""
        await until(at_s)
        self.studio.vad.speaks(True)
        await until(at_s + 0.35 + SILENCE_S)
        self.studio.vad.speaks(False)

    def decide(self, decision: Decision) -> None:
        """Hand a decision to our voice, as the pump does."""
        self.studio.manners._call._decided(decision)


Wrap: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]


def _stock(who: Who, wrap: Wrap | None) -> Callable[[Bargein, dict[str, Any]], AgentSession[Any]]:
    def session(_: Bargein, options: dict[str, Any]) -> AgentSession[Any]:
        interruption: dict[str, Any] = {"mode": "vad"}  # as self-hosted, where no cloud listens
        if who.startswith("min_words"):
            interruption["min_words"] = int(who[-1])
        options["turn_handling"] = {**options["turn_handling"], "interruption": interruption}
        # No echo to be cancelled in the first seconds, as `Bargein.session` has it.
        options.setdefault("aec_warmup_duration", None)
        return AgentSession(**(wrap(options) if wrap else options))

    return session


@asynccontextmanager
async def on_call(
    who: Who,
    *,
    replies: Sequence[str] = (),
    speaks: Voice = metronome,
    word_times: bool = True,
    manners: Callable[[], Bargein] = lambda: Bargein(detectors=()),
    wrap: Wrap | None = None,
    **options: Any,
) -> AsyncIterator[OnCall]:
    """Run a call; it is hung up at the end.

    Args:
        who: with us in it, or one of the stock hosts.
        replies: what the LLM answers, run by run.
        speaks: the agent's voice.
        word_times: whether the text-to-speech tells when each word begins.
        manners: makes ours; no detector hears the microphone, where nothing but silence is.
        wrap: what becomes of the parts of a stock session.
        **options: for the session.
    """
    studio = Studio(
        manners(),
        replies=replies,
        tts=ScriptedTTS(speaks, word_times=word_times),
        session=None if who == "ours" else _stock(who, wrap),
        **options,
    )
    try:
        await studio.start()
        try:
            yield OnCall(who, studio)
        finally:
            await studio.session.aclose()
            if who == "ours":
                await studio.manners.aclose()
    finally:
        await studio.close()

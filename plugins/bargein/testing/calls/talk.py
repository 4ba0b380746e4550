"""How is a script played to an agent? Step by step, on the call's own clock.

In virtual time wherever the loop has it, and then a busy machine changes nothing. With an agent in
another process time is real, and it is noted when this loop stood still.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np

from ..speech import PCM, resampled
from ..steps import (
    REPLY_WITHIN_S,
    AgentSpeaks,
    Announces,
    HangsUp,
    Means,
    Moment,
    NoiseFromNow,
    Presses,
    Says,
    ScriptError,
    Silence,
    Step,
    Steps,
    script,
)
from ..utterance import RATE
from ..virtual_time import VirtualTimeLoop
from .call import Call
from .found import Reply, find
from .measured import Sounded, audible, overlaps, silences
from .sounds import sound_of
from .subject import Subject, Unsupported, WordTimes, until
from .words import place_of, words_of

QUIET_S = 1.2
"""So long silent, an agent that has answered has finished."""
ANSWERS_S = 3.0
"""So long silent after somebody talked over it, an agent does not answer."""
LONGEST_S = 120.0
NOTED_MS = 40
OUTSIDE = (
    "in virtual time an agent, or a service of its, that runs in another process has no time to"
    " answer: mark the test with @pytest.mark.real_time"
)

AgentUnderTest: TypeAlias = Callable[[], Subject | Awaitable[Subject]]
"""Makes an agent for one call."""


class Talk(Protocol):
    """What the fixture ``talk`` is: it plays a script, and keeps the call where a test fails."""

    def __call__(
        self, agent: AgentUnderTest, *steps: Steps, folder: Path = ...
    ) -> Awaitable[Call]: ...


async def talk(agent: AgentUnderTest, *steps: Steps, folder: Path | None = None) -> Call:
    """Play a script to an agent.

    In a test the fixture ``talk`` does this; elsewhere `bargein.testing.virtual_time.run` does.

    Args:
        agent: such as ``PipecatAgent(bot)``; makes one for each call.
        *steps: what happens: ``user(...)``, ``agent()`` and the others.
        folder: where a failing assertion keeps the call's sound and trace.

    Raises:
        ScriptError: a step that cannot be played, as the agent answered.
        Unsupported: a step that this kind of agent does not know.
    """
    unrolled = script(*steps)
    if not unrolled:
        raise ScriptError("a script needs a step, such as user('Hello')")
    for step in unrolled:
        if isinstance(step, Says):
            sound_of(step)  # what cannot be spoken is told before anybody picks up
    made = agent()
    subject = await made if isinstance(made, Awaitable) else made
    return await _Talk(subject, unrolled, folder).play()


class _Talk:
    """One call."""

    def __init__(self, subject: Subject, steps: tuple[Step, ...], folder: Path | None) -> None:
        self._subject = subject
        self._steps = steps
        self._folder = folder
        self._sounds: list[Sounded] = []
        self._clips: list[tuple[float, Says]] = []
        self._missed: list[tuple[float, str]] = []
        self._is_virtual = isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
        self._stalls: list[tuple[float, float]] = []
        self._began_s = 0.0
        self._turn_s = 0.0  # since when what the agent says is its reply
        self._heard_s = 0.0
        self._first_s: float | None = None
        self._hung_up = False

    async def play(self) -> Call:
        subject = self._subject
        try:
            await subject.start()
        except TimeoutError as error:
            why = f": {OUTSIDE}" if self._is_virtual else ""
            raise ScriptError(f"{subject.capabilities.host} did not pick up{why}") from error
        heart = asyncio.create_task(self._beat())
        try:
            known = len(subject.context()) if subject.capabilities.context else 0
            self._began_s = self._turn_s = time.monotonic()
            await asyncio.sleep(0.3)
            for step in self._steps:
                if self._hung_up:
                    raise ScriptError("the caller has hung up: nothing can follow hang_up()")
                await self._step(step)
            if not self._hung_up:
                await self._finished(QUIET_S)
            ended_s = subject.now_s
            messages = subject.context()[known:] if subject.capabilities.context else []
            return self._call(ended_s, messages)
        finally:
            heart.cancel()
            await subject.end()

    def _call(self, ended_s: float, messages: list[dict[str, object]]) -> Call:
        subject = self._subject
        heard = subject.recording(self._began_s, ended_s)
        runs = audible(heard, subject.rate, self._began_s)
        replies = find(subject.voiced, heard, subject.rate, self._began_s)
        return Call(
            capabilities=subject.capabilities,
            steps=self._steps,
            began_s=self._began_s,
            ended_s=ended_s,
            sounds=self._sounds,
            replies=replies,
            overlaps=silences(self._sounds, runs, ended_s)
            if subject.capabilities.word_times is WordTimes.NONE
            else overlaps(self._sounds, replies, runs),
            runs=[one for one in subject.runs if one.at_s < ended_s],
            audible=runs,
            messages=messages,
            missed=self._missed,
            stalls=self._stalls,
            agent_track=heard,
            caller_track=_track(self._clips, self._began_s, ended_s, subject.rate),
            rate=subject.rate,
            folder=self._folder,
        )

    async def _step(self, step: Step) -> None:
        match step:
            case Says():
                await self._say(step)
            case AgentSpeaks():
                await self._agent(step)
            case Silence():
                await asyncio.sleep(step.ms / 1000)
            case Presses():
                if not self._subject.capabilities.dtmf:
                    raise Unsupported(f"{self._subject.capabilities.host} has no telephone keys")
                for key in step.keys:
                    await self._subject.press(key)
                    await asyncio.sleep(0.1)
            case HangsUp():
                self._hung_up = True
                await self._subject.hang_up()
            case Announces():
                await self._subject.speak(step.text)
            case Moment():
                await self._moment(step.ms)
            case NoiseFromNow():
                self._subject.noise(step.db)

    async def _say(self, step: Says) -> None:
        sound = sound_of(step)
        began_s = await self._subject.say(sound)
        self._clips.append((began_s, step))
        said = Sounded(
            text=sound.name,
            means=step.means,
            onset_s=began_s + sound.begins_s,
            ended_s=began_s + sound.ends_s,
        )
        self._sounds.append(said)
        if step.means is Means.TURN:
            self._turn_s = said.onset_s
        await asyncio.sleep(max(0.0, said.ended_s - time.monotonic()))

    async def _agent(self, step: AgentSpeaks) -> None:
        if not await until(self._is_audible, step.within_s):
            why = f" ({OUTSIDE})" if self._is_virtual and not self._subject.voiced else ""
            what = f"from the agent for {step.within_s:g} s{why}"
            self._missed.append((time.monotonic(), what))
            return
        if step.wait:
            await self._finished(QUIET_S)
        elif step.after_ms is not None:
            await asyncio.sleep(max(0.0, self._reply_s() + step.after_ms / 1000 - time.monotonic()))
        elif step.after_words is not None or step.during is not None:
            await self._word(step)

    async def _moment(self, ms: int) -> None:
        if self._first_s is None:
            if not await until(self._is_audible, REPLY_WITHIN_S):
                self._missed.append((time.monotonic(), f"from the agent for {REPLY_WITHIN_S:g} s"))
                self._first_s = time.monotonic()
            else:
                subject = self._subject
                heard = subject.recording(self._began_s, subject.now_s)
                self._first_s = audible(heard, subject.rate, self._began_s)[0][0]
        await asyncio.sleep(max(0.0, self._first_s + ms / 1000 - time.monotonic()))

    async def _word(self, step: AgentSpeaks) -> None:
        """Wait until the agent has come so far in its reply."""
        if self._subject.capabilities.word_times is WordTimes.NONE:
            raise Unsupported(
                f"{self._subject.capabilities.host} does not tell the agent's words:"
                " say after_ms instead of after_words or during"
            )
        wanted = words_of(step.during or "")
        ends_s = time.monotonic() + LONGEST_S
        while time.monotonic() < ends_s:
            replies = await self._replies()
            heard = [w for one in replies for w in one.words if w.heard]
            if step.after_words is not None and len(heard) >= step.after_words:
                return
            texts = [" ".join(words_of(word.text)) for word in heard]
            if wanted and place_of(wanted, texts) is not None:
                return
            if time.monotonic() - self._last_heard_s() > ANSWERS_S:
                said = " ".join(word.text for word in heard)
                what = f"{step.after_words} words" if step.after_words else repr(step.during)
                raise ScriptError(f"the agent never came to {what}; it said: {said!r}")
            await asyncio.sleep(0.2)

    async def _replies(self) -> list[Reply]:
        """What has been heard so far of the reply."""
        subject = self._subject
        voiced = [one for one in subject.voiced if one.at_s >= self._turn_s]
        heard = subject.recording(self._turn_s, subject.now_s)
        return await asyncio.to_thread(find, voiced, heard, subject.rate, self._turn_s)

    async def _finished(self, quiet_s: float) -> None:
        """Wait until the agent has no more to say, as far as a caller can tell."""
        ends_s = time.monotonic() + LONGEST_S
        while time.monotonic() < ends_s:
            last_s = self._last_heard_s()
            # Who was talked over may still be thinking about it.
            onset_s = self._sounds[-1].onset_s if self._sounds else self._began_s
            answered = any(
                one.at_s > onset_s + 0.2 and one.at_s < last_s for one in self._subject.voiced
            )
            needed_s = quiet_s if answered or not self._sounds else max(quiet_s, ANSWERS_S)
            if time.monotonic() - max(last_s, onset_s) > needed_s:
                return
            await asyncio.sleep(0.05)

    def _is_audible(self) -> bool:
        return self._last_heard_s() > self._since_s

    @property
    def _since_s(self) -> float:
        return self._sounds[-1].ended_s if self._sounds else self._began_s

    def _reply_s(self) -> float:
        """When the reply was first heard."""
        subject = self._subject
        heard = subject.recording(self._turn_s, subject.now_s)
        runs = audible(heard, subject.rate, self._turn_s)
        # What still sounds at the turn's beginning is what the turn interrupts.
        later = [one for one in runs if one[0] > self._turn_s + 0.05 or one[1] > self._since_s]
        return max(later[0][0], self._turn_s) if later else time.monotonic()

    def _last_heard_s(self) -> float:
        """Up to when the agent has been heard, since the call began."""
        subject = self._subject
        from_s = max(self._began_s, subject.now_s - 2.0)
        runs = audible(subject.recording(from_s, subject.now_s), subject.rate, from_s)
        if runs:
            self._heard_s = runs[-1][1]
        return max(self._heard_s, self._began_s)

    async def _beat(self) -> None:
        while not self._is_virtual:
            before_s = time.monotonic()
            await asyncio.sleep(0.01)
            late_s = time.monotonic() - before_s - 0.01
            if late_s * 1000 > NOTED_MS:
                self._stalls.append((before_s, late_s))


def _track(clips: list[tuple[float, Says]], from_s: float, until_s: float, rate: int) -> PCM:
    track = np.zeros(max(0, round((until_s - from_s) * rate)), np.int16)
    for began_s, step in clips:
        pcm = resampled(sound_of(step).pcm, RATE, rate)
        at = round((began_s - from_s) * rate)
        first, last = max(0, at), min(len(track), at + len(pcm))
        if first < last:
            track[first:last] = pcm[first - at : last - at]
    return track

"""What does a caller notice, whatever the host? One small call, told in one vocabulary."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np

from bargein import Delivery
from bargein.testing.tones import WORD_S, Voice, metronome

SAYS = "Your appointment is on Tuesday at nine, with Doctor Hale in the main building."
CODE = "Your code is four two seven one."
Script = Callable[["EitherHost"], Awaitable[None]]


class EitherHost(ABC):
    """One call, its agent and its caller."""

    name: str
    manners: Any
    decided: list[str]

    def __init__(self) -> None:
        self.receipts: list[Any] = []
        self.complaints: list[str] = []
        """What we had to say about it, above INFO."""
        self.finals: list[str] = []
        """What the recogniser wrote down for good."""
        self.hangs_up = False
        self._loud = self._counted = 0

    @abstractmethod
    async def run(self, script: Script, *, within_s: float = 60) -> "EitherHost":
        """Run the script, then end the call as an application does, or as a caller."""

    @abstractmethod
    async def says(self, text: str = SAYS, *, must_hear: bool = False) -> None:
        """The agent is to say something."""

    @abstractmethod
    async def voice(self, on: bool) -> None:
        """The caller begins to speak, or stops."""

    @abstractmethod
    async def recognised(self, text: str, final: bool) -> None:
        """The recogniser's next hypothesis."""

    @abstractmethod
    async def sounds(self, pcm: Any) -> None:
        """The caller's line carries this, at 16 kHz."""

    @abstractmethod
    def said(self, who: str) -> list[str]:
        """What the context has of somebody."""

    @abstractmethod
    def played(self, since: int) -> list[Any]:
        """What the agent's loudspeaker played, from the ``since``-th piece on."""

    # --- what happens in it ---

    async def heard(self, text: str = SAYS, *, must_hear: bool = False) -> None:
        """The agent says something; returns when it is being heard."""
        before = self.words_heard
        await self.says(text, must_hear=must_hear)
        await self.until(lambda: self.words_heard > before)

    async def hears(self, text: str, *, final: bool = True) -> None:
        """The recogniser heard this."""
        if final and text.strip():
            self.finals.append(text)
        await self.recognised(text, final)

    async def talks_over(
        self, text: str = "no wait I meant Thursday", after_s: float = 0.9
    ) -> None:
        """The caller talks over the agent."""
        await asyncio.sleep(after_s)
        await self.voice(True)
        await asyncio.sleep(0.2)
        await self.hears(" ".join(text.split()[:2]), final=False)
        await asyncio.sleep(0.1)
        await self.hears(text)
        await self.voice(False)

    async def until(self, true: Callable[[], Any], within_s: float = 20) -> None:
        """Wait for something to become true."""
        async with asyncio.timeout(within_s):
            while not true():
                await asyncio.sleep(0.01)

    async def decides(self, *what: str) -> None:
        """Wait for a decision."""
        await self.until(lambda: any(one.startswith(what) for one in self.decided))

    async def quiet(self, for_s: float = 1.0) -> None:
        """Wait until everything has been said and decided."""
        since_s, before = 0.0, -1.0
        async with asyncio.timeout(60):
            while since_s < for_s:
                await asyncio.sleep(0.1)
                now = self.words_heard
                since_s = 0.0 if self.manners.busy or now != before else since_s + 0.1
                before = now

    # --- what came of it ---

    @property
    def words_heard(self) -> float:
        """How many words of the agent's were audible."""
        for pcm in self.played(self._counted):
            self._loud += int(np.count_nonzero(np.abs(pcm.astype(np.int32)) > 30))
            self._counted += 1
        return self._loud / 24000 / WORD_S * 1.006  # a tone is quiet where it crosses zero

    def kept_every_word(self) -> None:
        """What the caller said is in the context or was reported as a backchannel, once."""
        reported = [
            one.partition('"')[2].partition('"')[0] for one in self.decided if "Report" in one
        ]
        kept = Counter(" ".join([*self.said("user"), *reported]).split())
        assert kept == Counter(" ".join(self.finals).split())

    def knew_what_was_heard(self, give: float = 1.2) -> None:
        """The context has no more of the agent than was heard, give or take a word at a break."""
        known = sum(len(text.split()) for text in self.said("assistant"))
        assert known <= self.words_heard + give

    def knew_all_that_was_heard(self, give: float = 1.2) -> None:
        """Nor has it less."""
        known = sum(len(text.split()) for text in self.said("assistant"))
        assert known >= self.words_heard - give

    def told_the_truth(self, text: str = CODE) -> None:
        """A receipt says delivered of what was heard in full, and of nothing else."""
        for one in self.receipts:
            if one.state is Delivery.DELIVERED:
                assert (one.heard, one.pending) == (text, False)
            else:
                assert one.pending
                assert text.startswith(one.heard)
                assert len(one.heard) < len(text)


class OnPipecat(EitherHost):
    """In a real pipeline."""

    name = "pipecat"

    def __init__(
        self,
        *,
        replies: Sequence[str] = (),
        voice: Voice = metronome,
        speed: float = 10.0,
        output: Any = None,
        tts: Any = None,
        **settings: Any,
    ) -> None:
        super().__init__()
        from bargein.pipecat import Bargein
        from bargein.testing.pipecat_parts import ScriptedTTS
        from rig import Rig

        self.manners = Bargein(**{"detectors": (), **settings})
        self.manners.on("receipt")(self.receipts.append)
        tts = tts or ScriptedTTS(voice, speed=speed)
        self.rig = Rig(self.manners, tts=tts, replies=replies, output=output)
        self.decided = self.rig.decided

    async def run(self, script: Script, *, within_s: float = 60) -> "OnPipecat":
        from loguru import logger

        sink = logger.add(
            lambda message: self.complaints.append(str(message)),
            level="WARNING",
            filter=lambda one: "bargein" in (one["name"] or ""),
        )

        async def scripted(rig: Any) -> None:
            await script(self)
            if self.hangs_up:
                await rig.worker.cancel()

        try:
            await self.rig.run(scripted, logged=False, within_s=within_s)
        finally:
            logger.remove(sink)
        return self

    async def says(self, text: str = SAYS, *, must_hear: bool = False) -> None:
        await self.manners.say(text, must_hear=must_hear, on_cut="repeat")

    async def voice(self, on: bool) -> None:
        await self.rig.voice(on)

    async def recognised(self, text: str, final: bool) -> None:
        await self.rig.hears(text, final=final)

    async def sounds(self, pcm: Any) -> None:
        from pipecat.frames.frames import InputAudioRawFrame

        for start in range(0, len(pcm), 320):
            piece = pcm[start : start + 320].tobytes()
            await self.rig.worker.queue_frame(InputAudioRawFrame(piece, 16000, 1))
            await asyncio.sleep(0.02)

    def said(self, who: str) -> list[str]:
        return self.rig.said(who)

    def played(self, since: int) -> list[Any]:
        return [np.frombuffer(one.pcm, "<i2") for one in self.rig.output.written[since:]]


class OnLiveKit(EitherHost):
    """In a real session."""

    name = "livekit"

    def __init__(
        self,
        *,
        replies: Sequence[str] = (),
        voice: Voice = metronome,
        speed: float = 10.0,
        **settings: Any,
    ) -> None:
        super().__init__()
        from bargein.livekit import Bargein
        from bargein.testing.livekit_parts import ScriptedTTS
        from livekit_rig import LiveKitRig

        self.manners = Bargein(**{"detectors": (), **settings})
        self.manners.on("receipt")(self.receipts.append)
        tts = ScriptedTTS(voice, speed=speed, whole_sentences=voice is not metronome)
        self.rig = LiveKitRig(self.manners, tts=tts, replies=replies)
        self.decided = self.rig.decided

    async def run(self, script: Script, *, within_s: float = 60) -> "OnLiveKit":
        async def scripted(_: Any) -> None:
            await script(self)

        await self.rig.run(scripted, hang_up=self.hangs_up, within_s=within_s)
        records = self.rig._log.records
        self.complaints += [one.getMessage() for one in records if one.levelno > logging.INFO]
        return self

    async def says(self, text: str = SAYS, *, must_hear: bool = False) -> None:
        if must_hear:
            await self.manners.say(None, text, must_hear=True, on_cut="repeat")
        else:
            self.rig.session.say(text)

    async def voice(self, on: bool) -> None:
        self.rig.voice(on)

    async def recognised(self, text: str, final: bool) -> None:
        self.rig.hears(text, final=final)

    async def sounds(self, pcm: Any) -> None:
        self.rig.studio.microphone.play(pcm)
        await asyncio.sleep(len(pcm) / 16000)

    def said(self, who: str) -> list[str]:
        return self.rig.said(who)

    def played(self, since: int) -> list[Any]:
        return list(self.rig.studio.room.recording.chunks[since:])


HOSTS: dict[str, Callable[..., EitherHost]] = {"pipecat": OnPipecat, "livekit": OnLiveKit}

"""Does the caller speak? The session's own detection, heard early and told with care."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterable, Callable, Sequence
from typing import Any

from livekit import rtc
from livekit.agents import utils, vad

from bargein.core.decisions import Decision, YieldFloor
from bargein.core.events import UserSpeechStarted, UserSpeechStopped
from bargein.detect import Detector
from bargein.hearing import Hearing
from bargein.microphone import Microphone
from bargein.onset import EarlyOnset

from .call import LiveKitCall


class CallerEar:
    """Tells the floor when the caller speaks, and the session what it may know of that."""

    def __init__(
        self,
        call: LiveKitCall,
        *,
        early_onset: bool,
        detectors: Sequence[Detector],
        microphone: Microphone | None = None,
    ) -> None:
        """Make the ear of a call. `Bargein` does it for you.

        Args:
            call: the call whose floor decides.
            early_onset: whether one window of speech is enough to lower the agent's voice.
            detectors: hear from the caller's sound what they are up to.
            microphone: knows what in it is the agent's own voice.
        """
        self._call = call
        self._onset = EarlyOnset(call) if early_onset else None
        self._hearing = Hearing(call, detectors)
        self._microphone = microphone
        self._over_agent = False
        call.closing.append(self._hearing.close)
        call.decided.append(self._obey)

    def sound(self, frame: rtc.AudioFrame) -> None:
        """A piece of the caller's audio."""
        pcm = bytes(frame.data)
        if frame.num_channels > 1:
            pcm = pcm_of_first_channel(pcm, frame.num_channels)
        self._hearing.hear(pcm, frame.sample_rate)

    def caller(self, frame: rtc.AudioFrame) -> rtc.AudioFrame:
        """The frame, or as much silence where only the agent's own voice is in it."""
        if self._microphone is None:
            return frame
        pcm = bytes(frame.data)
        if frame.num_channels > 1:
            pcm = pcm_of_first_channel(pcm, frame.num_channels)
        if self._microphone.caller(pcm, frame.sample_rate) is pcm:
            return frame
        size = frame.samples_per_channel
        return rtc.AudioFrame(
            bytes(2 * size * frame.num_channels), frame.sample_rate, frame.num_channels, size
        )

    def told(self, event: vad.VADEvent) -> vad.VADEvent:
        """The session's detection has something to say; returns what the session may hear of it."""
        call = self._call
        match event.type:
            case vad.VADEventType.START_OF_SPEECH:
                now_ms = call.now_ms
                since_ms = round((event.speech_duration + event.inference_duration) * 1000)
                call.speech(
                    UserSpeechStarted(at_ms=now_ms, onset_at_ms=max(0, now_ms - since_ms)), "host"
                )
            case vad.VADEventType.END_OF_SPEECH:
                call.speech(UserSpeechStopped(at_ms=call.now_ms), "host")
                self._over_agent = False
            case _:
                if self._onset is not None:
                    self._onset.scored(event.probability, self._window_ms(event))
                # Until the speech is over, not just until it is decided: its duration goes on
                # growing in the silence behind it, and would interrupt then.
                over_agent = call.agent_has_floor or call.locked
                self._over_agent = self._over_agent or (over_agent and event.speaking)
                if call.in_charge and (over_agent or self._over_agent):
                    return dataclasses.replace(event, speech_duration=0.0, speaking=False)
        return event

    def hears_no_more(self) -> None:
        """The detection has ended, or has failed: nobody would tell that the caller stops."""
        if self._call.user_speaks:
            self._call.speech(UserSpeechStopped(at_ms=self._call.now_ms), "host")
        if self._onset is not None:
            self._onset.reset()
        self._over_agent = False

    def guarded(self, act: Callable[..., None], *args: object) -> None:
        """Run something of ours, which must not end the session's detection if it fails."""
        self._call.guarded("ear", act, *args)

    def report(self, error: Exception) -> None:
        """Something of ours has failed, and the session hears for itself."""
        self._call.report("ear", error)

    def _window_ms(self, event: vad.VADEvent) -> float:
        lasts_s = sum(frame.duration for frame in event.frames)
        return lasts_s * 1000 or 32.0

    def _obey(self, decision: Decision) -> None:
        if isinstance(decision, YieldFloor) and not self._call.locked:
            self._over_agent = False


def pcm_of_first_channel(pcm: bytes, channels: int) -> bytes:
    """16-bit audio of one channel out of several."""
    return b"".join(pcm[at : at + 2] for at in range(0, len(pcm), 2 * channels))


class BargeinVAD(vad.VAD):
    """A VAD of the application's, with the floor listening to it."""

    def __init__(self, ear: CallerEar, inner: vad.VAD) -> None:
        """Wrap a VAD. `Bargein.vad` does it for you."""
        super().__init__(capabilities=inner.capabilities)
        self.ear = ear
        self.inner = inner
        self.foreign = False
        """True in a session that is not ours."""
        inner.on("metrics_collected", self._on_metrics)

    @property
    def model(self) -> str:
        """The wrapped one's."""
        return self.inner.model

    @property
    def provider(self) -> str:
        """The wrapped one's."""
        return self.inner.provider

    def __getattr__(self, name: str) -> Any:
        # Streaming turn detectors look at settings such as `min_silence_duration`.
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    def stream(self) -> vad.VADStream:
        """Begin to listen."""
        return _Stream(self)

    def _on_metrics(self, *args: Any) -> None:
        self.emit("metrics_collected", *args)


class _Stream(vad.VADStream):
    def __init__(self, ours: BargeinVAD) -> None:
        self._ours, self._ear, self._inner = ours, ours.ear, ours.inner
        super().__init__(ours)

    async def _metrics_monitor_task(self, event_aiter: AsyncIterable[vad.VADEvent]) -> None:
        async for _ in event_aiter:
            pass  # the wrapped one tells

    async def _main_task(self) -> None:
        inner = self._inner.stream()

        async def forward() -> None:
            async for frame in self._input_ch:
                if isinstance(frame, rtc.AudioFrame):
                    if self._ours.foreign:
                        inner.push_frame(frame)
                        continue
                    inner.push_frame(self._ear.caller(frame))
                    self._ear.guarded(self._ear.sound, frame)
                else:
                    # The recogniser has ended the turn. A detection that is behind forgets the
                    # speech it is in, and nobody would tell that the caller has stopped.
                    inner.flush()
                    if not self._ours.foreign:
                        self._ear.guarded(self._ear.hears_no_more)
            inner.end_input()

        forwarding = asyncio.create_task(forward())
        try:
            async for event in inner:
                self._event_ch.send_nowait(event if self._ours.foreign else self._told(event))
        finally:
            if not self._ours.foreign:
                self._ear.guarded(self._ear.hears_no_more)
            await utils.aio.cancel_and_wait(forwarding)
            await inner.aclose()

    def _told(self, event: vad.VADEvent) -> vad.VADEvent:
        try:
            return self._ear.told(event)
        except Exception as error:
            self._ear.report(error)
            return event

"""What is the least that wrapping a session's parts can cost? These do nothing but pass on."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from livekit import rtc
from livekit.agents import AgentSession, stt, utils, vad
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS
from livekit.agents.voice import io


class PassVAD(vad.VAD):
    """A VAD behind another."""

    def __init__(self, inner: vad.VAD) -> None:
        """Wrap one."""
        super().__init__(capabilities=inner.capabilities)
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    def stream(self) -> vad.VADStream:
        """Begin to listen."""
        return _Listening(self)


class _Listening(vad.VADStream):
    def __init__(self, outer: PassVAD) -> None:
        self._inner = outer.inner
        super().__init__(outer)

    async def _main_task(self) -> None:
        inner = self._inner.stream()

        async def forward() -> None:
            async for frame in self._input_ch:
                if isinstance(frame, rtc.AudioFrame):
                    inner.push_frame(frame)
                else:
                    inner.flush()
            inner.end_input()

        forwarding = asyncio.create_task(forward())
        try:
            async for event in inner:
                self._event_ch.send_nowait(event)
        finally:
            await utils.aio.cancel_and_wait(forwarding)
            await inner.aclose()


class PassSTT(stt.STT[Any]):
    """An STT behind another."""

    def __init__(self, inner: stt.STT[Any]) -> None:
        """Wrap one."""
        super().__init__(capabilities=inner.capabilities)
        self.inner = inner

    def stream(self, **options: Any) -> stt.RecognizeStream:
        """Begin to listen."""
        conn_options = options.get("conn_options", DEFAULT_API_CONNECT_OPTIONS)
        return _Recognising(stt=self, conn_options=conn_options)

    async def _recognize_impl(self, *args: Any, **options: Any) -> stt.SpeechEvent:
        return await self.inner.recognize(*args, **options)


class _Recognising(stt.RecognizeStream):
    async def _run(self) -> None:
        outer = self._stt
        assert isinstance(outer, PassSTT)
        inner = outer.inner.stream(conn_options=self._conn_options)

        async def forward() -> None:
            async for frame in self._input_ch:
                if isinstance(frame, rtc.AudioFrame):
                    inner.push_frame(frame)
                else:
                    inner.flush()
            with contextlib.suppress(RuntimeError):
                inner.end_input()

        forwarding = asyncio.create_task(forward())
        try:
            async for event in inner:
                self._event_ch.send_nowait(event)
        finally:
            await utils.aio.cancel_and_wait(forwarding)
            await inner.aclose()


class PassOutput(io.AudioOutput):
    """An output before another."""

    def __init__(self, leaf: io.AudioOutput) -> None:
        """Wrap the one that plays."""
        super().__init__(
            label="passing",
            next_in_chain=leaf,
            sample_rate=leaf.sample_rate,
            capabilities=io.AudioOutputCapabilities(pause=True),
        )

    @classmethod
    def place(cls, session: AgentSession[Any]) -> None:
        """Put one at the end of a session's chain."""
        leaf = session.output.audio
        assert leaf is not None
        while leaf.next_in_chain is not None:
            leaf = leaf.next_in_chain
        session.output.replace_audio_tail(cls(leaf))

    @property
    def _below(self) -> io.AudioOutput:
        # Not the one it was given: LiveKit puts a proxy in between, which counts what it plays.
        below = self.next_in_chain
        assert below is not None
        return below

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Pass it on."""
        await super().capture_frame(frame)
        await self._below.capture_frame(frame)

    def flush(self) -> None:
        """Pass it on."""
        super().flush()
        self._below.flush()

    def clear_buffer(self) -> None:
        """Pass it on."""
        self._below.clear_buffer()

"""Which recogniser hears the caller? The application's, with the floor in between."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, Callable
from typing import Any

from livekit import rtc
from livekit.agents import stt, utils, vad
from livekit.agents.types import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    NotGivenOr,
)

from bargein.manners import BargeinError

from .words import CallerWords


class BargeinSTT(stt.STT[Any]):
    """An STT of the application's, whose words wait here while the agent has the floor."""

    def __init__(
        self, words: CallerWords, inner: stt.STT[Any], *, voice: Callable[[], vad.VAD | None]
    ) -> None:
        """Wrap an STT. `Bargein.stt` does it for you.

        Args:
            words: what decides about them.
            inner: the recogniser.
            voice: cuts the audio into utterances for a recogniser that does not stream.
        """
        capabilities = inner.capabilities
        if not capabilities.streaming:
            capabilities = stt.STTCapabilities(streaming=True, interim_results=False)
        super().__init__(capabilities=capabilities)
        self._recognize_metrics_needed = False
        self.words = words
        self.inner = inner
        self.foreign = False
        """True in a session that is not ours: its caller's words are nobody else's business."""
        self._voice = voice
        inner.on("metrics_collected", self._on_metrics)
        inner.on("error", self._on_error)

    @property
    def model(self) -> str:
        """The wrapped one's."""
        return self.inner.model

    @property
    def provider(self) -> str:
        """The wrapped one's."""
        return self.inner.provider

    def prewarm(self) -> None:
        """Get ready."""
        self.inner.prewarm()

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> stt.RecognizeStream:
        """Begin to listen.

        Raises:
            BargeinError: a recogniser that does not stream, and nothing to cut its audio.
        """
        inner = self.inner
        if not inner.capabilities.streaming:
            cutter = self._voice()
            if cutter is None:
                raise BargeinError(
                    f"{inner.label} does not stream, so its audio must be cut into utterances: give"
                    " the session a VAD, as in vad=manners.vad(silero.VAD.load())"
                )
            inner = stt.StreamAdapter(stt=inner, vad=cutter)
        return _Stream(self, inner, language=language, conn_options=conn_options)

    async def aclose(self) -> None:
        """Stop listening to the wrapped one's events; closing it is its owner's."""
        self.inner.off("metrics_collected", self._on_metrics)
        self.inner.off("error", self._on_error)

    async def _recognize_impl(
        self,
        buffer: utils.AudioBuffer,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> stt.SpeechEvent:
        return await self.inner.recognize(buffer, language=language, conn_options=conn_options)

    def _update_session_keyterms(self, keyterms: list[str]) -> None:
        self.inner._update_session_keyterms(keyterms)

    def _push_conversation_item(self, item: Any) -> None:
        self.inner._push_conversation_item(item)

    def _on_error(self, _: object) -> None:
        if not self.foreign:
            self.words.failed()

    def _on_metrics(self, *args: Any) -> None:
        self.emit("metrics_collected", *args)


class _Stream(stt.RecognizeStream):
    def __init__(
        self,
        ours: BargeinSTT,
        inner: stt.STT[Any],
        *,
        language: NotGivenOr[str],
        conn_options: APIConnectOptions,
    ) -> None:
        self._ours, self._inner, self._language = ours, inner, language
        super().__init__(stt=ours, conn_options=conn_options)

    async def _metrics_monitor_task(self, event_aiter: AsyncIterable[stt.SpeechEvent]) -> None:
        async for event in event_aiter:  # the wrapped one tells
            if event.type == stt.SpeechEventType.FINAL_TRANSCRIPT:
                self._num_retries = 0

    async def _run(self) -> None:
        inner = self._inner.stream(language=self._language, conn_options=self._conn_options)

        async def forward() -> None:
            async for frame in self._input_ch:
                if isinstance(frame, rtc.AudioFrame):
                    inner.push_frame(frame)
                else:
                    inner.flush()
            with contextlib.suppress(RuntimeError):
                inner.end_input()

        forwarding = asyncio.create_task(forward())
        ours = not self._ours.foreign
        if ours:
            self._ours.words.listened_to_by(self._tell)
        try:
            async for event in inner:
                if ours and not self._ours.foreign:
                    self._ours.words.heard(event)
                else:
                    self._tell(event)
        finally:
            if ours:
                self._ours.words.hears_no_more()
                self._ours.words.not_listened_to_by(self._tell)
            await utils.aio.cancel_and_wait(forwarding)
            await inner.aclose()

    def _tell(self, event: stt.SpeechEvent) -> None:
        if not self._event_ch.closed:
            self._event_ch.send_nowait(event)

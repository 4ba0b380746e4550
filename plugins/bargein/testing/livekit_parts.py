"""What does a LiveKit session need to run without a server or a cloud? Scripted models, and a
room's own output."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from livekit import rtc
from livekit.agents import Agent, AgentSession, LanguageCode, llm, stt, tts, utils, vad
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, TimedString
from livekit.agents.voice import io
from livekit.agents.voice.room_io._output import _ParticipantAudioOutput
from livekit.agents.voice.transcription.synchronizer import TranscriptSynchronizer

from bargein.livekit import Bargein

from .livekit_source import VirtualSource
from .tones import PCM, Voice, metronome
from .virtual_time import VirtualTimeLoop

EAR_RATE, VOICE_RATE = 16_000, 24_000
QUEUE_MS = 200
"""How much a room's output queues."""
_WINDOW = 512


class Microphone(io.AudioInput):
    """A caller's line: silence, or what is played into it, in frames of 20 ms."""

    def __init__(self) -> None:
        """Make a silent one."""
        super().__init__(label="microphone")
        self._due_s = 0.0
        self._waiting = np.zeros(0, np.int16)

    def play(self, pcm: PCM) -> float:
        """Let the caller be heard with this, at 16 kHz; from when, on ``time.monotonic``."""
        begins_s = max(self._due_s, time.monotonic() - 0.02) + len(self._waiting) / EAR_RATE
        self._waiting = np.concatenate([self._waiting, pcm])
        return begins_s

    async def __anext__(self) -> rtc.AudioFrame:
        """The next 20 ms, when they have passed."""
        now_s = time.monotonic()
        self._due_s = max(self._due_s + 0.02, now_s - 0.2)
        await asyncio.sleep(max(0.0, self._due_s - now_s))
        size = EAR_RATE // 50
        piece, self._waiting = self._waiting[:size], self._waiting[size:]
        pcm = np.zeros(size, np.int16)
        pcm[: len(piece)] = piece
        return rtc.AudioFrame(pcm.tobytes(), EAR_RATE, 1, size)


class ScriptedVAD(vad.VAD):
    """Hears what it is told to hear, at once, and has an opinion every 32 ms like Silero."""

    def __init__(self) -> None:
        """Make one that hears silence."""
        super().__init__(capabilities=vad.VADCapabilities(update_interval=0.032))
        self.min_silence_duration = 0.25
        self.speaking = False
        self._streams: list[_Hearing] = []

    def speaks(self, speaking: bool) -> None:
        """The caller begins or stops."""
        if speaking is self.speaking:
            return
        self.speaking = speaking
        for stream in self._streams:
            stream.turned(speaking)

    def stream(self) -> vad.VADStream:
        """Begin to listen."""
        stream = _Hearing(self)
        self._streams.append(stream)
        return stream


class _Hearing(vad.VADStream):
    def __init__(self, ours: ScriptedVAD) -> None:
        self._ours = ours
        self._samples = 0
        self._speech_s = self._silence_s = 0.0
        self._frames: list[rtc.AudioFrame] = []
        super().__init__(ours)

    def turned(self, speaking: bool) -> None:
        if self._event_ch.closed:
            return
        self._silence_s = 0.0
        kind = vad.VADEventType.START_OF_SPEECH if speaking else vad.VADEventType.END_OF_SPEECH
        frames, self._frames = self._frames, []
        self._send(kind, frames=frames)
        self._speech_s = 0.0

    def _send(self, kind: vad.VADEventType, **options: Any) -> None:
        event = vad.VADEvent(
            type=kind,
            samples_index=self._samples,
            timestamp=self._samples / EAR_RATE,
            speech_duration=self._speech_s,
            silence_duration=self._silence_s,
            speaking=self._ours.speaking,
            **options,
        )
        self._event_ch.send_nowait(event)

    async def _main_task(self) -> None:
        window_s, waiting = _WINDOW / EAR_RATE, 0
        async for frame in self._input_ch:
            if not isinstance(frame, rtc.AudioFrame):
                self._ours.speaking, self._frames = False, []  # a flush forgets, and tells nobody
                continue
            waiting += frame.samples_per_channel
            if self._ours.speaking:
                self._frames.append(frame)
            while waiting >= _WINDOW:
                waiting -= _WINDOW
                self._samples += _WINDOW
                speaks = self._ours.speaking
                if speaks:
                    self._speech_s, self._silence_s = self._speech_s + window_s, 0.0
                else:
                    self._silence_s += window_s
                self._send(
                    vad.VADEventType.INFERENCE_DONE,
                    probability=1.0 if speaks else 0.0,
                    raw_accumulated_speech=self._speech_s if speaks else 0.0,
                    raw_accumulated_silence=self._silence_s,
                )


class ScriptedSTT(stt.STT[Any]):
    """Recognises what it is told to."""

    def __init__(self) -> None:
        """Make one that has heard nothing."""
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=True))
        self._streams: list[_Recognising] = []

    def hears(self, text: str, *, final: bool = True, language: str = "en") -> None:
        """The recogniser's next hypothesis."""
        kind = stt.SpeechEventType.FINAL_TRANSCRIPT
        if not final:
            kind = stt.SpeechEventType.INTERIM_TRANSCRIPT
        self.tells(kind, [stt.SpeechData(language=LanguageCode(language), text=text)])

    def tells(self, kind: stt.SpeechEventType, alternatives: Sequence[stt.SpeechData] = ()) -> None:
        """Any event of a recogniser's, such as the end of a turn."""
        for stream in self._streams:
            stream.tell(stt.SpeechEvent(type=kind, alternatives=list(alternatives)))

    def stream(self, **options: Any) -> stt.RecognizeStream:
        """Begin to listen."""
        conn_options = options.get("conn_options", DEFAULT_API_CONNECT_OPTIONS)
        stream = _Recognising(stt=self, conn_options=conn_options)
        self._streams.append(stream)
        return stream

    async def _recognize_impl(self, *_: Any, **__: Any) -> stt.SpeechEvent:
        raise NotImplementedError


class _Recognising(stt.RecognizeStream):
    def tell(self, event: stt.SpeechEvent) -> None:
        if not self._event_ch.closed:
            self._event_ch.send_nowait(event)

    async def _run(self) -> None:
        async for _ in self._input_ch:
            pass


@dataclass(frozen=True, slots=True)
class Call:
    """A function call that the LLM makes."""

    name: str
    arguments: str = "{}"


Part: TypeAlias = str | Call | asyncio.Event
"""A text, a function call, or a pause until something has happened."""
Reply: TypeAlias = Callable[[llm.ChatContext], Sequence[Part]]
"""Makes a reply from the context; an empty one says nothing."""


class ScriptedLLM(llm.LLM[Any]):
    """Answers the n-th run with the n-th reply, word by word, and keeps what it was shown."""

    def __init__(
        self,
        replies: Sequence[str | Sequence[Part]] | Reply = (),
        *,
        first_token_s: float = 0.1,
        token_s: float = 0.005,
    ) -> None:
        """Make the model; after its last reply it says nothing."""
        super().__init__()
        self._replies = replies
        self._next: deque[Sequence[Part]] = deque()
        self.first_token_s, self.token_s = first_token_s, token_s
        self.runs: list[llm.ChatContext] = []
        """What each run was shown."""

    def chat(
        self, *, chat_ctx: llm.ChatContext, tools: list[Any] | None = None, **options: Any
    ) -> llm.LLMStream:
        """Answer a context."""
        self.runs.append(chat_ctx.copy())
        conn_options = options.get("conn_options", DEFAULT_API_CONNECT_OPTIONS)
        return _Answer(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)

    def replies_next(self, *parts: Part) -> None:
        """Let the next run say this."""
        self._next.append(parts)

    def reply(self, chat_ctx: llm.ChatContext) -> Sequence[Part]:
        """The newest run's."""
        if self._next:
            return self._next.popleft()
        if callable(self._replies):
            return self._replies(chat_ctx)
        place = len(self.runs) - 1
        parts = self._replies[place] if place < len(self._replies) else ()
        return (parts,) if isinstance(parts, str) else parts


class _Answer(llm.LLMStream):
    async def _run(self) -> None:
        model = self._llm
        assert isinstance(model, ScriptedLLM)
        parts = model.reply(self._chat_ctx)
        if parts:
            await asyncio.sleep(model.first_token_s)
        for part in parts:
            match part:
                case asyncio.Event():
                    await part.wait()
                case Call():
                    tool = llm.FunctionToolCall(
                        name=part.name, arguments=part.arguments, call_id=utils.shortuuid("call_")
                    )
                    self._send(llm.ChoiceDelta(role="assistant", tool_calls=[tool]))
                case _:
                    for word in re.findall(r"\s*\S+\s?", part):
                        self._send(llm.ChoiceDelta(role="assistant", content=word))
                        await asyncio.sleep(model.token_s)

    def _send(self, delta: llm.ChoiceDelta) -> None:
        self._event_ch.send_nowait(llm.ChatChunk(id="scripted", delta=delta))


class ScriptedTTS(tts.TTS[Any]):
    """Speaks with a `Voice`, ten times faster than the ear, as cloud services do."""

    def __init__(
        self,
        voice: Voice = metronome,
        *,
        word_times: bool = True,
        rate: int = VOICE_RATE,
        speed: float = 10.0,
        late_s: float = 0.0,
        whole_sentences: bool = False,
    ) -> None:
        """Make the service; its first sound comes ``late_s`` after the first text.

        A voice with an intonation wants ``whole_sentences``; else it is given word by word.
        """
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=True, aligned_transcript=word_times),
            sample_rate=rate,
            num_channels=1,
        )
        self.voice, self.word_times, self.speed, self.late_s = voice, word_times, speed, late_s
        self.whole_sentences = whole_sentences
        self.samples = 0
        """How many samples of speech were made."""
        self.fails_after: int | None = None
        """After so many words it fails."""

    def synthesize(self, text: str, **options: Any) -> tts.ChunkedStream:
        """Speak a text."""
        conn_options = options.get("conn_options", DEFAULT_API_CONNECT_OPTIONS)
        return self._synthesize_with_stream(text, conn_options=conn_options)

    def stream(self, **options: Any) -> tts.SynthesizeStream:
        """Speak a text as it comes."""
        conn_options = options.get("conn_options", DEFAULT_API_CONNECT_OPTIONS)
        return _Speaking(tts=self, conn_options=conn_options)


class _Speaking(tts.SynthesizeStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        ours = self._tts
        assert isinstance(ours, ScriptedTTS)
        output_emitter.initialize(
            request_id=utils.shortuuid(),
            sample_rate=ours.sample_rate,
            num_channels=1,
            mime_type="audio/pcm",
            stream=True,
        )
        whole, sure = _SENTENCES if ours.whole_sentences else _WORDS
        text, at_s, begun = "", 0.0, False
        async for piece in self._input_ch:
            flushed = not isinstance(piece, str)
            text += piece if isinstance(piece, str) else ""
            found = re.findall(whole if flushed else sure, text)
            text = text[len("".join(found)) :]
            for one in found:
                if not begun:
                    begun = True
                    self._mark_started()
                    await asyncio.sleep(ours.late_s)
                    output_emitter.start_segment(segment_id=utils.shortuuid())
                at_s += await self._say(output_emitter, one.strip(), at_s)
        rest = text.strip()
        if begun and rest:
            await self._say(output_emitter, rest, at_s)
        if begun:
            output_emitter.end_segment()

    async def _say(self, emitter: tts.AudioEmitter, text: str, at_s: float) -> float:
        ours = self._tts
        assert isinstance(ours, ScriptedTTS)
        if ours.fails_after is not None:
            if ours.fails_after == 0:
                raise RuntimeError("the service has failed")
            ours.fails_after -= 1
        pcm, words = ours.voice(text, ours.sample_rate)
        lasts_s = len(pcm) / ours.sample_rate
        ours.samples += len(pcm)
        if ours.word_times:
            ends = [*(from_s for _, from_s in words[1:]), lasts_s][: len(words)]
            for (word, from_s), until_s in zip(words, ends, strict=True):
                timed = TimedString(word + " ", start_time=at_s + from_s, end_time=at_s + until_s)
                emitter.push_timed_transcript(timed)
        emitter.push(pcm.tobytes())
        emitter.flush()
        await asyncio.sleep(lasts_s / ours.speed)
        return lasts_s


_WORDS = (r"\s*\S+\s*", r"\s*\S+\s+")
_SENTENCES = (r"[^.?!]*[.?!]+\s*|[^.?!]+$", r"[^.?!]*[.?!]+\s+")
"""A piece of text that is over: when all of it is there, and while there may be more."""


class Shown(io.TextOutput):
    """Where a room's transcript would go."""

    def __init__(self) -> None:
        """Make one that nobody reads."""
        super().__init__(label="transcript", next_in_chain=None)

    async def capture_text(self, text: str) -> None:
        """Show a piece."""

    def flush(self) -> None:
        """It is complete."""


@dataclass(slots=True)
class Recording:
    """What came out of the loudspeaker, 10 ms at a time."""

    chunks: list[PCM] = field(default_factory=list)
    from_s: float = 0.0
    """When the first sample was heard, on ``time.monotonic``."""
    _samples: int = 0

    def take(self, pcm: PCM) -> None:
        """Keep the next piece."""
        self._samples += len(pcm)
        from_s = time.monotonic() - self._samples / VOICE_RATE
        # A piece may be read late, never early: where the loop was busy at first, the first piece
        # would date all the others late.
        self.from_s = min(self.from_s, from_s) if self.chunks else from_s
        self.chunks.append(pcm)

    @property
    def pcm(self) -> PCM:
        """All of it."""
        return np.concatenate(self.chunks) if self.chunks else np.zeros(0, np.int16)

    def heard(self, *, threshold: int = 60, apart_s: float = 0.15) -> list[tuple[float, float]]:
        """The stretches in which something was audible: (from, to), on ``time.monotonic``."""
        loud = np.flatnonzero(np.abs(self.pcm.astype(np.int32)) > threshold) / VOICE_RATE
        runs: list[tuple[float, float]] = []
        for at_s in loud + self.from_s:
            if runs and at_s - runs[-1][1] < apart_s:
                runs[-1] = (runs[-1][0], float(at_s))
            else:
                runs.append((float(at_s), float(at_s)))
        return runs


class RoomOutput:
    """The room's own output on its own native source; the track is tapped, not published."""

    def __init__(self) -> None:
        """Open it, inside a running loop."""
        self.recording = Recording()
        options = rtc.TrackPublishOptions()
        no_room: Any = None
        self.sink = _ParticipantAudioOutput(
            no_room, sample_rate=VOICE_RATE, num_channels=1, track_publish_options=options
        )
        self._reading: asyncio.Future[None] | None = None
        if isinstance(asyncio.get_running_loop(), VirtualTimeLoop):
            self.sink._audio_source = VirtualSource(VOICE_RATE, QUEUE_MS, self.recording.take)
        else:
            source = self.sink._audio_source
            track = rtc.LocalAudioTrack.create_audio_track("agent", source)
            tap = rtc.AudioStream(track, sample_rate=VOICE_RATE, num_channels=1, frame_size_ms=10)
            self._reading = asyncio.ensure_future(self._read(tap))
        self.sink._subscribed_fut.set_result(None)  # as if somebody listened
        self.sink._forwarding_task = asyncio.create_task(self.sink._forward_audio())

    async def close(self) -> None:
        """Close it, or the native side complains at exit."""
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
        await self.sink.aclose()

    async def _read(self, tap: rtc.AudioStream) -> None:
        try:
            async for event in tap:
                self.recording.take(np.frombuffer(event.frame.data, np.int16).copy())
        finally:
            await tap.aclose()


class Studio:
    """A session of scripted models, on a line that nobody else hears."""

    def __init__(
        self,
        manners: Bargein,
        *,
        replies: Sequence[str | Sequence[Part]] | Reply = (),
        tts: ScriptedTTS | None = None,
        synchronized: bool = True,
        session: Callable[[Bargein, dict[str, Any]], AgentSession[Any]] | None = None,
        **options: Any,
    ) -> None:
        """Prepare a session, inside a running loop.

        Args:
            manners: whose session it is.
            replies: what the LLM says.
            tts: another voice.
            synchronized: whether LiveKit paces the transcript with the voice, as in a room.
            session: makes it, instead of `Bargein.session`.
            **options: for the session.
        """
        self.manners = manners
        self.microphone = Microphone()
        self.vad, self.stt = ScriptedVAD(), ScriptedSTT()
        self.llm = ScriptedLLM(replies)
        self.tts = tts or ScriptedTTS()
        self.room = RoomOutput()
        self._sync: TranscriptSynchronizer | None = None
        made = {
            "stt": self.stt,
            "vad": self.vad,
            "llm": self.llm,
            "tts": self.tts,
            "user_away_timeout": None,
            "session_close_transcript_timeout": 0.05,
            "turn_handling": {
                "turn_detection": "vad",
                "endpointing": {"min_delay": 0.25, "max_delay": 0.5},
            },
            **options,
        }
        self.session = session(manners, made) if session else manners.session(**made)
        self.session.input.audio = self.microphone
        if synchronized:
            self._sync = TranscriptSynchronizer(
                next_in_chain_audio=self.room.sink, next_in_chain_text=Shown()
            )
            self.session.output.audio = self._sync.audio_output
            self.session.output.transcription = self._sync.text_output
        else:
            self.session.output.audio = self.room.sink

    async def start(self, agent: Agent | None = None) -> None:
        """Begin the call."""
        await self.session.start(agent or Agent(instructions="Be brief."))

    async def end(self, *, drain: bool = True) -> None:
        """End the call: as an application does, or as a caller who hangs up."""
        if drain:
            await self.session.drain()
        await self.session.aclose()
        await self.manners.aclose()

    async def close(self) -> None:
        """Put everything away."""
        if self._sync is not None:
            await self._sync.aclose()
        await self.room.close()

    def said(self, who: str) -> list[str]:
        """What the history says that somebody said."""
        items = self.session.history.items
        found = [one for one in items if isinstance(one, llm.ChatMessage) and one.role == who]
        return [one.text_content or "" for one in found]


__all__ = [
    "Call",
    "Microphone",
    "Part",
    "Recording",
    "Reply",
    "RoomOutput",
    "ScriptedLLM",
    "ScriptedSTT",
    "ScriptedTTS",
    "ScriptedVAD",
    "Shown",
    "Studio",
    "metronome",
]

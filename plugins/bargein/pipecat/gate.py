"""Where does the agent's voice wait? TTS -> **here** -> transport.output()."""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import Callable
from typing import Any

from pipecat.frames.frames import (
    AggregatedTextFrame,
    CancelFrame,
    EndFrame,
    Frame,
    HeartbeatFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputImageRawFrame,
    SpriteFrame,
    StartFrame,
    SystemFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from bargein.again import again
from bargein.core.decisions import (
    Decision,
    DuckPlayout,
    PausePlayout,
    ResumePlayout,
    StopAt,
    YieldFloor,
)
from bargein.core.events import PlayoutWorded
from bargein.core.playout import MS_PER_CHARACTER
from bargein.core.spread import joined, spread
from bargein.playback import AudioOut, CutOut, MarkOut, Out, Playback, WordOut

from .call import PipecatCall
from .frames import FloorMovedFrame
from .messages import HOST_MARKS
from .pace import Pace

_STRAIGHT_THROUGH = (OutputImageRawFrame, SpriteFrame, HeartbeatFrame)
"""Frames that have no place in a queue of sound."""

_UNCONFIRMED_S = 0.5
_SPURT_MS = 1_000
"""After so much silence the transport has written all that it was given."""
_SEGMENT_MS = 50
"""A sentence sounds for longer than that."""

_CONTEXTS = 8
"""How many contexts' word times are remembered: the one that sounds and those queued behind it."""


class InterruptionGate(FrameProcessor):
    """The pacer: keeps the voice here and lets it out just ahead of the ear.

    So a duck is heard at once, a hold within a chunk, a resume goes on at the exact sample, and a
    yield ends at the end of a word. Word frames leave when their word begins to sound.
    """

    def __init__(
        self, call: PipecatCall, *, voice: Callable[[], Playback[Frame]] = Playback, **kwargs: Any
    ) -> None:
        """Make the gate of a call. `Bargein` does it for you.

        Args:
            call: the call whose decisions it obeys.
            voice: makes the playback of each ``transport_destination``.
            **kwargs: for `FrameProcessor`.
        """
        super().__init__(**kwargs)
        self._bargein_call = call
        self._new_voice = voice
        self._voices: dict[str | None, Playback[Frame]] = {}
        self._cutting: set[str | None] = set()
        self._withheld: InterruptionFrame | None = None
        self._ending = 0  # destinations that have still to play out before the call ends
        self._timing: dict[str, _Timing] = {}
        self._last_pts = 0
        self._protected_pts = 0
        self._last_stream = ""
        self._awake = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        self._releasing: asyncio.Task[None] | None = None
        call.has_gate = True
        call.decided.append(self._obey)
        call.voice_paused = lambda: self._paused
        call.voice_queued = lambda: any(voice.queued for voice in self._voices.values())
        call.speech_queued = lambda: any(v.speech_queued for v in self._voices.values())
        call.only_locked = self._only_locked
        call.voice_left_ms = self._left_ms
        call.voice_played_ms = self._played_ms
        call.audio_written = self._written
        call.voice_unwritten_ms = lambda: max(self._unwritten_ms.values(), default=0.0)
        self._paused = False
        self._unwritten_ms: dict[str | None, float] = {}  # let out, and still in the transport
        self._let_out_at_ms = 0.0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Queue what is heard; let everything else pass in order."""
        await super().process_frame(frame, direction)
        if direction is not FrameDirection.DOWNSTREAM:
            await self.push_frame(frame, direction)
        elif isinstance(frame, FloorMovedFrame):
            pass  # it has reached everybody it was meant for
        elif isinstance(frame, InterruptionFrame):
            await self._interrupted(frame)
        elif isinstance(frame, StartFrame):
            await self.push_frame(frame)
            self._lets_out()
        elif isinstance(frame, CancelFrame):
            for voice in self._voices.values():
                voice.drop()
            await self.push_frame(frame)
        elif isinstance(frame, (SystemFrame, *_STRAIGHT_THROUGH)):
            await self.push_frame(frame)
        elif isinstance(frame, EndFrame):
            await self._end(frame)
        else:
            await self._queued(frame)

    async def cleanup(self) -> None:
        """Stop letting audio out."""
        if self._alarm is not None:
            self._alarm.cancel()
        releasing, self._releasing = self._releasing, None
        try:
            if releasing is not None:
                await self.cancel_task(releasing)
        finally:
            await super().cleanup()  # type: ignore[no-untyped-call]

    # --- what comes in ---

    async def _queued(self, frame: Frame) -> None:
        call = self._bargein_call
        own_stream = getattr(frame, "context_id", None)
        self._announced(frame)
        if isinstance(frame, TTSStartedFrame) and own_stream:
            self._time(own_stream).appends = frame.append_to_context
        if call.messages.is_dropped(own_stream):
            self._spoken_to(frame)
            return  # a message that was called off before it was made
        if own_stream and call.messages.of(own_stream) is not None:
            frame.interruptible = False  # the host marks no audio before 1.13
        voice = self._voice(frame.transport_destination)
        stream = own_stream or self._last_stream
        protected = not frame.interruptible
        if isinstance(frame, OutputAudioRawFrame):
            own = isinstance(frame, TTSAudioRawFrame)
            stream = stream if own else ""
            if own and voice.is_over(stream):
                # Pipecat takes a service that stalls for one that has finished.
                voice.put_mark(self._started_again(stream, frame), protected=protected)
            voice.put_audio(
                frame.audio,
                rate=frame.sample_rate,
                channels=frame.num_channels,
                stream=stream,
                like=frame,
                protected=protected,
            )
            if own:
                self._begun(stream, voice)
        elif isinstance(frame, TTSStoppedFrame):
            self._begun(stream, voice)
            voice.put_mark(frame, protected=protected, ends=stream)
            message_id = call.messages.of(stream)
            if message_id and (mark := call.mark(message_id)):
                mark.transport_destination = frame.transport_destination
                voice.put_mark(mark, protected=True)
        elif (frame.pts and self._timed(frame, stream, voice)) or (
            isinstance(frame, TTSTextFrame) and self._untimed(frame, voice)
        ):
            pass
        elif voice.idle:
            await self.push_frame(frame)
            return
        else:
            voice.put_mark(frame, protected=protected)
        self._awake.set()

    def _started_again(self, stream: str, audio: Frame) -> TTSStartedFrame:
        frame = TTSStartedFrame(context_id=stream)
        frame.append_to_context = self._time(stream).appends
        frame.transport_destination = audio.transport_destination
        frame.interruptible = audio.interruptible
        return frame

    async def _end(self, frame: EndFrame) -> None:
        """The call ends when everything that is queued has been let out, to every destination."""
        self._ending = len(self._voices)
        if not self._ending:
            await self.push_frame(frame)
        self._paused = False
        for voice in self._voices.values():
            voice.resume()  # nobody is left who could end the hold
            voice.put_mark(frame, protected=True)
        self._awake.set()

    def _announced(self, frame: Frame) -> None:
        """Remember what a message is going to say, as soon as its text is known."""
        if not isinstance(frame, AggregatedTextFrame) or isinstance(frame, TTSTextFrame):
            return
        stream = frame.context_id
        if stream is None or getattr(frame, "skip_tts", False):
            return
        self._bargein_call.messages.announced(stream, frame.text, protected=not frame.interruptible)
        timing = self._time(stream)
        timing.segments.append(self._voice(frame.transport_destination).received_ms(stream))
        added = self._bargein_call.add_script(stream, frame.text)
        if self._bargein_call.speaking_stream == stream:
            self._bargein_call.feed(PlayoutWorded(at_ms=self._bargein_call.now_ms, text=added))

    def _timed(self, frame: Frame, stream: str, voice: Playback[Frame]) -> bool:
        """Pipecat times a word by the clock of when it was pushed; here it is timed in its audio.

        False for a frame that belongs to no speech: it keeps its place in the queue instead.
        """
        assert frame.pts is not None
        timing = self._timing.get(stream)
        if timing is None:
            if getattr(frame, "context_id", None) is None:
                return False
            timing = self._time(stream)
        if timing.base_pts is None:
            timing.early.append(frame)
        else:
            if isinstance(frame, TTSTextFrame):
                # No word comes before its audio: the audio has been longer on its way here.
                timing.base_pts = min(timing.base_pts, frame.pts)
            self._put_word(frame, timing.base_pts, stream, voice)
        return True

    def _untimed(self, frame: TTSTextFrame, voice: Playback[Frame]) -> bool:
        """A whole sentence, from a service without word times: its words by their share of it.

        So the context has what was heard of a sentence that is cut, and not the whole or nothing.
        """
        stream = frame.context_id
        timing = self._timing.get(stream) if stream else None
        if stream is None or timing is None or not timing.segments:
            return False
        from_ms = max(timing.segments.popleft(), timing.spread_ms)
        to_ms = voice.received_ms(stream)
        if to_ms - from_ms < _SEGMENT_MS:
            to_ms = from_ms + len(frame.text) * MS_PER_CHARACTER  # the text came before its sound
        text = joined(timing.spread_ms > 0, frame.text)
        timing.spread_ms = to_ms
        for piece, at_ms in spread(text, from_ms, to_ms):
            word = copy.copy(frame)
            word.text, word.raw_text, word.includes_inter_frame_spaces = piece, None, True
            voice.put_word(
                word,
                text=piece.strip(),
                at_ms=at_ms,
                stream=stream,
                protected=not frame.interruptible,
            )
        return True

    def _time(self, stream: str) -> _Timing:
        timing = self._timing.get(stream)
        if timing is None:
            timing = self._timing[stream] = _Timing()
            while len(self._timing) > _CONTEXTS:
                self._timing.pop(next(iter(self._timing)))
        return timing

    def _begun(self, stream: str, voice: Playback[Frame]) -> None:
        self._last_stream = stream
        timing = self._time(stream)
        if timing.base_pts is not None:
            return
        # The host's own rule: word times count from when a context's audio began to be pushed, or
        # from the last word before it, whichever is later.
        early, timing.early = timing.early, []
        # An announced text has the time of the announcement, long before the service is heard.
        words = [frame.pts for frame in early if isinstance(frame, TTSTextFrame) and frame.pts]
        first = min(words, default=None)
        here = self.get_clock().get_time()
        # From 1.14 on it stamps the announcement with its own count, which an interruption under a
        # speech that nobody may interrupt does not reset.
        announced = early[0].pts if early and not isinstance(early[0], TTSTextFrame) else None
        last = announced if announced and announced > here else self._last_pts
        timing.base_pts = max(last, here if first is None else min(here, first))
        for frame in early:
            self._put_word(frame, timing.base_pts, stream, voice)

    def _put_word(self, frame: Frame, base_pts: int, stream: str, voice: Playback[Frame]) -> None:
        assert frame.pts is not None
        self._spoken_to(frame)
        at_ms = max(0.0, (frame.pts - base_pts) / 1e6)
        protected = not frame.interruptible
        if not isinstance(frame, TTSTextFrame):
            voice.put_word(frame, text="", at_ms=at_ms, stream=stream, protected=protected)
            return
        pace, text = self._time(stream).pace, frame.text
        if not pace.is_rest(text, at_ms):
            pace.word(text, at_ms)
        elif (text := pace.rest(text, voice.received_ms(stream))) != frame.text:
            if not text:
                return
            frame.text, frame.raw_text = text, None
        voice.put_word(frame, text=text, at_ms=at_ms, stream=stream, protected=protected)

    def _spoken_to(self, frame: Frame) -> None:
        """How far the host's own count of words has come."""
        if isinstance(frame, TTSTextFrame) and frame.pts:
            self._last_pts = max(self._last_pts, frame.pts)
            if not frame.interruptible:
                self._protected_pts = max(self._protected_pts, frame.pts)

    async def _interrupted(self, frame: InterruptionFrame) -> None:
        """The host interrupts. Is it our own yield, whose last word is still in the air?"""
        call = self._bargein_call
        for stream in [name for name in self._timing if call.messages.of(name) is None]:
            del self._timing[stream]
        # As the host does: next words follow those that no interruption stops.
        self._last_pts = self._protected_pts if HOST_MARKS else 0
        if self._cutting:
            # Everything upstream has stopped already. The transport would throw away the end of
            # the word, so it hears of the interruption when the word is out. What comes from now
            # on is of the time after it.
            self._withheld = frame
            for destination, voice in self._voices.items():
                if destination in self._cutting:
                    voice.cut()
                else:
                    voice.drop()
            return
        if self._only_locked():
            # Somebody else's interruption, and a message that must be heard is in the air.
            # Some transports would clear what they hold of it; the assistant aggregator would
            # close its turn, and what it hears then ends up in the next.
            for voice in self._voices.values():
                voice.drop()
            self._awake.set()
            return
        self._paused = False
        for voice in self._voices.values():
            voice.drop(cleared_at_ms=call.clock_ms())
        self._awake.set()
        self._unwritten_ms.clear()  # the transport drops it, too
        await self.push_frame(frame)

    def _only_locked(self) -> bool:
        call = self._bargein_call
        ordinary = any(voice.may_be_dropped for voice in self._voices.values())
        return (call.lock_sounds or (call.locked and not ordinary)) and not self._ending

    # --- what the floor wants ---

    def _obey(self, decision: Decision) -> None:
        if not self._bargein_call.in_charge or self._bargein_call.ending:
            return
        match decision:
            case DuckPlayout():
                for voice in self._voices.values():
                    voice.duck()
            case PausePlayout():
                self._paused = True
                for voice in self._voices.values():
                    voice.pause(decision.stop_at)
            case ResumePlayout():
                self._paused = False
                for voice in self._voices.values():
                    voice.resume()
            case YieldFloor():
                if decision.breaks_lock:
                    self._bargein_call.messages.call_off()
                self._cut(decision.stop_at, everything=decision.breaks_lock)
            case _:
                return
        self._awake.set()

    def _cut(self, stop_at: StopAt, *, everything: bool) -> None:
        self._paused = False
        for destination, voice in self._voices.items():
            if not voice.idle or voice.sounding:
                self._cutting.add(destination)
                voice.cut(stop_at, everything=everything)
        self._bargein_call.cutting = bool(self._cutting) or self._bargein_call.cutting

    # --- what goes out ---

    def _lets_out(self) -> None:
        self._releasing = self.create_task(self._release())
        self._releasing.add_done_callback(self._cancelled)

    def _cancelled(self, releasing: asyncio.Task[None]) -> None:
        """Without this task the call would never end."""
        if self._releasing is releasing:  # so it was not us
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm = again(self._lets_out)

    async def _release(self) -> None:
        """Let out what is due, then sleep until the next is."""
        loop = asyncio.get_running_loop()
        while True:
            self._awake.clear()
            now_ms = self._bargein_call.clock_ms()
            wakes: list[float] = []
            for destination in list(self._voices):
                for out in self._due(destination, now_ms):
                    await self._let_out(out, destination)
                if (wake_ms := self._voices[destination].wake_at(now_ms)) is not None:
                    wakes.append(wake_ms)
            if self._alarm is not None:
                self._alarm.cancel()
                self._alarm = None
            if wakes:
                in_s = max(0.0, min(wakes) - self._bargein_call.clock_ms()) / 1000
                self._alarm = loop.call_later(in_s, self._awake.set)
            await self._awake.wait()

    def _due(self, destination: str | None, now_ms: float) -> list[Out[Frame]]:
        voice = self._voices[destination]
        try:
            return voice.take(now_ms)
        except Exception as error:
            self._bargein_call.report("voice", error)
            # Nobody knows what state it is in. The transport paces what was waiting in it.
            fresh = self._voices[destination] = self._new_voice()
            if destination not in self._cutting:
                return fresh.take_over(voice)
            voice.drop()
            return [*fresh.take_over(voice), CutOut()]

    async def _let_out(self, out: Out[Frame], destination: str | None) -> None:
        match out:
            case AudioOut():
                frame = _audio_like(out)
                self._count(frame, destination)
                await self.push_frame(frame)
            case MarkOut(mark=EndFrame()):
                self._ending -= 1
                if not self._ending:
                    await self.push_frame(out.mark)
            case MarkOut():
                await self.push_frame(out.mark)
            case WordOut():
                out.word.pts = self.get_clock().get_time() or 1
                await self.push_frame(out.word)
            case CutOut():
                self._cutting.discard(destination)
                if self._cutting:
                    return
                withheld, self._withheld = self._withheld, None
                if withheld is not None:
                    self._unwritten_ms.clear()
                    await self.push_frame(withheld)
                # The ledger says when what was heard has been written down; should no interruption
                # ever reach it, the caller's words wait no longer than this.
                asyncio.get_running_loop().call_later(_UNCONFIRMED_S, self._bargein_call.cut_heard)

    def _count(self, frame: OutputAudioRawFrame, destination: str | None) -> None:
        now_ms = self._bargein_call.clock_ms()
        if now_ms - self._let_out_at_ms > _SPURT_MS:
            self._unwritten_ms.clear()  # what a resampler keeps for itself must not add up
        self._let_out_at_ms = now_ms
        before_ms = self._unwritten_ms.get(destination, 0.0)
        self._unwritten_ms[destination] = before_ms + _lasts_ms(frame)

    def _written(self, frame: OutputAudioRawFrame) -> None:
        """The transport has written this, and it begins to sound."""
        destination, ms = frame.transport_destination, _lasts_ms(frame)
        left_ms = max(0.0, self._unwritten_ms.get(destination, 0.0) - ms)
        voice = self._voices.get(destination)
        if voice is not None and destination in self._unwritten_ms:
            self._unwritten_ms[destination] = left_ms
            voice.sounds_until(self._bargein_call.clock_ms() + ms + left_ms)

    def _voice(self, destination: str | None) -> Playback[Frame]:
        voice = self._voices.get(destination)
        if voice is None:
            voice = self._voices[destination] = self._new_voice()
        return voice

    def _left_ms(self) -> float | None:
        left_ms = [voice.left_ms(self._bargein_call.clock_ms()) for voice in self._voices.values()]
        known = [ms for ms in left_ms if ms is not None]
        return max(known) if known and len(known) == len(left_ms) else None

    def _played_ms(self, stream: str) -> tuple[float, float | None]:
        now_ms = self._bargein_call.clock_ms()
        played = [voice.played_ms(stream, now_ms) for voice in self._voices.values()]
        return max(played, key=lambda one: one[0], default=(0.0, None))


class _Timing:
    """Where a context's word times count from, and the words that came before that was known."""

    def __init__(self) -> None:
        self.base_pts: int | None = None
        self.early: list[Frame] = []
        self.appends = True  # whether what is heard of it goes into the LLM's context
        self.pace = Pace()
        self.segments: deque[float] = deque(maxlen=64)
        """Where the audio of each sentence begins whose text has not come yet."""
        self.spread_ms = 0.0
        """How far the words of sentences without word times have been spread."""


def _lasts_ms(frame: OutputAudioRawFrame) -> float:
    return len(frame.audio) * 500 / (frame.sample_rate * frame.num_channels)


def _audio_like(out: AudioOut[Frame]) -> OutputAudioRawFrame:
    """A frame of the kind the audio came in, with only its samples changed."""
    like = out.like
    assert isinstance(like, OutputAudioRawFrame)
    if isinstance(like, TTSAudioRawFrame):
        frame: OutputAudioRawFrame = TTSAudioRawFrame(
            audio=out.pcm,
            sample_rate=out.rate,
            num_channels=out.channels,
            context_id=like.context_id,
        )
    else:
        frame = type(like)(audio=out.pcm, sample_rate=out.rate, num_channels=out.channels)
    frame.transport_destination = like.transport_destination
    frame.interruptible = like.interruptible
    frame.metadata = dict(like.metadata)
    return frame

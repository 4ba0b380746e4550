"""Where does the agent's voice wait? Here, at the end of the session's chain of outputs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias
from uuid import uuid4

from livekit import rtc
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT, TimedString
from livekit.agents.voice import io

from bargein.again import again
from bargein.core.decisions import (
    Decision,
    DuckPlayout,
    PausePlayout,
    ResumePlayout,
    StopAt,
    YieldFloor,
)
from bargein.core.playout import MS_PER_CHARACTER
from bargein.core.spread import spread
from bargein.microphone import Microphone
from bargein.playback import AudioOut, CutOut, MarkOut, Out, Playback, WordOut

from . import compat
from .call import LiveKitCall
from .ledger import Ledger, Source

SOURCE = "bargein.source"
"""Where a frame of ours says which `Source` it comes from."""
_NEXT_MS = 2_000
"""A text that is said next takes at least so long: what it is, LiveKit tells only then."""
_UNTIMED_MS = 120
"""Audio that is shorter holds no words to be told apart."""


_PLAYS_S = 10.0
"""A sink tells so long after the last of the sound, at the latest, that it has played it."""
_CLEARS_S = 2.0
"""And that it has thrown away what it had; LiveKit gives up a speech that takes five seconds."""


@dataclass(frozen=True, slots=True)
class _Word:
    """A word on its way to the ear."""

    text: str
    timed: bool


@dataclass(slots=True, eq=False)
class _Segment:
    """What the session regards as one playback: captured, flushed and waited for."""

    source: Source
    flushed: bool = False
    """Has the session handed in all of it?"""
    passed: bool = False
    """Has all of it been handed on?"""
    ended: bool = False
    """Has the sink below been told that it is over?"""
    sent: bool = False
    """Has the sink below been given any of it?"""
    lost: bool = False
    """Has the sink below failed to take a part of it?"""
    out_ms: float = 0.0
    """How much of the voice was let out, what was taken back left out."""
    whole_ms: float | None = None
    words_to_ms: float = 0.0
    """The onset of the newest word whose time is known."""
    base_ms: float = 0.0
    """What the times of words count from."""
    timed: bool = False
    rate: int = 0
    """Samples a second, of all channels."""


_Mark: TypeAlias = _Word | _Segment


class VoiceOutput(io.AudioOutput):
    """The pacer: keeps the voice and lets it out just ahead of the ear.

    So a duck is heard at once, a hold within a chunk, a resume goes on at the exact sample, and a
    yield ends at the end of a word.
    """

    def __init__(
        self,
        call: LiveKitCall,
        leaf: io.AudioOutput,
        *,
        voice: Callable[[], Playback[_Mark]],
        max_lock_ms: int,
        microphone: Microphone | None = None,
    ) -> None:
        """Wrap the sink that plays. `Bargein` does it for you.

        Args:
            call: the call whose decisions it obeys.
            leaf: what plays, such as the room's own output, or an avatar's.
            voice: makes the playback.
            max_lock_ms: a message that is locked for longer is warned of, once.
            microphone: told of what is let out, which may come back in it.
        """
        super().__init__(
            label="bargein",
            next_in_chain=leaf,
            capabilities=io.AudioOutputCapabilities(pause=True),
        )
        self._call = call
        self._microphone = microphone
        self._new_voice = voice
        self._voice = voice()
        self._unpaced = False
        self._ledger = Ledger(call, played_ms=self._played, max_lock_ms=max_lock_ms)
        self._segment: _Segment | None = None
        self._cutting = False
        self._host_paused = False
        self._awake = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        self._patience: asyncio.TimerHandle | None = None
        self.closed = False
        """Does another sink play now, or is the call over?"""
        self._lets_out()
        call.decided.append(self._obey)
        call.closing.append(self.close)
        call.voice_queued = lambda: self._segment is not None
        call.voice_left_ms = self._left_ms
        call.played_ms = self._message_played

    @property
    def can_pause(self) -> bool:
        """Yes: what is kept here can be, whatever plays it."""
        return True

    @property
    def sample_rate(self) -> int | None:
        """What plays it wants it so."""
        below = self.next_in_chain
        return below.sample_rate if below is not None else None

    def plays_on(self, sink: io.AudioOutput) -> bool:
        """Let another sink play from here on, be it in mid-word; False if it cannot take over."""
        proxy = self.next_in_chain
        if self.closed or not isinstance(proxy, compat.Proxy):
            return False
        if sink.next_in_chain is not None or sink.sample_rate not in (None, self.sample_rate):
            return False
        proxy.set_next_in_chain(sink)
        return True

    def close(self) -> None:
        """Let out no more: another sink has taken its place, or the call is over."""
        self.closed = True
        call = self._call
        for hooks, hook in ((call.decided, self._obey), (call.closing, self.close)):
            if hook in hooks:
                hooks.remove(hook)  # type: ignore[arg-type]
        self._releasing.cancel()
        for timer in (self._alarm, self._patience):
            if timer is not None:
                timer.cancel()
        segment = self._segment
        if segment is not None:
            played_s = self._played(segment.source.stream)[0] / 1000
            call.guarded("playout ledger", self._end, segment, False)
            if self._pending_playback_count:  # nobody else would end what is waited for
                super().on_playback_finished(
                    playback_position=played_s,
                    interrupted=True,
                    synchronized_transcript=call.heard_text,
                )
        self._ledger.close()
        if self._cutting:  # nothing comes out any more that would end it
            self._cutting = False
            call.cut_heard()

    # --- what the session hands in ---

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Keep a frame of the voice."""
        await super().capture_frame(frame)
        segment = self._segment
        if segment is None or segment.flushed:
            segment = self._segment = _Segment(frame.userdata.get(SOURCE) or self._unnamed())
        if self._cutting:
            return
        source: Source = frame.userdata.get(SOURCE) or segment.source
        segment.rate = frame.sample_rate * frame.num_channels
        self._times(segment, frame)
        self._voice.put_audio(
            bytes(frame.data),
            rate=frame.sample_rate,
            channels=frame.num_channels,
            stream=source.stream,
            like=segment,
        )
        self._awake.set()

    def flush(self) -> None:
        """All of this segment has been handed in."""
        super().flush()
        segment = self._segment
        if segment is None or segment.flushed:
            return
        segment.flushed = True
        segment.whole_ms = self._voice.received_ms(segment.source.stream)
        if self._cutting:
            return
        self._spread(segment)
        self._voice.put_mark(segment, ends=segment.source.stream)
        self._awake.set()

    def clear_buffer(self) -> None:
        """The session stops the speech. Where that is our own yield, a word is still finished."""
        segment = self._segment
        if segment is None or segment.ended or self._cutting:
            return
        if self._call.ending():
            self._call.hang_up(detached=False)
        self._voice.drop(cleared_at_ms=self._call.clock_ms())
        self._cut_off(segment)
        self._awake.set()

    def pause(self) -> None:
        """The session itself pauses; the sink below never does, as it would lose what it holds."""
        self._host_paused = True
        self._voice.pause(StopAt.NOW)
        self._awake.set()

    def resume(self) -> None:
        """The session goes on, which ends no pause of ours."""
        if not self._host_paused:
            return
        self._host_paused = False
        if not self._call.voice_paused:
            self._resume()
            self._awake.set()

    def on_detached(self) -> None:
        """Another sink takes this one's place."""
        if self._call.ending():
            self._call.hang_up(detached=True)
        elif self._segment is not None and self._segment.flushed:
            # None of it will reach the new one. Left alone, LiveKit would take all of it as heard.
            self._lost(self._segment)
        super().on_detached()
        self.close()

    def on_playback_finished(
        self,
        *,
        playback_position: float,
        interrupted: bool,
        synchronized_transcript: str | None = None,
    ) -> None:
        """The sink below has played a segment, or has dropped what it had of it."""
        segment = self._segment
        if segment is not None:
            playback_position = min(
                playback_position, self._played(segment.source.stream)[0] / 1000
            )
            self._call.guarded("playout ledger", self._end, segment, not interrupted)
            if interrupted:
                synchronized_transcript = self._call.heard_text
        super().on_playback_finished(
            playback_position=playback_position,
            interrupted=interrupted,
            synchronized_transcript=synchronized_transcript,
        )
        self._call.heard_text = None

    # --- words ---

    def _times(self, segment: _Segment, frame: rtc.AudioFrame) -> None:
        """Put in the words of a frame whose text-to-speech times them."""
        words: list[TimedString] = frame.userdata.get(USERDATA_TIMED_TRANSCRIPT, [])
        for word in words:
            at_s = word.start_time
            if not isinstance(at_s, (int, float)) or not word.strip():
                continue
            at_ms = segment.base_ms + at_s * 1000
            if at_ms < segment.words_to_ms - _UNTIMED_MS:
                # A service that counts from the beginning of every sentence.
                segment.base_ms = self._voice.received_ms(segment.source.stream)
                at_ms = segment.base_ms + at_s * 1000
            segment.timed, segment.words_to_ms = True, at_ms
            self._put_word(segment, str(word), at_ms, timed=True)

    def _spread(self, segment: _Segment) -> None:
        """All of a voice without word times is there: each word has its share of it."""
        stream = segment.source.stream
        whole_ms = self._voice.received_ms(stream)
        text = self._call.script(stream)
        if segment.timed or whole_ms < min(_UNTIMED_MS, len(text) * MS_PER_CHARACTER) or not text:
            return
        for piece, at_ms in spread(text, 0.0, whole_ms):
            self._put_word(segment, piece, at_ms, timed=False)

    def _put_word(self, segment: _Segment, text: str, at_ms: float, *, timed: bool) -> None:
        self._voice.put_word(
            _Word(text, timed), text=text.strip(), at_ms=at_ms, stream=segment.source.stream
        )

    def _unnamed(self) -> Source:
        """Audio that comes from no text-to-speech: the application's own, or a realtime model's."""
        call = self._call
        speech = call.speeches.of(call.current_speech())
        source = Source(f"audio_{uuid4().hex[:12]}", speech)
        if speech is not None:
            call.add_script(source.stream, speech.transcript, apart=False)
            speech.on_words = lambda text: call.words_made(source.stream, text)
        return source

    # --- what the floor wants ---

    def _obey(self, decision: Decision) -> None:
        call, voice = self._call, self._voice
        if not call.in_charge:
            return
        match decision:
            case DuckPlayout():
                voice.duck()
            case PausePlayout():
                call.voice_paused = True
                voice.pause(decision.stop_at)
            case ResumePlayout():
                call.voice_paused = False
                if not self._host_paused:
                    self._resume()
            case YieldFloor():
                call.voice_paused = self._host_paused = False
                if self._segment is not None and not self._segment.ended:
                    self._cutting = call.cutting = True
                    voice.cut(decision.stop_at, everything=decision.breaks_lock)
            case _:
                return
        self._awake.set()

    def _resume(self) -> None:
        before = self._voice.released_samples
        self._voice.resume()
        segment = self._segment
        if segment is not None and segment.rate:
            segment.out_ms -= (before - self._voice.released_samples) * 1000 / segment.rate

    # --- what goes out ---

    def _lets_out(self) -> None:
        self._releasing = asyncio.ensure_future(self._release())
        self._releasing.add_done_callback(self._cancelled)

    def _cancelled(self, _: asyncio.Future[None]) -> None:
        """Without this task no speech would ever end."""
        if not self.closed:  # so it was not us
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm = again(self._lets_out)

    async def _release(self) -> None:
        """Let out what is due, then sleep until the next is."""
        loop = asyncio.get_running_loop()
        while True:
            self._awake.clear()
            now_ms = self._call.clock_ms()
            for out in self._due(now_ms):
                if self._unpaced and self._cutting:
                    break
                try:
                    await self._let_out(out)
                except Exception as error:  # a sink that fails does so for every piece
                    self._call.report("voice", error)
                    if isinstance(out, AudioOut) and isinstance(out.like, _Segment):
                        out.like.lost = True
            self._unpaced = False
            wake_ms = self._voice.wake_at(now_ms)
            if self._alarm is not None:
                self._alarm.cancel()
                self._alarm = None
            if wake_ms is not None:
                in_s = max(0.0, wake_ms - self._call.clock_ms()) / 1000
                self._alarm = loop.call_later(in_s, self._awake.set)
            await self._awake.wait()

    def _due(self, now_ms: float) -> list[Out[_Mark]]:
        try:
            return self._voice.take(now_ms)
        except Exception as error:
            self._call.report("voice", error)
            # Nobody knows what state it is in. The sink paces what was waiting in it.
            broken, self._voice = self._voice, self._new_voice()
            if self._cutting:
                return [CutOut()]
            self._unpaced = True
            return self._voice.take_over(broken)

    async def _let_out(self, out: Out[_Mark]) -> None:
        call, below = self._call, self.next_in_chain
        assert below is not None
        match out:
            case AudioOut(like=_Segment() as segment):
                if segment.ended:
                    return
                count = len(out.pcm) // 2 // out.channels
                frame = rtc.AudioFrame(out.pcm, out.rate, out.channels, count)
                first = not segment.sent
                if first:
                    # A room takes nothing before somebody listens to it.
                    await below.capture_frame(frame)
                    if segment.ended:
                        return
                    segment.sent = True
                    call.guarded("playout ledger", self._ledger.begin, segment.source)
                if self._microphone is not None:
                    self._microphone.played(out)
                if out.source:
                    segment.out_ms += count * 1000 / out.rate
                if not first:
                    await below.capture_frame(frame)
                call.guarded("playout ledger", self._ledger.audio)
            case WordOut(word=_Word() as word):
                call.guarded("playout ledger", self._word, word, out.stream)
            case MarkOut(mark=_Segment() as segment):
                self._all_out(segment)
            case CutOut():
                self._cut_out()
            case _:
                pass

    def _word(self, word: _Word, stream: str) -> None:
        lost = self._segment is not None and self._segment.lost
        if self._call.speaking_stream == stream and not lost:
            self._ledger.word(word.text, timed=word.timed)

    def _all_out(self, segment: _Segment) -> None:
        below = self.next_in_chain
        assert below is not None
        segment.passed = True
        if segment.ended:
            return
        if segment.sent:
            below.flush()
            left_ms = self._voice.left_ms(self._call.clock_ms()) or 0.0
            self._waits(segment, left_ms / 1000 + _PLAYS_S)
        elif self._segment is segment:
            self.on_playback_finished(playback_position=0.0, interrupted=False)

    def _cut_out(self) -> None:
        """The last word of a yield is out."""
        self._cutting = False
        segment = self._segment
        if segment is not None and not segment.ended:
            self._cut_off(segment)
        self._call.cut_heard()

    def _cut_off(self, segment: _Segment) -> None:
        segment.ended = True
        if not segment.sent:
            if self._pending_playback_count:
                self.on_playback_finished(playback_position=0.0, interrupted=True)
            return
        below = self.next_in_chain
        assert below is not None
        if not segment.passed:
            below.flush()
        below.clear_buffer()
        self._waits(segment, _CLEARS_S)

    def _waits(self, segment: _Segment, seconds: float) -> None:
        """A sink that never says that it has finished must not keep the call from its end."""
        if self._patience is not None:
            self._patience.cancel()
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(seconds, self._must_have_finished, segment)

    def _must_have_finished(self, segment: _Segment) -> None:
        self._patience = None
        if self._segment is segment and self._pending_playback_count:
            played_s = self._played(segment.source.stream)[0] / 1000
            self.on_playback_finished(playback_position=played_s, interrupted=segment.ended)

    def _lost(self, segment: _Segment) -> None:
        speech = segment.source.speech
        if speech is not None and not speech.handle.done():
            speech.handle.interrupt(force=True)

    def _end(self, segment: _Segment, completed: bool) -> None:
        self._call.heard_text = self._ledger.heard() if segment.sent else ""
        self._ledger.ended(completed=completed and not segment.lost)
        self._segment = None

    # --- how much was played ---

    def _left_ms(self) -> float | None:
        left_ms = self._voice.left_ms(self._call.clock_ms())
        if left_ms is not None and self._call.speeches.next_said:
            left_ms += _NEXT_MS
        return left_ms

    def _played(self, stream: str) -> tuple[float, float | None]:
        segment = self._segment
        if segment is None or segment.source.stream != stream:
            return 0.0, None
        if segment.passed and not segment.ended:
            return segment.out_ms, segment.whole_ms
        played_ms, whole_ms = self._voice.played_ms(stream, self._call.clock_ms())
        return played_ms or segment.out_ms, whole_ms or segment.whole_ms

    def _message_played(self, message_id: str) -> tuple[float, float | None]:
        segment = self._segment
        if segment is None or segment.source.message_id != message_id:
            return 0.0, None
        return self._played(segment.source.stream)

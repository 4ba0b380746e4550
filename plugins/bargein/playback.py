"""Which sample is heard when? The paced playback that both hosts share.

Text-to-speech arrives in bursts, seconds ahead of the ear. A voice that is to be ducked, held and
taken up again at the exact sample must not lie in somebody else's queue, so it lies here, and is
let out a few tens of milliseconds ahead of a play clock.

No loop and no clock in this file either: `take` is told what time it is and `wake_at` says when it
wants to be called again. Times are milliseconds as floats, on any one clock.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np

from bargein.core.decisions import StopAt
from bargein.core.playout import MS_PER_CHARACTER
from bargein.stopping import Patience, dip_ms, stopping_place

T = TypeVar("T")

_WORD_MS = 300.0
_LATE_WORD_MS = 500
"""A word timed so far past the end of its audio was said all the same: services round. One that
is timed later still was never made."""
_LATE_MS = 120
"""A transport that is later than this has fallen behind; less is the size of its chunks."""
_GRACE_MS = 0.5
"""A piece that ends where a word begins does not hold the word."""
_REMEMBERED = 32
"""How many streams are known after their end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioOut(Generic[T]):
    """16-bit little-endian PCM to hand to the transport now."""

    pcm: bytes
    rate: int
    channels: int
    like: T
    """The adapter's own object that this audio came in with."""
    at_ms: float
    """When it begins to sound, on the play clock."""
    source: bool = True
    """False for silence of ours, which pads out a stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkOut(Generic[T]):
    """Everything put in before this mark has been handed out."""

    mark: T


@dataclass(frozen=True, slots=True, kw_only=True)
class WordOut(Generic[T]):
    """Half of this word has sounded: from now on it has been heard, even if it breaks off."""

    stream: str
    word: T


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOut:
    """A cut has been played out: the voice is silent and the rest is dropped."""


Out: TypeAlias = AudioOut[T] | MarkOut[T] | WordOut[T] | CutOut


@dataclass(slots=True, kw_only=True)
class _Audio(Generic[T]):
    stream: str
    pcm: bytes
    rate: int
    channels: int
    like: T
    protected: bool
    at_ms: float
    """Where in its stream this audio begins."""

    @property
    def ms(self) -> float:
        return len(self.pcm) * 500 / (self.rate * self.channels)

    def bytes_of(self, ms: float) -> int:
        return round(ms * self.rate / 1000) * 2 * self.channels


@dataclass(slots=True, kw_only=True)
class _Mark(Generic[T]):
    mark: T
    protected: bool
    ends: str | None = None
    """The stream that this mark ends."""
    behind: _Stop | None = None
    """The cut that it came behind, which had not been heard."""


@dataclass(slots=True, kw_only=True)
class _Word(Generic[T]):
    at_ms: float
    """Where in its stream it counts as heard: about the middle of it."""
    onset_ms: float
    word: T
    text: str
    protected: bool


@dataclass(slots=True, kw_only=True)
class _Stream(Generic[T]):
    """One message's audio: how much came, how much went, and where its words begin."""

    received_ms: float = 0.0
    released_ms: float = 0.0
    ended: bool = False
    protected: bool = False
    """A cut leaves it alone, even while none of it waits."""
    cut: bool = False
    """True where a cut came behind its end."""
    broken: bytes = b""
    """The first bytes of a sample whose last have not come."""
    form: tuple[int, int] = (0, 0)
    """The rate and the channels that the last of it came with."""
    waiting: list[_Word[T]] = field(default_factory=list)
    """Words whose sound has not been released, in order of time."""
    onsets: list[tuple[float, str]] = field(default_factory=list)
    """Where each word begins, and the word; in order of time."""

    def begun(self, at_ms: float) -> int:
        """How many words have begun by then."""
        return bisect_right(self.onsets, at_ms, key=_first)

    def middle(self, at_ms: float) -> float:
        """About the middle of the word that begins last before then."""
        begun = self.begun(at_ms)
        if not begun:
            return at_ms
        onset_ms, text = self.onsets[begun - 1]
        # A short word is not as short as its letters, and what follows it may be a pause.
        lasts_ms = max(_WORD_MS, float(len(text.strip()) * MS_PER_CHARACTER))
        if begun < len(self.onsets):
            lasts_ms = min(lasts_ms, self.onsets[begun][0] - onset_ms)
        return onset_ms + lasts_ms / 2


@dataclass(slots=True, kw_only=True)
class _Stop:
    """Where the voice is going to fall silent."""

    stream: str
    at_ms: float
    cut: bool
    all: bool = False
    """True where even what is protected is dropped."""


class Playback(Generic[T]):
    """One voice on its way to one transport destination."""

    def __init__(
        self,
        *,
        lookahead_ms: float = 80,
        ducked_lookahead_ms: float = 40,
        chunk_ms: float = 20,
        duck_db: float = -12,
        ramp_ms: float = 40,
        fade_ms: float = 6,
        pad_ms: float = 40,
        max_word_ms: float = 100,
        max_phrase_ms: float = 900,
        max_rewind_ms: float = 600,
    ) -> None:
        """Set up a silent, empty voice.

        Args:
            lookahead_ms: audio is let out at most this far ahead of the play clock, and at least
                this far less a piece. Below 60 a busy loop is heard as gaps; above 100 a hold is.
            ducked_lookahead_ms: as far while the voice is ducked: a stop is likely then, and a gap
                is hardly heard under somebody else's voice.
            chunk_ms: audio is let out in pieces of at most this length.
            duck_db: how much quieter a ducked voice is; -12 dB is a quarter of the amplitude,
                clearly under the caller's own voice and still to be followed.
            ramp_ms: how long ducking takes, so that it is not heard as a step.
            fade_ms: how long a stop takes, so that it is not heard as a click.
            pad_ms: silence let out behind a stop, so that a transport which collects whole
                chunks plays the last of them.
            max_word_ms: the longest wait for the end of a word; a longer word is broken where it
                is quietest until then.
            max_phrase_ms: the longest wait for the end of a phrase; else the word's end is taken.
            max_rewind_ms: how far a resume goes back to the beginning of a broken word.
        """
        if not 0 < chunk_ms <= ducked_lookahead_ms <= lookahead_ms:
            raise ValueError(
                f"chunk_ms, ducked_lookahead_ms and lookahead_ms must rise, from above 0, not"
                f" {chunk_ms}, {ducked_lookahead_ms}, {lookahead_ms}"
            )
        if duck_db > 0:
            raise ValueError(f"duck_db must be <= 0 dB, not {duck_db}")
        self._full_lookahead_ms = self._lookahead_ms = lookahead_ms
        self._ducked_lookahead_ms = ducked_lookahead_ms
        self._chunk_ms = chunk_ms
        self._duck_gain = float(10 ** (duck_db / 20))
        self._ramp_ms = ramp_ms
        self._fade_ms = fade_ms
        self._pad_ms = pad_ms
        self._patience = Patience(word_ms=max_word_ms, phrase_ms=max_phrase_ms)
        self._max_rewind_ms = max_rewind_ms

        self._items: deque[_Audio[T] | _Mark[T]] = deque()
        self._streams: dict[str, _Stream[T]] = {}
        # Streams that were cut: what still trickles in of them is dropped as well.
        self._dead: deque[str] = deque(maxlen=32)
        self._over: dict[str, _Stream[T]] = {}  # streams that were let out to their end
        self._head = ""  # the stream that was let out last
        self._sounding: list[tuple[float, str, _Word[T]]] = []  # (due, stream, word), sorted
        self._past: deque[_Audio[T]] = deque()  # raw audio let out lately, for a rewind
        self._past_ms = 0.0
        self._edge_ms: float | None = None  # when all that was let out will have sounded
        self._until_ms = 0.0  # the same, without the silence that a stop and a resume have made
        self._sounded_ms = 0.0  # how much of the head's stream lies before the last silence
        self._gain = 1.0
        self._target = 1.0
        self._slope_ms = ramp_ms  # a change of 1.0 in gain takes this long
        self._stop: _Stop | None = None
        self._silent = False
        self._cut_due = False
        self._hush_ms = 0.0  # how long the silence behind the last stop is
        self._padded_until_ms = 0.0  # when the silence behind a stop will have sounded
        self._laid_ms = 0.0  # let out since a transport that collects chunks had nothing left over

        self.received_samples = 0
        self.released_samples = 0
        self.dropped_samples = 0
        self.rewound_samples = 0

    # --- what comes in ---

    def put_audio(
        self,
        pcm: bytes,
        *,
        rate: int,
        channels: int = 1,
        stream: str = "",
        like: T,
        protected: bool = False,
    ) -> None:
        """Queue audio behind what is there. ``protected`` audio survives a cut."""
        over = self._over.get(stream)
        dead = stream in self._dead or (over is not None and over.cut)
        if dead:
            self.received_samples += len(pcm) // 2
            self.dropped_samples += len(pcm) // 2
        if not pcm or dead:
            return
        known = self._goes_on(stream)
        known.protected = known.protected or protected
        if known.form != (rate, channels):
            # Half a sample of another kind would turn all that follows into noise.
            known.broken, known.form = b"", (rate, channels)
        pcm = known.broken + pcm
        whole = len(pcm) - len(pcm) % (2 * channels)
        # Of no stream, nobody knows whether what comes next goes on with it.
        known.broken = pcm[whole:] if stream else b""
        pcm = pcm[:whole]
        if not pcm:
            return
        self.received_samples += len(pcm) // 2
        audio = _Audio(
            stream=stream,
            pcm=pcm,
            rate=rate,
            channels=channels,
            like=like,
            protected=protected,
            at_ms=known.received_ms,
        )
        known.received_ms += audio.ms
        self._items.append(audio)

    def put_mark(self, mark: T, *, protected: bool = False, ends: str | None = None) -> None:
        """Queue a mark behind what is there; ``ends`` names the stream it closes."""
        if ends is not None and ends not in self._dead and ends not in self._over:
            self._end(ends)
        behind = self._stop if self._stop is not None and self._stop.cut else None
        self._items.append(_Mark(mark=mark, protected=protected, ends=ends, behind=behind))

    def put_word(
        self, word: T, *, text: str, at_ms: float, stream: str = "", protected: bool = False
    ) -> None:
        """Say that a word begins ``at_ms`` into its stream's audio. An empty text times a mark.

        Words are said in the order in which they are told of, whatever their times are.
        """
        if stream in self._dead:
            return
        over = self._over.get(stream)
        told = over or self._streams.get(stream)
        if text and told is not None and told.onsets:
            at_ms = max(at_ms, told.onsets[-1][0])
        entry = _Word(at_ms=at_ms, onset_ms=at_ms, word=word, text=text, protected=protected)
        if over is not None:
            self._late(over, stream, entry)
            return
        self._place(self._stream(stream), stream, entry)

    def forget_words(self, stream: str) -> int:
        """Better times are known for a stream's words: those that have not been heard are put in
        anew. Returns how many that are."""
        known = self._streams.get(stream)
        if known is None:
            return 0
        waiting = [word for word in known.waiting if word.text]
        known.waiting = [word for word in known.waiting if not word.text]
        onsets = {word.onset_ms for word in waiting}
        known.onsets = [onset for onset in known.onsets if onset[0] not in onsets]
        return len(waiting)

    # --- what is asked of it ---

    def duck(self) -> None:
        """Lower the voice."""
        self._lookahead_ms = self._ducked_lookahead_ms
        self._aim(self._duck_gain, self._ramp_ms)

    def pause(self, stop_at: StopAt = StopAt.WORD) -> None:
        """Fall silent there and keep the rest."""
        if self._stop is None and not self._silent:
            self._plan(stop_at, cut=False)

    def resume(self) -> None:
        """Full voice from the very next sample, or from the beginning of the word that broke."""
        stop, self._stop = self._stop, None
        if stop is not None and stop.cut:
            self._stop = stop  # a yield is irrevocable
            return
        self._lookahead_ms = self._full_lookahead_ms
        if self._silent:
            self._silent = False
            self._edge_ms = None
            self._rewind()
            self._aim(1.0, self._fade_ms)
        else:
            self._aim(1.0, self._ramp_ms)

    def cut(self, stop_at: StopAt = StopAt.WORD, *, everything: bool = False) -> None:
        """Fall silent there and drop the rest; a `CutOut` follows when it has been heard.

        What comes in from now on follows it, unless this is asked for once more.

        Args:
            stop_at: where.
            everything: drop what is protected as well.
        """
        if self._stop is not None and self._stop.cut:
            self._stop.all = self._stop.all or everything
            self._drop(beyond=self._stop, everything=everything)
        elif self._cut_due:
            self._drop(everything=everything)
        elif self._silent or not self.sounding:
            self._stop, self._silent, self._cut_due = None, False, True
            self._padded_until_ms = self._hush_ms = 0.0
            self._drop(everything=everything)
        else:
            self._plan(stop_at, cut=True, everything=everything)

    def drop(self, *, cleared_at_ms: float | None = None) -> None:
        """Forget everything that is not protected, now, without a `CutOut`.

        Args:
            cleared_at_ms: the transport throws away what it was given, too, at that instant: a
                word whose middle it has not come to will not be heard.
        """
        stop, self._stop = self._stop, None
        self._silent, self._cut_due = False, False
        if stop is not None and stop.all:
            self._drop(only=stop.stream, everything=True)  # what came behind it is of after it
        self._drop()
        if cleared_at_ms is not None:
            self._sounding = [
                entry for entry in self._sounding if entry[2].protected or entry[0] <= cleared_at_ms
            ]
            self._edge_ms, self._padded_until_ms = None, 0.0
            self._until_ms = min(self._until_ms, cleared_at_ms)

    def take_over(self, broken: Playback[T]) -> list[Out[T]]:
        """Go on in the place of one that failed.

        Returns:
            All that was waiting in it, as it came, for a transport that paces it itself.
        """
        self._streams, self._dead, self._over = broken._streams, broken._dead, broken._over
        self._sounding, out = broken._sounding, list[Out[T]]()
        for item in broken._items:
            if isinstance(item, _Mark):
                self._say_rest(item)
                self._ended(item)
                out += self._said()
                out.append(MarkOut(mark=item.mark))
                continue
            stream, ends_ms = self._stream(item.stream), item.at_ms + item.ms
            due = bisect_left(stream.waiting, ends_ms, key=_heard_at)
            self._sounding += [(ends_ms, item.stream, word) for word in stream.waiting[:due]]
            del stream.waiting[:due]
            stream.released_ms = ends_ms
            out += self._said()
            out.append(
                AudioOut(
                    pcm=item.pcm, rate=item.rate, channels=item.channels, like=item.like, at_ms=0.0
                )
            )
        return [*out, *self._said()]

    def _said(self) -> list[Out[T]]:
        words, self._sounding = self._sounding, []
        return [WordOut(stream=stream, word=word.word) for _, stream, word in words]

    def sounds_until(self, at_ms: float) -> None:
        """Tell until when a transport will need for all that it was given.

        One that has lost time, because the machine was busy, sounds later than the play clock
        says: words that are still on their way through it have not been heard.
        """
        if self._edge_ms is None:
            return
        # A transport that was told of a cut while the last chunk waits would throw that away.
        late_ms = at_ms - self._edge_ms - (self._hush_ms if self._cut_due else 0.0)
        if late_ms <= (1.0 if self._cut_due else _LATE_MS):
            return
        self._edge_ms += late_ms
        self._until_ms += late_ms
        self._padded_until_ms += late_ms if self._padded_until_ms else 0.0
        self._sounding = [(due_ms + late_ms, name, word) for due_ms, name, word in self._sounding]

    # --- what comes out ---

    def take(self, now_ms: float) -> list[Out[T]]:
        """Everything that is due by now, in order."""
        out: list[Out[T]] = []
        self._speak(now_ms, out)
        self._sound_due(now_ms, out)
        if self._cut_due and (self._edge_ms is None or self._edge_ms <= now_ms):
            self._cut_due = False
            out.append(CutOut())
            self._speak(now_ms, out)
        return out

    def wake_at(self, now_ms: float) -> float | None:
        """When `take` wants to be called next; None while there is nothing to wait for."""
        instants: list[float] = []
        if self._sounding:
            instants.append(self._sounding[0][0])
        if self._cut_due:
            instants.append(now_ms if self._edge_ms is None else self._edge_ms)
        elif self._items and isinstance(self._items[0], _Mark) and self._sounding:
            pass  # the mark waits for the word
        elif self._items and not self._silent:
            ahead_ms = (
                now_ms
                if self._edge_ms is None
                else self._edge_ms - self._lookahead_ms + self._chunk_ms
            )
            instants.append(ahead_ms)
        elif self._stop is not None or self._edge_ms is not None:
            instants.append(now_ms if self._edge_ms is None else self._edge_ms)
        return min(instants, default=None)

    @property
    def queued(self) -> bool:
        """Is there audio that has not been let out?"""
        return any(isinstance(item, _Audio) for item in self._items)

    @property
    def speech_queued(self) -> bool:
        """Is there speech that has not been let out? Other audio belongs to no stream."""
        return any(True for _ in self._speech)

    @property
    def may_be_dropped(self) -> bool:
        """Is there speech that an interruption would drop?"""
        return any(not audio.protected for audio in self._speech)

    @property
    def _speech(self) -> Iterator[_Audio[T]]:
        return (item for item in self._items if isinstance(item, _Audio) and item.stream)

    @property
    def sounding(self) -> bool:
        """Is there audio on its way to the ear?"""
        return self.queued or self._edge_ms is not None

    @property
    def idle(self) -> bool:
        """Nothing queued and nothing to wait for: what comes next may pass straight through."""
        return not (self._items or self._sounding or self._cut_due or self._stop)

    def left_ms(self, now_ms: float) -> float | None:
        """Audio still to be heard; None while more may come for a stream that is queued."""
        streams = {item.stream for item in self._items if isinstance(item, _Audio)} | {self._head}
        if not all(self._streams[name].ended for name in streams if name in self._streams):
            return None
        queued_ms = sum(item.ms for item in self._items if isinstance(item, _Audio))
        return queued_ms + max(0.0, (self._edge_ms or now_ms) - now_ms)

    def is_over(self, stream: str) -> bool:
        """Was it let out to its end? It may still go on."""
        over = self._over.get(stream)
        return over is not None and not over.cut

    def received_ms(self, stream: str) -> float:
        """How much audio of a stream has come in."""
        known = self._streams.get(stream) or self._over.get(stream)
        return known.received_ms if known else 0.0

    def played_ms(self, stream: str, now_ms: float) -> tuple[float, float | None]:
        """How much of a stream was heard, and its whole length once that is known."""
        known = self._streams.get(stream)
        if known is None:
            over = self._over.get(stream)
            return (over.received_ms, over.received_ms or None) if over else (0.0, None)
        ahead_ms = max(0.0, self._until_ms - now_ms) if stream == self._head else 0.0
        whole_ms = known.received_ms if known.ended else None
        sounded_ms = self._sounded_ms if stream == self._head else 0.0
        return max(sounded_ms, known.released_ms - ahead_ms), whole_ms

    # --- letting audio out ---

    def _speak(self, now_ms: float, out: list[Out[T]]) -> None:
        while self._items and not self._silent and not self._cut_due:
            item = self._items[0]
            if isinstance(item, _Mark):
                if item.behind is not None and item.behind is self._stop:
                    self._stopped(now_ms, out)
                    continue
                self._say_rest(item)
                if self._sounding:
                    # Words that began before the mark must not be overtaken by it.
                    self._sound_due(now_ms, out)
                    if self._sounding:
                        return
                self._items.popleft()
                self._ended(item)
                out.append(MarkOut(mark=item.mark))
                continue
            if self._edge_ms is None or self._edge_ms < now_ms:
                # Silence until now: the play clock starts here, or behind the silence of a stop.
                self._edge_ms = max(now_ms, self._padded_until_ms)
            if self._edge_ms - now_ms > self._lookahead_ms - self._chunk_ms:
                return
            stop = self._stop
            if stop is not None and (item.stream != stop.stream or item.at_ms >= stop.at_ms - 1e-6):
                self._stopped(now_ms, out)
                continue
            out.append(self._piece(item, stop))
        sounded = self._edge_ms is None or self._edge_ms <= now_ms
        if self._stop is not None and not self._items:
            # The voice ran dry. At its stopping place the silence behind that is due now: a
            # transport that collects chunks keeps the end of the word until it has a whole one.
            if sounded or self._reached(self._stop):
                self._stopped(now_ms, out)
        elif sounded and not self._cut_due and (self._silent or not self._items):
            self._edge_ms = None

    def _piece(self, item: _Audio[T], stop: _Stop | None) -> AudioOut[T]:
        """Cut the next piece off the queue and shape it."""
        ms = self._chunk_ms
        if stop is not None:
            fade_from_ms = stop.at_ms - self._fade_ms
            if item.at_ms >= fade_from_ms - 1e-6:
                ms = stop.at_ms - item.at_ms
                self._aim(0.0, max(ms, 1.0) / max(self._gain, 1e-3))
            else:
                ms = min(ms, fade_from_ms - item.at_ms)
        size = max(item.bytes_of(ms), 2 * item.channels)
        raw = item.pcm[:size]
        piece = replace(item, pcm=raw)
        at_ms = self._edge_ms or 0.0
        if size >= len(item.pcm):
            self._items.popleft()
        else:
            item.pcm = item.pcm[size:]
            item.at_ms += piece.ms
        self._release(piece)
        pcm = self._shaped(raw, piece)
        return AudioOut(
            pcm=pcm, rate=item.rate, channels=item.channels, like=item.like, at_ms=at_ms
        )

    def _release(self, piece: _Audio[T]) -> None:
        assert self._edge_ms is not None
        stream = self._stream(piece.stream)
        end_ms = piece.at_ms + piece.ms
        due = bisect_left(stream.waiting, end_ms - _GRACE_MS, key=_heard_at)
        words, stream.waiting[:due] = stream.waiting[:due], []
        for word in words:
            offset_ms = max(0.0, word.at_ms - piece.at_ms)
            self._sound(self._edge_ms + offset_ms, piece.stream, word)
        if self._head != piece.stream:
            self._head, self._sounded_ms = piece.stream, 0.0
        elif self._edge_ms > self._until_ms:
            self._sounded_ms = stream.released_ms
        stream.released_ms = end_ms
        self._edge_ms += piece.ms
        self._until_ms = self._edge_ms
        self._laid_ms += piece.ms
        self.released_samples += len(piece.pcm) // 2
        self._past.append(piece)
        self._past_ms += piece.ms
        while self._past and self._past_ms - self._past[0].ms > self._max_rewind_ms:
            self._past_ms -= self._past.popleft().ms

    def _shaped(self, raw: bytes, piece: _Audio[T]) -> bytes:
        if self._gain == 1.0 and self._target == 1.0:
            return raw
        samples = np.frombuffer(raw, dtype="<i2").reshape(-1, piece.channels)
        step = 1000 / (piece.rate * self._slope_ms)
        ramp = np.arange(1, len(samples) + 1) * (step if self._target > self._gain else -step)
        low, high = sorted((self._gain, self._target))
        gains = np.clip(self._gain + ramp, low, high)
        self._gain = float(gains[-1])
        if abs(self._gain - self._target) < 1e-6:
            self._gain = self._target
        shaped: bytes = np.rint(samples * gains[:, None]).astype("<i2").tobytes()
        return shaped

    def _aim(self, gain: float, slope_ms: float) -> None:
        self._target, self._slope_ms = gain, max(slope_ms, 1e-3)

    # --- words ---

    def _late(self, over: _Stream[T], stream: str, entry: _Word[T]) -> None:
        """A word of a stream that is over, for all that anybody knows."""
        if over.received_ms and entry.onset_ms <= over.received_ms + _LATE_WORD_MS:
            if entry.text:
                insort(over.onsets, (entry.onset_ms, entry.text), key=_first)
            self._sound(max(self._edge_ms or 0.0, self._until_ms), stream, entry)
        elif not over.cut:
            self._place(over, stream, entry)  # should it go on after all

    def _place(self, known: _Stream[T], stream: str, entry: _Word[T]) -> None:
        """It counts as heard about its middle, or that of the word it is at."""
        onset_ms = entry.onset_ms
        if entry.text:
            self._last_until(known, stream, onset_ms)
            insort(known.onsets, (onset_ms, entry.text), key=_first)
            entry.at_ms = known.middle(onset_ms)
        elif known.onsets:
            entry.at_ms = max(onset_ms, known.middle(onset_ms))
        self._wait(known, stream, entry)

    def _wait(self, known: _Stream[T], stream: str, entry: _Word[T]) -> None:
        late_ms = known.released_ms - entry.at_ms
        if late_ms > _GRACE_MS and stream == self._head and self._edge_ms is not None:
            self._sound(self._edge_ms - late_ms, stream, entry)
        elif late_ms > _GRACE_MS:
            self._sound(0.0, stream, entry)
        else:
            insort(known.waiting, entry, key=_heard_at)

    def _last_until(self, known: _Stream[T], stream: str, at_ms: float) -> None:
        """The word that was last told of is over there, and may not be as long as it looked."""
        # A word before that one ended where that one began: it need not be looked at.
        begun = known.begun(at_ms)
        last_ms = known.onsets[begun - 1][0] if begun else -inf
        first = bisect_right(known.waiting, last_ms, key=_heard_at)
        words, known.waiting[first:] = known.waiting[first:], []
        for entry in words:
            middle_ms = (entry.onset_ms + at_ms) / 2
            if entry.onset_ms <= at_ms and entry.at_ms > middle_ms:
                entry.at_ms = middle_ms
                self._wait(known, stream, entry)
            else:
                insort(known.waiting, entry, key=_heard_at)

    def _end(self, stream: str) -> None:
        """All of a stream has come in."""
        known = self._stream(stream)
        known.ended = True
        self._last_until(known, stream, known.received_ms)

    def _sound(self, due_ms: float, stream: str, word: _Word[T]) -> None:
        for before_ms, name, _ in self._sounding:
            if name == stream:
                due_ms = max(due_ms, before_ms)  # no word overtakes another
        insort(self._sounding, (due_ms, stream, word), key=_first)

    def _sound_due(self, now_ms: float, out: list[Out[T]]) -> None:
        due = bisect_right(self._sounding, now_ms, key=_first)
        words, self._sounding[:due] = self._sounding[:due], []
        out += [WordOut(stream=stream, word=word.word) for _, stream, word in words]

    def _say_rest(self, mark: _Mark[T]) -> None:
        """Words timed a little past the end of their audio are as good as said."""
        stream = None if mark.ends is None else self._streams.get(mark.ends)
        if stream is None or mark.ends is None:
            return
        made_ms = stream.received_ms + _LATE_WORD_MS if stream.received_ms else -1.0
        if stream.received_ms and stream.onsets and stream.onsets[0][0] > made_ms:
            made_ms = inf  # not a word of it where there is sound: the times are wrong
        waiting, stream.waiting = stream.waiting, []
        for word in waiting:
            if not word.text or word.onset_ms <= made_ms:
                self._sound(max(self._edge_ms or 0.0, self._until_ms), mark.ends, word)
            else:
                stream.waiting.append(word)  # should it go on after all

    def _ended(self, mark: _Mark[T]) -> None:
        """The end of a stream."""
        if mark.ends is None:
            return
        self._laid_ms = 0.0
        stream = self._streams.pop(mark.ends, None)
        if stream is not None and mark.ends:
            self._over[mark.ends] = stream
            while len(self._over) > _REMEMBERED:
                self._over.pop(next(iter(self._over)))

    # --- stopping ---

    def _plan(self, stop_at: StopAt, *, cut: bool, everything: bool = False) -> None:
        audio = next((item for item in self._items if isinstance(item, _Audio)), None)
        if audio is None:
            self._stop = _Stop(stream=self._head, at_ms=0.0, cut=cut, all=everything)
            return
        at_ms = audio.at_ms + self._fade_ms
        if stop_at is not StopAt.NOW:
            at_ms = max(at_ms, self._boundary(audio, stop_at))
        self._stop = _Stop(stream=audio.stream, at_ms=at_ms, cut=cut, all=everything)
        if cut:
            self._drop(beyond=self._stop, everything=everything)

    def _boundary(self, audio: _Audio[T], stop_at: StopAt) -> float:
        """Where in the stream to fall silent, from here on."""
        stream = self._stream(audio.stream)
        place_ms = stopping_place(
            stream.onsets,
            here_ms=audio.at_ms,
            ends_ms=stream.received_ms if stream.ended else None,
            stop_at=stop_at,
            patience=self._patience,
        )
        return audio.at_ms + self._dip_ms(audio) if place_ms is None else place_ms

    def _dip_ms(self, audio: _Audio[T]) -> float:
        """How far it is to the quietest place, in what has come of this stream."""
        wanted = audio.bytes_of(self._patience.word_ms)
        pcm = bytearray()
        for item in self._items:
            if len(pcm) >= wanted:
                break
            if isinstance(item, _Audio):
                if (item.stream, item.rate) != (audio.stream, audio.rate):
                    break
                pcm += item.pcm[: wanted - len(pcm)]
        samples = np.frombuffer(bytes(pcm), "<i2")
        return dip_ms(samples[:: audio.channels], audio.rate)

    def _reached(self, stop: _Stop) -> bool:
        """Has everything been let out up to there?"""
        known = self._streams.get(stop.stream)
        return (
            known is not None
            and stop.stream == self._head
            and known.released_ms >= stop.at_ms - 1e-6
        )

    def _stopped(self, now_ms: float, out: list[Out[T]]) -> None:
        """The stopping place is reached."""
        stop, self._stop = self._stop, None
        assert stop is not None
        self._hush_ms = 0.0
        from_ms = self._padded_until_ms = max(self._edge_ms or now_ms, now_ms)
        last = self._past[-1] if self._past else None
        if last is not None and self._pad_ms > 0:
            # To the end of a whole chunk, or what is left over would delay the voice at a resume.
            pad_ms = self._pad_ms + -self._laid_ms % self._pad_ms
            pad = bytes(last.bytes_of(pad_ms))
            self._laid_ms, self._hush_ms = 0.0, pad_ms
            self._padded_until_ms = from_ms + pad_ms
            out.append(
                AudioOut(
                    pcm=pad,
                    rate=last.rate,
                    channels=last.channels,
                    like=last.like,
                    at_ms=from_ms,
                    source=False,
                )
            )
        if stop.cut:
            self._drop(only=stop.stream, everything=stop.all)
            self._cut_due, self._padded_until_ms = True, 0.0
        else:
            self._silent = True

    def _rewind(self) -> None:
        """Take back the part of a broken word that was let out."""
        known = self._streams.get(self._head)
        if known is None or not self._past:
            return
        begun = [at_ms for at_ms, _ in known.onsets if at_ms < known.released_ms - 1e-6]
        at_boundary = any(abs(at_ms - known.released_ms) < 1.0 for at_ms, _ in known.onsets)
        if not begun or at_boundary:
            return
        word_ms = max(begun)
        if known.released_ms - word_ms > self._max_rewind_ms:
            return
        while self._past and self._past[-1].stream == self._head:
            piece = self._past.pop()
            self._past_ms -= piece.ms
            keep = min(len(piece.pcm), piece.bytes_of(max(0.0, word_ms - piece.at_ms)))
            if keep:
                before = replace(piece, pcm=piece.pcm[:keep])
                self._past.append(before)
                self._past_ms += before.ms
                piece = replace(piece, pcm=piece.pcm[keep:], at_ms=piece.at_ms + before.ms)
            if piece.pcm:
                self._items.appendleft(piece)
                self.released_samples -= len(piece.pcm) // 2
                self.rewound_samples += len(piece.pcm) // 2
                self._until_ms -= known.released_ms - piece.at_ms
                known.released_ms = piece.at_ms
                self._sounded_ms = min(self._sounded_ms, piece.at_ms)
            if keep or piece.at_ms <= word_ms:
                break

    def _drop(
        self,
        beyond: _Stop | None = None,
        *,
        only: str | None = None,
        everything: bool = False,
    ) -> None:
        """Forget what is not protected; with ``beyond``, keep what sounds up to there.

        With ``only``, that stream: what else there is came in behind the cut.
        """
        kept: deque[_Audio[T] | _Mark[T]] = deque()
        for item in self._items:
            tail = (
                beyond is not None
                and isinstance(item, _Audio)
                and item.stream == beyond.stream
                and item.at_ms < beyond.at_ms
            )
            behind = only is not None and _stream_of(item) != only
            if (item.protected and not (everything and _speaks(item))) or tail or behind:
                kept.append(item)
            elif isinstance(item, _Audio):
                self.dropped_samples += len(item.pcm) // 2
        self._items = kept
        for over in self._over.values():
            over.cut = over.cut or everything or not over.protected
        live = {item.stream for item in kept if isinstance(item, _Audio)}
        live |= {item.ends for item in kept if isinstance(item, _Mark) and item.ends}
        for name, stream in list(self._streams.items()):
            if only not in (None, name):
                continue
            stream.waiting = [
                word
                for word in stream.waiting
                if (word.protected and not everything)
                or (beyond is not None and name == beyond.stream and word.at_ms < beyond.at_ms)
            ]
            kept_up = stream.protected and not everything
            if name not in live and not stream.waiting and not kept_up:
                del self._streams[name]
                if name:
                    self._dead.append(name)
        if beyond is not None:
            return
        self._laid_ms = 0.0
        edge_ms = self._edge_ms
        for _, _, word in self._sounding:
            word.protected = word.protected and not everything
        self._sounding = [
            entry
            for entry in self._sounding
            if entry[2].protected or (edge_ms is not None and entry[0] < edge_ms)
        ]
        self._past.clear()
        self._past_ms = 0.0
        self._gain, self._target = 1.0, 1.0
        self._lookahead_ms = self._full_lookahead_ms

    def _goes_on(self, name: str) -> _Stream[T]:
        """The stream of audio that has come, though it may have been said to be over: a service
        that stalls is taken for one that has finished."""
        over = self._over.pop(name, None)
        if over is not None:
            self._streams[name] = over
        known = self._stream(name)
        if known.ended and name:
            known.ended = False
            for item in self._items:
                if isinstance(item, _Mark) and item.ends == name:
                    item.ends = None
        return known

    def _stream(self, name: str) -> _Stream[T]:
        return self._streams.setdefault(name, _Stream())


def _first(entry: tuple[float, Any] | tuple[float, Any, Any]) -> float:
    return entry[0]


def _heard_at(word: _Word[Any]) -> float:
    return word.at_ms


def _stream_of(item: _Audio[T] | _Mark[T]) -> str | None:
    return item.stream if isinstance(item, _Audio) else item.ends


def _speaks(item: _Audio[T] | _Mark[T]) -> bool:
    """Is it of a stream? A mark of the host's own, such as a call's end, is kept in any cut."""
    return isinstance(item, _Audio) or item.ends is not None

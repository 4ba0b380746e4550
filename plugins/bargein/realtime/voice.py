"""When is which sample of the agent's heard, and how far has the ear come?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from bargein.core.decisions import (
    Decision,
    DuckPlayout,
    PausePlayout,
    ResumePlayout,
    YieldFloor,
)
from bargein.core.events import PlayoutLocked, PlayoutStarted, PlayoutStopped, PlayoutWorded
from bargein.playback import AudioOut, CutOut, MarkOut, Playback, WordOut
from bargein.progress import Progress

from .call import RealtimeCall, log
from .timing import Timing
from .wire import RATE

_KEPT = 4
"""So many messages' audio is kept to be gone on with: one more than the memory's own depth."""
_FASTEST_MS = 20
"""No voice says a word in less; that would be fifty a second."""
_LONGEST_MS = 180_000
"""No more of one message is kept."""


@dataclass(slots=True, kw_only=True, eq=False)
class Source:
    """One message of the agent's, as audio."""

    stream: str
    """Its own name."""
    message_id: str
    timing: Timing
    item_id: str = ""
    """The server's item; empty for audio of ours."""
    response_id: str = ""
    must_hear: bool = False
    asked: str = ""
    """What the model was told to say, where it was told."""
    pcm: bytearray = field(default_factory=bytearray)
    began: bool = False
    cut: bool = False
    """The floor was taken from it: what still comes of it is not heard."""
    over: bool = False
    """Heard to its end, or cut."""
    word_ends: list[int] = field(default_factory=list)
    """Where in the text each timed word ends."""
    out_ms: float = 0.0
    """How much was let out; what was taken back for a resume is left out."""

    @property
    def text(self) -> str:
        return self.timing.text

    @property
    def whole(self) -> bool:
        """Is all of it there, and kept?"""
        return self.timing.ended and len(self.pcm) >= self.timing.whole_ms * RATE // 500 - 2


@dataclass(frozen=True, slots=True)
class _Word:
    text: str


_Mark = Source | _Word


class Voice:
    """The pacer: keeps the voice and lets it out just ahead of the ear, and tells the floor."""

    def __init__(
        self, call: RealtimeCall, *, voice: Callable[[], Playback[_Mark]], max_lock_ms: int
    ) -> None:
        """Speak in a call.

        Args:
            call: the call whose decisions it obeys.
            voice: makes the playback.
            max_lock_ms: a message that is locked for longer is warned of, once.
        """
        self._call = call
        self._voice: Playback[_Mark] = voice()
        self._max_lock_ms = max_lock_ms
        self._now: Source | None = None
        self._progress = Progress(call)
        self._queued: list[Source] = []
        """Has audio, and is not over; the one that sounds first."""
        self._ends: tuple[float, Source] | None = None  # when the last of it will have sounded
        self._locked_now = False
        self._too_long: asyncio.TimerHandle | None = None
        self.kept: dict[str, Source] = {}
        """Messages that were cut, by their ids."""
        self.ended: Callable[[Source, bool, int], None] = lambda *_: None
        """Told of a message that is over: whether it was heard in full, else up to which ms."""
        self.begun: Callable[[Source], None] = lambda _: None
        """Told of a message that begins to sound."""
        self.sounded: Callable[[Source, str], None] = lambda *_: None
        """Told of every word of it that has been heard."""
        call.decided.append(self._obey)
        call.closing.append(self._close)
        call.voice_queued = lambda: bool(self._queued)
        call.voice_left_ms = lambda: self._voice.left_ms(call.clock_ms())
        call.played_ms = self._played

    # --- what comes in ---

    def put(self, source: Source, pcm: bytes) -> None:
        """More of a message's sound."""
        if source.over or source.cut:
            return
        if len(source.pcm) < _LONGEST_MS * RATE // 500:
            source.pcm += pcm
        if source not in self._queued:
            self._queued.append(source)
        self._voice.put_audio(
            pcm, rate=RATE, stream=source.stream, like=source, protected=source.must_hear
        )
        self._words(source, source.timing.audio(len(pcm) * 500 / RATE))
        self._call.awake.set()

    def worded(self, source: Source, text: str) -> None:
        """More of a message's text."""
        if source.over:
            return
        added = self._call.add_script(source.stream, text, apart=False)
        self._words(source, source.timing.word(text))
        if self._now is source:
            self._call.feed(PlayoutWorded(at_ms=self._call.now_ms, text=added))

    def end(self, source: Source) -> None:
        """All of a message's sound is there."""
        if source.over or source.cut or source.timing.ended:
            return
        words = source.timing.end()
        ends = source.word_ends
        del ends[len(ends) - self._voice.forget_words(source.stream) :]
        heard, place = ends[-1] if ends else 0, 0
        for unheard, (piece, _) in enumerate(words):
            if place >= heard:
                self._words(source, words[unheard:])
                break
            place += len(piece)
        if source in self._queued:
            self._voice.put_mark(source, protected=source.must_hear, ends=source.stream)
            self._call.awake.set()

    def replay(self, of: Source, new: Source, text: str) -> bool:
        """Say the rest of a message that was cut, by its own samples; False if that cannot be.

        Args:
            of: the message, with all of its audio.
            new: what it is now.
            text: the rest, as it ends the message.
        """
        whole = of.text.rstrip()
        if not of.whole or not whole.endswith(text):
            return False
        from_ms = of.timing.at(len(whole) - len(text)) if text != whole else 0.0
        begins = round(from_ms * RATE / 1000) * 2
        known = [(place, at_ms) for place, at_ms in of.timing.onsets if at_ms >= from_ms]
        self._call.add_script(new.stream, text, apart=False)
        new.timing.text, new.timing.ended = text, True
        new.timing.onsets = [
            (max(0, place - (len(whole) - len(text))), at_ms - from_ms) for place, at_ms in known
        ]
        pcm = bytes(of.pcm[begins:])
        new.timing.whole_ms = len(pcm) * 500 / RATE
        new.pcm += pcm
        self._queued.append(new)
        ends = [place for place, _ in known[1:]] + [len(of.text)]
        words = [
            (of.text[place:end], at_ms - from_ms)
            for (place, at_ms), end in zip(known, ends, strict=True)
        ]
        self._voice.put_audio(pcm, rate=RATE, stream=new.stream, like=new, protected=new.must_hear)
        self._words(new, words)
        self._voice.put_mark(new, protected=new.must_hear, ends=new.stream)
        self._call.awake.set()
        return True

    def _words(self, source: Source, words: list[tuple[str, float]]) -> None:
        for piece, at_ms in _audible(words):
            source.word_ends.append(len(piece) + (source.word_ends[-1] if source.word_ends else 0))
            self._voice.put_word(
                _Word(piece),
                text=piece.strip(),
                at_ms=at_ms,
                stream=source.stream,
                protected=source.must_hear,
            )
        if words:
            self._call.awake.set()

    @property
    def queued(self) -> tuple[Source, ...]:
        """What is being said, and what comes behind it."""
        return tuple(self._queued)

    @property
    def heard_now(self) -> str:
        """What has been heard of the message that sounds."""
        now = self._now
        return self._call.script(now.stream)[: self._progress.cursor] if now else ""

    def drop(self) -> None:
        """Stop now; somebody else has decided that."""
        self._voice.drop()
        self._cuts(everything=False)
        self._cut_off()
        self._call.awake.set()

    # --- what goes out ---

    def let_out(self) -> float | None:
        """Play what is due; returns when to look again, on the call's clock."""
        call = self._call
        now_ms = call.clock_ms()
        self._over_by(now_ms)
        for out in self._voice.take(now_ms):
            match out:
                case AudioOut(like=Source() as source):
                    if out.source and not source.began:
                        self._begin(source)
                    if out.source:
                        source.out_ms += len(out.pcm) * 500 / RATE
                    call.play(out.pcm, source.item_id if out.source else "")
                    self._lock_changes()
                case WordOut(word=_Word() as word, stream=stream):
                    if self._now is not None and self._now.stream == stream:
                        self.sounded(self._now, word.text)
                        self._progress.word(word.text, call.voice_left_ms(), timed=True)
                case MarkOut(mark=Source() as source) if not source.cut:
                    left_ms = self._voice.left_ms(now_ms) if not self._voice.queued else 0.0
                    self._ends = (now_ms + (left_ms or 0.0), source)
                case CutOut():
                    self._cut_off()
                    call.cut_heard()
                case _:
                    pass
        self._over_by(now_ms)
        instants = [self._voice.wake_at(now_ms), self._ends[0] if self._ends else None]
        return min((at_ms for at_ms in instants if at_ms is not None), default=None)

    def _begin(self, source: Source) -> None:
        call = self._call
        if self._ends is not None:
            self._over(self._ends[1])
        source.began = True
        self.begun(source)
        self._now, self._progress = source, Progress(call, source.stream)
        self._locked_now = source.must_hear or not call.interruptible
        call.feed(
            PlayoutStarted(
                at_ms=call.now_ms, message_id=source.message_id, must_hear=self._locked_now
            )
        )
        if script := call.script(source.stream):
            call.feed(PlayoutWorded(at_ms=call.now_ms, text=script))
        self._progress.begun(call.voice_left_ms())
        if source.must_hear:
            loop = asyncio.get_running_loop()
            self._too_long = loop.call_later(self._max_lock_ms / 1000, self._warn, source)

    def _lock_changes(self) -> None:
        """An application may say at any time what must be heard."""
        source = self._now
        locked = source is not None and (source.must_hear or not self._call.interruptible)
        if source is not None and locked is not self._locked_now:
            self._locked_now = locked
            self._call.feed(PlayoutLocked(at_ms=self._call.now_ms, must_hear=locked))

    def _over_by(self, now_ms: float) -> None:
        if self._ends is not None and self._ends[0] <= now_ms:
            self._over(self._ends[1])

    def _over(self, source: Source) -> None:
        """A message has sounded to its end."""
        self._ends = None
        if source is self._now:
            self._stopped(source, completed=self._is_whole(source))
        elif source in self._queued:
            self._forget(source)

    def _is_whole(self, source: Source) -> bool:
        if not source.must_hear:
            return True
        said = _bare(source.text)
        if source.asked and said != _bare(source.asked):
            self._call.complain(
                f"bargein: the model said the message {source.message_id} in other words than it"
                " was given, so it does not count as delivered; say(..., audio=...) plays your own"
            )
            return False
        return self._progress.is_whole(source.out_ms)

    # --- what the floor wants ---

    def _obey(self, decision: Decision) -> None:
        voice = self._voice
        match decision:
            case DuckPlayout():
                voice.duck()
            case PausePlayout():
                voice.pause(decision.stop_at)
            case ResumePlayout():
                before = voice.rewound_samples
                voice.resume()
                if self._now is not None:
                    self._now.out_ms -= (voice.rewound_samples - before) * 1000 / RATE
            case YieldFloor():
                self._cuts(everything=decision.breaks_lock)
                if self._queued:
                    self._call.cutting = True
                    voice.cut(decision.stop_at, everything=decision.breaks_lock)
            case _:
                return
        self._call.awake.set()

    def _cuts(self, *, everything: bool) -> None:
        for source in self._queued:
            source.cut = source.cut or everything or not source.must_hear

    def _cut_off(self) -> None:
        """What was cut will not be heard any more; what came since then is."""
        self._ends = None
        for source in tuple(self._queued):
            if not source.cut:
                continue
            self.kept.pop(source.message_id, None)
            self.kept[source.message_id] = source
            while len(self.kept) > _KEPT:
                self.kept.pop(next(iter(self.kept)))
            if source is self._now:
                self._stopped(source, completed=False)
            else:
                self._forget(source)
                self.ended(source, False, 0)

    def _stopped(self, source: Source, *, completed: bool) -> None:
        call = self._call
        script = call.script(source.stream)
        call.last_said = script[: None if completed else self._progress.cursor]
        heard_ms = int(source.out_ms)  # a server refuses to truncate behind the end
        whole_ms = source.timing.whole_ms
        whole = completed or (source.timing.ended and 0 < whole_ms <= source.out_ms + 0.5)
        self._now = None
        self._forget(source)
        self.ended(source, whole, heard_ms)
        call.feed(PlayoutStopped(at_ms=call.now_ms, completed=completed))

    def heard(self, source: Source) -> str:
        """What has been heard of a message that has just ended."""
        return self._call.last_said if source.began else ""

    def _forget(self, source: Source) -> None:
        source.over = True
        if source in self._queued:
            self._queued.remove(source)
        self._call.drop_script(source.stream)
        if self._too_long is not None:
            self._too_long.cancel()
            self._too_long = None

    def _played(self, message_id: str) -> tuple[float, float | None]:
        source = self._now
        if source is None or source.message_id != message_id:
            return 0.0, None
        return source.out_ms, source.timing.whole_ms if source.timing.ended else None

    def _close(self) -> None:
        if self._too_long is not None:
            self._too_long.cancel()
        self._queued.clear()

    def _warn(self, source: Source) -> None:
        log.warning(
            f"bargein: the message {source.message_id} has been locked for"
            f" {self._max_lock_ms / 1000:g} s and is not over; nobody can interrupt it: is it meant"
            " to be so long?"
        )


def _audible(words: Iterable[tuple[str, float]]) -> Iterator[tuple[str, float]]:
    """Words that would begin sooner after each other than anybody speaks are heard as one: a
    server that sends ten thousand words with a second of sound would keep the floor busy."""
    piece, at_ms = "", 0.0
    for word, begins_ms in words:
        if piece and begins_ms - at_ms >= _FASTEST_MS:
            yield piece, at_ms
            piece = ""
        if not piece:
            at_ms = begins_ms
        piece += word
    if piece:
        yield piece, at_ms


def _bare(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())

"""What must a listener hear of a paced voice? The plainest account, to hold the real one to."""

from collections import defaultdict, deque
from dataclasses import dataclass, field

import numpy as np

from bargein import StopAt
from bargein.playback import AudioOut, CutOut, MarkOut, Out, Playback, WordOut
from playback_level import FADE_MS, Level
from playback_queue import Mark, Sound
from playback_words import Said, Words

LOOKAHEAD_MS, CHUNK_MS = 80.0, 20.0
DUCKED_LOOKAHEAD_MS = 40.0
TAIL_MS = {StopAt.NOW: 0.0, StopAt.WORD: 100.0, StopAt.PHRASE: 900.0}
"""How long a voice may go on for the end of what it is saying."""
REWIND_MS = 600.0


@dataclass(slots=True)
class Ear:
    """Hears what a voice lets out, and knows what it ought to be."""

    voice: Playback[str]
    queue: deque[Sound | Mark] = field(default_factory=deque)
    words: Words = field(default_factory=Words)
    level: Level = field(default_factory=Level)
    received_ms: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    released_ms: dict[str, float] = field(default_factory=dict)
    over: dict[str, float] = field(default_factory=dict)
    """How long streams were that are over, for all that anybody knows."""
    head: str = ""
    past: deque[Sound] = field(default_factory=deque)
    edge_ms: float | None = None
    """When all that was let out will have sounded."""
    until_ms: float = 0.0
    """And what of it is not taken back."""
    sounded_ms: float = 0.0
    """How much of the head's stream came before the last silence."""
    stop_at: StopAt | None = None
    """Where it is to fall silent, or has."""
    cutting: bool = False
    silent: bool = False
    padded_ms: float = 0.0
    """When the silence behind a stop will have passed."""
    tail_ms: float = 0.0
    """So much has been let out since it was to fall silent."""
    repeated: int = 0
    kept_until_ms: float = 0.0
    """Words that nothing drops may be on their way until then, though it was cleared."""
    tail: str | None = None
    """The stream whose word a yield finishes."""
    protected: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)

    # --- what it hears ---

    def hear(self, outs: list[Out[str]], now_ms: float) -> None:
        """Everything that was let out at that instant."""
        for out in outs:
            match out:
                case AudioOut(source=True):
                    self._sound(out, now_ms)
                case AudioOut():
                    assert self.stop_at is not None, "a silence that nobody asked for"
                    assert not any(out.pcm)
                    self.silent = True
                    if self.cutting:
                        self.level.full()  # for what comes behind it
                    self.padded_ms = out.at_ms + len(out.pcm) * 500 / out.rate / out.channels
                case MarkOut():
                    self._mark(out.mark)
                case WordOut():
                    self._word(out, now_ms)
                case CutOut():
                    assert self.cutting, "a yield is over that nobody asked for"
                    assert self.edge_ms is None or self.edge_ms <= now_ms + 1e-6
                    at_once = self.tail is None or self.silent
                    self._forget()
                    if not at_once:  # else what was asked since then counts
                        self.level.full()
        sounds = self.edge_ms is not None and self.edge_ms > now_ms
        waits = self.past or self.padded_ms > now_ms
        dry = not self.queue or (isinstance(self.queue[0], Sound) and not waits)
        if self.stop_at is not None and dry and not (self.cutting or sounds):
            self.silent = True
        self._goes_on(now_ms)
        if now_ms >= self.words.fading_until_ms:
            self.words.fading = None

    def _goes_on(self, now_ms: float) -> None:
        """Nobody has stopped it: then it sounds, as long as there is something to say."""
        if self.stop_at is not None or not self.queue:
            return
        ahead_ms = max(self.edge_ms or now_ms, self.padded_ms) - now_ms
        if isinstance(self.queue[0], Sound):
            lookahead_ms = LOOKAHEAD_MS if self.level.aims == 1 else DUCKED_LOOKAHEAD_MS
            assert ahead_ms > lookahead_ms - CHUNK_MS - 1e-3, "silent without a decision"
        else:
            waits = ahead_ms > 0 or self.kept_until_ms > now_ms or self.words.fading
            assert waits, "a mark waits for nothing"

    def _sound(self, out: AudioOut[str], now_ms: float) -> None:
        assert self.queue, "a sample that never came in"
        sound = self.queue[0]
        assert isinstance(sound, Sound), f"{out.like} overtook {sound}"
        channels = sound.pcm.shape[1]
        assert (out.like, out.rate, out.channels) == (sound.stream, sound.rate, channels)
        pcm = np.frombuffer(out.pcm, "<i2").reshape(-1, channels)
        assert 0 < len(pcm) <= len(sound.pcm)
        stopping = self.stop_at is not None
        self.level.same(pcm, sound.pcm[: len(pcm)], out.rate, stopping=stopping)
        lasts_ms = len(pcm) * 1000 / out.rate

        # In time: behind what was let out, and no further ahead than a hold may take.
        if self.edge_ms is not None:
            assert out.at_ms >= self.edge_ms - 1e-3
        if out.like != self.head:
            self.sounded_ms = 0.0
        elif self.edge_ms is None or out.at_ms > self.edge_ms + 1e-3:
            self.sounded_ms = sound.at_ms  # all before this silence
        assert out.at_ms >= now_ms - 1e-3
        assert out.at_ms <= now_ms + LOOKAHEAD_MS
        self.edge_ms = self.until_ms = out.at_ms + lasts_ms

        self.past.append(Sound(sound.stream, sound.rate, sound.pcm[: len(pcm)], sound.protected))
        self.past[-1].at_ms = sound.at_ms
        sound.pcm, sound.at_ms = sound.pcm[len(pcm) :], sound.at_ms + lasts_ms
        if not len(sound.pcm):
            self.queue.popleft()
        self.head = out.like
        self.released_ms[out.like] = sound.at_ms
        assert not self.silent, "it speaks though it was stopped"
        if self.stop_at is not None:
            self.tail_ms += lasts_ms
            assert self.tail_ms <= TAIL_MS[self.stop_at] + 2 * FADE_MS, "it talks on and on"

    def _mark(self, name: str) -> None:
        while isinstance(self.queue[0], Sound) and self.queue[0].doomed:
            self.queue.popleft()
        mark = self.queue.popleft()
        assert isinstance(mark, Mark), f"{name} overtook {mark}"
        assert mark.name == name  # in order, and each of them once
        assert not (mark.behind and self.cutting), "it overtook the end of a yield"
        if mark.ends is None:
            return
        whole_ms = self.received_ms.pop(mark.ends, 0.0)
        for one in self.words.waiting.get(mark.ends, []):
            said = one.text and one.onset_ms <= whole_ms
            assert not said or not whole_ms, "said, and not told of before the end"
        self.released_ms.pop(mark.ends, None)
        self.over[mark.ends] = max(whole_ms, self.over.get(mark.ends, 0.0))

    def _word(self, out: WordOut[str], now_ms: float) -> None:
        found = self.words.heard(out.stream, out.word)
        if out.stream in self.released_ms:
            come_ms = self.played_ms(out.stream, now_ms)
            whole_ms = float(self.received_ms[out.stream])
            assert come_ms >= min(found.may_ms, whole_ms) - 1.0, "heard before it sounds"

    def played_ms(self, stream: str, now_ms: float) -> float:
        """How much of a stream the listener has heard, what is being said again left out."""
        ahead_ms = max(0.0, self.until_ms - now_ms) if stream == self.head else 0.0
        sounded_ms = self.sounded_ms if stream == self.head else 0.0
        return max(sounded_ms, self.released_ms[stream] - ahead_ms)

    # --- what it was told ---

    def puts(self, sound: Sound) -> None:
        """More audio has come in."""
        if sound.stream in self.dead:
            if not self.cutting or sound.stream != self.tail:
                return  # else the yield may still be finishing a word of it
            sound.doomed = True
        for one in self.queue:
            if isinstance(one, Mark) and one.ends == sound.stream:
                one.ends = None  # it was not the end, but was taken for it
                self.words.may_be_said(sound.stream, self.received_ms[sound.stream])
        if sound.stream in self.over:
            self.received_ms[sound.stream] = self.over.pop(sound.stream)
        self.protected |= {sound.stream} if sound.protected else set()
        sound.at_ms = self.received_ms[sound.stream]
        self.received_ms[sound.stream] += sound.ms
        self.released_ms.setdefault(sound.stream, sound.at_ms)
        if len(sound.pcm):
            self.queue.append(sound)

    def told_of(self, word: Said) -> None:
        """A word of that stream begins there."""
        if word.stream not in self.dead:
            self.words.told_of(word, self.over.get(word.stream))

    def stopped(self, stop_at: StopAt) -> None:
        """The voice is to fall silent there, and to keep the rest."""
        if self.stop_at is None:
            self.stop_at, self.tail_ms = stop_at, 0.0

    def resumed(self) -> None:
        """The voice goes on; how far back, it says itself, and must have a reason for."""
        if self.cutting:
            if self.tail is None or self.silent:
                self.level.aimed(1.0)  # of what comes behind it
            return
        self.stop_at, self.silent = None, False
        self.level.aimed(1.0)
        back = self.voice.rewound_samples - self.repeated
        self.repeated += back
        back_ms = 0.0
        come_ms = self.released_ms.get(self.head, 0.0)
        while back > 0:
            sound = self.past.pop()
            assert sound.stream == self.head
            kept = max(0, len(sound.pcm) - back // sound.pcm.shape[1])
            if kept:
                before = Sound(sound.stream, sound.rate, sound.pcm[:kept], sound.protected)
                before.at_ms = sound.at_ms
                self.past.append(before)
                sound.at_ms += before.ms
                sound.pcm = sound.pcm[kept:]
            back -= sound.size
            back_ms += sound.ms
            self.released_ms[self.head] = sound.at_ms
            self.sounded_ms = min(self.sounded_ms, sound.at_ms)
            self.queue.appendleft(sound)
        self.words.taken_back(self.head, come_ms, come_ms - back_ms)
        self.until_ms -= back_ms
        assert back_ms <= REWIND_MS + CHUNK_MS

    def cut(self, stop_at: StopAt, *, sounding: bool, everything: bool) -> None:
        """The voice is to fall silent there, and to forget the rest."""
        if self.cutting:
            self._drop(self.tail, everything=everything)
            if self.tail is None or self.silent:
                self.level.full()
            return
        sounding = sounding and not self.silent
        first = next((one.stream for one in self.queue if isinstance(one, Sound)), None)
        self.stop_at, self.tail_ms, self.cutting, self.silent = stop_at, 0.0, True, False
        self.tail = (first or self.head) if sounding else None
        if sounding and first is None:  # all is out, and only has to sound: its end is one
            self.words.doom(everything=everything, stream=self.head)
            for one in self.queue:
                one.doomed = everything and isinstance(one, Mark) and one.ends == self.head
            self.dead |= {*self.over, self.head} - (set() if everything else self.protected)
        else:
            self._drop(self.tail, everything=everything)
        if not sounding:
            self.level.full()

    def dropped(self, cleared_at_ms: float | None) -> None:
        """All that may be is forgotten, and what was asked for with it."""
        self._drop(None, everything=False)
        edge_ms, padded_ms = self.edge_ms or 0.0, self.padded_ms
        # What the transport has is on its way, unless that was cleared.
        self._forget(edge_ms if cleared_at_ms is None else cleared_at_ms)
        self.level.full()
        if cleared_at_ms is None:
            self.padded_ms = padded_ms
        else:
            self.kept_until_ms, self.edge_ms = edge_ms, None
            self.until_ms = min(self.until_ms, cleared_at_ms)

    def _drop(self, tail: str | None, *, everything: bool) -> None:
        kept: deque[Sound | Mark] = deque()
        for one in self.queue:
            if one.protected and not (everything and (isinstance(one, Sound) or one.ends)):
                kept.append(one)
            elif isinstance(one, Mark):
                self.dead |= {one.ends} if one.ends else set()
            else:
                self.dead.add(one.stream)
                if one.stream == tail:
                    one.doomed = True
                    kept.append(one)
        self.queue = kept
        protected = set() if everything else self.protected
        self.dead |= self.over.keys() - protected
        self.words.doom(everything=everything)

    def _forget(self, fading_until_ms: float | None = None) -> None:
        """It is silent now: of what was dropped, nothing follows."""
        self.stop_at, self.cutting, self.silent = None, False, False
        for one in self.queue:
            if isinstance(one, Mark):
                one.behind = False  # of the next one it is not
        self.queue = deque(one for one in self.queue if not one.doomed)
        self.words.forget(fading_until_ms)
        for name in self.dead & set(self.released_ms):
            del self.released_ms[name]
        self.past.clear()
        self.padded_ms, self.tail = 0.0, None

"""What really left? The voice tells this, and this tells the floor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from bargein.core.events import PlayoutLocked, PlayoutStarted, PlayoutStopped, PlayoutWorded
from bargein.progress import Progress

from .call import LiveKitCall, log
from .speeches import Speech

_NEXT_WITHIN_S = 1.5
"""How long a text that comes next may take to sound, and still follow without a gap."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Where a stretch of audio comes from."""

    stream: str
    """Its own name: one for every run of the text-to-speech."""
    speech: Speech | None = None

    @property
    def message_id(self) -> str:
        message = self.speech.message if self.speech else None
        return message.message_id if message else self.stream


class Ledger:
    """Tells the floor when a message began to sound, how far it came and when it ended."""

    def __init__(
        self,
        call: LiveKitCall,
        *,
        played_ms: Callable[[str], tuple[float, float | None]],
        max_lock_ms: int,
    ) -> None:
        """Keep the ledger of a call.

        Args:
            call: the call whose playout it tells of.
            played_ms: how much of a stream was heard, and its whole length where that is known.
            max_lock_ms: a message that is locked for longer is warned of, once.
        """
        self._call = call
        self._played_ms = played_ms
        self._max_lock_ms = max_lock_ms
        self._source: Source | None = None
        self._progress = Progress(call)
        self._must_hear = False
        self._too_long: asyncio.TimerHandle | None = None
        self._no_next: asyncio.TimerHandle | None = None
        call.speeches.ended.append(self._speech_over)

    @property
    def open(self) -> bool:
        """Is something being heard, as far as we were told?"""
        return self._source is not None

    def begin(self, source: Source) -> None:
        """The first of its audio goes out."""
        call, speech = self._call, source.speech
        self._forget()
        self._source = source
        self._progress = Progress(call, source.stream)
        self._must_hear = self._locks(source)
        call.speaking_stream = source.stream
        if speech is not None:
            speech.began = True
        call.feed(
            PlayoutStarted(
                at_ms=call.now_ms, message_id=source.message_id, must_hear=self._must_hear
            )
        )
        if script := call.script(source.stream):
            call.feed(PlayoutWorded(at_ms=call.now_ms, text=script))
        self._progress.begun(call.voice_left_ms())
        if speech is not None and speech.locked:
            loop = asyncio.get_running_loop()
            self._too_long = loop.call_later(self._max_lock_ms / 1000, self._warn, source)

    def word(self, word: str, *, timed: bool) -> None:
        """A word of it has been heard."""
        played_ms = self._played_ms(self._source.stream)[0] if self._source else 0.0
        left_ms = self._call.voice_left_ms()
        self._progress.word(word, left_ms, timed=timed, played_ms=played_ms)

    def audio(self) -> None:
        """More of its audio goes out."""
        source = self._source
        if source is None:
            return
        if self._locks(source) is not self._must_hear:  # an application may say so at any time
            self._must_hear = not self._must_hear
            self._call.feed(PlayoutLocked(at_ms=self._call.now_ms, must_hear=self._must_hear))
        played_ms, whole_ms = self._played_ms(source.stream)
        self._progress.share(played_ms, whole_ms, self._call.voice_left_ms())

    def heard(self) -> str:
        """What has been heard of it by now."""
        return (
            self._call.script(self._source.stream)[: self._progress.cursor] if self._source else ""
        )

    def ended(self, *, completed: bool) -> None:
        """No more of it will sound: all of it has, or it was cut."""
        call, source = self._call, self._source
        if source is None:
            return
        if completed and source.speech is not None and source.speech.locked:
            completed = self._progress.is_whole(self._played_ms(source.stream)[0])
        script = call.script(source.stream)
        call.last_said = script[: None if completed else self._progress.cursor]
        call.drop_script(source.stream)
        call.speaking_stream = None
        self._source = None
        self._forget()
        if completed and call.speeches.next_said:
            # LiveKit makes the next one's sound only now; for a listener they are one.
            loop = asyncio.get_running_loop()
            self._no_next = loop.call_later(_NEXT_WITHIN_S, self._stopped)
        else:
            self._stopped(completed=completed)

    def close(self) -> None:
        """No more is heard here: the call is over, or another sink plays what follows."""
        waits = self._no_next is not None
        self._forget()
        self._source = None
        if waits:
            self._stopped()

    def _stopped(self, *, completed: bool = True) -> None:
        self._no_next = None
        self._call.feed(PlayoutStopped(at_ms=self._call.now_ms, completed=completed))

    def _speech_over(self, _: Speech) -> None:
        if self._no_next is not None and not self._call.speeches.next_said:
            self._forget()
            self._stopped()

    def _locks(self, source: Source) -> bool:
        speech = source.speech
        if not self._call.interruptible:
            return True
        return speech is not None and (speech.locked or not speech.handle.allow_interruptions)

    def _forget(self) -> None:
        for timer in (self._too_long, self._no_next):
            if timer is not None:
                timer.cancel()
        self._too_long = self._no_next = None

    def _warn(self, source: Source) -> None:
        log.warning(
            f"bargein: the message {source.message_id} has been locked for"
            f" {self._max_lock_ms / 1000:g} s and is not over; nobody can interrupt it: is it meant"
            " to be so long?"
        )

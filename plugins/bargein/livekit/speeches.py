"""What is the session going to say, and which of it must be heard?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from livekit.agents import SpeechCreatedEvent
from livekit.agents.voice.speech_handle import SpeechHandle

from bargein.core.events import MessageLocked

from . import compat


@dataclass(slots=True, eq=False)
class Speech:
    """One speech of the session's, from when it was asked for until it is over."""

    handle: SpeechHandle
    said: bool
    """True for a text that was given, False for a reply that the LLM makes."""
    number: int
    message: MessageLocked | None = None
    """What must be heard in full, if that is what it says."""
    transcript: str = ""
    """What it says, where that does not go through the text-to-speech."""
    began: bool = False
    """Has any of it been heard?"""
    on_words: Callable[[str], None] | None = field(default=None, repr=False)
    """Told of more transcript."""

    @property
    def over(self) -> bool:
        return self.handle.done() or self.handle.interrupted

    @property
    def locked(self) -> bool:
        return self.message is not None


class Speeches:
    """The speeches of a call that are not over, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._speeches: dict[str, Speech] = {}
        self._count = 0
        self._next: MessageLocked | None = None
        self.ended: list[Callable[[Speech], None]] = []
        """Told that a speech is over and written down."""

    def __iter__(self) -> Iterator[Speech]:
        return iter(tuple(self._speeches.values()))

    def created(self, event: SpeechCreatedEvent) -> Speech:
        """The session has been asked to say something."""
        self._count += 1
        message, self._next = self._next, None
        speech = Speech(
            handle=event.speech_handle,
            said=event.source == "say",
            number=self._count,
            message=message,
        )
        self._speeches[speech.handle.id] = speech
        speech.handle.add_done_callback(lambda _: self._over(speech))
        return speech

    def say(self, message: MessageLocked | None, act: Callable[[], SpeechHandle]) -> SpeechHandle:
        """Ask for a speech that says this message."""
        self._next = message
        try:
            return act()
        finally:
            self._next = None

    def of(self, handle: SpeechHandle | None) -> Speech | None:
        """The speech of a handle, while it is not over."""
        return None if handle is None else self._speeches.get(handle.id)

    def saying(self, message_id: str) -> Speech | None:
        """The speech that says a message."""
        found = (one for one in self if one.message and one.message.message_id == message_id)
        return next(found, None)

    @property
    def next_said(self) -> bool:
        """Is there a text that is said next, as soon as the voice is free?"""
        return any(one.said and not one.began and not one.over for one in self)

    @property
    def imposed(self) -> bool:
        """Is there a speech that nobody may interrupt and that has still to begin?"""
        return any(
            not (one.handle.allow_interruptions or one.over) and compat.queued(one.handle)
            for one in self
        )

    def cut(self, *, everything: bool) -> None:
        """Stop what is being said and what would follow; with ``everything``, even what must be
        heard."""
        for speech in self:
            if speech.over:
                continue
            if everything or (speech.handle.allow_interruptions and not speech.locked):
                speech.handle.interrupt(force=everything)

    def silence(self, control: str) -> bool:
        """Stop what has not sounded yet, unless it must be heard and this may not break it off.

        Returns:
            Whether anything of it had to be heard.
        """
        locked = False
        for speech in self:
            message = speech.message
            if not (speech.over or speech.began or (message and control not in message.broken_by)):
                speech.handle.interrupt(force=True)
                locked = locked or message is not None
        return locked

    def before(self, handle: SpeechHandle) -> list[Speech]:
        """Messages that must be heard and were asked for before this speech."""
        this = self.of(handle)
        number = this.number if this else 0
        return [one for one in self if one.locked and not one.over and one.number < number]

    def _over(self, speech: Speech) -> None:
        self._speeches.pop(speech.handle.id, None)
        for hook in tuple(self.ended):
            hook(speech)

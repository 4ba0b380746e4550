"""Which of the voice's audio belongs to a message that must be heard?"""

from __future__ import annotations

from collections import deque
from importlib.metadata import version

HOST_MARKS = tuple(int(part) for part in version("pipecat-ai").split(".")[:2]) >= (1, 13)
"""Does the host tell which speech must not be interrupted? Before 1.13 only its text tells."""
_REMEMBERED = 64


class Messages:
    """Text-to-speech gives every speech a context of its own; this tells which one is whose."""

    def __init__(self) -> None:
        self._awaited: deque[tuple[str, str]] = deque()  # (message, what it says)
        self._of: dict[str, str] = {}
        self._dropped: deque[str] = deque(maxlen=_REMEMBERED)
        self._called_off: set[str] = set()

    def expect(self, message_id: str, text: str) -> None:
        """A message has been handed to the text-to-speech."""
        self._called_off.discard(message_id)
        self._awaited.append((message_id, _bare(text)))

    def announced(self, stream: str, text: str, *, protected: bool) -> None:
        """A context is going to say this text."""
        if stream in self._of or stream in self._dropped:
            return
        if not protected and HOST_MARKS:
            return  # the same words may be said by somebody else
        bare = _bare(text)
        found = next((one for one in self._awaited if one[1] == bare), None)
        if found is None and protected and self._awaited:
            # A service that rewrites what it is given still speaks in order.
            found = self._awaited[0]
        if found is None:
            return
        self._awaited.remove(found)
        if found[0] in self._called_off:
            self._called_off.discard(found[0])
            self._dropped.append(stream)
            return
        self._of[stream] = found[0]
        while len(self._of) > _REMEMBERED:
            self._of.pop(next(iter(self._of)))

    def of(self, stream: str) -> str | None:
        """The message that a context speaks; None for ordinary speech."""
        return self._of.get(stream)

    def stream_of(self, message_id: str) -> str:
        """The context that speaks a message, the newest if it is spoken again; empty if none."""
        if any(message_id == one for one, _ in self._awaited):
            return ""
        return next((name for name, one in reversed(self._of.items()) if one == message_id), "")

    def call_off(self) -> None:
        """Nothing that was handed in is to be heard any more."""
        self._called_off |= {message_id for message_id, _ in self._awaited}
        for stream in self._of:
            if stream not in self._dropped:
                self._dropped.append(stream)
        self._of.clear()

    def is_dropped(self, stream: str | None) -> bool:
        """Does this context belong to a message that was called off?"""
        return stream is not None and stream in self._dropped


def _bare(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())

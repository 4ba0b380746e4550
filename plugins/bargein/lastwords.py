"""What becomes of words whose final transcript never comes? They count as final after all.

A recogniser whose connection breaks in mid-utterance has told what it heard so far and says no
more. Nobody would answer that, and the caller's words would be lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from difflib import SequenceMatcher

from bargein.call import Call
from bargein.core.events import Event, UserSpeechStarted, UserSpeechStopped

_LATE_S = 2.0
"""So long into the caller's silence a final transcript is waited for: four times the usual."""
_TURN_LATE_S = 6.0
"""So long the end of a turn, where the recogniser tells it: Flux lets a caller think for five."""
_SAME = 0.5
"""A final that has that share of the words that were taken for final is about the same words."""


class LastWords:
    """Keeps the last partial transcript until its final comes, or is not waited for any more."""

    def __init__(
        self, call: Call, say: Callable[[str], None], *, close: Callable[[], None] = lambda: None
    ) -> None:
        """Keep those of one call.

        Args:
            call: the call; its events tell when the caller is silent.
            say: these words are final now.
            close: nothing more comes of the turn that they are in.
        """
        self._call = call
        self._say = say
        self._close = close
        self._partial = ""
        self._final: list[str] = []  # the last that came from the recogniser
        self._taken: list[str] = []  # what was taken for final, and may still come as one
        self._open = False  # words were taken for final, and none have come since
        self._speaks = False
        self._timer: asyncio.TimerHandle | None = None
        call.words_awaited = lambda: self._timer is not None and bool(self._partial)
        call.happened.append(self._happened)
        call.closing.append(self.forget)

    def partial(self, text: str) -> None:
        """The caller is saying this."""
        words = _words(text)
        if words and words != self._final[-len(words) :]:  # some repeat themselves behind a final
            self._partial = text
            self._wait()

    def final(self, text: str) -> str:
        """The caller has said this; returns what of it is new."""
        self._partial, self._open = "", False
        self._rest()
        self._final = _words(text)
        taken, self._taken = self._taken, []
        return _new(text, taken)

    def give_up(self) -> None:
        """The recogniser has failed, or the call is over: no final of this will come."""
        self._rest()
        if self._partial:
            text, self._partial = self._partial, ""
            self._taken_for_final(_new(text, self._taken))
            self._taken = []
        self._wait()

    def forget(self) -> None:
        """Nothing that was said so far is of any interest."""
        self._partial, self._open = "", False
        self._final, self._taken = [], []
        self._rest()

    def _happened(self, event: Event) -> None:
        if isinstance(event, UserSpeechStarted | UserSpeechStopped):
            self._speaks = isinstance(event, UserSpeechStarted)
            self._wait()

    def _wait(self) -> None:
        self._rest()
        if self._speaks:
            return
        if self._partial:
            self._later(_LATE_S, self._too_late)
        elif self._open:
            self._later(_TURN_LATE_S - _LATE_S, self._end_turn)

    def _too_late(self) -> None:
        text, self._partial = _new(self._partial, self._taken), ""
        self._taken += _words(text)
        self._taken_for_final(text)
        self._wait()

    def _taken_for_final(self, text: str) -> None:
        self._open = True
        if text:
            self._say(text)

    def _end_turn(self) -> None:
        self._open = False
        self._close()

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self._call.guarded, "last words", act)

    def _rest(self) -> None:
        """Wait for nothing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _bare(word: str) -> str:
    return "".join(filter(str.isalnum, word.casefold()))


def _words(text: str) -> list[str]:
    return [_bare(word) for word in text.split()]


def _new(text: str, taken: list[str]) -> str:
    """What a transcript adds to words that were taken for final."""
    if not taken:
        return text
    same = SequenceMatcher(None, taken, _words(text), autojunk=False).get_matching_blocks()
    if sum(one.size for one in same) < _SAME * len(taken):
        return text
    last = next(one for one in reversed(same) if one.size)
    return " ".join(text.split()[last.b + last.size :])

"""Who asks a detector? A thread of its own, so that one that hangs holds up nobody."""

from __future__ import annotations

from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread

from .heard import Detector
from .listener import Recording


class Asked:
    """A detector and its thread, which begins with the first question."""

    def __init__(self, name: str, detector: Detector) -> None:
        self.name = name
        self._detector = detector
        self._questions: SimpleQueue[tuple[Recording, Future[float]] | None] = SimpleQueue()
        self._thread: Thread | None = None

    def ask(self, recording: Recording) -> Future[float]:
        """Its backchannel probability, or what it raised instead."""
        if self._thread is None:
            # A daemon: the pools of asyncio and concurrent.futures are waited for at exit.
            self._thread = Thread(target=self._answer, name=f"bargein {self.name}", daemon=True)
            self._thread.start()
        answer: Future[float] = Future()
        self._questions.put((recording, answer))
        return answer

    def close(self) -> None:
        """No more questions; the thread ends by itself, as soon as it can."""
        self._questions.put(None)

    def _answer(self) -> None:
        while (question := self._questions.get()) is not None:
            recording, answer = question
            if not answer.set_running_or_notify_cancel():
                continue
            try:
                probability = float(self._detector(recording.heard()))
                if not 0 <= probability <= 1:
                    raise ValueError(f"a probability must be between 0 and 1, not {probability}")
            except Exception as error:
                answer.set_exception(error)
            else:
                answer.set_result(probability)

"""What do the detectors make of this overlap? Asked in time, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from bargein.call import Call
from bargein.core.decisions import Decision, HoldFloor, YieldFloor
from bargein.core.events import Event
from bargein.core.transitions import Floor
from bargein.detect import Detector, Listener
from bargein.detect.asked import Asked
from bargein.detect.listener import Recording

DEADLINE_S = 1.0
"""An answer that takes longer is about another moment than the one it would decide."""


class Hearing:
    """Asks each detector on its own; one that fails or is too slow is left out from then on."""

    def __init__(self, call: Call, detectors: Sequence[Detector]) -> None:
        """Hear one call.

        Raises:
            DetectorError: a detector that looks at an impossible stretch of sound.
        """
        self._call = call
        self._listener = Listener(detectors)
        self._asked = [Asked(name, one) for name, one in self._listener.detectors.items()]
        self._answers: dict[Asked, asyncio.Future[float]] = {}
        self._overlap = 0
        self._contested = False
        if self._asked:
            call.happened.append(self._happened)
            call.decided.append(self._decided)

    def hear(self, pcm: bytes, rate: int) -> None:
        """Take the next piece of the caller's audio, 16-bit mono."""
        if self._asked:
            self._call.guarded("detectors", self._hear, pcm, rate)

    def close(self) -> None:
        """The call is over, and waits for no detector."""
        for asked in self._asked:
            asked.close()
        self._asked.clear()
        answers, self._answers = self._answers, {}
        for answer in answers.values():
            answer.cancel()

    def _hear(self, pcm: bytes, rate: int) -> None:
        recording = self._listener.hear(
            pcm,
            rate,
            speaking=self._call.user_speaks,
            contested=self._look(),
        )
        if recording is None:
            return
        for asked in self._asked:
            if asked not in self._answers:
                self._ask(asked, recording)

    def _ask(self, asked: Asked, recording: Recording) -> None:
        answer = asyncio.wrap_future(asked.ask(recording))
        late = asyncio.get_running_loop().call_later(DEADLINE_S, answer.cancel)
        self._answers[asked] = answer
        answer.add_done_callback(partial(self._answered, asked, self._overlap, late))

    def _answered(
        self,
        asked: Asked,
        overlap: int,
        late: asyncio.TimerHandle,
        answer: asyncio.Future[float],
    ) -> None:
        late.cancel()
        if self._answers.pop(asked, None) is None:
            return  # the call is over
        if answer.cancelled():
            self._call.complain(
                f"bargein: detector {asked.name} is too slow, with no answer in {DEADLINE_S:g} s;"
                " the call goes on without it"
            )
            self._leave_out(asked)
        elif isinstance(error := answer.exception(), Exception):
            self._call.report(f"detector {asked.name}", error)
            self._leave_out(asked)
        elif self._look() and overlap == self._overlap:
            self._call.guarded("detectors", self._call.score, asked.name, answer.result())

    def _leave_out(self, asked: Asked) -> None:
        self._asked.remove(asked)
        asked.close()

    def _look(self) -> bool:
        """Is the floor contested? Overlaps are counted, so that no score meets a later one."""
        contested = self._call.floor is Floor.CONTESTED
        if contested and not self._contested:
            self._overlap += 1
        self._contested = contested
        return contested

    def _happened(self, _: Event) -> None:
        self._look()

    def _decided(self, decision: Decision) -> None:
        # One event may end an overlap that was due and begin the next, with no look in between.
        if isinstance(decision, HoldFloor | YieldFloor):
            self._contested = False

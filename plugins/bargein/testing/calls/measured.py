"""What did each sound of the caller's do to the agent? Measured from the audio that came out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..steps import Means
from ..tones import PCM
from .found import Reply

LOUD = 60
SILENT_S = 0.5
"""A silence of so long is none between two sentences: the agent waited, or had stopped."""
PAUSE_S = 0.3
"""So much later than the voice meant it to, a word was held up."""
GOES_ON_S = 1.0
"""An agent whose words are not known goes on if it is heard for so long behind the caller."""
FRAME_S = 0.01

Run = tuple[float, float]
"""From when to when something was audible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sounded:
    """A sound of the caller's."""

    text: str
    means: Means
    onset_s: float
    ended_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """A sound of the caller's that began while the agent was heard."""

    sound: Sounded
    silent_s: float | None
    """When the agent fell silent, for `SILENT_S` and more, before it had said all."""
    paused_s: float
    """For how long it was silent amid what it then went on to say; 0 if it never was."""
    paused_at_s: float
    cut: tuple[Reply, ...]
    """What it had begun, or was going to say next, and did not finish."""
    is_known: bool = True
    """Whether it is known what it was saying. If not, it may have been at its end."""

    @property
    def stopped_after_ms(self) -> int | None:
        """From the caller's first sound to the agent's silence; None if it did not stop."""
        if self.silent_s is None:
            return None
        return round((self.silent_s - self.sound.onset_s) * 1000)

    @property
    def unheard(self) -> str:
        """The words that the agent did not say because of it."""
        return " ".join(one.unheard for one in self.cut if one.unheard)

    @property
    def gave_way(self) -> bool:
        """Whether it was silent soon behind the caller; only of one whose words are not known."""
        silent_s = self.silent_s
        return (
            not self.is_known
            and silent_s is not None
            and (silent_s < self.sound.ended_s + GOES_ON_S)
        )

    @property
    def went_on(self) -> bool:
        """Whether the agent talked on as if nothing had happened."""
        return not self.cut and self.paused_s < PAUSE_S and not self.gave_way


def audible(recording: PCM, rate: int, from_s: float, *, apart_s: float = SILENT_S) -> list[Run]:
    """The stretches of a recording, which begins at an instant, in which the agent was heard."""
    size = round(rate * FRAME_S)
    whole = recording[: len(recording) // size * size].astype(np.int32).reshape(-1, size)
    runs: list[Run] = []
    for place in np.flatnonzero(np.abs(whole).max(axis=1, initial=0) > LOUD):
        at_s = from_s + float(place) * FRAME_S
        if runs and at_s - runs[-1][1] < apart_s:
            runs[-1] = (runs[-1][0], at_s + FRAME_S)
        else:
            runs.append((at_s, at_s + FRAME_S))
    return runs


def overlaps(
    sounds: Sequence[Sounded], replies: Sequence[Reply], runs: Sequence[Run]
) -> list[Overlap]:
    """What each sound over the agent's voice did to it; the others are left out."""
    found, blamed = list[Overlap](), set[int]()
    for number, sound in enumerate(sounds):
        run = next((one for one in runs if one[0] <= sound.onset_s < one[1]), None)
        if run is None:
            continue
        later = [one.onset_s for one in sounds[number + 1 :]]
        until_s = later[0] if later else float("inf")
        pauses = _pauses(replies, runs, sound.onset_s, min(until_s, sound.onset_s + 30))
        paused_s, paused_at_s = max(pauses, default=(0.0, 0.0))
        # What follows a pause was not cut by this sound, but by a later one if at all.
        cut = []
        if run[1] < until_s or not later:
            places = _cut(replies, sound.onset_s, run[1], blamed)
            blamed.update(places)
            cut = [replies[place] for place in places]
        stopped = bool(cut) or paused_s >= SILENT_S
        found.append(
            Overlap(
                sound=sound,
                silent_s=(run[1] if cut else paused_at_s) if stopped else None,
                paused_s=paused_s,
                paused_at_s=paused_at_s,
                cut=tuple(cut),
            )
        )
    return found


def silences(sounds: Sequence[Sounded], runs: Sequence[Run], ended_s: float) -> list[Overlap]:
    """The same of an agent whose words are not known: when it was silent, and nothing else."""
    found = []
    for sound in sounds:
        run = next((one for one in runs if one[0] <= sound.onset_s < one[1]), None)
        if run is None:
            continue
        silent_s = run[1] if run[1] + SILENT_S <= ended_s else None
        found.append(
            Overlap(
                sound=sound,
                silent_s=silent_s,
                paused_s=0.0,
                paused_at_s=0.0,
                cut=(),
                is_known=False,
            )
        )
    return found


def _cut(replies: Sequence[Reply], onset_s: float, silent_s: float, blamed: set[int]) -> list[int]:
    """The replies of that moment that were never finished."""
    return [
        place
        for place, one in enumerate(replies)
        if place not in blamed and one.voiced_s < silent_s and one.unheard
        # One that had ended before the caller began was cut by somebody else.
        if one.ended_s is None or one.ended_s > onset_s
    ]


def _pauses(
    replies: Sequence[Reply], runs: Sequence[Run], from_s: float, until_s: float
) -> list[tuple[float, float]]:
    """How long each pause of what was being said lasted, and when it began."""
    found = []
    for reply in replies:
        for word in reply.words:
            if word.at_s is None or word.held_s < PAUSE_S:
                continue
            began_s = _silent_before(runs, word.at_s, word.held_s)
            if from_s < word.at_s and began_s < until_s:
                found.append((word.held_s, began_s))
    for one, after in pairwise(runs):
        if not from_s <= one[1] < until_s:
            continue
        # A reply that had been given to the voice before the silence, and was heard behind it.
        for reply in replies:
            first_s = reply.began_s
            if first_s is not None and reply.voiced_s < one[1] and abs(first_s - after[0]) < 0.1:
                found.append((after[0] - one[1], one[1]))
    return found


def _silent_before(runs: Sequence[Run], at_s: float, held_s: float) -> float:
    ends = [end_s for _, end_s in runs if at_s - held_s - 0.5 < end_s < at_s]
    return max(ends, default=at_s - held_s)

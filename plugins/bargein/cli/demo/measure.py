"""What happened in a call? Measured from the audio that came out, and from the context."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from bargein.testing import clinic
from bargein.testing.speech import PCM, agent_voice

from .talk import COUGH, GO_ON, RIGHT, UH_HUH, YES, Took, lasts_s, sentences, voiced

NEEDED_RUNS = 7
"""The greeting's answer, the question, the booking, the correction, the code once more, the way,
the lift. Those who cannot go on without one may have one more for "please go on"."""
LISTENING = (UH_HUH, COUGH, RIGHT)
"""What should stop nobody."""
PAUSE_S = 0.5
"""A silence of so long is none between two sentences: the agent waited."""
SLACK_S = 0.35
"""An answer that ends so much early was cut: less is the silence at a sentence's end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """What one thing the caller said did to the agent."""

    says: str
    over_agent: bool
    """Was the agent speaking when it began?"""
    cut: bool
    lost_s: float
    """Seconds of the agent's speech that were never heard."""
    silent_after_ms: int | None
    """From the caller's onset until the agent was silent, if it was cut. A rest of its voice after
    a long silence does not make it later."""
    paused_ms: int
    """How long the agent fell silent before it went on; 0 if it did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of the agent: what was heard of it, and what the context says was."""

    text: str
    heard_words: int
    context_words: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WentOn:
    """What came of "please go on", after a question in between."""

    from_word: int | None
    """Where in the explanation the agent went on: 0 is its beginning, None is nowhere."""
    words_twice: int
    words_unheard: int
    """Words of the explanation that were not heard in all of the call."""
    llm_runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A whole call."""

    overlaps: list[Overlap]
    answers: list[Answer]
    llm_runs: int
    extra_llm_runs: int
    answer_lost: bool
    backchannels_in_context: int
    code_heard: bool
    """Was the code heard to its end although the caller talked over it?"""
    went_on: WentOn
    receipts: list[str]
    """What became of each message that had to be heard."""
    lasted_s: float

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One answer of the agent's, as it was heard; instants are on ``time.monotonic``."""

    text: str
    began_s: float
    ended_s: float
    heard_s: float
    whole_s: float
    pauses: tuple[tuple[float, float], ...]
    """From when, and for how long, it was silent amid what it said."""

    def silent_s(self, from_s: float) -> float:
        """When it fell silent after an instant, for long or for good."""
        return next((at for at, _ in self.pauses if at >= from_s), self.ended_s)

    def paused_s(self, from_s: float, until_s: float) -> float:
        """Its longest silence that began between two instants."""
        return max((lasts for at, lasts in self.pauses if from_s <= at < until_s), default=0.0)

    @property
    def cut(self) -> bool:
        """Was its end never heard?"""
        return self.heard_s < self.whole_s - SLACK_S

    @property
    def heard_words(self) -> int:
        """How many of its words had begun to be heard."""
        return _words_within(self.text, self.heard_s) if self.cut else len(self.text.split())


def measured(took: Took) -> Heard:
    """Look at a call that is over."""
    call = took.call
    spoken = agent_said(took)
    overlaps = []
    for place, said in enumerate(took.said):
        next_s = took.said[place + 1].onset_s if place + 1 < len(took.said) else took.ended_s
        over = next((s for s in spoken if s.began_s <= said.onset_s < s.ended_s), None)
        cut = over is not None and over.cut and over.ended_s < next_s
        overlaps.append(
            Overlap(
                says=said.what.name,
                over_agent=over is not None,
                cut=cut and said.what.name != YES,
                lost_s=round(over.whole_s - over.heard_s, 2) if over and cut else 0.0,
                silent_after_ms=round((over.silent_s(said.onset_s) - said.onset_s) * 1000)
                if over and cut
                else None,
                paused_ms=round(over.paused_s(said.onset_s, next_s) * 1000)
                if over and not cut
                else 0,
            )
        )
    messages = [m for m in call.context() if isinstance(m.get("content"), str)]
    user = [m["content"].lower() for m in messages if m["role"] == "user"]
    # Glued to what the caller says next, a noise is in the context too; to an agent that was silent
    # it was none.
    noises = [
        said.what.name
        for said, overlap in zip(took.said, overlaps, strict=True)
        if said.what.name in LISTENING and said.what.text and overlap.over_agent
        if any(said.what.text.lower() in text for text in user)
    ]
    went_on = _went_on(took, spoken)
    return Heard(
        overlaps=overlaps,
        answers=_answers(spoken, [m["content"] for m in messages if m["role"] == "assistant"]),
        llm_runs=len(call.runs),
        extra_llm_runs=max(0, len(call.runs) - NEEDED_RUNS - min(1, went_on.llm_runs)),
        answer_lost=took.answer_lost,
        backchannels_in_context=len(noises),
        code_heard=_code_heard(spoken),
        went_on=went_on,
        receipts=call.receipts(),
        lasted_s=round(took.ended_s - took.began_s, 1),
    )


def agent_said(took: Took) -> list[Spoken]:
    """Each answer, from the chunks that were written between its run and the next."""
    runs = [(at_s, clinic.plain(clinic.reply(messages))) for at_s, messages in took.call.runs]
    onset_s = _told_to_go_on_s(took)
    if all(at_s < onset_s for at_s, _ in runs):
        # No run tells of what is said without one.
        said = " ".join(text for at_s, text in took.call.voiced if at_s > onset_s)
        runs.append((onset_s, said))
    rate = took.call.rate
    found = []
    for place, (run_s, text) in enumerate(runs):
        next_s = runs[place + 1][0] if place + 1 < len(runs) else took.ended_s
        chunks = [c for c in took.call.written if run_s < c.at_s <= next_s]
        chunks = [chunk for chunk in chunks if any(chunk.pcm)]
        if not chunks:
            continue
        ends = [chunk.plays_at_s + len(chunk.pcm) / 2 / rate for chunk in chunks]
        sounds = sum(np.count_nonzero(np.frombuffer(chunk.pcm, "<i2")) for chunk in chunks)
        found.append(
            Spoken(
                text=text,
                began_s=chunks[0].plays_at_s,
                ended_s=ends[-1],
                heard_s=_far_s(voiced(text), int(sounds)),
                whole_s=lasts_s(text),
                pauses=tuple(
                    (end_s, after.plays_at_s - end_s)
                    for end_s, after in zip(ends, chunks[1:], strict=False)
                    if after.plays_at_s - end_s > PAUSE_S
                ),
            )
        )
    return found


def _far_s(pcm: PCM, sounds: int) -> float:
    """How far into a text somebody is who has heard so many samples of sound of it."""
    loud = np.flatnonzero(pcm)
    return float(loud[min(sounds, len(loud)) - 1] - loud[0]) / 24000 if len(loud) else 0.0


def _code_heard(spoken: list[Spoken]) -> bool:
    code = clinic.CODE
    for one in spoken:
        before, found, _ = one.text.partition(code)
        if found:
            return not one.cut or one.heard_s > lasts_s(before + code) - SLACK_S / 2
    return False


def _answers(spoken: list[Spoken], context: list[str]) -> list[Answer]:
    """The context's own words for each answer, in order."""
    found, place = [], 0
    for one in spoken:
        written = ""
        for at in range(place, len(context)):
            if context[at] and one.text.startswith(context[at][:8]):
                written, place = context[at], at + 1
                # Around a locked message an answer is several of the context's.
                while place < len(context) and context[place] and context[place] in one.text:
                    written, place = f"{written} {context[place]}", place + 1
                break
        context_words = len(written.split())
        found.append(
            Answer(text=one.text, heard_words=one.heard_words, context_words=context_words)
        )
    return found


def _went_on(took: Took, spoken: list[Spoken]) -> WentOn:
    directions = clinic.DIRECTIONS.split()
    onset_s = _told_to_go_on_s(took)
    before: set[int] = set()
    after: set[int] = set()
    for one in spoken:
        if one.began_s > onset_s:
            after.update(_places(directions, one))
        elif one.text.split() == directions:
            before.update(_places(directions, one))
    return WentOn(
        from_word=min(after, default=None),
        words_twice=len(before & after),
        words_unheard=len(directions) - len(before | after),
        llm_runs=sum(at_s > onset_s for at_s, _ in took.call.runs),
    )


def _places(text: list[str], one: Spoken) -> range:
    """Which of a text's words were heard in something the agent said."""
    heard = one.text.split()[: one.heard_words]
    same = SequenceMatcher(None, text, heard, autojunk=False).find_longest_match()
    return range(same.a, same.a + same.size)


def _told_to_go_on_s(took: Took) -> float:
    return next(said.onset_s for said in took.said if said.what.name == GO_ON)


def _words_within(text: str, heard_s: float) -> int:
    """How many words begin within so much of an answer's audio."""
    count, before_s = 0, 0.0
    for sentence in sentences(text):
        pcm, words = agent_voice(sentence, 24000)
        count += sum(before_s + at_s < heard_s for _, at_s in words)
        before_s += len(pcm) / 24000
    return count

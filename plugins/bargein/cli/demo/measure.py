"""What happened in a call? Measured from the audio that came out, and from the context."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bargein.testing.speech import agent_voice

from .talk import COUGH, RIGHT, UH_HUH, YES, Took, lasts_s, offline_call, sentences

NEEDED_RUNS = 5
"""The greeting's answer, the question, the booking, the correction, the code once more."""
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
    """From the caller's onset to the agent's last sample, if it was cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of the agent: what was heard of it, and what the context says was."""

    text: str
    heard_words: int
    context_words: int


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
    receipts: list[str]
    """What became of each message that had to be heard."""
    lasted_s: float

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spoken:
    text: str
    began_s: float
    ended_s: float
    heard_s: float
    whole_s: float

    @property
    def cut(self) -> bool:
        return self.heard_s < self.whole_s - SLACK_S


def measured(took: Took) -> Heard:
    """Look at a call that is over."""
    call = took.call
    spoken = _spoken(took)
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
                silent_after_ms=round((over.ended_s - said.onset_s) * 1000)
                if over and cut
                else None,
            )
        )
    messages = [m for m in call.context.get_messages() if isinstance(m.get("content"), str)]
    user = [m["content"].lower() for m in messages if m["role"] == "user"]
    noises = [text for text in user if text.strip(" .,") in ("uh-huh", "right okay", "right, okay")]
    return Heard(
        overlaps=overlaps,
        answers=_answers(spoken, [m["content"] for m in messages if m["role"] == "assistant"]),
        llm_runs=len(call.llm.runs),
        extra_llm_runs=max(0, len(call.llm.runs) - NEEDED_RUNS),
        answer_lost=took.answer_lost,
        backchannels_in_context=len(noises),
        code_heard=_code_heard(spoken),
        receipts=[one.state.value for one in call.manners.receipts] if call.manners else [],
        lasted_s=round(took.ended_s - took.began_s, 1),
    )


def _spoken(took: Took) -> list[_Spoken]:
    """Each answer, from the chunks that were written between its run and the next."""
    module = offline_call()
    runs = [(at_s, module.plain(module.reply(messages))) for at_s, messages in took.call.llm.runs]
    rate = took.call.output.rate
    found = []
    for place, (run_s, text) in enumerate(runs):
        next_s = runs[place + 1][0] if place + 1 < len(runs) else took.ended_s
        chunks = [c for c in took.call.output.written if run_s < c.at_s <= next_s]
        audible = [at for at, chunk in enumerate(chunks) if any(chunk.pcm)]
        if not audible:
            continue
        # From the first sound to the last, with the silence between sentences.
        chunks = chunks[audible[0] : audible[-1] + 1]
        heard_s = sum(len(chunk.pcm) / 2 / rate for chunk in chunks)
        last = chunks[-1]
        found.append(
            _Spoken(
                text=text,
                began_s=chunks[0].plays_at_s,
                ended_s=last.plays_at_s + len(last.pcm) / 2 / rate,
                heard_s=heard_s,
                whole_s=lasts_s(text),
            )
        )
    return found


def _code_heard(spoken: list[_Spoken]) -> bool:
    code = offline_call().CODE
    for one in spoken:
        before, found, _ = one.text.partition(code)
        if found:
            return not one.cut or one.heard_s > lasts_s(before + code) - SLACK_S / 2
    return False


def _answers(spoken: list[_Spoken], context: list[str]) -> list[Answer]:
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
        heard = len(one.text.split()) if not one.cut else _words_within(one.text, one.heard_s)
        found.append(Answer(text=one.text, heard_words=heard, context_words=len(written.split())))
    return found


def _words_within(text: str, heard_s: float) -> int:
    """How many words begin within so much of an answer's audio."""
    count, before_s = 0, 0.0
    for sentence in sentences(text):
        pcm, words = agent_voice(sentence, 24000)
        count += sum(before_s + at_s < heard_s for _, at_s in words)
        before_s += len(pcm) / 24000
    return count


LISTENING = (UH_HUH, COUGH, RIGHT)
"""What should stop nobody."""

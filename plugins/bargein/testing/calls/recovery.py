"""Did the agent come out of an interruption well? By the words alone, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..steps import Means
from .found import Reply
from .measured import Overlap
from .words import place_of, repeated, words_of

REPEATED_WORDS = 4
"""So many words in a row are no accident."""
CONTENT_CHARS = 4
STEM_CHARS = 5
"""Words with so many first letters in common are forms of one: "refund", "refunded"."""
_EMPTY = """
about again also could does doing dont from give going have hold into just know like mean meant more
need okay only please really said should some sorry sure tell than thank thanks that that's their
them then there they thing this wait want well were what what's when where which will with would
yeah your
"""
EMPTY = frozenset(_EMPTY.split())
"""Words of English that are in every sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What the agent said after an interruption of the caller's."""

    asked: str
    """What the caller interrupted it with."""
    before: str
    """The words of the reply that was interrupted, heard before it stopped."""
    unsaid: str
    """The words of it that were not."""
    answer: str
    """What was heard of what was meant after it, until the caller interrupted again."""

    def problems(self, about: Sequence[str] = ()) -> list[str]:
        """What is wrong with it, a sentence each.

        Args:
            about: words that tell that the answer is about what was asked, where the question's
                own words do not.
        """
        answer = words_of(self.answer)
        found = []
        if not answer:
            return [f'the agent gave no answer to "{self.asked}"']
        wanted = {stem for one in about for stem in _stems(words_of(one), every=True)}
        wanted = wanted or _stems(words_of(self.asked))
        if not wanted & _stems(answer, every=bool(about)):
            found.append(
                f'"{self.answer}" has no word of "{self.asked}"'
                + (f" nor of {list(about)}" if about else "; say about=[...], or ask a judge")
            )
        unsaid = words_of(self.unsaid)
        if unsaid and place_of(unsaid[:REPEATED_WORDS], answer) is not None:
            found.append(f'the interrupted answer goes on: "{" ".join(unsaid[:REPEATED_WORDS])}"')
        if again := repeated(words_of(self.before), answer, REPEATED_WORDS):
            found.append(f'the agent says again what was heard: "{" ".join(again)}"')
        return found


def recovery(overlap: Overlap, overlaps: Sequence[Overlap], replies: Sequence[Reply]) -> Recovery:
    """How the agent came out of one turn that the caller began over its voice."""
    onset_s = overlap.sound.onset_s
    turns_s = [one.sound.onset_s for one in overlaps if one.sound.means is Means.TURN]
    from_s = max((at_s for at_s in turns_s if at_s < onset_s), default=0.0)
    until_s = min((at_s for at_s in turns_s if at_s > onset_s), default=float("inf"))
    before = [one for one in replies if from_s <= one.voiced_s < onset_s] or list(overlap.cut)
    after = [one for one in replies if onset_s <= one.voiced_s < until_s and one not in overlap.cut]
    return Recovery(
        asked=overlap.sound.text,
        before=" ".join(one.heard for one in before if one.heard),
        unsaid=overlap.unheard,
        answer=" ".join(one.heard for one in after if one.heard),
    )


def _stems(words: Sequence[str], *, every: bool = False) -> set[str]:
    return {
        word[:STEM_CHARS]
        for word in words
        if every or (len(word) >= CONTENT_CHARS and word not in EMPTY)
    }

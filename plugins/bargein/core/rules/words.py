"""How do rules ask what the words mean, without knowing any language?"""

from __future__ import annotations

from typing import Protocol

from ..decisions import Kind, Reason
from ..overlap import Overlap, Ruling


class Reading(Protocol):
    """What a judge makes of some words. `bargein.Judgement` is one."""

    @property
    def ruling(self) -> Ruling: ...
    @property
    def kind(self) -> Kind | None: ...
    @property
    def reason(self) -> Reason: ...
    @property
    def may_answer(self) -> bool: ...


class Judge(Protocol):
    """Reads words in the light of what the agent was saying. `bargein.Judge` is one."""

    def __call__(
        self,
        words: str,
        /,
        *,
        agent_said: str,
        agent_unsaid: str,
        agent_finished: bool,
        is_final: bool,
        elapsed_ms: int | None,
        language: str,
    ) -> Reading: ...


def read(judge: Judge, overlap: Overlap) -> Reading:
    """Ask ``judge`` about the words of an overlap."""
    return judge(
        overlap.words,
        agent_said=overlap.agent_said,
        agent_unsaid=overlap.agent_unsaid,
        agent_finished=overlap.agent_finished,
        is_final=overlap.words_final,
        elapsed_ms=overlap.lasted_ms,
        language=overlap.language,
    )

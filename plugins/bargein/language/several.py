"""Which language's judge reads these words, where a call may be held in several?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from bargein.core.decisions import Kind

from .judge import Judge
from .judgement import Judgement
from .lexicon import Language, LanguageError, available_languages, base_tag
from .tokens import phrases_of

AUTO = "auto"
"""Any language there is, as the recogniser's tag says; English until it says so."""


@dataclass(frozen=True, slots=True)
class Judges:
    """One judge a language; the recogniser's tag for the words chooses.

    Args:
        languages: tags or loaded languages, the first for words without a tag of these. ``"auto"``
            is every language there is, English first.
        ignore: phrases that never take the floor, in any of them.
        always_interrupt: phrases that always do.

    Raises:
        LanguageError: no such language, or none at all.
    """

    languages: Sequence[Language | str] | str
    ignore: Iterable[str] = ()
    always_interrupt: Iterable[str] = ()
    _read_by: dict[str, Language | str] = field(init=False, repr=False, compare=False)
    _judges: dict[Language | str, Judge] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        languages, is_auto = self.languages, self.languages == AUTO
        if is_auto:
            languages = ("en", *(tag for tag in available_languages() if tag != "en"))
        languages = (languages,) if isinstance(languages, str | Language) else tuple(languages)
        if not languages:
            raise LanguageError("name at least one language, or 'auto' for all of them")
        read_by: dict[str, Language | str] = {}
        for language in languages:
            tag = language.tag if isinstance(language, Language) else language
            for part in base_tag(tag).split("+"):
                read_by.setdefault(part, language)
        for name, value in {
            "languages": languages,
            "ignore": phrases_of("ignore", self.ignore),
            "always_interrupt": phrases_of("always_interrupt", self.always_interrupt),
            "_read_by": read_by,
        }.items():
            object.__setattr__(self, name, value)
        if not is_auto:
            self.read_all()  # an unknown language is an error now, and not in mid-call

    def __call__(
        self,
        words: str | Sequence[str],
        *,
        agent_said: str = "",
        agent_unsaid: str = "",
        agent_finished: bool = False,
        is_final: bool = False,
        elapsed_ms: int | None = None,
        language: str = "",
    ) -> Judgement:
        """As `Judge`, in the language that the recogniser's tag names, or the first."""
        return self._judge(language)(
            words,
            agent_said=agent_said,
            agent_unsaid=agent_unsaid,
            agent_finished=agent_finished,
            is_final=is_final,
            elapsed_ms=elapsed_ms,
        )

    def read_all(self) -> None:
        """Read every language now; those of ``"auto"`` are read when somebody speaks them."""
        for tag in self._read_by:
            self._judge(tag)

    def turn(self, words: str, *, agent_said: str) -> tuple[Kind | None, bool | None]:
        """What a whole turn, taken after the agent had finished, says about going on.

        Returns:
            `Kind.RESUME` where it asks for that ("go on" to a question is an answer instead),
            `Kind.CANCELLATION` where it says "stop" and no more; and whether it is a yes or a no,
            None where it is neither.
        """
        judge = self._judge("")
        kind = judge(words, agent_said=agent_said, agent_finished=True, is_final=True).kind
        if kind is not Kind.RESUME:
            kind = Kind.CANCELLATION if judge.only_stops(words) else None
        return kind, judge.agrees(words)

    @property
    def speech(self) -> Mapping[str, str]:
        """What the agent says itself, in the first language."""
        return self._judge("").speech

    def _judge(self, tag: str) -> Judge:
        language = self._read_by.get(_base_tag(tag), self.languages[0])
        judge = self._judges.get(language)
        if judge is None:
            judge = Judge(language, ignore=self.ignore, always_interrupt=self.always_interrupt)
            self._judges[language] = judge
        return judge


_base_tag = lru_cache(maxsize=256)(base_tag)

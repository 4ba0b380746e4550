"""How should these words be taken, given what the agent was saying?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from bargein.core.decisions import Kind, Reason
from bargein.core.overlap import Ruling

from .agent import LOOK_AHEAD_CHARS, LOOK_BACK_CHARS, AgentSide
from .grammar import PREFIX, WORD, Grammar, Unit
from .judgement import Judgement
from .lexicon import ALWAYS, IGNORED, Language, load_language
from .tokens import ends_of, is_asked, phrases_of

_HOLD_REASON = {
    IGNORED: Reason.IGNORED,
    "go_on": Reason.GO_ON,
    "assessment": Reason.ASSESSMENT,
    "assent": Reason.ACKNOWLEDGEMENT,
    "acknowledgement": Reason.ACKNOWLEDGEMENT,
    "echo": Reason.ECHO,
    "continuer": Reason.CONTINUER,
    "filler": Reason.FILLER,
}
"""Why the agent goes on, the most telling first."""
_SHIFT_REASON: dict[str, tuple[Kind | None, Reason]] = {
    ALWAYS: (None, Reason.ALWAYS_INTERRUPTS),
    "emergency": (Kind.EMERGENCY, Reason.EMERGENCY_STOP),
    "cancellation": (Kind.CANCELLATION, Reason.STOP_WORD),
    "stop": (Kind.CANCELLATION, Reason.STOP_WORD),
    "correction": (Kind.CORRECTION, Reason.FLOOR_OPENING),
    "redirect": (Kind.REDIRECT, Reason.FLOOR_OPENING),
    "resume": (Kind.RESUME, Reason.GO_ON),
    "clarification": (Kind.CLARIFICATION, Reason.QUESTION),
    "answer": (Kind.ANSWER, Reason.ANSWER),
    "question": (None, Reason.QUESTION),
    "hold": (Kind.HOLD, Reason.STOP_WORD),
    "objection": (Kind.CORRECTION, Reason.FLOOR_OPENING),
    "refusal": (Kind.CORRECTION, Reason.FLOOR_OPENING),
    "opening": (None, Reason.FLOOR_OPENING),
    "statement": (None, Reason.BARGE_IN),
    WORD: (None, Reason.BARGE_IN),
}
"""What the caller takes the floor for, the most telling first."""
_HOLD_RANK = {name: place for place, name in enumerate(_HOLD_REASON)}
_SHIFT_RANK = {name: place for place, name in enumerate(_SHIFT_REASON)}
_LOOSE = frozenset({WORD, PREFIX})
_PLAIN = frozenset({"refusal", "opening", "statement", WORD})
"""Classes that are simply an answer when a question is open."""
_SOFTENING = frozenset({"go_on", "assessment", "acknowledgement", "assent"})
"""What turns a "no" into its opposite: "no, that's fine"."""
_MOMENT_WORDS = 3
"""So many words may go with "hang on", as in "hang on, let me get my glasses"."""
_ASKED_BACK = frozenset({"filler", "continuer", "echo"})
"""What calls for an explanation when it is said as a question: "huh?"."""
_YES = frozenset({"assent", "go_on", "answer", "assessment", "resume"})
_NO = frozenset({"refusal", "stop", "cancellation"})
_STOPS = frozenset({"stop", "cancellation"})
_SAYS_LITTLE = frozenset({"filler", "continuer", "acknowledgement", "assent", "refusal", PREFIX})
"""What may go with a "stop" without asking for anything."""
_MAY_ANSWER = frozenset({"go_on", "assessment", "assent", "continuer"})


def _held(name: str, reason: Reason) -> Judgement:
    kind = Kind.RESUME if name == "go_on" else Kind.BACKCHANNEL
    return Judgement(ruling=Ruling.HOLD, kind=kind, reason=reason, may_answer=name in _MAY_ANSWER)


def _shift(kind: Kind | None, reason: Reason) -> Judgement:
    return Judgement(ruling=Ruling.SHIFT, kind=kind, reason=reason)


_HELD = {name: _held(name, reason) for name, reason in _HOLD_REASON.items()}
_TAKEN = {name: _shift(kind, reason) for name, (kind, reason) in _SHIFT_REASON.items()}
_TURNS = {"go_on": _shift(Kind.RESUME, Reason.GO_ON)} | dict.fromkeys(
    ("assessment", "assent", "acknowledgement", "echo"), _shift(None, Reason.AGENT_FINISHED)
)
"""What is no listener's noise any more once the agent has finished."""
_ANSWER = _shift(Kind.ANSWER, Reason.ANSWER)
_UNDECIDED = Judgement(ruling=Ruling.WAIT, kind=None, reason=Reason.STILL_UNDECIDED)
_NOTHING_YET = Judgement(ruling=Ruling.WAIT, kind=None, reason=Reason.NOISE)
_NOTHING_AT_LAST = Judgement(ruling=Ruling.HOLD, kind=Kind.NOISE, reason=Reason.NOISE)


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges words in one language. A value: equal to another of the same language and lists.

    Args:
        language: a tag such as "en-US", or a `Language`.
        ignore: phrases that never take the floor.
        always_interrupt: phrases that always do.
    """

    language: Language | str = "en"
    ignore: Iterable[str] = ()
    always_interrupt: Iterable[str] = ()
    _language: Language = field(init=False, repr=False, compare=False)
    _grammar: Grammar = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        language = self.language
        if not isinstance(language, Language):
            language = load_language(language)
        ignore = phrases_of("ignore", self.ignore)
        always = phrases_of("always_interrupt", self.always_interrupt)
        settled: dict[str, object] = {
            "language": language,
            "ignore": ignore,
            "always_interrupt": always,
            "_language": language,
            "_grammar": language.grammar(ignore, always),
        }
        for name, value in settled.items():
            object.__setattr__(self, name, value)

    def __call__(
        self,
        words: str | Sequence[str],
        *,
        agent_said: str = "",
        agent_unsaid: str = "",
        agent_finished: bool = False,
        is_final: bool = False,
        elapsed_ms: int | None = None,
        language: str = "",  # noqa: ARG002 - one language reads all words alike
    ) -> Judgement:
        """How the words so far should be taken. Ask again whenever they have grown or changed.

        Arguments as for `judge`; ``language``, the recogniser's tag for these words, is for
        `Judges`: one language reads all of them alike.
        """
        own, grammar = self._language, self._grammar
        text = ends_of(words)
        tokens = grammar.tokens(text, is_final)
        if not tokens:
            return _NOTHING_AT_LAST if is_final else _NOTHING_YET
        agent = _agent_side(
            own,
            _string("agent_said", agent_said)[-LOOK_BACK_CHARS:],
            _string("agent_unsaid", agent_unsaid)[:LOOK_AHEAD_CHARS],
            agent_finished,
        )
        asks_back = is_asked(text)
        settled = is_final or asks_back or (elapsed_ms is not None and elapsed_ms >= own.settle_ms)
        symbols = grammar.symbols(tokens)
        units = grammar.units(symbols, is_final)
        hold, shift, is_pending = self._weigh(units, tokens, agent, settled)
        if shift is not None:
            if shift in _PLAIN and agent.is_asking:
                return _ANSWER
            return _TAKEN[shift]
        told = is_pending or is_final or hold != "filler"
        if hold is not IGNORED and agent.is_asking and told:
            return _ANSWER
        if is_pending:
            # More may come. If none did, would these words be a listener's?
            hold, shift, _ = self._weigh(grammar.units(symbols, True), tokens, agent, True)
            if shift is not None:
                return _UNDECIDED
        if hold is None:
            return _UNDECIDED
        if asks_back and hold in _ASKED_BACK:
            return _TAKEN["clarification"]
        if agent_finished and hold in _TURNS:
            return _TURNS[hold]
        return _HELD[hold]

    @property
    def speech(self) -> Mapping[str, str]:
        """What the agent says itself, in this language."""
        return self._language.speech

    def agrees(self, words: str) -> bool | None:
        """Is this a yes or a no? None where it is neither."""
        grammar = self._grammar
        symbols = grammar.symbols(grammar.tokens(ends_of(words)))
        names = [name for name, *_ in grammar.units(symbols, is_final=True)]
        first = [name for name, *_ in grammar.units(symbols[:1], is_final=True)]
        if not _NO.isdisjoint((*first, *names)) and "go_on" not in names:
            return False
        return None if _YES.isdisjoint(names) else True

    def only_stops(self, words: str) -> bool:
        """Is it a "stop", and nothing that could be answered besides?"""
        grammar = self._grammar
        symbols = grammar.symbols(grammar.tokens(ends_of(words)))
        names = {name for name, *_ in grammar.units(symbols, is_final=True)}
        return not names.isdisjoint(_STOPS) and names <= _STOPS | _SAYS_LITTLE

    def _weigh(
        self, units: Sequence[Unit], tokens: Sequence[str], agent: AgentSide, settled: bool
    ) -> tuple[str | None, str | None, bool]:
        """The most telling class that holds, the most telling that shifts, and is more to come?"""
        hold: str | None = None
        shift: str | None = None
        is_pending = False
        loose: list[str] = []
        moment_at: int | None = None
        for name, start, end, may_grow in units:
            if name in _LOOSE:
                if may_grow:
                    is_pending = True
                else:
                    loose += tokens[start:end]
                continue
            if name == "refusal" and agent.is_negative and not agent.is_asking:
                name = "assent"
            if name in _HOLD_RANK:
                if hold is None or _HOLD_RANK[name] < _HOLD_RANK[hold]:
                    hold = name
            elif may_grow and not (settled and len(units) == 1):
                is_pending = True
            elif shift is None or _SHIFT_RANK[name] < _SHIFT_RANK[shift]:
                shift = name
                moment_at = end if name == "hold" else None
        if shift == "refusal" and not loose and hold in _SOFTENING:
            shift = None
        if shift == "hold" and (
            len(loose) > _MOMENT_WORDS or self._answers(units, tokens, moment_at or 0, agent)
        ):
            shift = WORD  # whoever says that much wants an answer, and not a moment
        if loose and shift is None:
            is_echo = (
                hold != "assessment"
                and not self._language.function_words.issuperset(loose)
                and agent.would_be_echoed(loose)
            )
            if is_echo:
                hold = "echo"
            else:
                shift = WORD
        return hold, shift, is_pending

    def _answers(
        self, units: Sequence[Unit], tokens: Sequence[str], after: int, agent: AgentSide
    ) -> bool:
        """After "wait", is there an answer to what the agent asks: "wait, yes"?"""
        if not agent.is_asking:
            return False
        digits = self._language.habits.digits
        return any(
            name in ("assent", "answer", "refusal")
            or (name is WORD and (tokens[start] in digits or tokens[start].isdecimal()))
            for name, start, *_ in units
            if start >= after
        )


def judge(
    words: str | Sequence[str],
    *,
    agent_said: str = "",
    agent_unsaid: str = "",
    agent_finished: bool = False,
    is_final: bool = False,
    elapsed_ms: int | None = None,
    language: str = "en",
) -> Judgement:
    """How a caller's words should be taken, given what the agent was saying.

    Args:
        words: what the recogniser has heard since the caller began to speak.
        agent_said: what the caller has heard of the agent's words so far.
        agent_unsaid: the rest of it, as far as it is known.
        agent_finished: True when the agent had ended before the caller began.
        is_final: True when the words will not grow or change any more.
        elapsed_ms: time since the caller began to speak.
        language: a tag such as "en" or "en-US", or a mixture such as "hi+en".
    """
    return _judge_of(language)(
        words,
        agent_said=agent_said,
        agent_unsaid=agent_unsaid,
        agent_finished=agent_finished,
        is_final=is_final,
        elapsed_ms=elapsed_ms,
    )


@lru_cache(maxsize=64)
def _judge_of(language: str) -> Judge:
    return Judge(language)


@lru_cache(maxsize=1024)
def _agent_side(language: Language, said: str, unsaid: str, has_finished: bool) -> AgentSide:
    return AgentSide(said, unsaid, has_finished, language.habits)


def _string(name: str, value: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, not {type(value).__name__}")
    return value

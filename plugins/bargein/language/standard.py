"""Which rules does a call get when nobody says otherwise?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from bargein.core.overlap import Overlap, RuleError, Rules
from bargein.core.rules import (
    Acoustic,
    Answer,
    Backchannel,
    BargeIn,
    CriticalMessage,
    EmergencyStop,
    MinAgentSpeech,
    NearlyDone,
    Noise,
    StartedOver,
)

from .judge import Judge
from .lexicon import Language, load_language
from .several import AUTO, Judges
from .tokens import phrases_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """The numbers of the standard rules, in milliseconds."""

    pause_after_ms: int
    """Talked over and undecided for this long, the agent falls silent and listens."""
    words_pause_ms: int
    """The same, this long after words that may be the beginning of something."""
    max_hold_ms: int
    """Undecided and the user silent for this long, the agent goes on."""
    settle_ms: int
    """How long a "yeah" may still grow into a sentence while the user makes sound."""
    words_late_ms: int
    """How long after silence the recogniser's words are waited for."""
    max_left_ms: int
    """An agent with no more than this left to say finishes."""
    yield_without_words_ms: int | None = None
    """Speech this long takes the floor even without words; None never does."""
    yield_below: float | None = None
    """A detector's backchannel probability up to which speech takes the floor without words."""


PRESETS: dict[str, Preset] = {
    "patient": Preset(
        # A caller who thinks aloud, an elderly caller, a bad line: 1.2 s is longer than 98 % of
        # English and 95 % of Korean backchannels, so nearly no pause is wasted.
        pause_after_ms=1_200,
        # A hesitant "no ..." gets the time of two more words to become "no, go on".
        words_pause_ms=400,
        # Hesitation pauses inside one turn commonly reach 1-2 s.
        max_hold_ms=2_000,
        # Slow speakers leave about a second between "yeah" and what follows.
        settle_ms=1_000,
        # Slow recognisers: half a second of latency and a margin.
        words_late_ms=900,
        # Two or three words.
        max_left_ms=700,
    ),
    "balanced": Preset(
        # 95 % of English backchannels are over after 750 ms (where a language's last longer, the
        # difference is added), and a partial that names one comes
        # about 250 ms behind it.
        pause_after_ms=1_000,
        # A pause can be taken back: the end of the agent's word is moment enough.
        words_pause_ms=0,
        # Silence longer than this is heard as "it is broken".
        max_hold_ms=1_500,
        # Longer than any gap inside a fluent "yeah, but".
        settle_ms=800,
        # Streaming recognisers bring words 250-500 ms behind the voice.
        words_late_ms=600,
        # A word and a half.
        max_left_ms=400,
    ),
    "eager": Preset(
        # Sales and kiosks: silent as soon as most backchannels would be over.
        pause_after_ms=500,
        words_pause_ms=0,
        max_hold_ms=1_000,
        settle_ms=500,
        words_late_ms=450,
        # One short word.
        max_left_ms=250,
        # Somebody who talks this long means it, whatever the recogniser says.
        yield_without_words_ms=1_200,
        # Four to one that it is a turn.
        yield_below=0.2,
    ),
}


def standard_rules(
    language: str | Language | Sequence[str | Language] = "en",
    *,
    preset: str | Preset = "balanced",
    min_speak_ms: int = 0,
    interruptible: Callable[[Overlap], bool] | None = None,
    ignore: Iterable[str] = (),
    always_interrupt: Iterable[str] = (),
) -> Rules:
    """The default rules, in the order they are asked.

    Args:
        language: a tag such as ``"en"`` or ``"en-US"``, a mixture such as ``"hi+en"`` for callers
            who mix, or a loaded `Language`. Several: the recogniser's tag chooses, the first is
            for words without one; ``"auto"`` is every language there is.
        preset: ``"patient"``, ``"balanced"``, ``"eager"``, or a `Preset` of your own.
        min_speak_ms: the agent is not interrupted before it has been audible this long.
        interruptible: your own condition, asked with the `Overlap`; False keeps the floor.
        ignore: phrases that never interrupt, on top of the language's own.
        always_interrupt: phrases that always do.

    Raises:
        LanguageError: no such language.
        RuleError: no such preset, or an impossible number.
    """
    numbers = _preset(preset)
    judge, longer_ms = _judge_for(language, ignore, always_interrupt)
    return (
        EmergencyStop(judge=judge),
        CriticalMessage(judge=judge),
        StartedOver(),
        NearlyDone(max_left_ms=numbers.max_left_ms),
        Answer(judge=judge),
        Backchannel(judge=judge, settle_ms=numbers.settle_ms),
        Acoustic(judge=judge, yield_below=numbers.yield_below),
        Noise(words_late_ms=numbers.words_late_ms),
        MinAgentSpeech(min_speak_ms=min_speak_ms, interruptible=interruptible),
        BargeIn(
            judge=judge,
            pause_after_ms=numbers.pause_after_ms + longer_ms,
            words_pause_ms=numbers.words_pause_ms,
            max_hold_ms=numbers.max_hold_ms,
            yield_without_words_ms=numbers.yield_without_words_ms,
        ),
    )


def read_now(
    language: str | Language | Sequence[str | Language] = "en",
    *,
    ignore: Iterable[str] = (),
    always_interrupt: Iterable[str] = (),
) -> None:
    """Read what `standard_rules` with these arguments would read, ``"auto"`` in full.

    Raises:
        LanguageError: no such language.
    """
    judge, _ = _judge_for(language, ignore, always_interrupt)
    if isinstance(judge, Judges):
        judge.read_all()


def _judge_for(
    language: str | Language | Sequence[str | Language],
    ignore: Iterable[str],
    always_interrupt: Iterable[str],
) -> tuple[Judge | Judges, int]:
    languages = language if isinstance(language, str | Language) else tuple(language)
    return _judge(
        languages, phrases_of("ignore", ignore), phrases_of("always_interrupt", always_interrupt)
    )


@lru_cache(maxsize=64)
def _judge(
    language: str | Language | tuple[str | Language, ...],
    ignore: tuple[str, ...],
    always_interrupt: tuple[str, ...],
) -> tuple[Judge | Judges, int]:
    """A judge, and how much longer than English ones the backchannels of its language are.

    Reading a grammar takes tens of milliseconds: too long to do again for every call.
    """
    if isinstance(language, tuple) or language == AUTO:
        several = Judges(language, ignore=ignore, always_interrupt=always_interrupt)
        first = several.languages[0]
        return several, _longer_ms(first)
    return Judge(language, ignore=ignore, always_interrupt=always_interrupt), _longer_ms(language)


def _longer_ms(language: str | Language) -> int:
    if not isinstance(language, Language):
        language = load_language(language)
    return max(0, language.backchannel_ms - load_language("en").backchannel_ms)


def _preset(preset: str | Preset) -> Preset:
    if isinstance(preset, Preset):
        return preset
    if preset not in PRESETS:
        raise RuleError(f"preset must be one of {', '.join(PRESETS)}, not {preset!r}")
    return PRESETS[preset]

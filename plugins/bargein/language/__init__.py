"""What do a caller's words mean? One function, one TOML file a language."""

from .judge import Judge, judge
from .judgement import Judgement
from .lexicon import Language, LanguageError, available_languages, load_language
from .several import Judges

__all__ = [
    "Judge",
    "Judgement",
    "Judges",
    "Language",
    "LanguageError",
    "available_languages",
    "judge",
    "load_language",
]

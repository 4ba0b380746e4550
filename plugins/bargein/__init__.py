"""Good manners for voice agents when people talk over them.

The names here need nothing but the standard library, and each is read when it is first asked for:
``import bargein`` costs next to nothing. A host has its own package: `bargein.pipecat`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .core.decisions import (
        Decision,
        DeferTurn,
        DeliverTurn,
        Delivery,
        DuckPlayout,
        FileReceipt,
        HoldFloor,
        Kind,
        PassFloor,
        PausePlayout,
        Reason,
        ReportBackchannel,
        ResumePlayout,
        SpeakAgain,
        StopAt,
        YieldFloor,
    )
    from .core.events import (
        CallEnded,
        ControlRaised,
        Event,
        MessageLocked,
        OnCut,
        OverlapScored,
        PlayoutLocked,
        PlayoutProgressed,
        PlayoutStarted,
        PlayoutStopped,
        PlayoutWorded,
        TimePassed,
        ToolFinished,
        ToolStarted,
        UserSpeechStarted,
        UserSpeechStopped,
        UserWordsHeard,
    )
    from .core.floor import EventOrderError, step
    from .core.marked import DIGIT_CODES, MONEY, PHONE_NUMBERS, Marked, MarkError
    from .core.overlap import (
        Later,
        Overlap,
        Rule,
        RuleError,
        Rules,
        Ruling,
        Score,
        Verdict,
        WordsGo,
    )
    from .core.playout import Playout
    from .core.rules import (
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
    from .core.state import State
    from .core.transitions import Floor
    from .core.unfinished import Unfinished
    from .interruption import Interruption
    from .language import (
        Judge,
        Judgement,
        Judges,
        Language,
        LanguageError,
        available_languages,
        judge,
        load_language,
    )
    from .language.standard import PRESETS, Preset, standard_rules

__version__ = "0.1.0"

__all__ = [
    "DIGIT_CODES",
    "MONEY",
    "PHONE_NUMBERS",
    "PRESETS",
    "Acoustic",
    "Answer",
    "Backchannel",
    "BargeIn",
    "CallEnded",
    "ControlRaised",
    "CriticalMessage",
    "Decision",
    "DeferTurn",
    "DeliverTurn",
    "Delivery",
    "DuckPlayout",
    "EmergencyStop",
    "Event",
    "EventOrderError",
    "FileReceipt",
    "Floor",
    "HoldFloor",
    "Interruption",
    "Judge",
    "Judgement",
    "Judges",
    "Kind",
    "Language",
    "LanguageError",
    "Later",
    "MarkError",
    "Marked",
    "MessageLocked",
    "MinAgentSpeech",
    "NearlyDone",
    "Noise",
    "OnCut",
    "Overlap",
    "OverlapScored",
    "PassFloor",
    "PausePlayout",
    "Playout",
    "PlayoutLocked",
    "PlayoutProgressed",
    "PlayoutStarted",
    "PlayoutStopped",
    "PlayoutWorded",
    "Preset",
    "Reason",
    "ReportBackchannel",
    "ResumePlayout",
    "Rule",
    "RuleError",
    "Rules",
    "Ruling",
    "Score",
    "SpeakAgain",
    "StartedOver",
    "State",
    "StopAt",
    "TimePassed",
    "ToolFinished",
    "ToolStarted",
    "Unfinished",
    "UserSpeechStarted",
    "UserSpeechStopped",
    "UserWordsHeard",
    "Verdict",
    "WordsGo",
    "YieldFloor",
    "__version__",
    "available_languages",
    "judge",
    "load_language",
    "standard_rules",
    "step",
]

_MODULES = {
    "core.decisions": (
        "Decision DeferTurn DeliverTurn Delivery DuckPlayout FileReceipt HoldFloor Kind "
        "PassFloor PausePlayout Reason ReportBackchannel ResumePlayout SpeakAgain StopAt "
        "YieldFloor"
    ),
    "core.events": (
        "CallEnded ControlRaised Event MessageLocked OnCut OverlapScored PlayoutLocked "
        "PlayoutProgressed PlayoutStarted PlayoutStopped PlayoutWorded TimePassed ToolFinished "
        "ToolStarted UserSpeechStarted UserSpeechStopped UserWordsHeard"
    ),
    "core.floor": "EventOrderError step",
    "core.marked": "DIGIT_CODES MONEY PHONE_NUMBERS Marked MarkError",
    "core.overlap": "Later Overlap Rule RuleError Rules Ruling Score Verdict WordsGo",
    "core.playout": "Playout",
    "core.rules": (
        "Acoustic Answer Backchannel BargeIn CriticalMessage EmergencyStop MinAgentSpeech "
        "NearlyDone Noise StartedOver"
    ),
    "core.state": "State",
    "core.transitions": "Floor",
    "core.unfinished": "Unfinished",
    "interruption": "Interruption",
    "language": (
        "Judge Judgement Judges Language LanguageError available_languages judge load_language"
    ),
    "language.standard": "PRESETS Preset standard_rules",
}
"""The imports above, for those who run instead of read."""

_HOME = {name: module for module, names in _MODULES.items() for name in names.split()}
_PARTS = {module.partition(".")[0] for module in _MODULES}
"""What there is besides behind ``import bargein``, as in ``bargein.core.floor.step``."""

if not TYPE_CHECKING:  # to whom it would say that there is every name

    def __getattr__(name: str) -> object:
        if name in _PARTS:
            for module in _MODULES:
                if module.partition(".")[0] == name:
                    import_module(f".{module}", __name__)
            return globals()[name]
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = getattr(import_module(f".{_HOME[name]}", __name__), name)
        return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

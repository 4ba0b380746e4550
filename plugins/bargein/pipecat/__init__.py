"""bargein for Pipecat: five processors, one turn strategy, and the object that makes them."""

try:
    import pipecat as _pipecat  # noqa: F401
except ImportError as error:
    raise ImportError('bargein.pipecat needs Pipecat: pip install "bargein[pipecat]"') from error

from bargein.core.locks import LockError

from .filter import BackchannelFilter
from .gate import InterruptionGate
from .ledger import PlayoutLedger
from .lock import CriticalMessageLock, MustHearFrame
from .manners import Bargein
from .resumption import ResumptionMemory
from .telephony import ManneredSerializer
from .tools import OnInterruption, ToolError
from .turns import FloorTurnStart, ProposedTurnStop
from .vad import BargeinVADAnalyzer

__all__ = [
    "BackchannelFilter",
    "Bargein",
    "BargeinVADAnalyzer",
    "CriticalMessageLock",
    "FloorTurnStart",
    "InterruptionGate",
    "LockError",
    "ManneredSerializer",
    "MustHearFrame",
    "OnInterruption",
    "PlayoutLedger",
    "ProposedTurnStop",
    "ResumptionMemory",
    "ToolError",
]

"""One rule a file. A rule is a value that holds its own knobs and has an opinion or none."""

from .acoustic import Acoustic
from .answer import Answer
from .backchannel import Backchannel
from .barge_in import BargeIn
from .critical import CriticalMessage
from .early import MinAgentSpeech
from .emergency import EmergencyStop
from .nearly_done import NearlyDone
from .noise import Noise
from .started_over import StartedOver

__all__ = [
    "Acoustic",
    "Answer",
    "Backchannel",
    "BargeIn",
    "CriticalMessage",
    "EmergencyStop",
    "MinAgentSpeech",
    "NearlyDone",
    "Noise",
    "StartedOver",
]

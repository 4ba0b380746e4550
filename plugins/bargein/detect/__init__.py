"""What do detectors hear in the caller's sound? They give probabilities, never decisions."""

from .heard import Detector, DetectorError, Heard
from .level import Level
from .listener import Listener

__all__ = ["Detector", "DetectorError", "Heard", "Level", "Listener"]

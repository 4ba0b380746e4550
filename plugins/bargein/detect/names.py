"""What is each detector of a call called?"""

from __future__ import annotations

from collections.abc import Sequence

from .heard import Detector


def named(detectors: Sequence[Detector]) -> dict[str, Detector]:
    """Detectors by name; of two "onnx" the later is "onnx 2", as the newest score of a name wins.

    Names are read here and never again: a property may fail, and may change its mind.
    """
    found: dict[str, Detector] = {}
    for detector in detectors:
        name = own = _name(detector)
        number = 1
        while name in found:
            number += 1
            name = f"{own} {number}"
        found[name] = detector
    return found


def _name(detector: Detector) -> str:
    try:
        name: object = detector.name
    except Exception:
        name = None
    return name if isinstance(name, str) and name else type(detector).__name__

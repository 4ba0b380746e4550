"""How does a caller sound who says what a loopback recogniser is told?"""

import numpy as np
import numpy.typing as npt

from bargein.testing.utterance import RATE, utterance

PAUSE_MS = 600
SPELLED = {"Uh-huh.": "[[,V h'V]]"}
"""How noises sound; a recogniser knows them before they are over."""


def spoken(text: str) -> tuple[npt.NDArray[np.int16], int]:
    """The caller's voice, at 16 kHz, and how long each word takes, in ms. ``...`` is a pause."""
    parts, voice_ms = [], 0
    for part in text.split("..."):
        said = part.strip()
        clip = utterance(said, said, spoken=SPELLED.get(said, ""))
        if parts:
            parts.append(np.zeros(RATE * PAUSE_MS // 1000, np.int16))
        parts.append(clip.pcm)
        voice_ms += round((clip.ends_s - clip.begins_s) * 1000)
    word_ms = max(100, voice_ms // len(text.replace("...", "").split()))
    return np.concatenate(parts), word_ms // 2 if text in SPELLED else word_ms

"""What does a caller say, and how fast would a recogniser write it down?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .speech import PCM, levelled, speak

RATE = 16000
LINE_NOISE_DB = -70
PARTIAL_DELAY_S = 0.25
"""How long behind the end of a word a partial comes: what streaming services take."""
FINAL_DELAY_S = 0.3
"""How long behind the end of the speech the final comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """Something the caller says: the sound of it, and what a recogniser would write."""

    name: str
    pcm: PCM
    words: tuple[tuple[str, float], ...] = ()
    """Each word and when it ends, in seconds."""
    begins_s: float = 0.0
    """Where in the clip the sound begins: its first sample within 30 dB of its loudest."""
    ends_s: float = 0.0

    @property
    def text(self) -> str:
        return " ".join(word for word, _ in self.words)


def utterance(
    name: str, says: str = "", *, spoken: str = "", sound: PCM | None = None
) -> Utterance:
    """Make an utterance at -6 dBFS: of a text, of phonemes that spell it, or of a mere sound."""
    if sound is None:
        sound, _ = speak(spoken or says, RATE, voice="en-us+f3", words_per_minute=170)
    pcm = levelled(sound, -6)
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > 32767 * 10 ** (-36 / 20))
    begins_s, ends_s = (float(loud[0]) / RATE, float(loud[-1]) / RATE) if len(loud) else (0.0, 0.0)
    written = says.split()
    if spoken or not says:
        ends = [ends_s] * len(written)
    else:
        onsets = [at_s for _, at_s in speak(says, RATE, voice="en-us+f3", words_per_minute=170)[1]]
        ends = [*onsets[1:], ends_s]
    words = tuple(zip(written, ends, strict=True))
    return Utterance(name=name, pcm=pcm, words=words, begins_s=begins_s, ends_s=ends_s)

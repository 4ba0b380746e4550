"""When does the bench's voice, a tone, become quieter?"""

from __future__ import annotations

import numpy as np

from bargein.testing.tones import PCM

PEAK = 5_700
"""The tone reaches 6000 in every period; this is 0.4 dB less."""
GAP_S = 0.012
"""Without such a peak for this long, twice its longest period, the tone has become quieter."""


def full_until(track: PCM, rate: int) -> int | None:
    """The last sample at full voice before the first change; None if there is none."""
    loud = np.flatnonzero(np.abs(track.astype(np.int32)) >= PEAK)
    gaps = np.flatnonzero(np.diff(loud) > GAP_S * rate)
    if len(gaps):
        return int(loud[gaps[0]])
    if len(loud) and len(track) - loud[-1] > GAP_S * rate:
        return int(loud[-1])
    return None

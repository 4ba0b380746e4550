"""Is a defect that users of a host reported there without us, and gone with us?"""

from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

import numpy as np

LAST_SEEN = {
    "pipecat-ai": {"1661": "1.14.0", "4996": "1.14.0", "5683": "1.14.0"},
    "livekit-agents": {"4039": "1.8.9", "4498": "1.8.9", "2607": "1.8.9", "3515": "1.8.9"},
}
"""By the number of its issue, the newest release of the host in which it was seen. Of the others
the oldest release that is supported has none any more."""
WORD_S = 0.3
Defect = Callable[[bool], Awaitable[bool]]
"""Holds the call, with us or without; was the defect there?"""


async def gone(host: str, number: str, defect: Defect) -> None:
    """With us it is not there; without us it is, unless the host has mended it."""
    assert not await defect(True)
    if _parts(version(host)) <= _parts(LAST_SEEN[host].get(number, "0")):
        assert await defect(False)


def words_in(pieces: Any) -> float:
    """How many words of the metronome's, at 24 kHz, are audible in this."""
    pcm = np.concatenate([np.zeros(0, np.int16), *pieces]).astype(int)
    return float(np.count_nonzero(np.abs(pcm) > 30)) / 24000 / WORD_S * 1.006


def _parts(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split(".")[:3] if part.isdigit())

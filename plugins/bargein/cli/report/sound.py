"""What does a recording look and sound like, small enough for a page?"""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

try:
    import numpy as np
    from numpy.typing import NDArray
except ImportError as error:
    raise ImportError('a report with sound needs numpy: pip install "bargein[report]"') from error

PEAKS_PER_S = 100
FINE_MS = 10 * 60_000
"""Calls up to this length are kept at 16 kHz, longer ones as a telephone has them."""
_BIAS, _CLIP = 132, 32635


class SoundError(ValueError):
    """A recording that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """A call's recording."""

    peaks: tuple[bytes, ...]
    """For each channel, the loudest of each hundredth of a second, from 0 to 255."""
    wav: bytes
    """8 bits mu-law."""
    lasts_ms: int
    missing: str = ""
    """What is wrong with it, if anything."""


def sound(path: Path) -> Sound:
    """Read a WAV of 16 bits: the agent on the left, the caller on the right.

    Raises:
        SoundError: it is none.
    """
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            promised = file.getnframes()
            raw = file.readframes(promised) if width == 2 else b""
    except (OSError, EOFError, wave.Error) as error:
        reason = getattr(error, "strerror", None) or str(error) or "it ends too early"
        raise SoundError(f"no WAV that can be read: {reason}") from error
    if width != 2 or rate < 1000:
        raise SoundError(f"a WAV of {8 * width} bits at {rate} Hz; 16 bits are needed")
    whole = len(raw) // (2 * channels) * 2 * channels
    track = np.frombuffer(raw[:whole], "<i2").reshape(-1, channels)[:, :2]
    if not len(track):
        raise SoundError("no WAV that can be read: there is no sound in it")
    missing = []
    if len(track) < promised:
        missing.append("it is cut off in the middle")
    if channels == 1:
        missing.append("it has one channel, so that agent and caller are not told apart")
    lasts_ms = round(len(track) * 1000 / rate)
    small_rate = min(rate, 16000 if lasts_ms <= FINE_MS else 8000)
    return Sound(
        peaks=tuple(_peaks(track[:, side], rate) for side in range(track.shape[1])),
        wav=_wav(_fewer(track, rate, small_rate), small_rate),
        lasts_ms=lasts_ms,
        missing="; ".join(missing),
    )


def _peaks(track: NDArray[np.int16], rate: int) -> bytes:
    edges = np.arange(0, len(track), rate / PEAKS_PER_S).astype(np.int64)
    loud = np.maximum.reduceat(np.abs(track.astype(np.int32)), edges)
    # By its root, so that a quiet voice is seen as well.
    peaks: bytes = np.minimum(255, np.sqrt(loud / 32768) * 255).astype(np.uint8).tobytes()
    return peaks


def _fewer(track: NDArray[np.int16], rate: int, wanted: int) -> NDArray[np.int16]:
    if rate == wanted:
        return track
    # Averaged over what a sample stands for, which is filter enough for a voice.
    half = max(1, round(rate / wanted)) / 2
    total = np.concatenate([np.zeros((1, track.shape[1]), np.int64), np.cumsum(track, 0, np.int64)])
    middles = np.arange(0, len(track), rate / wanted) + 0.5
    low = np.clip(np.floor(middles - half + 0.5), 0, len(track) - 1).astype(np.int64)
    high = np.clip(np.floor(middles + half + 0.5), 1, len(track)).astype(np.int64)
    high = np.maximum(high, low + 1)
    mean: NDArray[np.int16] = ((total[high] - total[low]) // (high - low)[:, None]).astype(np.int16)
    return mean


def _wav(track: NDArray[np.int16], rate: int) -> bytes:
    data = _mu_law(track).tobytes()
    channels = track.shape[1]
    about = b"".join(
        number.to_bytes(size, "little")
        for number, size in (
            (7, 2), (channels, 2), (rate, 4), (rate * channels, 4), (channels, 2), (8, 2), (0, 2),
        )
    )  # fmt: skip
    fact = b"fact" + (4).to_bytes(4, "little") + len(track).to_bytes(4, "little")
    body = b"WAVEfmt " + len(about).to_bytes(4, "little") + about + fact
    body += b"data" + len(data).to_bytes(4, "little") + data + b"\0" * (len(data) % 2)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _mu_law(track: NDArray[np.int16]) -> NDArray[np.uint8]:
    """ITU-T G.711."""
    table = np.arange(-32768, 32768, dtype=np.int32)
    size = np.minimum(np.abs(table), _CLIP) + _BIAS
    exponent = np.floor(np.log2(size)).astype(np.int32) - 7
    mantissa = (size >> (exponent + 3)) & 15
    coded = ~(np.where(table < 0, 128, 0) | (exponent << 4) | mantissa) & 255
    found: NDArray[np.uint8] = coded.astype(np.uint8)[track.astype(np.int32) + 32768]
    return found

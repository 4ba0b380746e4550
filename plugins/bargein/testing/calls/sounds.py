"""What does a step of the caller's sound like? A text or a file, as an utterance for the line."""

from __future__ import annotations

import wave
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..speech import PCM, cough, levelled, resampled, speak
from ..steps import Means, Says, ScriptError
from ..utterance import RATE, Utterance

SPOKEN = {
    "mm-hm": "[[,V h'V]]",  # hummed, it is no voice to a detector that looks for one
    "mhm": "[[,V h'V]]",
    "uh-huh": "[[,V h'V]]",
}
"""How to pronounce what eSpeak NG reads letter by letter."""
VOICE = "en-us+f3"
LOW_HZ, HIGH_HZ = 300, 3400


@lru_cache(maxsize=128)
def sound_of(step: Says) -> Utterance:
    """The sound of it, at 16 kHz.

    Raises:
        ScriptError: a file that cannot be read.
    """
    name = str(step.content)
    if isinstance(step.content, Path):
        pcm, words = _read(step.content), tuple[tuple[str, float], ...]()
    elif step.means is Means.SOUND:
        pcm, words = cough(RATE), ()
    else:
        plain = name.strip(" .,!?").lower()
        spoken = SPOKEN.get(plain, name)
        pcm, onsets = speak(spoken, RATE, voice=VOICE, words_per_minute=step.words_per_minute)
        words = tuple(onsets) if spoken is name else ((name, 0.0),)
    if step.telephone:
        pcm = _banded(pcm)
    pcm = levelled(pcm, step.peak_db)
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > np.abs(pcm.astype(np.int32)).max() / 32)
    begins_s, ends_s = (float(loud[0]) / RATE, float(loud[-1]) / RATE) if len(loud) else (0.0, 0.0)
    if isinstance(step.content, Path) and step.written:
        texts = step.written.split()
        each_s = (ends_s - begins_s) / len(texts)
        words = tuple((text, begins_s + place * each_s) for place, text in enumerate(texts))
    ends = [*(at_s for _, at_s in words[1:]), ends_s]
    return Utterance(
        name=name,
        pcm=pcm,
        words=tuple((text, end_s) for (text, _), end_s in zip(words, ends, strict=False)),
        begins_s=begins_s,
        ends_s=ends_s,
    )


def _read(path: Path) -> PCM:
    try:
        with wave.open(str(path)) as file:
            if file.getsampwidth() != 2:
                raise ScriptError(f"{path} has {8 * file.getsampwidth()} bits; 16 are needed")
            raw = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            mono = raw.reshape(-1, file.getnchannels()).astype(np.float64).mean(axis=1)
            return resampled(np.rint(mono).astype(np.int16), file.getframerate(), RATE)
    except (OSError, wave.Error, EOFError) as error:
        raise ScriptError(f"{path} cannot be read as a WAV file: {error}") from error


def _banded(pcm: PCM) -> PCM:
    spectrum = np.fft.rfft(pcm.astype(np.float64))
    hertz = np.fft.rfftfreq(len(pcm), 1 / RATE)
    spectrum[(hertz < LOW_HZ) | (hertz > HIGH_HZ)] = 0
    banded: PCM = np.rint(np.fft.irfft(spectrum, len(pcm))).astype(np.int16)
    return banded

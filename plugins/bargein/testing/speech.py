"""How does it sound? Speech without a cloud, and when each word of it begins.

eSpeak NG through the `espeakng_loader` wheel. It is GPL, so only the demo and the tests load this
module.
"""

from __future__ import annotations

import ctypes
import threading
from functools import cache, lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

try:
    import espeakng_loader
except ImportError as error:
    raise ImportError('speech needs eSpeak NG: pip install "bargein[demo]"') from error

PCM: TypeAlias = npt.NDArray[np.int16]
Words: TypeAlias = list[tuple[str, float]]

PHONEMES = "[["
"""A text that begins so is phonemes: spelled out as text, "mm-hm" is read letter by letter."""

_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_UTF8 = 1
_PHONEME_INPUT = 0x100
_WORDS_PER_MINUTE = 1
_PITCH = 3
_WORD_EVENT = 1


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("text", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    ]


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class _Engine:
    """The library keeps its state in globals, so there is one of it and one lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pieces: list[PCM] = []
        self._onsets: list[tuple[int, float]] = []
        library: Any = ctypes.CDLL(str(espeakng_loader.get_library_path()))
        path = str(espeakng_loader.get_data_path()).encode()
        self.rate: int = library.espeak_Initialize(_SYNCHRONOUS, 500, path, _DONT_EXIT)
        if self.rate <= 0:
            raise RuntimeError("eSpeak NG found no voices in its wheel: reinstall espeakng-loader")
        self._callback = _CALLBACK(self._take)  # kept, or it is collected while C still calls it
        library.espeak_SetSynthCallback(self._callback)
        self._library = library

    def _take(self, wave: Any, count: int, events: Any) -> int:
        if wave and count > 0:
            self._pieces.append(np.ctypeslib.as_array(wave, (count,)).copy())
        place = 0
        while events[place].type != 0:
            event = events[place]
            if event.type == _WORD_EVENT:
                self._onsets.append((event.text_position - 1, event.audio_position / 1000))
            place += 1
        return 0

    def speak(
        self, text: str, voice: str, words_per_minute: int, pitch: int
    ) -> tuple[PCM, list[tuple[int, float]]]:
        with self._lock:
            self._pieces, self._onsets = [], []
            self._library.espeak_SetVoiceByName(voice.encode())
            self._library.espeak_SetParameter(_WORDS_PER_MINUTE, words_per_minute, 0)
            self._library.espeak_SetParameter(_PITCH, pitch, 0)
            raw = text.encode()
            flags = _UTF8 | (_PHONEME_INPUT if text.startswith(PHONEMES) else 0)
            self._library.espeak_Synth(raw, len(raw) + 1, 0, 1, 0, flags, None, None)
            pcm = np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.int16)
            return pcm, list(self._onsets)


@cache
def _engine() -> _Engine:
    return _Engine()


@lru_cache(maxsize=256)
def _spoken(
    text: str, rate: int, voice: str, words_per_minute: int, pitch: int
) -> tuple[PCM, tuple[tuple[str, float], ...]]:
    engine = _engine()
    pcm, onsets = engine.speak(text, voice, words_per_minute, pitch)
    return resampled(pcm, engine.rate, rate), tuple(_words(text, onsets))


def speak(
    text: str, rate: int, *, voice: str = "en-us", words_per_minute: int = 160, pitch: int = 50
) -> tuple[PCM, Words]:
    """Speak a text.

    Args:
        text: what to say; phonemes if it begins with ``[[``.
        rate: samples a second.
        voice: an eSpeak voice, with a variant if you like: ``"en-us+f3"``.
        words_per_minute: 80 to 450.
        pitch: 0 to 99.

    Returns:
        Mono samples, and each word with its onset in seconds.
    """
    pcm, words = _spoken(text, rate, voice, words_per_minute, pitch)
    return pcm, list(words)


def agent_voice(text: str, rate: int) -> tuple[PCM, Words]:
    """The agent of the demo, as a `Voice` for `ScriptedTTS`."""
    return speak(text, rate, words_per_minute=165, pitch=40)


def _words(text: str, onsets: list[tuple[int, float]]) -> Words:
    """One onset for each written word: the first event inside it."""
    found: Words = []
    place = 0
    for word in text.split():
        start = text.index(word, place)
        place = start + len(word)
        inside = [at_s for position, at_s in onsets if start <= position < place]
        found.append((word, inside[0] if inside else (found[-1][1] if found else 0.0)))
    return found


def resampled(pcm: PCM, source: int, target: int) -> PCM:
    """Band-limited, through the spectrum: a clip is short enough to be taken whole."""
    if source == target or not len(pcm):
        return pcm
    spectrum = np.fft.rfft(pcm.astype(np.float64))
    length = round(len(pcm) * target / source)
    bins = length // 2 + 1
    fitted = np.zeros(bins, dtype=np.complex128)
    shared = min(bins, len(spectrum))
    fitted[:shared] = spectrum[:shared]
    wave = np.fft.irfft(fitted, length) * (length / len(pcm))
    fitting: PCM = np.clip(np.rint(wave), -32768, 32767).astype(np.int16)
    return fitting


def levelled(pcm: PCM, peak_db: float) -> PCM:
    """The same sound with its peak at ``peak_db`` dBFS."""
    peak = int(np.abs(pcm.astype(np.int32)).max(initial=0))
    if not peak:
        return pcm
    louder: PCM = np.rint(pcm * (32767 * 10 ** (peak_db / 20) / peak)).astype(np.int16)
    return louder


def cough(rate: int, *, seed: int = 7) -> PCM:
    """A voiced cough, about half a second, peak at -6 dBFS: a detector hears a voice, and nobody
    can write down a word."""
    voice = levelled(speak("[[h'V]]", rate, words_per_minute=260, pitch=15)[0], -9)
    count = max(len(voice), round(0.45 * rate))
    noise = np.random.default_rng(seed).standard_normal(count)
    shape = np.exp(-np.arange(count) / (0.06 * rate))
    second = round(0.22 * rate)
    shape[second:] += 0.7 * np.exp(-np.arange(count - second) / (0.05 * rate))
    throat = np.convolve(noise, np.hanning(max(3, rate // 1500)), mode="same") * shape * 1500
    throat[: len(voice)] += voice
    return levelled(throat.astype(np.int16), -6)

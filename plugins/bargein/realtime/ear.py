"""Does the caller speak? Heard here, where the server is not to detect turns, or tells it late."""

from __future__ import annotations

import importlib.util
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from bargein.manners import BargeinError
from bargein.onset import EarlyOnset

from .call import RealtimeCall
from .wire import RATE, append, commit

SpeechProbability: TypeAlias = Callable[[npt.NDArray[np.float32]], float]
"""The probability, 0 to 1, that 512 samples at 16 kHz hold speech; called window by window."""

WINDOW = 512
_RATE = 16_000
_WINDOW_MS = WINDOW * 1000 / _RATE
_STARTS, _ENDS = 0.5, 0.35
_CONFIRMED_MS = 96
"""So much speech is somebody speaking: three windows."""
_PADDING_MS = 300
"""So much of the sound before an onset goes to the server as well."""
_MODELS = (
    ("pipecat", "audio/vad/data/silero_vad.onnx"),
    ("livekit.plugins.silero", "resources/silero_vad.onnx"),
    ("silero_vad", "data/silero_vad.onnx"),
)
"""Wheels that bring the Silero model, and where in them it is."""


class LocalEar:
    """Hears the caller's onset early; with ``commits`` it is the turn detection as well."""

    def __init__(
        self,
        call: RealtimeCall,
        speech: SpeechProbability | None,
        *,
        early: bool,
        commits: bool,
        silence_ms: int,
    ) -> None:
        """Listen to a call.

        Args:
            call: the call that is told.
            speech: tells speech from other sound; None hears nothing.
            early: whether the floor is told of an onset before it is sure.
            commits: whether what was said is committed here, and silence stays here.
            silence_ms: so long a silence ends a stretch of speech.
        """
        self._call = call
        self._speech = speech
        self._onset = EarlyOnset(call) if early else None
        self._commits = commits
        self._silence_ms = silence_ms
        self._resampled = _Resampled()
        self._window: npt.NDArray[np.float32] = np.zeros(0, np.float32)
        self._before: deque[bytes] = deque()
        self._before_ms = 0.0
        self._speaking = False
        self._ms = 0.0  # how long the other state has been building up
        self.told: Callable[[bool], None] = lambda _: None
        """Told that the caller speaks, or has stopped."""

    def hear(self, pcm: bytes) -> None:
        """Take the next piece of the caller's audio, and send on what the server is to have."""
        call = self._call
        if not self._commits or self._speaking:
            call.send(append(pcm))
        else:
            self._before.append(pcm)
            self._before_ms += len(pcm) * 500 / RATE
            while self._before_ms - len(self._before[0]) * 500 / RATE > _PADDING_MS:
                self._before_ms -= len(self._before.popleft()) * 500 / RATE
        if self._speech is not None:
            call.guarded("voice activity detection", self._hear, self._speech, pcm)

    def _hear(self, speech: SpeechProbability, pcm: bytes) -> None:
        self._window = np.concatenate((self._window, self._resampled(pcm)))
        while len(self._window) >= WINDOW:
            window, self._window = self._window[:WINDOW], self._window[WINDOW:]
            probability = speech(window)
            if self._onset is not None:
                self._onset.scored(probability, _WINDOW_MS)
            if self._commits:
                self._scored(probability)

    def _scored(self, probability: float) -> None:
        changes = probability < _ENDS if self._speaking else probability >= _STARTS
        self._ms = self._ms + _WINDOW_MS if changes else 0.0
        if self._ms + _WINDOW_MS / 2 > (self._silence_ms if self._speaking else _CONFIRMED_MS):
            self._ms = 0.0
            self.spoke(not self._speaking)

    def spoke(self, speaking: bool) -> None:
        """The caller speaks, or has stopped: as heard here, or by the application."""
        if speaking is self._speaking:
            return
        self._speaking = speaking
        self.told(speaking)
        if not self._commits:
            return
        if speaking:
            while self._before:
                self._call.send(append(self._before.popleft()))
            self._before_ms = 0.0
        else:
            self._call.send(commit())


class _Resampled:
    """24 kHz to 16 kHz, piece by piece: up by two through a low-pass, and every third of that."""

    def __init__(self) -> None:
        taps = np.arange(-24, 25)
        filtered = np.sinc(taps / 3) * np.hamming(len(taps))
        self._taps = (2 * filtered / filtered.sum()).astype(np.float32)
        self._left = np.zeros(len(taps) - 1, np.float32)
        self._skip = 0

    def __call__(self, pcm: bytes) -> npt.NDArray[np.float32]:
        samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float32) / 32768
        doubled = np.zeros(2 * len(samples), np.float32)
        doubled[::2] = samples
        whole = np.concatenate((self._left, doubled))
        self._left = whole[len(whole) - len(self._taps) + 1 :]
        if len(whole) < len(self._taps):
            return np.zeros(0, np.float32)
        smooth = np.convolve(whole, self._taps, "valid").astype(np.float32)
        kept = smooth[self._skip :: 3]
        self._skip = (self._skip - len(smooth)) % 3
        return kept


def silero() -> SpeechProbability | None:
    """Silero's model, from whichever wheel brings it; None where none does."""
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    for package, place in _MODELS:
        try:
            found = importlib.util.find_spec(package)
        except ModuleNotFoundError:
            continue
        for folder in (found.submodule_search_locations or ()) if found else ():
            if (Path(folder) / place).is_file():
                return _Silero(Path(folder) / place)
    return None


def needed_silero() -> SpeechProbability:
    """The same, for a call that cannot do without.

    Raises:
        BargeinError: there is none.
    """
    found = silero()
    if found is None:
        raise BargeinError(
            "turn_detection='local' needs a voice activity detection, and no Silero model is"
            ' installed: pip install "bargein[realtime,pipecat]", or pass vad=...'
        )
    return found


class _Silero:
    """One stream."""

    def __init__(self, model: Path) -> None:
        self._session = _session_of(model)
        self._memory = np.zeros((2, 1, 128), np.float32)
        self._before: npt.NDArray[np.float32] = np.zeros(64, np.float32)

    def __call__(self, window: npt.NDArray[np.float32]) -> float:
        heard = np.concatenate((self._before, window))
        given = {"input": heard[None, :], "state": self._memory, "sr": np.array(_RATE, np.int64)}
        probability, self._memory = self._session.run(None, given)
        self._before = window[-64:]
        return float(np.asarray(probability).item())


_sessions: dict[Path, Any] = {}


def _session_of(model: Path) -> Any:
    """The model itself, shared by all calls."""
    if model not in _sessions:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = options.intra_op_num_threads = 1
        _sessions[model] = onnxruntime.InferenceSession(
            model.read_bytes(), providers=["CPUExecutionProvider"], sess_options=options
        )
    return _sessions[model]

"""Does the caller speak, and since when? One Silero inference a window, for the host and for us."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams, VADState

from bargein.microphone import Microphone
from bargein.onset import QUIET_WINDOWS, EarlyOnset

from .call import PipecatCall

RESET_MS = 2_000
"""How often the model's memory is cleared, in silence: music and long quiet make it deaf."""
RESET_QUIET_WINDOWS = 5
RESET_CONFIDENCE = 0.1


class SileroWindow:
    """The speech probability of one window after another. The model is shared by every call."""

    def __init__(self, rate: int) -> None:
        """Start a stream.

        Args:
            rate: 8000 or 16000 Hz.

        Raises:
            ValueError: any other rate.
        """
        if rate not in (8000, 16000):
            raise ValueError(f"Silero hears 8000 or 16000 Hz, not {rate}")
        self.rate = rate
        self.samples = 512 if rate == 16000 else 256
        self.ms = self.samples * 1000 / rate
        self._rate = np.array(rate, dtype=np.int64)
        self._overlap = 64 if rate == 16000 else 32
        self.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self._memory = np.zeros((2, 1, 128), dtype=np.float32)
        self._before: npt.NDArray[Any] = np.zeros(self._overlap, dtype=np.float32)

    def __call__(self, pcm: bytes) -> float:
        """The probability, 0 to 1, that this window of 16-bit samples holds speech."""
        window = np.frombuffer(pcm, dtype="<i2").astype(np.float32) / 32768
        heard = np.concatenate((self._before, window))
        probability, memory = _session().run(
            None, {"input": heard[None, :], "state": self._memory, "sr": self._rate}
        )
        self._memory = memory
        self._before = window[-self._overlap :]
        return float(np.asarray(probability).item())


@cache
def _session() -> Any:
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = 1
    options.intra_op_num_threads = 1
    model = (files("pipecat.audio.vad.data") / "silero_vad.onnx").read_bytes()
    return onnxruntime.InferenceSession(
        model, providers=["CPUExecutionProvider"], sess_options=options
    )


class EarlyEar(EarlyOnset):
    """Hears an onset in raw audio, or in the windows of the host's own analyzer."""

    def __init__(self, call: PipecatCall, microphone: Microphone | None = None) -> None:
        super().__init__(call)
        self._microphone = microphone
        self._window: SileroWindow | None = None
        self._buffer = b""
        self._since_reset_ms = 0.0
        self._deaf = False
        self.adopted = False
        """True once the host's analyzer feeds us, so that nobody runs the model twice."""

    def caller(self, pcm: bytes, rate: int) -> bytes:
        """A piece of the microphone's audio without the agent's own voice."""
        return pcm if self._microphone is None else self._microphone.caller(pcm, rate)

    def hear(self, pcm: bytes, rate: int) -> None:
        """Listen to raw audio, where the host's own analyzer is another one."""
        if self._deaf:
            return
        if self._window is None or self._window.rate != rate:
            try:
                self._window = SileroWindow(rate)
            except ValueError:
                self._deaf = True  # a rate the model does not know: the host's word has to do
                return
        self._buffer += self.caller(pcm, rate)
        size = self._window.samples * 2
        while len(self._buffer) >= size:
            piece, self._buffer = self._buffer[:size], self._buffer[size:]
            self.scored(self._window(piece), self._window.ms)
            self._since_reset_ms += self._window.ms
            if not self._on and self._quiet >= QUIET_WINDOWS and self._since_reset_ms >= RESET_MS:
                self._window.reset()
                self._since_reset_ms = 0.0


class BargeinVADAnalyzer(VADAnalyzer):
    """Pipecat's Silero detection without its volume meter, and an early onset for the floor.

    The host confirms speech as ever (``confidence``, ``start_secs``, ``stop_secs``). Its volume
    gate is left out: it delays the onset by 45-150 ms and loses quiet backchannels, and
    ``min_volume`` is not read here.
    """

    def __init__(
        self,
        ear: EarlyEar,
        *,
        sample_rate: int | None = None,
        params: VADParams | None = None,
        scored: Callable[[float], None] | None = None,
    ) -> None:
        """Make the analyzer of a call. `Bargein.vad` does it for you.

        Args:
            ear: told of every window, so that it hears the onset.
            sample_rate: 8000 or 16000 Hz; the host's own if None.
            params: the host's parameters.
            scored: told the probability of every window, for a meter of your own.
        """
        super().__init__(sample_rate=sample_rate, params=params)
        _session()  # read before there is a call that would have to wait for it
        self._ear = ear
        self._scored = scored
        self._window: SileroWindow | None = None
        self._pcm = b""
        self._state = VADState.QUIET
        self._ms = 0.0  # how long the present state has been building up
        self._low = 0
        self._since_reset_ms = 0.0

    def set_sample_rate(self, sample_rate: int) -> None:
        """Called by the host before the first audio."""
        rate = self._init_sample_rate or sample_rate
        self._window = SileroWindow(rate)
        self._ear.adopted = True
        super().set_sample_rate(sample_rate)

    def set_params(self, params: VADParams) -> None:
        """Take new parameters; what was building up starts over."""
        super().set_params(params)
        self._state, self._ms = VADState.QUIET, 0.0

    def num_frames_required(self) -> int:
        """Samples in a window: 512 at 16 kHz, 256 at 8 kHz."""
        return self._window.samples if self._window else 512

    def voice_confidence(self, buffer: bytes) -> float:
        """The probability, 0 to 1, that a window holds speech."""
        if self._window is None:
            return 0.0
        return self._window(buffer)

    async def analyze_audio(self, buffer: bytes) -> VADState:
        """Hear some audio and say how things stand.

        In this very task: an inference takes a fraction of a millisecond, which is less than the
        way to a thread and back.
        """
        window = self._window
        if window is None:
            return self._state
        self._pcm += self._ear.caller(buffer, window.rate)
        size = window.samples * 2
        while len(self._pcm) >= size:
            piece, self._pcm = self._pcm[:size], self._pcm[size:]
            probability = self.voice_confidence(piece)
            self._ear.scored(probability, window.ms)
            if self._scored is not None:
                self._scored(probability)
            self._state = self._next(probability, window)
        return self._state

    def _next(self, probability: float, window: SileroWindow) -> VADState:
        speech = probability >= self.params.confidence
        self._low = self._low + 1 if probability < RESET_CONFIDENCE else 0
        self._since_reset_ms += window.ms
        match self._state, speech:
            case VADState.QUIET, True:
                self._ms = window.ms
                state = VADState.STARTING
            case VADState.STARTING, True:
                self._ms += window.ms
                state = VADState.STARTING
            case VADState.STARTING, False:
                state = VADState.QUIET
            case VADState.SPEAKING, False:
                self._ms = window.ms
                state = VADState.STOPPING
            case VADState.STOPPING, False:
                self._ms += window.ms
                state = VADState.STOPPING
            case VADState.STOPPING, True:
                state = VADState.SPEAKING
            case _:
                state = self._state
        # Half a window of grace, as the host rounds: 200 ms are six windows of 32.
        if state is VADState.STARTING and self._ms + window.ms / 2 > self.params.start_secs * 1000:
            state = VADState.SPEAKING
        if state is VADState.STOPPING and self._ms + window.ms / 2 > self.params.stop_secs * 1000:
            state = VADState.QUIET
        if (
            state is VADState.QUIET
            and self._low >= RESET_QUIET_WINDOWS
            and self._since_reset_ms >= RESET_MS
        ):
            window.reset()
            self._since_reset_ms = 0.0
        return state

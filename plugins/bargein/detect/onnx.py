"""How does a model from a file become a detector?"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import tanh
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from .heard import LONGEST_MS, RATE, Heard, Samples, is_window

try:
    import onnxruntime
except ImportError as error:
    raise ImportError('ONNX detectors need onnxruntime: pip install "bargein[detect]"') from error

Gives: TypeAlias = Literal["backchannel", "interruption"]
Scale: TypeAlias = Literal["probability", "logit", "softmax"]

_FLOATS = ("tensor(float)", "tensor(double)", "tensor(float16)")


class ModelError(ValueError):
    """A model that cannot be used as a detector."""


@dataclass(frozen=True, slots=True)
class OnnxDetector:
    """Any model that takes mono 16 kHz sound and gives one probability.

    Its input is float32 of shape ``(samples,)``, ``(1, samples)`` or ``(1, 1, samples)``, from -1
    to 1; where the model leaves ``samples`` open, it is given ``window_ms``. Windows that are not
    full yet have silence in front. A further input of integers gets the sample rate. Its output is
    one number a window, or one a class.

    Args:
        path: the ``.onnx`` file.
        window_ms: how much sound it is given, 3000 at most; the model's own length, if it has one.
        gives: is a high number a ``"backchannel"`` or an ``"interruption"``?
        scale: is it a ``"probability"``, a ``"logit"`` (squeezed to 0..1), or are all the classes
            logits for a ``"softmax"``?
        column: which class, where it gives several; the last by default.
        name: among the scores.

    Raises:
        ModelError: not a model, or one with other inputs or outputs.
    """

    path: Path | str
    window_ms: int = 2_000
    gives: Gives = "backchannel"
    scale: Scale = "probability"
    column: int = -1
    name: str = "onnx"
    _session: Any = field(init=False, repr=False, compare=False)
    _inputs: dict[str, Any] = field(init=False, repr=False, compare=False)
    _sound: str = field(init=False, repr=False, compare=False)
    _shape: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not is_window(self.window_ms) or not self.window_ms:
            raise ModelError(
                f"window_ms must be a whole number from 1 to {LONGEST_MS}, not {self.window_ms!r}"
            )
        if isinstance(self.column, bool) or not isinstance(self.column, int):
            raise ModelError(f"column must be a whole number, not {self.column!r}")
        if self.gives not in ("backchannel", "interruption"):
            raise ModelError(f"gives must be 'backchannel' or 'interruption', not {self.gives!r}")
        if self.scale not in ("probability", "logit", "softmax"):
            raise ModelError(
                f"scale must be 'probability', 'logit' or 'softmax', not {self.scale!r}"
            )
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = options.intra_op_num_threads = 1
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(
                str(self.path), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as problem:  # the runtime has an exception of its own for every reason
            raise ModelError(f"{self.path} is no model that can be loaded: {problem}") from problem
        sounds = [one for one in session.get_inputs() if one.type == "tensor(float)"]
        others = [one for one in session.get_inputs() if one.type in ("tensor(int64)",)]
        if len(sounds) != 1 or len(sounds) + len(others) != len(session.get_inputs()):
            kinds = ", ".join(f"{one.name}: {one.type}" for one in session.get_inputs())
            raise ModelError(f"{self.path} takes {kinds}; it must take one float32 sound")
        first = session.get_outputs()[0]
        if first.type not in _FLOATS:
            raise ModelError(
                f"{self.path} gives {first.name}: {first.type} first; export it with its"
                " probabilities as the first output, a tensor of floats"
            )
        shape = self._fit(sounds[0].shape)
        for name, value in {
            # Less would be kept of the call than a longer model looks at.
            "window_ms": -(-shape[-1] * 1000 // RATE),
            "_session": session,
            "_sound": sounds[0].name,
            "_shape": shape,
            "_inputs": {
                one.name: np.full([1 for _ in one.shape], RATE, dtype=np.int64) for one in others
            },
        }.items():
            object.__setattr__(self, name, value)
        self._run(np.zeros(self._shape[-1], dtype=np.float32))  # better now than in a call

    def __call__(self, heard: Heard, /) -> float:
        """See `Detector`."""
        window = heard.samples[-self._shape[-1] :]
        missing = self._shape[-1] - len(window)
        return self._run(np.pad(window, (missing, 0)) if missing else window)

    def _fit(self, shape: list[Any]) -> tuple[int, ...]:
        fixed = [size if isinstance(size, int) and size > 0 else 0 for size in shape]
        if not 1 <= len(fixed) <= 3 or any(size > 1 for size in fixed[:-1]):
            raise ModelError(
                f"{self.path} takes a sound of shape {shape}; it must be (samples,), (1, samples)"
                " or (1, 1, samples)"
            )
        samples = fixed[-1] or RATE * self.window_ms // 1000
        if samples > RATE * LONGEST_MS // 1000:
            raise ModelError(
                f"{self.path} takes {samples} samples at once; {LONGEST_MS} ms are kept at most"
            )
        return (*[1 for _ in fixed[:-1]], samples)

    def _run(self, window: Samples) -> float:
        try:
            out = self._session.run(
                None, {self._sound: window.reshape(self._shape), **self._inputs}
            )
            values = np.asarray(out[0], dtype=np.float64).reshape(-1)
        except Exception as problem:
            raise ModelError(
                f"{self.path} does not run on a window of sound: {problem}"
            ) from problem
        if not -len(values) <= self.column < len(values):
            raise ModelError(f"{self.path} gives {len(values)} numbers, so none at {self.column}")
        if self.scale == "softmax":
            values = np.exp(values - values.max())
            values /= values.sum()
        value = float(values[self.column])
        if self.scale == "logit":
            value = (1 + tanh(value / 2)) / 2  # the same curve, and nothing overflows
        if not 0 <= value <= 1:
            raise ModelError(
                f"{self.path} gives {value:.3g}, which is no probability: try scale='logit'"
            )
        return 1 - value if self.gives == "interruption" else value

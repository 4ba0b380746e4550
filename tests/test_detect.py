"""What detectors hear, and what becomes of it in a call."""

import asyncio
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from pipecat.frames.frames import InputAudioRawFrame

from bargein import OverlapScored
from bargein.core.overlap import Overlap, Score
from bargein.detect import Detector, DetectorError, Heard, Level, Listener
from bargein.detect.asked import Asked
from bargein.detect.listener import Recording
from bargein.detect.onnx import ModelError, OnnxDetector
from bargein.pipecat import Bargein
from rig import Rig

RATE = 16_000
PIECES = 30
ENV = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "plugins")}


def tone(ms: int, level: float, rate: int = RATE) -> bytes:
    time = np.arange(rate * ms // 1000) / rate
    return (np.sin(2 * np.pi * 220 * time) * level * 32767).astype("<i2").tobytes()


def heard(ms: int = 1_000, level: float = 0.5, **values: Any) -> Heard:
    samples = np.frombuffer(tone(ms, level), dtype="<i2").astype(np.float32) / 32768
    return Heard(**{"samples": samples, "overlap_ms": ms, "usual_db": None} | values)


def model(
    path: Path, shape: list[Any], *, with_rate: bool = False, columns: int = 1, scale: float = 1.0
) -> Path:
    """A small model: how loud its window is on average, times ``scale``, in its last column."""
    inputs = [helper.make_tensor_value_info("sound", TensorProto.FLOAT, shape)]
    nodes = [
        helper.make_node("Abs", ["sound"], ["abs"]),
        helper.make_node("ReduceMean", ["abs"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "scale"], ["scaled"]),
    ]
    if with_rate:
        inputs.append(helper.make_tensor_value_info("sr", TensorProto.INT64, [1]))
        nodes += [
            helper.make_node("Cast", ["sr"], ["rate"], to=TensorProto.FLOAT),
            helper.make_node("Div", ["rate", "known"], ["right"]),
            helper.make_node("Mul", ["scaled", "right"], ["rated"]),
        ]
    last = "rated" if with_rate else "scaled"
    nodes += [
        helper.make_node("Reshape", [last, "one"], ["flat"]),
        helper.make_node("Concat", ["zero"] * (columns - 1) + ["flat"], ["out"], axis=0),
    ]
    graph = helper.make_graph(
        nodes,
        "loudness",
        inputs,
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [columns])],
        [
            helper.make_tensor("scale", TensorProto.FLOAT, [], [scale]),
            helper.make_tensor("known", TensorProto.FLOAT, [1], [float(RATE)]),
            helper.make_tensor("one", TensorProto.INT64, [1], [1]),
            helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0]),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, path)
    return path


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        (["samples"], {}),
        ([1, "samples"], {}),
        (["batch", 1, 16_000], {}),
        ([1, 16_000], {"with_rate": True}),
        ([1, 16_000], {"columns": 3}),
    ],
)
def test_a_model_from_a_file_hears_the_window(
    tmp_path: Path, shape: list[Any], options: dict[str, Any]
) -> None:
    detector = OnnxDetector(model(tmp_path / "m.onnx", shape, **options), window_ms=1_000)
    loud, soft = detector(heard(2_000, 0.8)), detector(heard(2_000, 0.1))
    assert loud == pytest.approx(8 * soft, rel=0.01)
    assert soft == pytest.approx(float(np.abs(heard(1_000, 0.1).samples).mean()), rel=0.01)
    # What is not there yet is silence: half the sound, half as loud on average.
    assert detector(heard(500, 0.8)) == pytest.approx(loud / 2, rel=0.01)


def test_a_model_may_tell_the_opposite_and_on_another_scale(tmp_path: Path) -> None:
    path = model(tmp_path / "m.onnx", [1, 16_000], columns=2, scale=4.0)
    as_is = OnnxDetector(model(tmp_path / "p.onnx", [1, 16_000]))
    opposite = OnnxDetector(tmp_path / "p.onnx", gives="interruption")
    assert opposite(heard()) == pytest.approx(1 - as_is(heard()))
    logit = OnnxDetector(path, scale="logit")(heard(level=0.9))
    softmax = OnnxDetector(path, scale="softmax")(heard(level=0.9))
    assert 0.5 < logit < 1
    # Between a class that is always 0 and another, both are the same thing.
    assert softmax == pytest.approx(logit, abs=1e-6)


@pytest.mark.parametrize(
    ("shape", "options", "says"),
    [
        ([1, 2, 16_000], {}, "shape"),
        ([1, 96_000], {}, "96000 samples"),
        ([1, "samples"], {"window_ms": 9_000}, "window_ms"),
        ([1, "samples"], {"window_ms": 1_000.5}, "window_ms .* not 1000.5"),
        ([1, "samples"], {"window_ms": "2000"}, "window_ms .* not '2000'"),
        ([1, "samples"], {"window_ms": 0}, "window_ms"),
        ([1, "samples"], {"column": 3}, "gives 1 numbers"),
        ([1, "samples"], {"column": 0.5}, "column .* not 0.5"),
        ([1, "samples"], {"gives": "laughter"}, "laughter"),
        ([1, "samples"], {"scale": "decibels"}, "decibels"),
    ],
)
def test_a_model_that_does_not_fit_is_an_error_at_once(
    tmp_path: Path, shape: list[Any], options: dict[str, Any], says: str
) -> None:
    path = model(tmp_path / "m.onnx", shape)
    with pytest.raises(ModelError, match=says):
        OnnxDetector(path, **options)


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        (helper.make_tensor("v", TensorProto.STRING, [1], [b"cat"]), "string"),
        (helper.make_tensor("v", TensorProto.INT64, [1], [1]), "int64"),
        (None, "seq"),
    ],
)
def test_a_first_output_that_is_no_float_is_an_error_at_once(
    tmp_path: Path, first: onnx.TensorProto | None, kind: str
) -> None:
    mean = helper.make_node("ReduceMean", ["sound"], ["probability"], keepdims=0)
    if first is None:
        node = helper.make_node("SequenceConstruct", ["probability", "sound"], ["first"])
        told = helper.make_tensor_sequence_value_info("first", TensorProto.FLOAT, None)
    else:
        node = helper.make_node("Constant", [], ["first"], value=first)
        told = helper.make_tensor_value_info("first", first.data_type, [1])
    graph = helper.make_graph(
        [mean, node],
        "labels",
        [helper.make_tensor_value_info("sound", TensorProto.FLOAT, [1, "samples"])],
        [told, helper.make_tensor_value_info("probability", TensorProto.FLOAT, [])],
    )
    path = tmp_path / "m.onnx"
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    with pytest.raises(ModelError, match=f"gives first: .*{kind}"):
        OnnxDetector(path)


@pytest.mark.parametrize(("samples", "window_ms"), [(8_000, 500), (16_001, 1_001), (48_000, 3_000)])
def test_a_model_of_fixed_length_is_given_sound_and_no_silence(
    tmp_path: Path, samples: int, window_ms: int
) -> None:
    detector = OnnxDetector(model(tmp_path / "m.onnx", [1, samples]))
    assert detector.window_ms == window_ms
    asked = feed(Listener([detector]), tone(4_000, 0.5), RATE, speaking=True, contested=True)
    assert len(asked[-1].heard().samples) >= samples


def test_the_largest_logits_are_certain_and_warn_of_nothing(tmp_path: Path) -> None:
    for scale, sure in ((1e6, 1.0), (-1e6, 0.0)):
        path = model(tmp_path / "m.onnx", [1, 16_000], scale=scale)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert OnnxDetector(path, scale="logit")(heard()) == sure


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"no model")
    for path in (tmp_path / "m.onnx", tmp_path / "nowhere.onnx"):
        with pytest.raises(ModelError, match=path.name):
            OnnxDetector(path)


def test_a_number_that_is_no_probability_names_the_way_out(tmp_path: Path) -> None:
    detector = OnnxDetector(model(tmp_path / "m.onnx", [1, 16_000], scale=90.0))
    with pytest.raises(ModelError, match="scale='logit'"):
        detector(heard())


def test_softer_and_shorter_is_likelier_a_listener() -> None:
    level = Level()
    usual = {"usual_db": -15.0}
    soft, loud = heard(300, 0.02, **usual), heard(300, 0.9, **usual)
    assert level(soft) > 0.5 > level(loud)
    assert level(heard(300, 0.2)) > level(heard(1_200, 0.2))
    for one in (soft, loud, heard(0), heard(3_000, 0.9, usual_db=-60.0)):
        assert level.weakest <= level(one) <= level.strongest


def feed(listener: Listener, pcm: bytes, rate: int, **how: bool) -> list[Recording]:
    size = rate // 50 * 2
    pieces = (pcm[at : at + size] for at in range(0, len(pcm), size))
    told = [listener.hear(piece, rate, **how) for piece in pieces]
    return [one for one in told if one is not None]


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000])
def test_a_detector_is_asked_ten_times_a_second_about_the_newest_sound(rate: int) -> None:
    listener = Listener([OnlyWindow(500)])
    assert feed(listener, tone(2_000, 0.25, rate), rate, speaking=True, contested=False) == []
    asked = feed(listener, tone(1_000, 0.5, rate), rate, speaking=True, contested=True)
    assert [one.overlap_ms for one in asked] == list(range(100, 1_001, 100))
    last = asked[-1].heard()
    assert len(last.samples) == pytest.approx(RATE / 2, abs=RATE * 0.02)
    assert float(np.abs(last.samples).max()) == pytest.approx(0.5, abs=0.02)
    assert last.usual_db == pytest.approx(20 * np.log10(0.25 / np.sqrt(2)), abs=0.2)


def test_nobody_is_asked_about_silence_or_an_agent_alone() -> None:
    listener = Listener([OnlyWindow(500)])
    assert feed(listener, tone(500, 0.5), RATE, speaking=False, contested=True) == []
    assert feed(listener, tone(500, 0.5), RATE, speaking=False, contested=False) == []
    assert listener.hear(b"", RATE, speaking=True, contested=True) is None


def test_a_detector_may_look_at_no_sound_at_all() -> None:
    asked = feed(Listener([OnlyWindow(0)]), tone(200, 0.5), RATE, speaking=True, contested=True)
    assert [one.overlap_ms for one in asked] == [100, 200]


@pytest.mark.parametrize("window_ms", [-1, 3_001, 500.5, "500", True, None])
def test_an_impossible_window_is_refused_with_the_bargein(window_ms: Any) -> None:
    with pytest.raises(DetectorError, match=r"window_ms of detector window .* 0 to 3000"):
        Rig(Bargein(detectors=[OnlyWindow(window_ms)]))


def test_every_detector_has_a_name_of_its_own() -> None:
    detectors = [OnlyWindow(1), OnlyWindow(2), Says("window 2", lambda: 0.5), Nameless(3)]
    assert {name: one.window_ms for name, one in Listener(detectors).detectors.items()} == {
        "window": 1,
        "window 2": 2,
        "window 2 2": 500,
        "Nameless": 3,
    }


def test_scores_that_are_no_probabilities_do_not_count() -> None:
    def probability(*told: float) -> float | None:
        scores = tuple(
            Score(source=str(at), backchannel_probability=one, at_ms=at)
            for at, one in enumerate(told)
        )
        return Overlap(began_at_ms=0, seen_at_ms=9, scores=scores).backchannel_probability

    wrong = (float("nan"), float("inf"), -0.1, 1.5)
    assert probability(*wrong) is None
    assert probability(*wrong, 0.75) == pytest.approx(0.75)


class OnlyWindow:
    name = "window"

    def __init__(self, window_ms: int) -> None:
        self.window_ms = window_ms

    def __call__(self, _: Heard) -> float:
        return 0.5


class Nameless(OnlyWindow):
    @property
    def name(self) -> str:  # type: ignore[override]
        raise RuntimeError


class Says:
    window_ms = 500

    def __init__(self, name: str, says: Callable[[], float]) -> None:
        self.name, self._says = name, says

    def __call__(self, _: Heard) -> float:
        return self._says()


def test_a_detector_gives_a_probability_or_an_error() -> None:
    recording = Recording(pcm=tone(200, 0.5), rate=RATE, overlap_ms=200, usual_db=None)

    def asked(says: Callable[[], float]) -> Any:
        one = Asked("ear", Says("ear", says))
        answer = one.ask(recording)
        one.close()
        return answer.exception(10) or answer.result()

    assert asked(lambda: 0.5) == 0.5
    assert isinstance(asked(lambda: 1 / 0), ZeroDivisionError)
    for wrong in (7.0, float("nan")):
        assert str(asked(lambda: wrong)) == f"a probability must be between 0 and 1, not {wrong}"  # noqa: B023


def test_a_detector_that_hangs_keeps_no_process_alive() -> None:
    script = """
import threading
from bargein.detect.asked import Asked
from bargein.detect.listener import Recording
begun = threading.Event()
def hang(heard):
    begun.set()
    threading.Event().wait()
Asked("hang", hang).ask(Recording(pcm=b"", rate=16000, overlap_ms=0, usual_db=None))
begun.wait()
"""
    subprocess.run([sys.executable, "-c", script], env=ENV, check=True, timeout=30)


async def call_with(
    *detectors: Detector, enough: Callable[[Rig], bool] | None = None
) -> tuple[Rig, list[OverlapScored]]:
    """One overlap, until there was a score or an error."""
    seen: list[OverlapScored] = []
    rig = Rig(Bargein(detectors=detectors))
    rig.manners.on_event(lambda event: seen.append(event) if _is_score(event) else None)

    async def talks_over(rig: Rig) -> None:
        await rig.agent()
        await rig.voice(True)
        await sound(rig)
        with suppress(TimeoutError):  # the call has to end, whatever is asserted about it
            await rig.until(lambda: enough(rig) if enough else bool(seen or errors(rig)))
        await rig.voice(False)
        await rig.until(lambda: rig.manners.floor == "open")

    await rig.run(talks_over)
    return rig, seen


async def sound(rig: Rig) -> None:
    for _ in range(PIECES):
        await rig.worker.queue_frame(InputAudioRawFrame(tone(20, 0.3), RATE, 1))


def errors(rig: Rig) -> list[str]:
    return [line for line in rig.log if "ERROR" in line]


def _is_score(event: object) -> bool:
    return isinstance(event, OverlapScored)


async def test_in_a_call_the_callers_sound_is_scored() -> None:
    rig, seen = await call_with(Says("ear", lambda: 0.9))
    assert {(one.source, one.backchannel_probability) for one in seen} == {("ear", 0.9)}
    assert errors(rig) == []


async def test_in_a_call_a_broken_detector_is_reported_once() -> None:
    rig, seen = await call_with(Says("ear", lambda: 1 / 0))
    assert seen == []
    assert ["detector ear" in line for line in errors(rig)] == [True]


async def test_in_a_call_a_detector_that_hangs_is_left_out_and_the_others_count() -> None:
    over = threading.Event()
    hangs = Says("hangs", lambda: float(over.wait(60)))
    try:
        rig, seen = await call_with(
            hangs, Says("ear", lambda: 0.5), enough=lambda r: any(errors(r))
        )
        assert not over.is_set()  # so the call ended without its answer
    finally:
        over.set()
    assert {one.source for one in seen} == {"ear"}
    assert ["detector hangs is too slow" in line for line in errors(rig)] == [True]


async def test_in_a_call_a_listener_that_fails_eats_no_sound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Listener, "hear", lambda *_, **__: 1 / 0)
    rig, seen = await call_with(Says("ear", lambda: 0.5))
    assert seen == []
    assert ["detectors failed with ZeroDivisionError" in line for line in errors(rig)] == [True]
    assert len(rig.passed(InputAudioRawFrame)) == PIECES


async def test_in_a_call_a_late_score_decides_no_later_overlap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bargein.hearing.DEADLINE_S", 30.0)
    asked, go_on = threading.Event(), threading.Event()
    answers = iter((0.97, *[0.5] * PIECES))

    def slow() -> float:
        asked.set()
        go_on.wait(30)
        return next(answers)

    rig = Rig(Bargein(detectors=[Says("slow", slow)]))
    seen: list[float] = []
    rig.manners.on_event(
        lambda event: (
            seen.append(event.backchannel_probability) if isinstance(event, OverlapScored) else None
        )
    )

    async def talks_over_twice(rig: Rig) -> None:
        await rig.agent()
        await rig.voice(True)
        await sound(rig)
        await rig.until(asked.is_set)
        await rig.voice(False)
        await rig.until(lambda: rig.manners.floor == "agent")
        await rig.voice(True)
        await rig.until(lambda: rig.manners.floor == "contested")
        go_on.set()
        while not seen:
            await sound(rig)
            await asyncio.sleep(0.02)
        await rig.voice(False)

    await rig.run(talks_over_twice)
    assert seen[0] == 0.5

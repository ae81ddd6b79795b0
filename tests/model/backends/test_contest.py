"""`backend: auto` compares once, in the background; what won and why is kept and told."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asit_edge.config.root import Config, TensorRTSettings
from asit_edge.errors import AsitEdgeError
from asit_edge.model.backends import choice
from asit_edge.model.backends.build import build_engine
from asit_edge.model.backends.choice import Parts, open_backend
from asit_edge.model.backends.contest import Time, winner
from asit_edge.model.backends.device import DeviceWindows
from asit_edge.model.backends.engine import EngineCache, Options
from asit_edge.model.backends.onnx import OnnxWindows
from asit_edge.model.backends.serving import Serving, without_folders
from asit_edge.model.bundle import Bundle, load_bundle
from asit_edge.model.classifier import Classifier, SlidingWindow
from asit_edge.model.latency import Latency
from asit_edge.model.variant import Gate, Variant
from tests.model.backends.fake_gpu import FakeTensorRT, HostCuda
from tests.model.backends.test_choice import wait_for

WINDOWS = np.random.default_rng(0).standard_normal((1, 64, 128)).astype(np.float32)


class Clock:
    """Says how long a step takes, by what runs it, and counts how often it was asked."""

    def __init__(self, engine: float, onnx: list[float]) -> None:
        self.engine, self.onnx, self.asked = engine, onnx, 0

    def __call__(self, classifier: Classifier, bundle: Bundle, batch: int) -> Latency:
        self.asked += 1
        assert isinstance(classifier, SlidingWindow)
        on_engine = isinstance(classifier._model, DeviceWindows)
        p50 = self.engine if on_engine else self.onnx[(self.asked - 1) % len(self.onnx)]
        return Latency(batch=batch, p50_ms=p50, p95_ms=p50, realtime=1.0, runs=20)


@pytest.fixture
def device(tone_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Opens the bundle, with an int8 model, on a device with TensorRT and an engine that fits."""
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path / "cache"))
    monkeypatch.setattr(choice, "find_spec", lambda name: object())
    path = Path(shutil.copytree(tone_bundle, tmp_path / "bundle"))
    plain = load_bundle(path)
    gate = Gate(data="tones", limits={"max_error": 0.1}, measured={"max_error": 0.05})
    variant = Variant(file="model.onnx", made_from=plain.manifest.files["model.onnx"], golden_error=0.0, gate=gate)
    bundle = Bundle(path, plain.manifest.model_copy(update={"variants": {"int8": variant}}))
    cuda = HostCuda()
    tensorrt = FakeTensorRT(cuda)
    config = Config(tensorrt=TensorRTSettings(engines=tmp_path / "engines"))

    def opened(clock: Clock, gpu: bool = True, may_build: bool = True) -> tuple[Any, Serving]:
        if gpu:
            side_car, plan = build_engine(tensorrt, cuda, bundle, Options(precision="fp32"), None, None, 0.0)
            EngineCache(tmp_path / "engines").write(bundle.manifest, side_car, plan)
        else:
            monkeypatch.setattr(choice, "find_spec", lambda name: None)
        serving = Serving()
        parts = Parts(lambda: tensorrt, lambda: cuda, choice.build_in_child, clock)
        return open_backend(bundle, config, may_build, parts, serving), serving

    opened.bundle = bundle  # type: ignore[attr-defined]
    return opened


def told(serving: Serving) -> str:
    return f"{serving.now.backend} {serving.now.precision}" if serving.now else ""


@pytest.mark.parametrize(
    ("engine", "onnx", "expected"),
    [
        (1.0, [9.0, 7.0], "tensorrt fp32"),
        (20.0, [9.0, 7.0], "onnxruntime cpu int8"),
        (20.0, [9.0, 8.9], "onnxruntime cpu fp32"),
    ],
)
def test_the_fastest_serves_and_the_reason_is_told(
    device: Any, engine: float, onnx: list[float], expected: str
) -> None:
    clock = Clock(engine, onnx)
    backend, serving = device(clock)
    wait_for(lambda: serving.now is not None and "timed here" in serving.now.why)
    assert told(serving) == expected
    assert serving.now is not None
    assert f"tensorrt fp32 {engine:g} ms" in serving.now.why
    np.testing.assert_allclose(backend.score(WINDOWS), OnnxWindows(device.bundle).score(WINDOWS), atol=1e-6)
    assert backend.on_engine is (expected == "tensorrt fp32")


def test_it_is_timed_once_and_kept(device: Any) -> None:
    first = Clock(1.0, [9.0, 7.0])
    _, serving = device(first)
    wait_for(lambda: told(serving) == "tensorrt fp32")
    assert first.asked == 3
    second = Clock(100.0, [1.0, 1.0])
    _, again = device(second)
    assert told(again) == "tensorrt fp32"  # at once, and by what was measured before
    assert second.asked == 0


def test_where_nothing_can_be_kept_the_fastest_serves_all_the_same(device: Any, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the cache's folder would be")
    _, serving = device(Clock(1.0, [9.0, 7.0]))
    wait_for(lambda: serving.now is not None and "timed here" in serving.now.why)
    assert told(serving) == "tensorrt fp32"


def test_a_replay_is_not_compared_with_anything(device: Any) -> None:
    clock = Clock(100.0, [9.0, 1.0])
    _, serving = device(clock, may_build=False)
    assert clock.asked == 0
    assert told(serving) == "tensorrt fp32"


def test_without_tensorrt_int8_is_still_compared(device: Any) -> None:
    clock = Clock(0.0, [9.0, 3.0])
    backend, serving = device(clock, gpu=False)
    wait_for(lambda: told(serving) == "onnxruntime cpu int8")
    assert not backend.on_engine  # it is there in the first one's place, which is let go
    np.testing.assert_allclose(backend.score(WINDOWS), OnnxWindows(device.bundle).score(WINDOWS), atol=1e-6)
    _, again = device(Clock(0.0, [3.0, 9.0]), gpu=False)
    assert told(again) == "onnxruntime cpu int8"  # and opened at once


def test_where_no_engine_can_be_had_the_rest_is_compared(device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def unusable(*arguments: Any) -> Any:
        raise AsitEdgeError("the engine is not what it was")

    monkeypatch.setattr(choice, "check_loaded", unusable)
    monkeypatch.setattr(choice, "build_in_child", unusable)
    _, serving = device(Clock(1.0, [9.0, 3.0]))
    wait_for(lambda: told(serving) == "onnxruntime cpu int8")
    assert serving.now is not None
    assert serving.now.why.startswith("no engine could be built: the engine is not what it was; timed here")


def test_a_failure_while_serving_is_told_with_its_cause(device: Any) -> None:
    backend, serving = device(Clock(1.0, [9.0, 7.0]))
    wait_for(lambda: told(serving) == "tensorrt fp32")

    def broken(windows: Any) -> Any:
        raise RuntimeError("device lost: /home/me/.cache/asit-edge/engines/x.plan")

    backend._engine.score = broken
    backend.score(WINDOWS)
    assert told(serving) == "onnxruntime cpu fp32"
    assert serving.now is not None
    assert serving.now.why == "tensorrt failed"
    assert serving.now.fallback == "device lost: x.plan"


def test_a_way_that_cannot_be_timed_does_not_win() -> None:
    times = [
        Time(backend="onnxruntime cpu", precision="fp32", p50_ms=9.0),
        Time(backend="onnxruntime cuda", precision="fp32", p50_ms=None, problem="no device"),
    ]
    best, why = winner(times, "onnxruntime cpu fp32")
    assert best is times[0]
    assert "onnxruntime cuda fp32: no device" in why
    assert winner([], "x") == (None, "timed here, a step: nothing")


def test_folders_are_not_told() -> None:
    assert without_folders("no /a/b/c.plan, and 3 ms/step") == "no c.plan, and 3 ms/step"

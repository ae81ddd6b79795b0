"""Choosing: TensorRT where it is right, ONNX Runtime always behind it; a listener never dies of an engine."""

import logging
import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asit_edge.config.root import Config, TensorRTSettings
from asit_edge.config.sources import MicrophoneSource
from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.model.backends import choice as choose
from asit_edge.model.backends.build import build_engine, key_here
from asit_edge.model.backends.choice import Parts, build_in_child, engine_precision, onnx_precision, open_backend
from asit_edge.model.backends.engine import EngineCache, Options
from asit_edge.model.backends.fallback import SwitchedWindows
from asit_edge.model.backends.onnx import OnnxWindows
from asit_edge.model.bundle import Bundle, load_bundle
from asit_edge.model.classifier import WindowBackend
from asit_edge.model.latency import remember
from asit_edge.model.variant import Gate, Variant
from tests.model.backends.fake_gpu import FakeTensorRT, HostCuda


class Machine:
    """A device with TensorRT, on which engines are built in the same process, when they are let."""

    def __init__(self, bundle: Path, engines: Path) -> None:
        self.bundle = load_bundle(bundle)
        self.cuda = HostCuda()
        self.tensorrt = FakeTensorRT(self.cuda)
        self.config = Config(backend="tensorrt", tensorrt=TensorRTSettings(engines=engines))
        self.cache = EngineCache(engines)
        self.may_build = threading.Event()
        self.tried = threading.Event()

    def open(self, may_build: bool = True, **settings: Any) -> WindowBackend:
        config = self.config.model_copy(update=settings)
        parts = Parts(lambda: self.tensorrt, lambda: self.cuda, self._build)
        return open_backend(self.bundle, config, may_build, parts)

    def _build(self, bundle: Bundle, options: Options, cache: EngineCache) -> None:
        assert self.may_build.wait(10)
        try:
            side_car, plan = build_engine(self.tensorrt, self.cuda, bundle, options, None, None, 0.0)
            cache.write(bundle.manifest, side_car, plan)
        finally:
            self.tried.set()

    def keep_engine(self, options: Options | None = None) -> Path:
        side_car, plan = build_engine(
            self.tensorrt, self.cuda, self.bundle, options or Options(precision="fp32"), None, None, 0.0
        )
        self.tensorrt.built = self.tensorrt.loaded = 0
        return self.cache.write(self.bundle.manifest, side_car, plan)


@pytest.fixture
def machine(tone_bundle: Path, tmp_path: Path) -> Machine:
    return Machine(tone_bundle, tmp_path / "engines")


WINDOWS = np.random.default_rng(0).standard_normal((3, 64, 128)).astype(np.float32)


def test_every_batch_is_compared_also_where_golden_inputs_are_fewer(machine: Machine) -> None:
    machine.tensorrt.spoil = lambda scores: np.full_like(scores, 0.5) if len(scores) == 40 else scores
    with pytest.raises(AsitEdgeError, match="the fp32 engine does not compute what"):
        machine.keep_engine(Options(precision="fp32", batch=40, best_batch=40))


def check_scores(backend: WindowBackend, machine: Machine) -> None:
    np.testing.assert_allclose(backend.score(WINDOWS), OnnxWindows(machine.bundle).score(WINDOWS), atol=1e-6)


def wait_for(condition: Callable[[], bool]) -> None:
    ticking = threading.Event()
    for _ in range(1000):
        if condition():
            return
        ticking.wait(0.01)
    raise AssertionError("it did not come to pass in ten seconds")


def on_engine(backend: WindowBackend) -> bool:
    assert isinstance(backend, SwitchedWindows)
    return backend.on_engine


def test_a_fitting_engine_serves_at_once(machine: Machine) -> None:
    machine.keep_engine()
    backend = machine.open()
    assert on_engine(backend)
    check_scores(backend, machine)
    assert machine.tensorrt.built == 0


def test_without_an_engine_onnx_runtime_serves_until_one_is_built(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "asit_edge"):
        backend = machine.open()
        assert not on_engine(backend)
        check_scores(backend, machine)
        machine.may_build.set()
        wait_for(lambda: "TensorRT 10.3.0 serves on Orin" in caplog.text)
    assert on_engine(backend)
    check_scores(backend, machine)
    assert "ONNX Runtime serves while an engine is built" in caplog.text
    assert "python -m export.trt" in caplog.text
    machine.tensorrt.built = 0
    assert on_engine(machine.open())
    assert machine.tensorrt.built == 0


def test_building_can_be_forbidden(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    settings = machine.config.tensorrt.model_copy(update={"build": "never"})
    backend = machine.open(tensorrt=settings)
    check_scores(backend, machine)
    assert not on_engine(backend)
    assert "build one with python -m export.trt" in caplog.text


def test_only_a_listener_builds(machine: Machine) -> None:
    """A replay must not change its scores half way, nor leave a build behind that nobody waits for."""
    machine.may_build.set()
    check_scores(machine.open(may_build=False), machine)
    assert machine.tensorrt.built == 0
    machine.keep_engine()
    assert on_engine(machine.open(may_build=False))


@pytest.mark.parametrize("damage", ["truncated", "flipped", "foreign", "no side-car", "empty side-car", "empty"])
def test_no_engine_file_can_crash_a_listener(machine: Machine, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    """The fake crashes for good, past every `except`, if it is given a plan that is not its own."""
    file = machine.keep_engine()
    plan = file.read_bytes()
    if damage == "truncated":
        file.write_bytes(plan[: len(plan) // 2])
    elif damage == "flipped":
        file.write_bytes(b"\xff" + plan[1:])
    elif damage == "foreign":
        file.write_bytes(b"plan of 11.4.0 for Thor;" + plan)
    elif damage == "no side-car":
        file.with_suffix(".json").unlink()
    elif damage == "empty side-car":
        file.with_suffix(".json").write_text("")
    else:
        file.write_bytes(b"")
    backend = machine.open()
    check_scores(backend, machine)
    assert machine.tensorrt.loaded == 0
    assert str(file.stem) in caplog.text
    machine.may_build.set()
    wait_for(lambda: on_engine(backend))  # and it has been replaced by a good one
    check_scores(backend, machine)


def test_another_tensorrt_means_another_engine(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    machine.keep_engine()
    machine.tensorrt.version = "10.16.1"
    backend = machine.open()
    assert not on_engine(backend)
    assert "tensorrt is 10.3.0, needed is 10.16.1" in caplog.text
    machine.may_build.set()
    wait_for(lambda: on_engine(backend))


def test_an_engine_that_computes_something_else_is_not_kept(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    machine.tensorrt.spoil = lambda scores: np.minimum(scores + np.float32(0.1), 1)
    machine.may_build.set()
    backend = machine.open()
    assert machine.tried.wait(10)
    wait_for(lambda: "no engine could be built" in caplog.text)
    assert "does not compute what model.onnx does" in caplog.text
    assert not on_engine(backend)
    check_scores(backend, machine)
    assert not list(machine.cache.folder.glob("*.plan"))


@pytest.mark.parametrize("failure", ["gpu", "scores"])
def test_an_engine_that_fails_while_serving_is_replaced(
    machine: Machine, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    machine.keep_engine()
    backend = machine.open()
    check_scores(backend, machine)
    if failure == "gpu":
        machine.cuda.broken = "device lost"
    else:
        machine.tensorrt.spoil = lambda scores: scores * np.float32(np.nan)
    check_scores(backend, machine)  # the very step in which it failed
    assert not on_engine(backend)
    check_scores(backend, machine)
    assert caplog.text.count("the TensorRT engine failed") == 1


def test_the_engine_has_room_for_every_source(machine: Machine) -> None:
    sources = [MicrophoneSource(name=f"m{index}") for index in range(3)]
    machine.may_build.set()
    backend = machine.open(sources=sources)
    wait_for(lambda: on_engine(backend))
    check_scores(backend, machine)
    options = Options(precision="fp32", batch=3, best_batch=3)
    assert machine.cache.read(
        machine.bundle.manifest, key_here(machine.tensorrt, machine.cuda, machine.bundle, options)
    )


def absent() -> Any:
    raise AsitEdgeError("TensorRT is not installed")


def test_without_tensorrt_auto_serves_and_a_demand_fails(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(choose, "find_spec", lambda name: object())
    parts = Parts(tensorrt=absent)
    with caplog.at_level(logging.INFO, "asit_edge"):
        check_scores(open_backend(machine.bundle, Config(backend="auto"), parts=parts), machine)
    assert "ONNX Runtime serves: TensorRT is not installed" in caplog.text
    with pytest.raises(AsitEdgeError, match="not installed"):
        open_backend(machine.bundle, Config(backend="tensorrt"), parts=parts)
    check_scores(open_backend(machine.bundle, Config(backend="onnxruntime"), parts=parts), machine)


def with_variant(bundle: Bundle, name: Any, error: float) -> Bundle:
    """The bundle with its own model as variant, and a gate that measured this error."""
    gate = Gate(data="tones", limits={"max_error": 0.1}, measured={"max_error": error})
    variant = Variant(file="model.onnx", made_from=bundle.manifest.files["model.onnx"], golden_error=0.0, gate=gate)
    variants = {**bundle.manifest.variants, name: variant}
    return Bundle(bundle.path, bundle.manifest.model_copy(update={"variants": variants}))


@pytest.fixture
def no_measurements(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path / "cache"))


@pytest.mark.usefixtures("no_measurements")
@pytest.mark.parametrize(
    ("error", "medians", "chosen"),
    [
        (0.05, {"fp32": 3.0, "int8": 2.0}, "int8"),
        (0.05, {"fp32": 3.0, "int8": 2.95}, "fp32"),
        (0.05, {"fp32": 2.0, "int8": 3.0}, "fp32"),
        (0.05, {"fp32": 3.0}, "fp32"),
        (0.05, None, "fp32"),
        (0.2, {"fp32": 3.0, "int8": 2.0}, "fp32"),
        (float("nan"), {"fp32": 3.0, "int8": 2.0}, "fp32"),
    ],
)
def test_int8_needs_a_passed_gate_and_a_measured_gain(
    tone_bundle: Path, error: float, medians: Any, chosen: str
) -> None:
    bundle = with_variant(load_bundle(tone_bundle), "int8", error)
    if medians is not None:
        remember(bundle, "cpu", 1, medians)
    assert onnx_precision(bundle, Config()) == chosen
    assert onnx_precision(bundle, Config(threads=2)) == "fp32"  # measured with one thread only
    assert onnx_precision(bundle, Config(precision="int8")) == "int8"
    assert onnx_precision(bundle, Config(), listens=False) == "fp32"
    assert onnx_precision(bundle, Config(precision="int8"), listens=False) == "int8"


def test_fp16_needs_a_passed_gate(tone_bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    plain = load_bundle(tone_bundle)
    assert engine_precision(plain, Config()) == "fp32"
    assert engine_precision(with_variant(plain, "fp16", 0.01), Config()) == "fp16"
    failed = with_variant(plain, "fp16", 0.5)
    assert engine_precision(failed, Config()) == "fp32"
    assert not caplog.text
    assert engine_precision(failed, Config(precision="fp16")) == "fp16"
    assert "failed its gate (max_error is 0.5, allowed is 0.1)" in caplog.text


def test_a_precision_that_is_not_there_is_wrong_use(tone_bundle: Path) -> None:
    with pytest.raises(WrongUse, match=r"has no int8 model \(it has fp32\); make one with python -m export\.variants"):
        open_backend(load_bundle(tone_bundle), Config(precision="int8"))


def test_a_provider_that_is_not_there_is_wrong_use(tone_bundle: Path) -> None:
    with pytest.raises(
        WrongUse, match=r"provider 'openvino': the installed ONNX Runtime has cpu.*onnxruntime-openvino"
    ):
        open_backend(load_bundle(tone_bundle), Config(provider="openvino"))


@pytest.mark.skipif(find_spec("tensorrt") is not None, reason="TensorRT is installed")
def test_the_builder_is_a_process_of_its_own_and_says_why_it_failed(tone_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(AsitEdgeError, match="TensorRT is not installed for this Python"):
        build_in_child(load_bundle(tone_bundle), Options(precision="fp32"), EngineCache(tmp_path))
    assert not list(tmp_path.iterdir())

"""Every call to TensorRT and CUDA fails once: what does a listener do? The whole path runs, on a stub of the module.

Whatever fails, every step is scored, and scored right; the table of docs/jetson.md says on what.
"""

import logging
import threading
from pathlib import Path

import numpy as np
import pytest

from asit_edge.config.root import Config, TensorRTSettings
from asit_edge.model.backends.build import build_engine
from asit_edge.model.backends.choice import Parts, open_backend
from asit_edge.model.backends.engine import EngineCache, Options
from asit_edge.model.backends.onnx import OnnxWindows
from asit_edge.model.backends.tensorrt import InstalledTensorRT
from asit_edge.model.bundle import Bundle, load_bundle
from tests.conftest import ROOT
from tests.model.backends.fake_gpu import HostCuda
from tests.model.backends.stub_tensorrt import StubTensorRT
from tests.model.backends.test_choice import on_engine, wait_for

WINDOWS = np.random.default_rng(0).standard_normal((1, 64, 128)).astype(np.float32)


class Jetson:
    """A device whose TensorRT and GPU fail when told."""

    def __init__(self, bundle: Path, engines: Path) -> None:
        self.bundle = load_bundle(bundle)
        self.cuda = HostCuda()
        self.module = StubTensorRT(self.cuda)
        self.config = Config(backend="tensorrt", tensorrt=TensorRTSettings(engines=engines))
        self.tried = threading.Event()
        self.reference = OnnxWindows(self.bundle)

    def open(self) -> object:
        return open_backend(self.bundle, self.config, True, Parts(self._tensorrt, lambda: self.cuda, self._build))

    def _tensorrt(self) -> InstalledTensorRT:
        return InstalledTensorRT(self.module)  # type: ignore[arg-type]

    def _build(self, bundle: Bundle, options: Options, cache: EngineCache) -> None:
        try:
            side_car, plan = build_engine(self._tensorrt(), self.cuda, bundle, options, None, None, 0.0)
            cache.write(bundle.manifest, side_car, plan)
        finally:
            self.tried.set()

    def fail(self, call: str) -> None:
        (self.module if call in TENSORRT else self.cuda).failing.add(call)

    def step(self, backend: object) -> None:
        scores = backend.score(WINDOWS)  # type: ignore[attr-defined]
        np.testing.assert_allclose(scores, self.reference.score(WINDOWS), atol=1e-6)


TENSORRT = {
    *("Builder", "Runtime", "parse_from_file", "add_optimization_profile", "build_serialized_network"),
    *(
        "deserialize_cuda_engine",
        "create_execution_context",
        "set_input_shape",
        "set_tensor_address",
        "execute_async_v3",
    ),
}

AT_THE_START = {
    "Builder": "finds no usable GPU",
    "parse_from_file": "cannot read it",
    "add_optimization_profile": "refuses batches",
    "build_serialized_network": "OutOfMemory",
    "Runtime": "finds no usable GPU",
    "deserialize_cuda_engine": "does not load the engine: Error Code 1: Serialization",
    "create_execution_context": "is the GPU's memory full?",
    "set_input_shape": "refuses a batch of",
    "set_tensor_address": "refuses the address of",
    "execute_async_v3": "did not run the engine",
    "allocate": "allocate failed: out of memory",
    "allocate_host": "allocate_host failed: out of memory",
    "upload": "upload failed",
    "download": "download failed",
    "synchronise": "synchronise failed",
}
WHILE_SERVING = ("execute_async_v3", "upload", "download", "synchronise")
GRAPHS = ("begin capture", "end capture")


@pytest.fixture
def jetson(tone_bundle: Path, tmp_path: Path) -> Jetson:
    return Jetson(tone_bundle, tmp_path / "engines")


@pytest.mark.parametrize("version", ["10.3.0", "10.7.0", "10.13.3.9", "10.16.1.11", "11.4.0.106"])
def test_the_whole_path_runs(jetson: Jetson, version: str) -> None:
    """Of the versions whose calls `tests/export/test_bindings.py` looks at."""
    jetson.module.__version__ = version
    backend = jetson.open()
    wait_for(lambda: on_engine(backend))  # type: ignore[arg-type]
    for _ in range(3):
        jetson.step(backend)
    assert jetson.cuda.captured >= 1
    assert jetson.cuda.launched >= 2
    assert set(jetson.module.calls) >= TENSORRT


@pytest.mark.parametrize("call", AT_THE_START)
def test_what_fails_at_the_start_leaves_onnx_runtime(
    call: str, jetson: Jetson, caplog: pytest.LogCaptureFixture
) -> None:
    jetson.fail(call)
    backend = jetson.open()
    assert jetson.tried.wait(20)
    wait_for(lambda: "no engine could be built" in caplog.text)
    assert AT_THE_START[call] in caplog.text
    assert not on_engine(backend)  # type: ignore[arg-type]
    jetson.step(backend)


@pytest.mark.parametrize("call", WHILE_SERVING)
def test_what_fails_while_serving_is_scored_again_on_onnx_runtime(
    call: str, jetson: Jetson, caplog: pytest.LogCaptureFixture
) -> None:
    jetson.fail("begin capture")  # a launched graph calls none of these but `synchronise`
    backend = jetson.open()
    wait_for(lambda: on_engine(backend))  # type: ignore[arg-type]
    jetson.step(backend)
    jetson.fail(call)
    jetson.step(backend)  # the very step in which it fails
    assert not on_engine(backend)  # type: ignore[arg-type]
    jetson.step(backend)
    assert caplog.text.count("the TensorRT engine failed") == 1


@pytest.mark.parametrize("call", GRAPHS)
def test_a_graph_that_cannot_be_captured_leaves_the_gpu_serving(
    call: str, jetson: Jetson, caplog: pytest.LogCaptureFixture
) -> None:
    jetson.fail(call)
    backend = jetson.open()
    wait_for(lambda: on_engine(backend))  # type: ignore[arg-type]
    set_before = jetson.module.calls.count("set_input_shape")
    for _ in range(4):
        jetson.step(backend)
    assert on_engine(backend)  # type: ignore[arg-type]
    assert jetson.cuda.launched == 0
    assert "CUDA graphs do not work here" in caplog.text
    assert jetson.module.calls.count("set_input_shape") - set_before <= 1  # set once, whatever was queued after


def test_a_graph_that_cannot_be_launched_leaves_the_gpu_serving(
    jetson: Jetson, caplog: pytest.LogCaptureFixture
) -> None:
    backend = jetson.open()
    wait_for(lambda: on_engine(backend))  # type: ignore[arg-type]
    for _ in range(2):
        jetson.step(backend)
    jetson.fail("launch")
    for _ in range(3):
        jetson.step(backend)
    assert on_engine(backend)  # type: ignore[arg-type]
    assert caplog.text.count("CUDA graphs do not work here") == 1


def test_a_fitting_plan_that_computes_something_else_is_not_used(
    jetson: Jetson, caplog: pytest.LogCaptureFixture
) -> None:
    """The plan's hash is right, and the GPU computes nonsense: seen at the start, not weeks later."""
    backend = jetson.open()
    wait_for(lambda: on_engine(backend))  # type: ignore[arg-type]
    jetson.module.spoil = lambda scores: np.full_like(scores, 0.5)
    jetson.tried.clear()
    with caplog.at_level(logging.WARNING):
        again = jetson.open()
        assert jetson.tried.wait(20)
        wait_for(lambda: "no engine could be built" in caplog.text)
    assert "the engine does not compute what it was built for" in caplog.text
    assert not on_engine(again)  # type: ignore[arg-type]
    jetson.step(again)


def test_the_table_in_the_docs_has_every_call() -> None:
    text = (ROOT / "docs" / "jetson.md").read_text(encoding="utf-8")
    section = text.partition("## What a listener does when a call fails")[2].partition("\n## ")[0]
    for call in {*TENSORRT, *AT_THE_START, *WHILE_SERVING, *GRAPHS, "launch"}:
        assert f"`{call}`" in section, call

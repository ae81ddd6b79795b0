"""Engines on the device: right scores from every way of stepping, graphs reused, memory given back."""

import gc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asit_edge.errors import AsitEdgeError
from asit_edge.model.backends.device import MOST_GRAPHS, DeviceWindows, _runs
from asit_edge.model.backends.engine import Options
from asit_edge.model.backends.onnx import OnnxWindows
from asit_edge.model.backends.shapes import open_engine
from asit_edge.model.bundle import load_bundle
from tests.model.backends.fake_gpu import FakeTensorRT, HostCuda


def on_device(bundle: Path, batch: int, cuda: HostCuda | None = None) -> tuple[DeviceWindows, HostCuda]:
    cuda = cuda or HostCuda()
    tensorrt = FakeTensorRT(cuda)
    plan = tensorrt.build(bundle / "model.onnx", Options(batch=batch), None, None)
    backend = open_engine(load_bundle(bundle), cuda, tensorrt.load(plan), batch)
    assert isinstance(backend, DeviceWindows)
    return backend, cuda


@settings(max_examples=20)
@given(counts=st.lists(st.integers(1, 9), min_size=1, max_size=8), batch=st.integers(1, 5))
def test_windows_score_as_on_onnx_runtime_in_any_batch(tone_bundle: Path, counts: list[int], batch: int) -> None:
    device, _ = on_device(tone_bundle, batch)
    reference = OnnxWindows(load_bundle(tone_bundle))
    rng = np.random.default_rng(len(counts))
    for count in counts:
        windows = rng.standard_normal((count, 64, 128)).astype(np.float32)
        np.testing.assert_allclose(device.score(windows), reference.score(windows), atol=1e-6)


def test_a_graph_is_captured_once_for_a_batch_and_launched_after(tone_bundle: Path) -> None:
    device, cuda = on_device(tone_bundle, 4)
    windows = np.zeros((3, 64, 128), np.float32)
    for _ in range(5):
        device.score(windows)
    assert (cuda.captured, cuda.launched) == (1, 4)
    device.score(windows[:2])
    assert cuda.captured == 2


def test_graphs_are_bounded(tone_bundle: Path) -> None:
    device, cuda = on_device(tone_bundle, MOST_GRAPHS + 4)
    for count in range(1, MOST_GRAPHS + 5):
        assert device.score(np.zeros((count, 64, 128), np.float32)).shape == (count, 2)
    assert cuda.captured == MOST_GRAPHS


def test_memory_is_given_back(tone_bundle: Path) -> None:
    device, cuda = on_device(tone_bundle, 2)
    device.score(np.zeros((2, 64, 128), np.float32))
    assert cuda.blocks
    del device
    gc.collect()
    assert not cuda.blocks


@pytest.mark.parametrize("spoiled", [np.nan, np.inf, 7.0, -1.0])
def test_what_is_no_probability_is_an_error(tone_bundle: Path, spoiled: float) -> None:
    cuda = HostCuda()
    tensorrt = FakeTensorRT(cuda)
    plan = tensorrt.build(tone_bundle / "model.onnx", Options(), None, None)
    device = open_engine(load_bundle(tone_bundle), cuda, tensorrt.load(plan), 1)
    assert isinstance(device, DeviceWindows)
    tensorrt.spoil = lambda scores: np.full_like(scores, spoiled)
    with pytest.raises(AsitEdgeError, match="not probabilities"):
        device.score(np.zeros((1, 64, 128), np.float32))


def test_a_failing_gpu_is_an_error_of_ours(tone_bundle: Path) -> None:
    device, cuda = on_device(tone_bundle, 1)
    cuda.broken = "an illegal memory access was encountered"
    with pytest.raises(AsitEdgeError, match="illegal memory access"):
        device.score(np.zeros((1, 64, 128), np.float32))


@given(st.sets(st.integers(0, 20), min_size=1), st.integers(1, 6), st.randoms())
def test_runs_cover_every_stream_once_and_only_neighbours(numbers: set[int], most: int, random) -> None:  # type: ignore[no-untyped-def]
    places = [(number, random.randint(0, 1)) for number in sorted(numbers)]
    runs = _runs(places, most)
    assert [index for run in runs for index in run] == list(range(len(places)))
    for run in runs:
        first, arena = places[run.start]
        assert 1 <= len(run) <= most
        assert [places[index] for index in run] == [(first + step, arena) for step in range(len(run))]

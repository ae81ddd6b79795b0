"""Streaming models on the device: caches stay there, and any stepping of any streams scores as on ONNX Runtime."""

import gc
import logging
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asit_edge.errors import AsitEdgeError
from asit_edge.model.backends.device import DeviceStream
from asit_edge.model.backends.engine import Options
from asit_edge.model.backends.fallback import SwitchedStream
from asit_edge.model.backends.onnx import OnnxStream
from asit_edge.model.backends.serving import Serving
from asit_edge.model.backends.shapes import open_engine
from asit_edge.model.bundle import load_bundle
from tests.model.backends.fake_gpu import FakeTensorRT, HostCuda


def on_device(bundle: Path, batch: int) -> tuple[DeviceStream, FakeTensorRT]:
    cuda = HostCuda()
    tensorrt = FakeTensorRT(cuda)
    plan = tensorrt.build(bundle / "model.onnx", Options(batch=batch), None, None)
    backend = open_engine(load_bundle(bundle), cuda, tensorrt.load(plan), batch)
    assert isinstance(backend, DeviceStream)
    return backend, tensorrt


def chunks(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 32, 128)).astype(np.float32)


ACTIONS = st.lists(
    st.one_of(
        st.just("open"),
        st.tuples(st.just("close"), st.integers(0, 9)),
        st.tuples(st.just("step"), st.lists(st.integers(0, 9), min_size=1, max_size=8)),
    ),
    max_size=25,
)


@settings(max_examples=25)
@given(actions=ACTIONS, batch=st.integers(1, 4), seed=st.integers(0, 1000))
def test_any_stepping_scores_as_on_onnx_runtime(tone_stream: Path, actions: list[Any], batch: int, seed: int) -> None:
    device, _ = on_device(tone_stream, batch)
    reference = OnnxStream(load_bundle(tone_stream))
    streams = [(device.open(), reference.open())]
    for number, action in enumerate(actions):
        if action == "open":
            streams.append((device.open(), reference.open()))
        elif action[0] == "close":
            if len(streams) > 1:
                streams.pop(action[1] % len(streams))
        else:
            chosen = list(dict.fromkeys(index % len(streams) for index in action[1]))
            audio = chunks(len(chosen), seed + number)
            actual = device.step(audio, [streams[index][0] for index in chosen])
            expected = reference.step(audio, [streams[index][1] for index in chosen])
            np.testing.assert_allclose(actual, expected, atol=1e-6)
    numbers = [slot.number for slot, _ in streams]
    assert len(set(numbers)) == len(numbers)


def test_streams_in_step_are_one_batch_and_caches_never_travel(tone_stream: Path) -> None:
    device, tensorrt = on_device(tone_stream, 4)
    memories = [device.open() for _ in range(4)]
    cuda = tensorrt.cuda
    cuda.captured = cuda.launched = 0
    for number in range(12):
        device.step(chunks(4, number), memories)
    assert (cuda.captured, cuda.launched) == (2, 10)  # there and back: one graph each, both arenas in turn
    state = 16 * 128 * 4
    assert cuda.uploaded == 12 * 4 * 32 * 128 * 4 + 4 * state  # audio, and each stream's first silence
    assert cuda.downloaded == 12 * 4 * 2 * 2 * 4  # scores


def test_slots_are_reused(tone_stream: Path) -> None:
    device, tensorrt = on_device(tone_stream, 1)
    memory = device.open()
    for _ in range(40):
        memory = device.open()  # the pipeline opens anew after a gap, then forgets the old one
    assert memory.number < 2
    held = sum(tensorrt.cuda.sizes.values())
    several = [device.open() for _ in range(9)]
    assert len({slot.number for slot in several}) == 9
    assert sum(tensorrt.cuda.sizes.values()) > held
    del device, memory, several
    gc.collect()
    assert not tensorrt.cuda.blocks


def test_a_failed_step_leaves_every_stream_where_it_was(tone_stream: Path) -> None:
    device, tensorrt = on_device(tone_stream, 2)
    reference = OnnxStream(load_bundle(tone_stream))
    slots, memories = [device.open() for _ in range(3)], [reference.open() for _ in range(3)]
    device.step(chunks(3, 0), slots)
    reference.step(chunks(3, 0), memories)
    calls = iter([False, True])
    tensorrt.spoil = lambda scores: scores * np.float32(np.nan if next(calls) else 1)  # the second run of the step
    with pytest.raises(AsitEdgeError, match="not probabilities"):
        device.step(chunks(3, 1), slots)
    tensorrt.spoil = lambda scores: scores
    np.testing.assert_allclose(device.step(chunks(3, 2), slots), reference.step(chunks(3, 2), memories), atol=1e-6)


def test_streams_move_to_the_engine_and_back_without_forgetting(
    tone_stream: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reference = OnnxStream(load_bundle(tone_stream))
    switched = SwitchedStream(OnnxStream(load_bundle(tone_stream)), Serving())
    device, tensorrt = on_device(tone_stream, 2)
    held, memories = [switched.open() for _ in range(2)], [reference.open() for _ in range(2)]

    def step(number: int) -> None:
        expected = reference.step(chunks(2, number), memories)
        np.testing.assert_allclose(switched.step(chunks(2, number), held), expected, atol=1e-6)

    step(0)
    switched.offer(device)
    step(1)
    step(2)
    assert switched.on_engine
    held.append(switched.open())
    memories.append(reference.open())
    held.pop(0)
    memories.pop(0)
    step(3)
    tensorrt.spoil = lambda scores: scores + np.float32(2)
    step(4)
    assert not switched.on_engine
    assert "the engine failed (its scores are not probabilities)" in caplog.text
    step(5)
    assert "lost" not in caplog.text


def test_what_takes_the_place_of_the_fallback_goes_on_where_it_was_and_the_one_before_is_let_go(
    tone_stream: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = OnnxStream(load_bundle(tone_stream))
    let_go = weakref.ref(before)
    switched, reference = SwitchedStream(before, Serving()), OnnxStream(load_bundle(tone_stream))
    del before
    held, memories = [switched.open() for _ in range(2)], [reference.open() for _ in range(2)]

    def step(number: int) -> None:
        expected = reference.step(chunks(2, number), memories)
        np.testing.assert_allclose(switched.step(chunks(2, number), held), expected, atol=1e-6)

    step(0)
    switched.fall_back_on(OnnxStream(load_bundle(tone_stream)))
    step(1)
    gc.collect()
    assert let_go() is None
    step(2)
    assert not switched.on_engine
    assert "lost" not in caplog.text


def test_a_dead_gpu_costs_the_past_but_not_the_listener(tone_stream: Path, caplog: pytest.LogCaptureFixture) -> None:
    switched = SwitchedStream(OnnxStream(load_bundle(tone_stream)), Serving())
    device, tensorrt = on_device(tone_stream, 1)
    switched.offer(device)
    held = [switched.open()]
    switched.step(chunks(1, 0), held)
    tensorrt.cuda.broken = "unspecified launch failure"
    with caplog.at_level(logging.WARNING):
        scores = switched.step(chunks(1, 1), held)
    fresh = OnnxStream(load_bundle(tone_stream))
    np.testing.assert_allclose(scores, fresh.step(chunks(1, 1), [fresh.open()]), atol=1e-6)
    assert "what the engine remembered of a stream is lost" in caplog.text
    assert switched.step(chunks(1, 2), held).shape == (1, 2, 2)


def test_an_engine_of_another_model_is_refused(tone_stream: Path, tone_bundle: Path) -> None:
    cuda = HostCuda()
    tensorrt = FakeTensorRT(cuda)
    plan = tensorrt.build(tone_bundle / "model.onnx", Options(), None, None)
    with pytest.raises(AsitEdgeError, match="has no state past that next_past replaces"):
        open_engine(load_bundle(tone_stream), cuda, tensorrt.load(plan), 1)

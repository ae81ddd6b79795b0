"""Shared fixtures: a model that is simple enough to predict, sounds it knows, and the parts that a machine may lack."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
from hypothesis import settings
from onnx import TensorProto, helper, numpy_helper

from asit_edge.model.bundle import BundleLabel, Manifest, StreamModel, WindowModel, sha256, write_manifest
from asit_edge.model.frontend import FrontEnd

ROOT = Path(__file__).parent.parent
RATE = 16_000

settings.register_profile("ci", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("ci")


def require(available: bool, what: str) -> None:
    """Skips the test with a reason where a part is absent; in CI every part must be there."""
    if not available:
        if os.environ.get("CI"):  # no assertion: it would print the environment, and what is secret in it
            pytest.fail(f"CI must have {what}", pytrace=False)
        pytest.skip(f"needs {what}")


def require_programs(*names: str) -> None:
    for name in names:
        require(shutil.which(name) is not None, f"the program {name}")


@pytest.fixture(autouse=True, scope="session")
def no_calibration_of_ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What whoever runs the tests has calibrated, or kept, is nothing to them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.delenv("STATE_DIRECTORY", raising=False)
        yield


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Clocks on walls show UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def shared_data() -> Path:
    """Recordings and teachers that the repository may not carry, where they lie beside it; nothing can install them."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs recordings and teachers in ../shared/data")
    return folder


def write_tone_bundle(path: Path) -> Path:
    """A window model that hears a low tone (500 Hz) and a high tone (3 kHz), each from the window's last 0.16 s."""
    spec = FrontEnd()
    frames, recent = 64, 16
    weights = np.zeros((spec.mels, 2), np.float32)
    weights[mel_bin(500) - 2 : mel_bin(500) + 3, 0] = 1
    weights[mel_bin(3000) - 2 : mel_bin(3000) + 3, 1] = 1
    graph = helper.make_graph(
        [
            helper.make_node("Slice", ["log_mel", "start", "end", "axis"], ["recent"]),
            helper.make_node("ReduceMean", ["recent"], ["mean"], axes=[1], keepdims=0),
            helper.make_node("MatMul", ["mean", "weights"], ["energy"]),
            helper.make_node("Add", ["energy", "bias"], ["logits"]),
            helper.make_node("Sigmoid", ["logits"], ["scores"]),
        ],
        "tones",
        [helper.make_tensor_value_info("log_mel", TensorProto.FLOAT, ["batch", frames, spec.mels])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 2])],
        [
            numpy_helper.from_array(np.array([frames - recent], np.int64), "start"),
            numpy_helper.from_array(np.array([frames], np.int64), "end"),
            numpy_helper.from_array(np.array([1], np.int64), "axis"),
            numpy_helper.from_array(3 * weights, "weights"),
            numpy_helper.from_array(np.array([-3, -3], np.float32), "bias"),
        ],
    )
    path.mkdir(parents=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path / "model.onnx")
    manifest = Manifest(
        name="tones",
        version="1.0",
        license="Apache-2.0",
        labels=[
            BundleLabel(name="Low tone", id="low_tone", on_threshold=0.5, off_threshold=0.3),
            BundleLabel(name="High tone", id="high_tone", on_threshold=0.5, off_threshold=0.3),
        ],
        front_end=spec,
        model=WindowModel(frames=frames, interval=16),
        files={"model.onnx": sha256(path / "model.onnx")},
    )
    write_manifest(path, manifest)
    return path


def write_tone_stream(path: Path) -> Path:
    """A stream model that hears the same tones, in chunks of 0.32 s: a decision a 0.16 s, from the last 0.32 s each."""
    spec = FrontEnd()
    weights = np.zeros((spec.mels, 2), np.float32)
    weights[mel_bin(500) - 2 : mel_bin(500) + 3, 0] = 1
    weights[mel_bin(3000) - 2 : mel_bin(3000) + 3, 1] = 1
    frames, past = 32, 16

    def numbers(name: str, *values: int) -> TensorProto:
        return numpy_helper.from_array(np.array(values, np.int64), name)

    nodes = [helper.make_node("Concat", ["past", "log_mel"], ["known"], axis=1)]
    for step in range(2):
        nodes += [
            helper.make_node("Slice", ["known", f"start{step}", f"end{step}", "axis"], [f"part{step}"]),
            helper.make_node("ReduceMean", [f"part{step}"], [f"mean{step}"], axes=[1], keepdims=1),
        ]
    nodes += [
        helper.make_node("Concat", ["mean0", "mean1"], ["means"], axis=1),
        helper.make_node("MatMul", ["means", "weights"], ["energy"]),
        helper.make_node("Add", ["energy", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["scores"]),
        helper.make_node("Slice", ["log_mel", "end_start", "end_end", "axis"], ["next_past"]),
    ]
    constants = [numbers("axis", 1), numbers("end_start", frames - past), numbers("end_end", frames)]
    for step in range(2):
        constants += [numbers(f"start{step}", 16 * step), numbers(f"end{step}", 16 * step + 32)]
    constants += [
        numpy_helper.from_array(3 * weights, "weights"),
        numpy_helper.from_array(np.array([-3, -3], np.float32), "bias"),
    ]

    def batches(name: str, *shape: int) -> object:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])

    graph = helper.make_graph(
        nodes,
        "tones",
        [batches("log_mel", frames, spec.mels), batches("past", past, spec.mels)],
        [batches("scores", 2, 2), batches("next_past", past, spec.mels)],
        constants,
    )
    path.mkdir(parents=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path / "model.onnx")
    np.savez(path / "initial.npz", past=np.full((past, spec.mels), spec.silence, np.float32))
    manifest = Manifest(
        name="tone-stream",
        version="1.0",
        license="Apache-2.0",
        labels=[
            BundleLabel(name="Low tone", id="low_tone", on_threshold=0.5, off_threshold=0.3),
            BundleLabel(name="High tone", id="high_tone", on_threshold=0.5, off_threshold=0.3),
        ],
        front_end=spec,
        model=StreamModel(frames=frames, steps=2, caches={"past": [past, spec.mels]}),
        files={name: sha256(path / name) for name in ("model.onnx", "initial.npz")},
    )
    write_manifest(path, manifest)
    return path


def mel_bin(hz: float) -> int:
    """The mel bin whose centre is nearest to a frequency."""
    spec = FrontEnd()
    edges = np.linspace(np.log1p(spec.low_hz / 700), np.log1p(spec.high_hz / 700), spec.mels + 2)
    return int(np.abs(edges[1:-1] - np.log1p(hz / 700)).argmin())


@pytest.fixture(scope="session")
def tone_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tone_bundle(tmp_path_factory.mktemp("bundles") / "tones")


@pytest.fixture(scope="session")
def tone_stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tone_stream(tmp_path_factory.mktemp("bundles") / "tone-stream")


def tones(*parts: tuple[float, float], rate: int = RATE) -> np.ndarray:
    """Pieces of (frequency in Hz or 0 for faint noise, seconds) one after the other."""
    rng = np.random.default_rng(0)
    pieces = []
    for frequency, seconds in parts:
        time = np.arange(round(seconds * rate)) / rate
        noise = 1e-4 * rng.standard_normal(len(time))
        pieces.append(noise + (0.3 * np.sin(2 * np.pi * frequency * time) if frequency else 0))
    return np.concatenate(pieces).astype(np.float32)


@pytest.fixture
def tone_file(tmp_path: Path) -> Path:
    """Two low tones and one high tone: low at 1-2 s, high at 4-5.5 s, low at 8-8.5 s; 10 s in all."""
    path = tmp_path / "tones.wav"
    samples = tones((0, 1), (500, 1), (0, 2), (3000, 1.5), (0, 2.5), (500, 0.5), (0, 1.5))
    soundfile.write(path, samples, RATE, subtype="PCM_16")
    return path

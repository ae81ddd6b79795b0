"""A student becomes a bundle: what a device computes chunk by chunk is what the lab computed over it all."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.model.backends.shapes import open_classifier
from asit_edge.model.bundle import load_bundle
from asit_edge.model.classifier import Classifier
from export.bundling import write_bundle
from export.conversion import export_stream
from export.parity import stream_parity
from trainer.models.device import StreamStep, TorchStream
from trainer.models.streaming_vit import Stage, StreamConfig, StreamViT
from trainer.run.checkpoint import save_checkpoint
from trainer.students.config import DistillConfig
from trainer.students.student import STUDENT, load_student

LABELS = ["Dog", "Rain", "Speech"]
MODEL = StreamConfig(stages=(Stage(16, 1, 2, 4), Stage(32, 1, 2, 6)), stem=(4, 4, 8), chunk=2, activation="relu")


def random_student(seed: int = 0) -> StreamViT:
    torch.manual_seed(seed)
    model = StreamViT(MODEL, len(LABELS), DistillConfig().spec.silence).eval()
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, std=0.5 if "bias" in name or "embed" in name else 0.2)
    return model


def save(path: Path, seed: int = 0) -> Path:
    config = DistillConfig(model=asdict(MODEL), test_fold=5)
    content: dict[str, Any] = {"config": config.plain(), "labels": LABELS, "model": random_student(seed).state_dict()}
    save_checkpoint(path, STUDENT, {**content, "step": 7})
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("student")
    facts = {"thresholds": {"Dog": [0.8, 0.4]}, "training": {"data": "none"}}
    write_bundle(save(folder / "student.pt"), folder / "out", "student", "1.0", "Apache-2.0", facts, 0.5, 0.3)
    return folder / "out"


def offline(log_mel: np.ndarray, model: StreamViT) -> np.ndarray:
    """Scores (n, steps, classes) of whole recordings (n, frames, mels) under the mask."""
    memory = [cache.expand(len(log_mel), *cache.shape[1:]) for cache in model.silent_memory()]
    with torch.inference_mode():
        return StreamStep(model)(torch.from_numpy(log_mel), *memory)[0].numpy()


def chunked(classifier: Classifier, log_mel: np.ndarray) -> np.ndarray:
    memories = [classifier.open() for _ in log_mel]
    pieces = np.split(log_mel, log_mel.shape[1] // classifier.chunk, axis=1)
    return np.concatenate([classifier.step(np.ascontiguousarray(piece), memories) for piece in pieces], axis=1)


def sounds(count: int, chunks: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, chunks * 32, 128)).astype(np.float32)


@settings(max_examples=20)
@given(count=st.integers(1, 4), chunks=st.integers(1, 12), seed=st.integers(0, 2**31))
def test_onnx_chunk_by_chunk_is_torch_over_the_whole(bundle: Path, count: int, chunks: int, seed: int) -> None:
    log_mel = sounds(count, chunks, seed)
    expected = offline(log_mel, random_student())
    assert np.abs(chunked(open_classifier(load_bundle(bundle)), log_mel) - expected).max() < 1e-5
    assert np.abs(chunked(TorchStream(random_student()), log_mel) - expected).max() < 1e-5
    assert expected.std() > 0.01


def test_hours_later_it_hears_like_at_the_start(bundle: Path) -> None:
    classifier = open_classifier(load_bundle(bundle))
    memory = classifier.open()
    loud = sounds(1, 50, 1) * 3
    for number in range(24_000):  # two hours, in mixed order
        start = (number * 7919 % 50) * 32
        classifier.step(loud[:, start : start + 32], [memory])
    reach = -(-MODEL.receptive_steps // MODEL.chunk)
    log_mel = sounds(1, reach + 5, 2)
    fresh = [classifier.open()]
    for start in range(0, log_mel.shape[1], 32):
        chunk = log_mel[:, start : start + 32]
        late, early = classifier.step(chunk, [memory]), classifier.step(chunk, fresh)
        if start >= reach * 32:
            assert np.abs(late - early).max() < 1e-5


def test_the_bundle_says_where_it_comes_from_and_what_it_needs(bundle: Path) -> None:
    loaded = load_bundle(bundle)
    assert [(label.name, label.on_threshold) for label in loaded.manifest.labels] == [
        ("Dog", 0.8),
        ("Rain", 0.5),
        ("Speech", 0.5),
    ]
    assert loaded.stream.caches == {"frames": [16, 128], "layer0": [4, 32, 8], "layer1": [4, 24, 16]}
    assert loaded.manifest.training["step"] == 7
    card = (bundle / "README.md").read_text(encoding="utf-8")
    assert "in chunks of 0.32 s, each once" in card
    with np.load(bundle / "golden.npz") as golden:
        again = chunked(open_classifier(loaded), golden["log_mel"])[:, -1]
        assert np.abs(again - golden["scores"]).max() < 1e-5
    session = onnxruntime.InferenceSession(str(loaded.model_file), providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == ["log_mel", "frames", "layer0", "layer1"]


def test_a_bundle_can_have_some_of_the_labels(tmp_path: Path) -> None:
    facts = {"labels": ["Speech", "Dog"]}
    write_bundle(save(tmp_path / "s.pt"), tmp_path / "out", "some", "1", "MIT", facts, 0.5, 0.3)
    log_mel = sounds(2, 3, 0)
    expected = offline(log_mel, random_student())[:, :, [2, 0]]
    assert np.abs(chunked(open_classifier(load_bundle(tmp_path / "out")), log_mel) - expected).max() < 1e-5
    with pytest.raises(WrongUse, match="has no label 'Cat'"):
        load_student(tmp_path / "s.pt", ["Cat"])


def test_a_differing_student_is_refused(tmp_path: Path) -> None:
    export_stream(StreamStep(random_student(0)), tmp_path / "model.onnx")
    assert stream_parity(StreamStep(random_student(0)), tmp_path / "model.onnx", sounds(2, 3, 0)) < 1e-5
    with pytest.raises(AsitEdgeError, match="does not compute what the checkpoint does"):
        stream_parity(StreamStep(random_student(1)), tmp_path / "model.onnx", sounds(2, 3, 0))

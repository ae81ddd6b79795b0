"""A model simple enough to predict that can be taught: its embedding of a chunk is the shape of its spectrum, however
loud; and sounds that it tells apart: beeps of any pitch.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper
from safetensors.numpy import save_file

from asit_edge.model.backends.onnx import OnnxStream
from asit_edge.model.bundle import Manifest, StreamModel, load_bundle, sha256, write_manifest
from asit_edge.model.frontend import log_mel
from asit_edge.teach.space import FULL, NEGATIVES
from tests.conftest import RATE, tones, write_tone_stream

CHUNK = 0.32
AXES = 24


def write_teachable(path: Path, version: str = "1.0") -> Path:
    """The stream of low and high tones, with embeddings and negatives: noises and beeps of 400 to 6,500 Hz."""
    write_tone_stream(path)
    model = onnx.load(path / "model.onnx")
    model.graph.node.extend(
        [
            helper.make_node("ReduceMean", ["log_mel"], ["spectrum"], axes=[1], keepdims=0),
            helper.make_node("Softmax", ["spectrum"], ["embedding"], axis=1),
        ]
    )
    model.graph.output.insert(1, helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", 128]))
    model.doc_string = version  # another version is another file
    onnx.save(model, path / "model.onnx")
    described = load_manifest(path)
    shape = described.model
    assert isinstance(shape, StreamModel)
    files = {name: sha256(path / name) for name in ("model.onnx", "initial.npz")}
    fields = {"name": "teachable", "version": version, "model": shape.model_copy(update={"embedding": 128})}
    manifest = described.model_copy(update={**fields, "files": files})
    write_manifest(path, manifest)
    write_negatives(path, manifest)
    return path


def load_manifest(path: Path) -> Manifest:
    import yaml

    return Manifest.model_validate(yaml.safe_load((path / "bundle.yaml").read_text()))


def write_negatives(path: Path, manifest: Manifest) -> None:
    rng = np.random.default_rng(1)
    model, spec = OnnxStream(load_bundle(path)), manifest.front_end
    clips, labels = [], []
    for number in range(240):
        hz = float(np.exp(rng.uniform(np.log(400), np.log(6500)))) if number % 2 else 0.0
        if 1300 < hz < 1900 or 430 < hz < 580:  # what tests teach and correct
            hz = 0.0
        clip = tones((hz, 1.6)) + rng.normal(0, 10 ** rng.uniform(-4, -1), round(1.6 * RATE)).astype(np.float32)
        mels, memories = log_mel(spec, np.pad(clip, (0, 400))), [model.open()]
        found = [model.step_embedded(mels[None, at : at + 32], memories)[1][0] for at in range(0, 160, 32)]
        clips.append(np.stack(found))
        labels.append(1 if hz else 0)
    chunks = np.concatenate(clips)
    mean = chunks.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov((chunks - mean).T))
    basis = directions[:, ::-1][:, :AXES] / np.sqrt(variances[::-1][:AXES] + variances.mean())
    moved = (chunks - mean) @ basis
    vectors = np.round(FULL * moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.int8)
    about = {"names": ["Noise", "Beep"], "seconds": 10 * CHUNK, "sources": {"made": len(clips)}}
    save_file(
        {
            "mean": mean.astype(np.float32),
            "basis": basis.astype(np.float16),
            "vectors": vectors,
            "starts": np.arange(0, len(vectors) + 1, 5).astype(np.int32),
            "labels": np.array(labels, np.int32),
        },
        path / NEGATIVES,
        {"about": json.dumps(about)},
    )
    write_manifest(path, manifest.model_copy(update={"files": {**manifest.files, NEGATIVES: sha256(path / NEGATIVES)}}))


def beep(number: int = 0, hz: float = 1600.0, noise: float = 1e-3) -> np.ndarray:
    """One of many takes of a beep: 1.4 s somewhere in three and a half seconds of noise."""
    rng = np.random.default_rng(number)
    before = float(rng.uniform(0.5, 1.4))
    samples = tones((0, before), (hz * float(rng.uniform(0.99, 1.01)), 1.4), (0, 2.1 - before))
    loud = np.float32(rng.uniform(0.3, 1.0))
    return (loud * samples + noise * rng.standard_normal(len(samples))).astype(np.float32)

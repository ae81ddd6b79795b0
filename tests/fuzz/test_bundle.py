"""Any folder is a bundle that scores, or refused in one line: its manifest changed, its files damaged."""

import contextlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import strategies as st

from asit_edge.assembly import load_model
from asit_edge.config.root import Config
from asit_edge.errors import AsitEdgeError
from asit_edge.labels import Label
from asit_edge.model.bundle import sha256
from asit_edge.model.golden import golden_error
from asit_edge.mqtt.topics import label_slugs
from tests.conftest import tones
from tests.fuzz.budget import corpus, fuzz
from tests.fuzz.documents import EDITS, SCRIBBLES, document

FILES = corpus("bundle")
"""Manifests; their files are those of the window model."""

SOUND = tones((500, 1.0), (3000, 0.5), rate=22_050)
DAMAGE = st.none() | st.tuples(
    st.sampled_from(["model.onnx", "initial.npz", "golden.npz"]),
    st.integers(0, 9_000),
    st.none() | st.sampled_from([b"", b"\0" * 100, b"PK\3\4", b"text", b"\x93NUMPY", b"\xff" * 8]),
)
"""Which file, and where it is cut off, or what is put there."""


@pytest.fixture
def bundles(tone_bundle: Path, tone_stream: Path, tmp_path: Path) -> dict[str, Path]:
    """A good bundle of each shape, with golden scores that may be wrong but fit."""
    made = {}
    for shape, source in (("window", tone_bundle), ("stream", tone_stream)):
        folder = shutil.copytree(source, tmp_path / shape)
        frames = 64 if shape == "window" else 32
        np.savez(folder / "golden.npz", log_mel=np.zeros((2, frames, 128), np.float32), scores=np.zeros((2, 2)))
        made[shape] = folder
    return made


def load_and_score(folder: Path) -> None:
    """Whatever is not refused hears a second and a half of sound, and its labels have topics."""
    try:
        model = load_model(Config.model_validate({"model": folder, "backend": "onnxruntime"}))
        with contextlib.suppress(AsitEdgeError):
            golden_error(model.bundle, model.classifier)
        pipeline = model.pipeline(22_050)
        pipeline.push(SOUND)
        pipeline.finish()
        slugs = label_slugs([Label(name=label.name, id=label.id) for label in model.manifest.labels])
        assert all(len(slug) < 1_000 for slug in slugs.values())
    except AsitEdgeError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_was_found_scores_or_is_refused(file: Path, bundles: dict[str, Path]) -> None:
    folder = bundles["window"]
    text = file.read_text(encoding="utf-8").replace("MODEL_SHA256", sha256(folder / "model.onnx"))
    (folder / "bundle.yaml").write_text(text, encoding="utf-8")
    load_and_score(folder)


def test_any_folder_scores_or_is_refused(bundles: dict[str, Path], tmp_path: Path) -> None:
    good: dict[str, dict[str, Any]] = {}
    for shape, folder in bundles.items():
        manifest = yaml.safe_load((folder / "bundle.yaml").read_text(encoding="utf-8"))
        manifest["files"]["golden.npz"] = sha256(folder / "golden.npz")
        good[shape] = manifest
    folder = tmp_path / "fuzzed"

    def target(value: tuple[str, list[Any], list[Any], tuple[str, int, bytes | None] | None]) -> None:
        shape, edits, scribbles, damage = value
        manifest = dict(good[shape])
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(bundles[shape], folder)
        if damage is not None and (file := folder / damage[0]).is_file():
            name, at, put = damage
            content = file.read_bytes()
            at %= len(content) + 1
            file.write_bytes(content[:at] if put is None else content[:at] + put + content[at + len(put) :])
            manifest["files"] = {**manifest["files"], name: sha256(file)}  # as whoever made it would
        (folder / "bundle.yaml").write_bytes(document(manifest, edits, scribbles))
        load_and_score(folder)

    fuzz(target, st.tuples(st.sampled_from(["window", "stream"]), EDITS, SCRIBBLES, DAMAGE), few=80)

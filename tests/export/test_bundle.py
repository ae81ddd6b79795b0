"""The exporter: nothing is written unless ONNX computes what the checkpoint does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.model.backends.onnx import OnnxWindows
from asit_edge.model.bundle import bundled, load_bundle
from export.bundle import main
from export.bundling import golden_windows, write_bundle
from export.conversion import export_windows
from export.parity import windows_parity
from tests.trainer.commands import call
from trainer.data.audioset import label_for
from trainer.data.layouts.esc50 import AUDIOSET_NAMES, display_name
from trainer.finetuning.checkpoint import save_finetuned
from trainer.finetuning.config import FinetuneConfig
from trainer.models.device import WindowScores
from trainer.models.finetuned import WindowNetwork

CONFIG = FinetuneConfig(size="nano", frames=64)
LABELS = [label_for(display_name(category)) for category in ("dog", "rain", "sea_waves")]


def random_model(seed: int = 0) -> WindowNetwork:
    torch.manual_seed(seed)
    model = WindowNetwork(CONFIG.backbone, len(LABELS))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    save_finetuned(tmp_path / "model.pt", random_model(), CONFIG, LABELS, {"data": "none", "test_fold": None})
    return tmp_path / "model.pt"


def test_a_bundle_scores_like_its_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    facts = {"metrics": {"accuracy": 0.5}, "thresholds": {"Dog": [0.8, 0.6]}}
    write_bundle(checkpoint, tmp_path / "out", "test-model", "1.2", "Apache-2.0", facts, 0.5, 0.3)
    bundle = load_bundle(tmp_path / "out")
    assert [(label.name, label.on_threshold, label.off_threshold) for label in bundle.manifest.labels] == [
        ("Dog", 0.8, 0.6),
        ("Rain", 0.5, 0.3),
        ("Waves, surf", 0.5, 0.3),
    ]
    windows = np.random.default_rng(0).standard_normal((5, 64, 128)).astype(np.float32)
    with torch.inference_mode():
        expected = WindowScores(random_model())(torch.from_numpy(windows)).numpy()
    assert np.abs(OnnxWindows(bundle).score(windows) - expected).max() < 1e-5
    assert expected.std() > 0.01
    assert "accuracy: 0.5" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_the_model_tells_its_layers_but_not_where_the_source_was(tmp_path: Path) -> None:
    export_windows(WindowScores(random_model(0)), CONFIG.frames, CONFIG.spec.mels, tmp_path / "model.onnx")
    written = (tmp_path / "model.onnx").read_bytes()
    assert b"blocks.0.attn" in written
    assert str(Path(__file__).parents[2]).encode() not in written
    assert b"classifier.py" not in written


@pytest.mark.parametrize("file", [file for folder in bundled().values() for file in folder.glob("*.onnx")], ids=str)
def test_shipped_models_hold_no_paths_of_source(file: Path) -> None:
    assert b".py" not in file.read_bytes()


def test_a_differing_model_is_refused(tmp_path: Path) -> None:
    export_windows(WindowScores(random_model(0)), CONFIG.frames, CONFIG.spec.mels, tmp_path / "model.onnx")
    windows = golden_windows(CONFIG.spec, CONFIG.frames)
    assert windows_parity(WindowScores(random_model(0)), tmp_path / "model.onnx", windows) < 1e-5
    with pytest.raises(AsitEdgeError, match="does not compute what the checkpoint does"):
        windows_parity(WindowScores(random_model(1)), tmp_path / "model.onnx", windows)


def test_a_failed_export_leaves_the_old_bundle(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bundle(checkpoint, tmp_path / "out", "test-model", "1", "Apache-2.0", {}, 0.5, 0.3)
    before = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    monkeypatch.setattr("export.parity.TOLERANCE", -1.0)
    with pytest.raises(AsitEdgeError, match="no bundle was written"):
        write_bundle(checkpoint, tmp_path / "out", "test-model", "2", "Apache-2.0", {}, 0.5, 0.3)
    assert before == {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    assert not (tmp_path / "out.partial").exists()


@pytest.mark.parametrize(
    ("name", "facts", "message"),
    [
        ("Has Spaces", {}, "name: string should match pattern"),
        ("m", {"thresholds": {"Dog": [0.3, 0.5]}}, r"must not be above on_threshold \(0\.3\)"),
        ("m", {"thresholds": {"Cat": [0.5, 0.3]}}, "thresholds: the checkpoint has no label 'Cat'"),
        ("m", {"thresholds": {"Dog": 0.5}}, r"thresholds\.Dog: must be two scores, \[on, off\], not 0\.5"),
        ("m", {"quality": {"Cat": {"experimental": True}}}, "quality: the checkpoint has no label 'Cat'"),
    ],
)
def test_what_makes_no_manifest_is_refused_before_any_work(
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    facts: dict[str, Any],
    message: str,
) -> None:
    for step in ("bundling.export_windows", "bundling.windows_parity", "bundle.read_audio"):
        monkeypatch.setattr(f"export.{step}", lambda *_: pytest.fail("work was done"))
    with pytest.raises(WrongUse, match=message):
        write_bundle(checkpoint, tmp_path / "out", name, "1", "MIT", facts, 0.5, 0.3)
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]
    (tmp_path / "facts.yaml").write_text(yaml.safe_dump(facts), encoding="utf-8")
    arguments = (checkpoint, tmp_path / "out", "--name", name, "--facts", tmp_path / "facts.yaml", "--data", tmp_path)
    assert call("export.bundle", main, *arguments) == 2


def test_every_esc10_category_has_its_audioset_class() -> None:
    labels = [label_for(name) for name in AUDIOSET_NAMES.values()]
    assert len(labels) == 10
    assert all(label.id.startswith(("/m/", "/t/")) for label in labels)

"""Bundles: what is damaged or inconsistent is refused, by name, before anything is scored."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from asit_edge.assembly import load_model
from asit_edge.config.events import Events, LabelSettings
from asit_edge.config.root import Config
from asit_edge.detect.class_settings import class_settings
from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.model.backends.onnx import OnnxWindows
from asit_edge.model.backends.shapes import open_classifier
from asit_edge.model.bundle import DEFAULT, bundled, find_bundle, load_bundle, sha256
from asit_edge.model.golden import GOLDEN, golden_error


@pytest.fixture
def copy(tone_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tone_bundle, tmp_path / "copy"))


def edit(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = yaml.safe_load((bundle / "bundle.yaml").read_text(encoding="utf-8"))
    change(manifest)
    (bundle / "bundle.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False), encoding="utf-8")


def test_a_good_bundle_loads_and_scores(copy: Path) -> None:
    bundle = load_bundle(copy)
    scores = OnnxWindows(bundle).score(np.zeros((3, 64, 128), np.float32))
    assert scores.shape == (3, 2)


def test_a_directory_without_manifest_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="not a model bundle"):
        load_bundle(tmp_path)


def test_a_changed_file_is_refused(copy: Path) -> None:
    with (copy / "model.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(AsitEdgeError, match=r"model\.onnx: SHA-256 is .* copy the whole bundle again"):
        load_bundle(copy)


def test_a_missing_file_is_refused(copy: Path) -> None:
    (copy / "model.onnx").unlink()
    with pytest.raises(AsitEdgeError, match=r"model\.onnx: named in bundle\.yaml but missing"):
        load_bundle(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(colour="red"), "unknown key 'colour'"),
        (lambda m: m["model"].update(frame=1), r"unknown key 'model\.frame' \(did you mean 'frames'\?\)"),
        (lambda m: m.pop("labels"), "key 'labels' is missing"),
        (lambda m: m["files"].clear(), r"must list model\.onnx"),
        (lambda m: m["files"].update({"../x": "0"}), "not a plain file name"),
        (lambda m: m["labels"][0].update(off_threshold=0.9), "must not be above"),
        (lambda m: m["labels"][0].update(name="HIGH tone"), "not told apart"),
        (lambda m: m.update(schema_version=2), "schema_version"),
        (lambda m: m["front_end"].update(fft=10), "fft"),
    ],
)
def test_a_wrong_manifest_is_explained(copy: Path, change: Callable[[dict[str, Any]], object], message: str) -> None:
    edit(copy, change)
    with pytest.raises(AsitEdgeError, match=message) as error:
        load_bundle(copy)
    assert str(copy / "bundle.yaml") in str(error.value)


@pytest.mark.parametrize("text", ["a: [", "- 1", "", "\x00"])
def test_a_manifest_that_is_no_mapping_is_refused(copy: Path, text: str) -> None:
    (copy / "bundle.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(AsitEdgeError, match=r"bundle\.yaml"):
        load_bundle(copy)


def test_a_label_too_many_is_refused(copy: Path) -> None:
    def add_label(manifest: dict[str, Any]) -> None:
        manifest["labels"].append({**manifest["labels"][0], "name": "Third", "id": "third"})

    edit(copy, add_label)
    with pytest.raises(AsitEdgeError, match=r"scores of shape \(1, 2\), but bundle.yaml lists 3 labels"):
        OnnxWindows(load_bundle(copy))


def test_a_window_of_another_length_is_refused(copy: Path) -> None:
    edit(copy, lambda manifest: manifest["model"].update(frames=96))
    with pytest.raises(AsitEdgeError, match=r"does not take windows of shape \(96, 128\)"):
        OnnxWindows(load_bundle(copy))


def test_a_file_that_is_no_model_is_refused(copy: Path) -> None:
    (copy / "model.onnx").write_bytes(b"not a model")
    edit(copy, lambda manifest: manifest["files"].update({"model.onnx": sha256(copy / "model.onnx")}))
    with pytest.raises(AsitEdgeError, match="ONNX Runtime cannot load it"):
        OnnxWindows(load_bundle(copy))


def test_labels_in_the_configuration_must_be_the_models(tone_bundle: Path) -> None:
    manifest = load_bundle(tone_bundle).manifest
    with pytest.raises(WrongUse, match=r"no label 'Low tne' \(did you mean 'Low tone'\?\)"):
        class_settings(Events(labels={"Low tne": LabelSettings()}), manifest)
    with pytest.raises(WrongUse, match=r"events\.only: the model has no label 'Dog'"):
        class_settings(Events(only=["Dog"]), manifest)
    with pytest.raises(WrongUse, match="must not be above"):
        class_settings(Events(labels={"Low tone": LabelSettings(on_threshold=0.2, off_threshold=0.4)}), manifest)


def test_settings_come_from_label_then_events_then_bundle(tone_bundle: Path) -> None:
    events = Events(merge_gap=2, labels={"High tone": LabelSettings(on_threshold=0.2, cooldown=1)})
    low, high = class_settings(events, load_bundle(tone_bundle).manifest)
    assert low is not None
    assert high is not None
    assert (low.on, low.off, low.merge_gap, low.cooldown) == (0.5, 0.3, 32_000, 0)
    assert (high.on, high.off, high.merge_gap, high.cooldown) == (0.2, 0.2, 32_000, 16_000)
    only_low = class_settings(Events(only=["Low tone"]), load_bundle(tone_bundle).manifest)
    assert [entry is None for entry in only_low] == [False, True]


@pytest.mark.parametrize("name", bundled())
def test_a_bundle_in_the_package_gives_its_golden_scores(name: str) -> None:
    bundle = load_bundle(find_bundle(Path(name)))
    assert bundle.manifest.name == name
    assert golden_error(bundle, open_classifier(bundle)) < 1e-3
    assert np.load(bundle.path / "golden.npz")["scores"].std() > 0.01
    card = (bundle.path / "README.md").read_text(encoding="utf-8")
    assert "2211.13189" in card
    assert all(label.name in card for label in bundle.manifest.labels)


def test_the_bundles_in_the_package_are_small_together() -> None:
    assert sum(file.stat().st_size for path in bundled().values() for file in path.iterdir()) <= 16_000_000


def test_a_bundle_is_found_by_directory_then_by_name(
    tone_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_bundle() == bundled()[DEFAULT]
    assert find_bundle(Path("asit-stream-nano")) == bundled()["asit-stream-nano"]
    assert find_bundle(tone_bundle) == tone_bundle
    with pytest.raises(WrongUse, match="nowhere: not a model bundle.*with the package: .*asit-stream-nano"):
        load_bundle(find_bundle(Path("nowhere")))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "asit-stream-nano").mkdir()  # what the user made comes first
    assert find_bundle(Path("asit-stream-nano")) == Path("asit-stream-nano")


def test_the_interval_can_be_configured(tone_bundle: Path) -> None:
    assert load_model(Config(model=tone_bundle)).classifier.chunk == 16
    assert load_model(Config(model=tone_bundle, events=Events(interval=0.5))).classifier.chunk == 50


def test_golden_embeddings_are_checked_as_scores_are(tmp_path: Path) -> None:
    """A model whose scores are right and whose embeddings are not would be taught nonsense."""
    path = tmp_path / "bundle"
    shutil.copytree(bundled()["asit-warm-tiny"], path)
    bundle = load_bundle(path)
    with np.load(path / GOLDEN) as stored:
        arrays = dict(stored)
    assert arrays["embedding"].shape == (8, bundle.stream.embedding)
    assert golden_error(bundle, open_classifier(bundle)) < 1e-3
    arrays["embedding"] = arrays["embedding"][:, ::-1]
    np.savez_compressed(path / GOLDEN, **arrays)
    assert golden_error(bundle, open_classifier(bundle)) > 0.1

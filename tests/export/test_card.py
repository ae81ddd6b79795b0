"""The model card: what a hub reads from it, and what a person does."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from asit_edge.model.bundle import Manifest, bundled, load_bundle
from export.card import CARD, NOTICE, model_card


def parts(card: str) -> tuple[dict[str, Any], str]:
    _, metadata, text = card.split("---\n", 2)
    return yaml.safe_load(metadata), text


@pytest.fixture
def manifest(tone_bundle: Path) -> Manifest:
    return load_bundle(tone_bundle).manifest


def test_a_hub_can_read_it(manifest: Manifest) -> None:
    metrics = {"accuracy": 0.75, "data": "Tones: of a generator, #1", "how": "listened"}
    full = manifest.model_copy(update={"metrics": metrics})
    metadata, _ = parts(model_card(full))
    assert metadata["license"] == "apache-2.0"
    assert metadata["pipeline_tag"] == "audio-classification"
    assert "arxiv:2211.13189" in metadata["tags"]
    result = metadata["model-index"][0]["results"][0]
    assert result["dataset"]["name"] == "Tones: of a generator, #1"
    assert result["metrics"] == [{"type": "accuracy", "name": "accuracy", "value": 0.75}]


def test_results_without_numbers_or_data_are_left_out(manifest: Manifest) -> None:
    """What a model was trained on is not what it was measured on."""
    for change in ({}, {"metrics": {"accuracy": 0.5}, "training": {"data": "x"}}, {"metrics": {"data": "x"}}):
        metadata, _ = parts(model_card(manifest.model_copy(update=change)))
        assert "model-index" not in metadata


def test_a_person_finds_classes_data_licence_limits_and_citation(full_bundle: Path) -> None:
    manifest = load_bundle(full_bundle).manifest
    _, text = parts(model_card(manifest))
    assert text == parts((full_bundle / "README.md").read_text(encoding="utf-8"))[1]
    for label in manifest.labels:
        assert f"| {label.name} | `{label.id}` |" in text
    for name in manifest.files:
        assert f"- `{name}`: " in text
        assert f"`{name}`: part of the bundle" not in text
    for precision, variant in manifest.variants.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| {precision} |"))
        assert variant.gate.worst_layer in row
        assert f"{variant.gate.measured['max_error']:.5f} (<= {variant.gate.limits['max_error']:g})" in row
    assert "2211.13189" in text.partition("## Citation")[2]
    assert "may be used under Apache-2.0" in text


@pytest.mark.parametrize("name", bundled())
def test_bundled_cards_say_what_the_weights_were_made_from(name: str) -> None:
    path = bundled()[name]
    manifest = load_bundle(path).manifest
    assert (path / CARD).read_text(encoding="utf-8") == model_card(manifest)
    assert {"data", "licences", "method", "runs"} <= manifest.training.keys()
    assert (NOTICE in manifest.files) == ("begun_with" in manifest.training), "what others made comes with its notice"
    metadata, _ = parts(model_card(manifest))
    [result] = metadata["model-index"][0]["results"]
    assert result["dataset"]["name"] == manifest.metrics["data"]
    assert [metric["name"] for metric in result["metrics"]] == ["accuracy", "mAP"], "others are not of that data"

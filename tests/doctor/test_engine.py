"""The model on this device: undamaged, right, fast, and with the labels that are asked for."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asit_edge.config.root import Config
from asit_edge.doctor.checks import engine
from asit_edge.doctor.finding import Finding
from asit_edge.doctor.patient import Patient
from asit_edge.model.backends.shapes import open_classifier
from asit_edge.model.bundle import load_bundle, sha256, write_manifest
from asit_edge.model.golden import GOLDEN, golden_inputs, golden_scores
from asit_edge.model.latency import Latency


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(engine, "MEASURE_SECONDS", 0.05)
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path / "cache"))


@pytest.fixture
def bundle(tone_bundle: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt, with golden scores."""
    path = Path(shutil.copytree(tone_bundle, tmp_path / "bundle"))
    golden(path, 0.0)
    return path


def golden(path: Path, off: float) -> None:
    """Gives a bundle golden scores that are off by so much."""
    plain = load_bundle(path)
    inputs = golden_inputs(plain)
    scores = golden_scores(open_classifier(plain), inputs)[:, -1]
    np.savez(path / GOLDEN, log_mel=inputs, scores=np.float32(scores + off))
    files = {**plain.manifest.files, GOLDEN: sha256(path / GOLDEN)}
    write_manifest(path, plain.manifest.model_copy(update={"files": files}))


def look(path: Path, **config: Any) -> dict[str, Finding]:
    """By check; of the two of the engine, the worse one."""
    found = list(engine.look(Patient(Config.model_validate({"model": path, "backend": "onnxruntime", **config}))))
    return {one.check: one for one in sorted(found, key=lambda one: ["ok", "warning", "wrong"].index(one.grade))}


def test_a_model_that_is_as_it_should_be(bundle: Path) -> None:
    found = look(bundle)
    assert {check: one.grade for check, one in found.items()} == dict.fromkeys(("model", "engine", "labels"), "ok")
    assert found["model"].found == "tones 1.0: its files are what bundle.yaml says, 2 labels"
    assert found["labels"].found == "2 label(s) are reported"


def test_a_file_that_is_damaged_is_found_by_its_hash(bundle: Path) -> None:
    content = bytearray((bundle / "model.onnx").read_bytes())
    content[100] ^= 1
    (bundle / "model.onnx").write_bytes(content)
    found = look(bundle)
    assert list(found) == ["model"]
    assert (found["model"].grade, "model.onnx" in found["model"].found) == ("wrong", True)
    assert look(bundle / "none")["model"].grade == "wrong"


def test_scores_that_are_not_the_golden_ones_are_wrong(bundle: Path) -> None:
    golden(bundle, 0.05)
    found = look(bundle)["engine"]
    assert found.grade == "wrong"
    assert "scores differ by 0.05, allowed are 0.001" in found.found
    assert found.remedy.startswith("asit-edge model verify")


def test_a_bundle_without_golden_scores_cannot_be_verified(tone_bundle: Path) -> None:
    assert look(tone_bundle)["engine"].grade == "warning"


@pytest.mark.parametrize(("realtime", "grade"), [(100.0, "ok"), (3.0, "warning"), (1.5, "wrong")])
def test_a_model_is_fast_enough_or_not(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, realtime: float, grade: str
) -> None:
    """Of two sources."""
    measured: list[int] = []

    def measure(_classifier: object, _front_end: object, batch: int, _seconds: float) -> Latency:
        measured.append(batch)
        return Latency(batch=batch, p50_ms=1, p95_ms=2, realtime=realtime, runs=20)

    monkeypatch.setattr(engine, "measure", measure)
    sources = [{"type": "microphone", "name": name} for name in ("left", "right")]
    found = look(bundle, sources=sources)["engine"]
    assert measured == [2]
    assert found.grade == grade
    if grade != "ok":
        assert f"takes {2 / realtime:.1%} of the time for 2 source(s)" in found.found


@pytest.mark.parametrize(
    ("config", "where"),
    [
        ({"events": {"labels": {"Low tune": {"on_threshold": 0.5}}}}, "events.labels"),
        ({"events": {"parents": {"Low tone": "Tone"}}}, "events.parents"),
        ({"events": {"quiet_hours": [{"begin": "22:00", "end": "06:00", "labels": ["Hum"]}]}}, "events.quiet_hours[0]"),
        ({"sources": [{"type": "stdin", "events": {"only": ["Hum"]}}]}, "sources[0].events.only"),
    ],
)
def test_labels_that_the_model_does_not_have_are_found_before_a_listener_does(
    bundle: Path, config: dict[str, Any], where: str
) -> None:
    found = look(bundle, **config)["labels"]
    assert (found.grade, found.found.startswith(where)) == ("wrong", True)
    assert "the model has no label" in found.found
    assert found.means == "asit-edge listen does not start"


def test_where_nothing_is_reported_that_is_said(bundle: Path) -> None:
    assert look(bundle, events={"only": []})["labels"].grade == "warning"


def test_labels_that_any_source_reports_count(bundle: Path) -> None:
    wanted = {"left": ["Low tone"], "middle": ["High tone"], "right": []}
    sources = [
        {"type": "microphone", "device": name, "name": name, "events": {"only": only}} for name, only in wanted.items()
    ]
    found = look(bundle, sources=sources)["labels"]
    assert (found.grade, found.found) == ("ok", "2 label(s) are reported")


def test_a_backend_that_is_not_there_is_wrong(bundle: Path) -> None:
    found = look(bundle, backend="onnxruntime", provider="openvino")["engine"]
    assert (found.grade, "openvino" in found.found) == ("wrong", True)
    assert found.remedy.startswith("asit-edge model info")

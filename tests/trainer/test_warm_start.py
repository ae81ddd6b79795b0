"""From recordings and a published network to a warm-started bundle, with the commands that docs/streaming.md names."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from asit_edge.model.bundle import load_bundle
from export.bundle import main as export_bundle
from tests.trainer.commands import call
from trainer.distill import main as distill
from trainer.models.mobilenet import MobileNet
from trainer.scenes import main as scenes
from trainer.students.student import load_student
from trainer.synthesise import main as synthesise
from trainer.thresholds import main as thresholds

LISTED = ["Siren", "Smoke detector, smoke alarm"]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of mn04's shape that knows nothing."""
    path = tmp_path_factory.mktemp("teacher") / "mn04.pt"
    torch.manual_seed(0)
    torch.save(MobileNet(0.4, 527).eval().state_dict(), path)
    return path


def test_the_documented_way_from_recordings_to_a_bundle(
    teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, pool, heard_never, run = (tmp_path / name for name in ("made", "pool", "heard-never", "run"))
    (tmp_path / "listed.txt").write_text("\n".join(LISTED), encoding="utf-8")
    assert call("trainer.synthesise", synthesise, made, "--count", "4") == 0
    mixing = [
        "--data",
        made,
        "--live",
        teacher,
        "--focus",
        tmp_path / "listed.txt",
        "--seconds",
        "1.28",
        "--count",
        "1",
    ]
    assert call("trainer.scenes", scenes, pool, *mixing) == 0
    assert call("trainer.scenes", scenes, heard_never, *mixing, "--validation") == 0
    assert "64 scenes of 1.28 s" in capsys.readouterr().out
    begun = ["--begin", teacher, "--size", "warm-nano", "--optimiser", "adamw", "--batch", "2", "--threads", "1"]
    learning = [run, "--scenes", pool, *begun, "--frozen", "1"]
    assert call("trainer.distill", distill, *learning, "--steps", "2") == 0
    before = load_student(run / "student.pt")[0].state_dict()
    assert call("trainer.distill", distill, *learning, "--steps", "3") == 0
    after = load_student(run / "student.pt")[0].state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert any(name.startswith("features.13") for name in moved)
    assert not any(name.startswith(("features.0", "features.6", "picture")) for name in moved)
    judged = [run / "student.pt", "--scenes", heard_never, "--most", "8", "--labels", tmp_path / "listed.txt"]
    assert call("trainer.thresholds", thresholds, *judged, "--out", tmp_path / "facts.yaml") == 0
    facts = yaml.safe_load((tmp_path / "facts.yaml").read_text(encoding="utf-8"))
    assert sorted(facts["labels"]) == LISTED
    bundle = tmp_path / "bundle"
    exporting = [run / "student.pt", bundle, "--facts", tmp_path / "facts.yaml", "--golden-tries", "64"]
    assert call("export.bundle", export_bundle, *exporting) == 0
    manifest = load_bundle(bundle).manifest
    assert sorted(label.name for label in manifest.labels) == LISTED
    assert all(label.quality is not None for label in manifest.labels)
    assert load_bundle(bundle).stream.embedding == 512 + 192
    assert np.load(bundle / "golden.npz")["scores"].shape == (8, 2)


def test_wrong_use_is_said(teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pool = tmp_path / "pool"
    for arguments, told in (
        ([tmp_path / "run"], "either --data DIR, and teachers, or --scenes POOL"),
        ([tmp_path / "run", "--scenes", pool], "no pool of scenes"),
        ([tmp_path / "run", "--scenes", pool, "--data", tmp_path], "either --data"),
        ([tmp_path / "run", "--scenes", pool, "--assign", pool], "is settled; give it to trainer.scenes"),
    ):
        assert call("trainer.distill", distill, *arguments) == 2
        assert told in capsys.readouterr().err
    assert call("trainer.scenes", scenes, pool, "--data", tmp_path, "--live", teacher, "--share", "2", "2") == 2
    assert "K must be from 0 to N - 1" in capsys.readouterr().err

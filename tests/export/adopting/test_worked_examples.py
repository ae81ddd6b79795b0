"""The worked declarations of docs/adopt: YAMNet and EfficientAT as bundles."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import yaml

from asit_edge.cli.demo import recording
from asit_edge.model.backends.onnx import OnnxWindows
from asit_edge.model.bundle import load_bundle
from export.adopting.adoption import adopt
from tests.conftest import ROOT
from tests.export.adopting.conftest import asked

WORKED = {
    "yamnet": ["yamnet.tflite", "yamnet_class_map.csv"],
    "efficientat": ["efficientat_mn04_as_mAP_432.pt", "audioset_class_labels_indices.csv"],
}
SECONDS = {"yamnet": 0.975, "efficientat": 2.0}
LARGEST = {"yamnet": 0.15, "efficientat": 1e-4}
"""What a probability may differ by: YAMNet's activations are rounded to 8 bits, in two ways at the edges of steps."""


@pytest.mark.parametrize("name", WORKED)
def test_the_worked_declarations_make_bundles_that_score_as_the_originals(
    name: str, shared_data: Path, tmp_path: Path
) -> None:
    examples = ROOT / "docs" / "adopt"
    for file in [*examples.iterdir(), *(shared_data / "teachers" / one for one in WORKED[name])]:
        (tmp_path / file.name).symlink_to(file)
    if name == "yamnet":
        pytest.importorskip("ai_edge_litert")
        from trainer.teachers.yamnet import YamNet as Teacher
    else:
        from trainer.teachers.efficientat import EfficientAt as Teacher  # type: ignore[assignment]
    adopted = adopt(tmp_path / f"{name}.yaml", tmp_path / "out")
    assert "Siren" in adopted.active
    bundle = load_bundle(tmp_path / "out")
    teacher = Teacher(shared_data / "teachers" / WORKED[name][0])
    assert [label.name for label in bundle.manifest.labels] == teacher.labels
    assert asked("model", "verify", tmp_path / "out").startswith("ok ")
    assert "Copyright" in (tmp_path / "out" / "NOTICE").read_text(encoding="utf-8")
    replayed = asked("replay", recording(), "--model", tmp_path / "out", "--json").splitlines()
    assert {"Baby cry, infant cry", "Chicken, rooster"} <= {json.loads(line)["label"] for line in replayed}
    windows = real_windows(shared_data, teacher.rate, SECONDS[name])
    frames = windows.reshape(len(windows), bundle.window.frames, -1)
    differences = np.abs(OnnxWindows(bundle).score(frames) - teacher.score(windows))
    assert differences.max() < LARGEST[name]
    assert differences.mean() < LARGEST[name] / 1000
    assert teacher.score(windows).max() > 0.9


def real_windows(shared_data: Path, rate: int, seconds: float) -> np.ndarray:
    """One of each of forty recordings, (n, samples)."""
    length, found = round(seconds * rate), []
    for file in sorted((shared_data / "esc10" / "audio").iterdir())[::8]:
        samples, own = soundfile.read(file, dtype="float32")
        found.append(soxr.resample(samples, own, rate)[:length])
    return np.stack(found).astype(np.float32)


def test_worked_declarations_name_what_they_need() -> None:
    for name, files in WORKED.items():
        text = (ROOT / "docs" / "adopt" / f"{name}.yaml").read_text(encoding="utf-8")
        told = yaml.safe_load(text)
        assert [told["model"], told["labels"]] == files

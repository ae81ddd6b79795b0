"""Checkpoints from before all runs had one engine and one envelope: they open, score, and their runs go on.

Their weights are patterns, so that they are small; `expected.json` is what the code that wrote them made of them.
"""

import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from tests.conftest import ROOT
from trainer.asit.config import PretrainConfig
from trainer.data.layouts.collections import read_recordings
from trainer.data.layouts.listing import list_recordings
from trainer.distillation.run import distil
from trainer.distillation.training import Manner
from trainer.evaluation.scoring import open_model
from trainer.models.pretrained import stored_backbone
from trainer.prepare import PrepareConfig, prepare_shards
from trainer.pretrain import CHECKPOINT, pretrain
from trainer.run.checkpoint import PRETRAINING, load_checkpoint
from trainer.run.ranks.distributed import Processes
from trainer.run.signals import StopRequest
from trainer.students.student import STUDENT, load_student

FOLDER = ROOT / "tests" / "data" / "compatibility"
EXPECTED = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))
RATE = 16_000


def unpacked(name: str, out: Path) -> Path:
    """A stored checkpoint as a file in the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    (out / name).write_bytes(lzma.decompress((FOLDER / f"{name}.xz").read_bytes()))
    return out / name


def tone(frequency: float, seconds: float) -> np.ndarray:
    """A tone that comes and goes three times a second, (n,) float32."""
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.2 * np.sin(2 * np.pi * frequency * time) * np.sin(np.pi * 3 * time) ** 2).astype(np.float32)


def scores(checkpoint: Path) -> np.ndarray:
    return open_model(checkpoint).timeline(tone(1000, 2.0)).scores


@pytest.mark.parametrize("name", ["window", "whole", "stream", "student"])
def test_a_checkpoint_scores_as_it_did(name: str, tmp_path: Path) -> None:
    checkpoint = unpacked(f"{name}.pt", tmp_path)
    model = open_model(checkpoint)
    assert [label.name for label in model.labels] == EXPECTED[name]["labels"]
    np.testing.assert_allclose(scores(checkpoint), EXPECTED[name]["scores"], atol=2e-5)
    if name != "student":
        assert model.record["thresholds"] == {"Dog": [0.6, 0.36]}
        assert model.classes[0] is not None
        assert (model.classes[0].on, model.classes[0].off) == (0.6, 0.36)


def test_a_run_of_distillation_goes_on_where_it_was(tmp_path: Path) -> None:
    root = tmp_path / "tones"
    (root / "audio").mkdir(parents=True)
    rows = ["path,audioset_label,split_group,sharealike"]
    for take in range(20):
        soundfile.write(root / "audio" / f"{take}.flac", tone(300 + 200 * take, 1.5), RATE)
        rows.append(f"{take}.flac,{('Dog', 'Rain')[take % 2]},recording{take},0")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    checkpoint = unpacked("student.pt", tmp_path / "run")
    assert load_checkpoint(checkpoint, STUDENT)["step"] == 2
    config = load_student(checkpoint)[1]
    distil(tmp_path / "run", read_recordings(root), [], config, Manner(4))
    saved, expected = load_checkpoint(checkpoint, STUDENT), EXPECTED["student resumed"]
    assert (saved["step"], saved["labels"]) == (expected["step"], expected["labels"])
    # Scenes and masks have been drawn in another way since: it goes on, and does not fall back to a beginning.
    sums = {name: float(value.double().abs().sum()) for name, value in saved["raw"].items()}
    assert sums == pytest.approx(expected["sums"], rel=5e-3, abs=1e-3)
    average = sum(float(value.double().abs().sum()) for value in saved["model"].values())
    assert average == pytest.approx(expected["average"], rel=1e-4)
    np.testing.assert_allclose(scores(checkpoint), expected["scores"], atol=0.05)


def test_a_run_of_pretraining_goes_on_where_it_was_and_is_saved_in_the_one_envelope(tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    for take in range(18):
        soundfile.write(tmp_path / "audio" / f"{take:02d}.wav", tone(200 + 150 * take, 1.2), RATE)
    prepare_shards(list_recordings(tmp_path / "audio", None, {}), tmp_path / "shards", PrepareConfig(per_shard=7), 1)
    run = tmp_path / "run"
    checkpoint = unpacked(CHECKPOINT, run)
    assert "kind" not in torch.load(checkpoint, weights_only=True)
    assert stored_backbone(checkpoint)[0] == "nano"
    saved = load_checkpoint(checkpoint, PRETRAINING)
    config = PretrainConfig(**{**saved["config"], "data": [str(tmp_path / "shards")]})
    with StopRequest() as stopping:
        pretrain(config, run, True, Processes(0, 1, torch.device("cpu")), stopping)
    lines: list[dict[str, Any]] = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [7, 8]
    # Masks have been drawn in another way since: of the losses only that they go on, not fall back to a beginning's.
    for line, expected in zip(lines, EXPECTED["pretraining resumed"], strict=True):
        losses = {name: value for name, value in expected.items() if name.startswith("loss/")}
        assert len(losses) == 4
        assert {name: line[name] for name in losses} == pytest.approx(losses, rel=0.12)
    again = torch.load(checkpoint, weights_only=True)
    assert (again["format"], again["kind"], again["step"]) == ("asit-edge/1", PRETRAINING, 8)

"""A detector with a frame head on its way to the device: several decisions a window, the same ones as in the lab."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.labels import Label
from asit_edge.model.backends.shapes import open_classifier
from asit_edge.model.bundle import load_bundle
from export.bundling import write_bundle
from tests.conftest import tones
from trainer.evaluation.scoring import open_model
from trainer.finetuning.checkpoint import new_network, save_finetuned
from trainer.finetuning.config import FinetuneConfig

LABELS = [Label(name=name, id=name.lower()) for name in ("Low", "High", "Other")]


def checkpoint(path: Path, config: FinetuneConfig, record: dict[str, object]) -> Path:
    torch.manual_seed(0)
    model = new_network(config, len(LABELS))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    save_finetuned(path, model.eval(), config, LABELS, record)
    return path


@pytest.mark.parametrize("loss", ["bce", "ce"])
@pytest.mark.parametrize("head", ["clip", "frame"])
def test_a_bundle_decides_as_its_checkpoint_does(tmp_path: Path, head: str, loss: str) -> None:
    if (head, loss) == ("frame", "ce"):
        with pytest.raises(WrongUse, match="use bce"):
            FinetuneConfig(head="frame", loss="ce")
        return
    config = FinetuneConfig(frames=64, head=head, loss=loss)  # type: ignore[arg-type]
    made = checkpoint(tmp_path / "a.pt", config, {"data": "tones", "thresholds": {"High": [0.4, 0.2]}})
    write_bundle(made, tmp_path / "b", "b", "1", "Apache-2.0", {}, 0.5, 0.3)
    lab, device = open_model(made), open_model(tmp_path / "b")
    assert device.classifier.steps == (3 if head == "frame" else 1)
    samples = tones((500, 1.0), (0, 0.4), (3000, 1.2))
    ours, theirs = lab.timeline(samples), device.timeline(samples)
    assert np.array_equal(ours.edges, theirs.edges)
    assert np.abs(ours.scores - theirs.scores).max() < 1e-4
    assert np.ptp(ours.scores, axis=0).max() > 1e-3
    assert lab.classes == device.classes
    assert device.classes[1] is not None
    assert (device.classes[1].on, device.classes[1].off) == (0.4, 0.2)
    assert "thresholds" not in load_bundle(tmp_path / "b").manifest.training
    if loss == "ce":
        assert theirs.scores.sum(axis=1) == pytest.approx(np.ones(len(theirs.scores)), abs=1e-3)


def test_the_interval_of_a_frame_head_cannot_be_changed(tmp_path: Path) -> None:
    made = checkpoint(tmp_path / "a.pt", FinetuneConfig(frames=64, head="frame"), {})
    write_bundle(made, tmp_path / "b", "b", "1", "Apache-2.0", {}, 0.5, 0.3)
    bundle = load_bundle(tmp_path / "b")
    with pytest.raises(WrongUse, match=r"events\.interval: the model scores every 0\.48 s in parts"):
        open_classifier(bundle, interval=1.0)
    text = (tmp_path / "b" / "bundle.yaml").read_text().replace("steps: 3", "steps: 5")
    (tmp_path / "b" / "bundle.yaml").write_text(text)
    with pytest.raises(AsitEdgeError, match=r"interval \(48\) must be a multiple of steps \(5\)"):
        load_bundle(tmp_path / "b")


def test_streams_in_a_batch_do_not_change_each_other(tmp_path: Path) -> None:
    made = checkpoint(tmp_path / "a.pt", replace(FinetuneConfig(frames=64), head="frame"), {})
    classifier = open_model(made).classifier
    rng = np.random.default_rng(0)
    chunks = rng.standard_normal((2, 48, 128)).astype(np.float32)
    together = classifier.step(chunks, [classifier.open(), classifier.open()])
    assert together.shape == (2, 3, 3)
    alone = classifier.step(chunks[1:], [classifier.open()])
    assert np.abs(together[1] - alone[0]).max() < 1e-5

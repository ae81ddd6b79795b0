"""What a bundle ships of other sounds, held against one's own: embeddings again, and none of what is related."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from asit_edge.model.bundle import find_bundle, load_bundle
from asit_edge.teach.space import FULL, load_space
from tests.conftest import RATE, tones
from tests.trainer.commands import call
from trainer.data.clips.targets import heard_lately
from trainer.evaluation.families import related
from trainer.finetune import main
from trainer.finetuning.checkpoint import new_network
from trainer.finetuning.loop import begin, train
from trainer.finetuning.negatives import BUNDLE, USUAL, Negatives, shipped
from trainer.finetuning.recipes import EVERYDAY_STUDENT, configure
from trainer.models.finetuned import StreamNetwork
from trainer.run.ranks.distributed import standing_alone

CATEGORIES = ["Door", "my kettle"]


@pytest.fixture(scope="module")
def negatives() -> Negatives:
    return shipped(CATEGORIES, related)


@pytest.fixture(scope="module")
def network() -> StreamNetwork:
    made = new_network(configure("folder", None, None, None, {}, []), len(CATEGORIES))
    assert isinstance(made, StreamNetwork)
    begin(made, EVERYDAY_STUDENT, CATEGORIES)
    made.freeze_body()
    return made


def test_directions_become_embeddings_that_lie_where_they_did(negatives: Negatives) -> None:
    axes = load_space(load_bundle(find_bundle(BUNDLE))).axes
    chunks, lengths = torch.arange(0, 14_000, 100), torch.linspace(15, 36, 140)
    embedded = negatives.embeddings(chunks, lengths)
    there = negatives.directions[chunks]
    unit = there / there.norm(dim=1, keepdim=True)
    assert np.abs(axes.place(embedded.numpy()) - unit.numpy()).max() < 1e-3
    assert negatives.lengths(embedded).numpy() == pytest.approx((lengths * there.norm(dim=1)).numpy(), rel=1e-3)
    assert there.norm(dim=1).numpy() == pytest.approx(1, abs=12 / FULL)


def test_what_is_related_to_a_class_is_not_held_against_it(negatives: Negatives) -> None:
    space = load_space(load_bundle(find_bundle(BUNDLE)))
    names = np.array(space.names)[space.labels]
    spared = {str(name) for name in names[negatives.counted[:, 0].numpy() == 0]}
    assert {"Door", "Slam", "Knock", "Doorbell", "Ding-dong"} >= spared > {"Knock"}
    assert negatives.counted[:, 1].all()  # nobody ships kettles of mine


def test_the_loss_lowers_what_is_said_of_them_and_the_body_stays_as_it_was(
    negatives: Negatives, network: StreamNetwork
) -> None:
    body = {name: value.clone() for name, value in network.state_dict().items() if "features" in name}
    heard = negatives.embeddings(torch.arange(64), torch.full((64,), USUAL))[None]
    with torch.no_grad():
        network.student.frame_head.bias.fill_(2.0)
    layers = [one for one in network.parameters() if one.requires_grad]
    assert len(layers) == 4  # weight and bias of the two layers with a row a label
    before = negatives.taken_for(network, [0.5, 0.5])
    optimiser = torch.optim.AdamW(layers, 0.05)
    for step in range(20):
        optimiser.zero_grad()
        loss = negatives.loss(network, heard, torch.Generator().manual_seed(step))
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    after = negatives.taken_for(network, [0.5, 0.5])
    assert before[1] > 1000 > 100 > after[1]
    assert all(torch.equal(network.state_dict()[name], value) for name, value in body.items())


def test_with_them_fewer_of_them_are_taken_for_a_class(negatives: Negatives) -> None:
    config = configure("folder", None, None, None, {"steps": 12, "batch": 4}, ["frames=128"])
    clips = [tones((0, 0.3), (hz, 0.8), (0, 0.3)) for hz in (400, 420, 2500, 2550)]
    targets = np.eye(2, dtype=np.float32)[[0, 0, 1, 1]]
    taken = []
    for some in (negatives, None):
        made = train(clips, targets, config, standing_alone(), categories=CATEGORIES, negatives=some)
        assert isinstance(made, StreamNetwork)
        taken.append(negatives.taken_for(made, [0.2, 0.2])[1])
    assert taken[0] < taken[1]


def test_a_label_is_held_for_as_long_as_asked() -> None:
    labels = np.zeros((1, 6, 2), np.float32)
    labels[0, 1, 0] = labels[0, 5, 1] = 1
    assert heard_lately(labels, 1) is labels
    assert heard_lately(labels, 3)[0].T.tolist() == [[0, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 1]]


def test_where_they_are_of_no_use_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, hz in (("Bell", 900), ("Drill", 200)):
        for number in range(4):
            folder = tmp_path / "sounds" / name / str(number)
            folder.mkdir(parents=True)
            soundfile.write(folder / "0.wav", tones((0, 0.2), (hz + number, 0.5)), RATE)
    words = ["folder", "--data", tmp_path / "sounds", "--size", "nano", "--steps", "1", "--batch", "2"]
    words += ["--set", "frames=48", "--set", "evaluations=1", "--threads", "1"]
    assert call("trainer.finetune", main, *words, "--out", tmp_path / "with") == 0
    assert "warning: what asit-warm-tiny ships of other sounds are embeddings" in capsys.readouterr().err
    assert call("trainer.finetune", main, *words, "--out", tmp_path / "without", "--no-negatives") == 0
    assert "asit-warm-tiny" not in capsys.readouterr().err

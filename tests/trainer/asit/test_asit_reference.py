"""Two training steps of each of the authors' releases in numbers (tests/data/asit_reference), and ours; their masks.

The numbers of 2023 are made by `scripts/make-asit-reference`; `python -m bench.lab.parity` prints how near ours are.
"""

import numpy as np
import pytest
import torch

from bench.lab.parity import coverage, masks, network, reference, relative, replay
from trainer.asit.config import VARIANTS
from trainer.asit.heads import WeightNormLinear
from trainer.models.pretrained import our_name
from trainer.run.schedules import teacher_temperature

RELATIVE = 1e-4


@pytest.mark.parametrize("release", ["2024", "2023"])
def test_two_steps_give_the_authors_numbers(release: str) -> None:
    """Losses, centres, norms of gradients, logits, reconstructions, and student and teacher afterwards."""
    differences = replay(release)
    assert {"losses", "centres", "gradient norms", "class logits", "reconstructions"} <= differences.keys()
    assert {"student after two steps", "teacher after two steps"} <= differences.keys()
    assert ("patch logits" in differences) == (release == "2023")
    assert {kind: value for kind, value in differences.items() if not value <= RELATIVE} == {}


def test_a_difference_is_found() -> None:
    """The test above can fail."""
    assert relative(torch.tensor([1.0, 2.0]), [1.0, 2.001]) == pytest.approx(5e-4, rel=1e-2)
    assert np.isnan(relative(torch.tensor([np.nan]), [1.0]))
    assert not np.nan <= RELATIVE


def test_what_2023_learns_and_at_which_temperature() -> None:
    numbers = reference("2023")
    variant = VARIANTS["2023"]
    assert variant["local_views"] == 0
    asit = network("2023", numbers)
    learnt = {name for name, parameter in asit.student.named_parameters() if parameter.requires_grad}
    assert learnt == {our_name(str(name)) for name in numbers["parameter_order"]}, "what is learnt, and what is not"
    for step, epoch in enumerate((0, 15)):
        temperature = teacher_temperature(epoch, variant["temperature_warm_up"], 0.04, 0.07)
        assert temperature == pytest.approx(float(numbers[f"step{step}/temperature"]), rel=1e-6)
        assert numbers[f"step{step}/center_patch"].shape == (1, asit.config.patch_prototypes), "one for all positions"


@pytest.mark.parametrize("release", ["2023", "2024"])
def test_blocks_lie_where_the_authors_lie(release: str) -> None:
    """400 views of theirs against 800 of ours: the places at the ends, the shares, the patches."""
    for theirs, ours in masks(release).values():
        frames, bins = ours["frames"], ours["bins"]
        assert frames[-1] == pytest.approx(theirs["frames"][-1], abs=0.04)
        assert bins[-1] == pytest.approx(theirs["bins"][-1], abs=0.04)
        assert (frames[0], bins[0]) == pytest.approx((theirs["frames"][0], theirs["bins"][0]), abs=0.015)
        # Neighbouring places are covered together, so a place's mean over views is sure to about 0.025.
        assert np.abs(frames - theirs["frames"]).max() < 0.12
        assert np.abs(bins - theirs["bins"]).max() < 0.12
        for quantile in (0.1, 0.5, 0.9):
            expected = np.quantile(theirs["area"], quantile)
            assert np.quantile(ours["area"], quantile) == pytest.approx(expected, abs=0.015)
        assert float(ours["whole"]) == pytest.approx(float(theirs["whole"]), abs=0.015)
        assert float(ours["untouched"]) == pytest.approx(float(theirs["untouched"]), abs=0.015)


def test_coverage_of_a_known_mask() -> None:
    mask = np.zeros((1, 592, 128), np.float32)
    mask[:, :16, :24] = 1
    found = coverage(mask)
    assert found["frames"][[0, 16]].tolist() == [24 / 128, 0.0]
    assert found["bins"][[0, 24]].tolist() == pytest.approx([16 / 592, 0.0])
    assert float(found["whole"]) == pytest.approx(1 / 296)
    assert float(found["untouched"]) == pytest.approx(294 / 296)


def test_prototypes_begin_as_long_as_the_authors() -> None:
    torch.manual_seed(0)
    ours = WeightNormLinear(256, 4096).weight_v.norm(dim=1)
    theirs = reference("2023")["row_norms"]
    assert ours.mean().item() == pytest.approx(theirs.mean(), rel=0.003)
    assert ours.std().item() == pytest.approx(theirs.std(), rel=0.1)

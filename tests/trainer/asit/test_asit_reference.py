"""Two training steps of each of the authors' releases in numbers (tests/data/asit_reference), and ours; their masks.

The numbers of 2023 are made by `scripts/make-asit-reference`.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from tests.conftest import ROOT
from trainer.asit.asit import ASiT, ASiTConfig, Outputs, Views
from trainer.asit.config import VARIANTS, make_config
from trainer.asit.corruption import corrupt, draw_plan
from trainer.asit.heads import WeightNormLinear
from trainer.models.pretrained import our_name
from trainer.models.vit import ViTConfig
from trainer.run.optimisation import clip_each, freeze, parameter_groups, set_rates
from trainer.run.schedules import teacher_temperature

REFERENCE = ROOT / "tests" / "data" / "asit_reference" / "reference.npz"
REFERENCE_2023 = REFERENCE.with_name("reference_2023.npz")
RELATIVE = 1e-4


@pytest.fixture(scope="module")
def reference() -> Mapping[str, npt.NDArray[np.float32]]:
    with np.load(REFERENCE) as archive:
        return dict(archive)


@pytest.fixture(scope="module")
def reference_2023() -> Mapping[str, npt.NDArray[np.float32]]:
    with np.load(REFERENCE_2023) as archive:
        return dict(archive)


def assert_close(ours: Tensor | float, theirs: npt.ArrayLike, what: str) -> None:
    """Within 1e-4 of the largest magnitude of the array."""
    expected = np.asarray(theirs, np.float64)
    error = np.abs(np.asarray(torch.as_tensor(ours).detach(), np.float64).reshape(expected.shape) - expected).max()
    assert error <= RELATIVE * np.abs(expected).max(), f"{what}: off by {error}, largest {np.abs(expected).max()}"


def load(network: nn.Module, reference: Mapping[str, npt.NDArray[np.float32]], prefix: str) -> None:
    weights = {
        our_name(name.removeprefix(prefix)): torch.from_numpy(array)
        for name, array in reference.items()
        if name.startswith(prefix)
    }
    network.load_state_dict(weights)


def views_of(reference: Mapping[str, npt.NDArray[np.float32]], step: int) -> Views:
    def stacked(name: str, views: range) -> Tensor:
        return torch.from_numpy(np.stack([reference[f"step{step}/{name}{view}"][:, 0] for view in views]))

    clean, mask = stacked("clean", range(2)), stacked("mask", range(2))
    return Views(clean, clean * (1 - mask.float()), mask.bool(), stacked("clean", range(2, 6)))


def test_two_steps_give_the_authors_numbers(reference: Mapping[str, npt.NDArray[np.float32]]) -> None:
    width, depth, heads, frames, mels, _, hidden, bottleneck, prototypes, _, _ = map(int, reference["config"])
    backbone = ViTConfig(width, depth, heads, frames, mels, drop_path=0.0)
    asit = ASiT(ASiTConfig(backbone, hidden, bottleneck, prototypes))
    load(asit.student, reference, "weights/")
    load(asit.teacher, reference, "weights/")
    optimiser = torch.optim.AdamW(parameter_groups(asit.student))
    parameters = dict(asit.student.named_parameters())

    for step, epoch in enumerate((0, 3)):
        views = views_of(reference, step)
        taught = asit.teach(views, teacher_temperature(epoch, 5, 0.04, 0.07))
        outputs: Outputs = asit.student(views.corrupted_QBFM, views.local_LBFM)
        losses = asit.losses(views, taught, outputs)
        optimiser.zero_grad()
        losses.total.backward()
        names = [our_name(str(name)) for name in reference["parameter_order"]]
        norms = clip_each([parameters[name] for name in names], 3.0)
        if epoch == 0:
            freeze(asit.last_layers())
        set_rates(optimiser, learning_rate=1e-3, weight_decay=0.1)
        optimiser.step()
        asit.close_step(momentum=0.99)

        expected = {key.removeprefix(f"step{step}/"): value for key, value in reference.items()}
        assert_close(losses.global_, expected["global"], "global loss")
        assert_close(losses.local, expected["local"], "local loss")
        assert_close(losses.reconstruction, expected["reconstruction"], "reconstruction loss")
        assert_close(losses.total, expected["total"], "total loss")
        assert_close(asit.centre_class.value, expected["center_class"], "class centre")
        assert_close(asit.centre_patch.value, expected["center_patch"], "patch centre")
        assert_close(outputs.class_VBK[2:].flatten(0, 1), expected["student_class_local"], "local class logits")
        assert_close(outputs.reconstructed_QBFM[0, 0], expected["reconstructed"], "reconstruction")
        np.testing.assert_allclose(norms.numpy(), expected["grad_norms"], rtol=RELATIVE, atol=1e-7)

    assert_same_networks(asit, reference, width)


def assert_same_networks(asit: ASiT, reference: Mapping[str, npt.NDArray[np.float32]], width: int) -> None:
    for network, prefix in ((asit.student, "after/"), (asit.teacher, "after_teacher/")):
        for name, parameter in network.state_dict().items():
            theirs = next(key for key in reference if key.startswith(prefix) and our_name(key[len(prefix) :]) == name)
            expected_array = reference[theirs]
            if name.endswith("attn.qkv.bias"):
                # A key bias shifts all scores of a query alike, so its true gradient is zero and AdamW turns
                # what is left, rounding, into whole steps. Both sides may have gone their own way: two steps
                # of 1e-3 each.
                keys = slice(width, 2 * width)
                assert np.abs(parameter[keys].detach().numpy() - expected_array[keys]).max() <= 4e-3
                parameter, expected_array = (
                    torch.cat((parameter[:width], parameter[2 * width :])),
                    np.concatenate((expected_array[:width], expected_array[2 * width :])),
                )
            assert_close(parameter, expected_array, theirs)


def test_two_steps_give_the_numbers_of_2023(reference_2023: Mapping[str, npt.NDArray[np.float32]]) -> None:
    reference = reference_2023
    width, depth, heads, frames, mels, hidden, bottleneck, classes, patches, rec_hidden, rec_bottleneck = map(
        int, reference["config"]
    )
    variant = VARIANTS["2023"]
    assert variant["local_views"] == 0
    weights = {key: variant[key] for key in ("global_weight", "local_weight", "reconstruction_weight")}
    config = ASiTConfig(
        ViTConfig(width, depth, heads, frames, mels, drop_path=0.0),
        hidden,
        bottleneck,
        classes,
        patches,
        frozen_scale=variant["frozen_scale"],
        reconstruction_hidden=rec_hidden,
        reconstruction_bottleneck=rec_bottleneck,
        **weights,
    )
    asit = ASiT(config)
    load(asit.student, reference, "weights/")
    load(asit.teacher, reference, "weights/")
    optimiser = torch.optim.AdamW(parameter_groups(asit.student))
    names = [our_name(str(name)) for name in reference["parameter_order"]]
    learnt = {name for name, parameter in asit.student.named_parameters() if parameter.requires_grad}
    assert learnt == set(names), "what is learnt, and what is not"
    parameters = dict(asit.student.named_parameters())

    for step, epoch in enumerate((0, 15)):
        expected = {key.removeprefix(f"step{step}/"): value for key, value in reference.items()}
        temperature = teacher_temperature(epoch, variant["temperature_warm_up"], 0.04, 0.07)
        assert temperature == pytest.approx(float(expected["temperature"]), rel=1e-6)
        clean, mask = (
            torch.from_numpy(np.stack([expected[f"{kind}{view}"][:, 0] for view in range(2)]))
            for kind in ("clean", "mask")
        )
        views = Views(clean, clean * ~mask, mask, torch.empty(0, len(clean[0]), 16, mels))
        taught = asit.teach(views, temperature)
        outputs: Outputs = asit.student(views.corrupted_QBFM)
        losses = asit.losses(views, taught, outputs)
        optimiser.zero_grad()
        losses.total.backward()
        norms = clip_each([parameters[name] for name in names], 3.0)
        if epoch < variant["frozen_epochs"]:
            freeze(asit.last_layers())
        set_rates(optimiser, learning_rate=1e-3, weight_decay=0.1)
        optimiser.step()
        asit.close_step(momentum=0.99)

        assert_close(losses.global_, expected["global"], "global loss")
        assert_close(losses.local, expected["local"], "local loss")
        assert_close(losses.reconstruction, expected["reconstruction"], "reconstruction loss")
        assert_close(losses.total, expected["total"], "total loss")
        assert_close(asit.centre_class.value, expected["center_class"], "class centre")
        assert expected["center_patch"].shape == (1, patches), "one centre for all positions"
        assert_close(asit.centre_patch.value, expected["center_patch"], "patch centre")
        assert_close(outputs.class_VBK.flatten(0, 1), expected["student_class"], "class logits")
        assert_close(outputs.patch_QBNK.flatten(0, 2), expected["student_patch"], "patch logits")
        assert_close(outputs.reconstructed_QBFM[0, 0], expected["reconstructed"], "reconstruction")
        np.testing.assert_allclose(norms.numpy(), expected["grad_norms"], rtol=RELATIVE, atol=1e-7)
    assert_same_networks(asit, reference, width)


@pytest.mark.parametrize("release", ["2023", "2024"])
def test_blocks_lie_where_the_authors_lie(reference_2023: Mapping[str, npt.NDArray[np.float32]], release: str) -> None:
    """400 views of theirs against 800 of ours: the places at the ends, the shares, the patches."""
    config = make_config(release, None, {"data": ["x"]}).corruption
    plan = draw_plan(config, 2, 400, (592, 128), torch.Generator().manual_seed(0))
    _, painted = corrupt(torch.zeros(2, 400, 592, 128), plan, config)
    for kind, replaced in (("dropped", False), ("replaced", True)):
        theirs = {
            name.removeprefix(f"masks{release}/{kind}/"): value
            for name, value in reference_2023.items()
            if name.startswith(f"masks{release}/{kind}/")
        }
        masks = painted[plan.replaced == replaced].float()
        patches = masks.unflatten(1, (37, 16)).unflatten(3, (8, 16)).mean(dim=(2, 4))
        frames, bins = masks.mean(dim=(0, 2)).numpy(), masks.mean(dim=(0, 1)).numpy()
        assert frames[-1] == pytest.approx(theirs["frames"][-1], abs=0.04)
        assert bins[-1] == pytest.approx(theirs["bins"][-1], abs=0.04)
        assert (frames[0], bins[0]) == pytest.approx((theirs["frames"][0], theirs["bins"][0]), abs=0.015)
        # Neighbouring places are covered together, so a place's mean over views is sure to about 0.025.
        assert np.abs(frames - theirs["frames"]).max() < 0.12
        assert np.abs(bins - theirs["bins"]).max() < 0.12
        area = masks.mean(dim=(1, 2)).numpy()
        for quantile in (0.1, 0.5, 0.9):
            assert np.quantile(area, quantile) == pytest.approx(np.quantile(theirs["area"], quantile), abs=0.015)
        assert (patches == 1).float().mean() == pytest.approx(float(theirs["whole"]), abs=0.015)
        assert (patches == 0).float().mean() == pytest.approx(float(theirs["untouched"]), abs=0.015)


def test_prototypes_begin_as_long_as_the_authors(reference_2023: Mapping[str, npt.NDArray[np.float32]]) -> None:
    torch.manual_seed(0)
    ours = WeightNormLinear(256, 4096).weight_v.norm(dim=1)
    theirs = reference_2023["row_norms"]
    assert ours.mean().item() == pytest.approx(theirs.mean(), rel=0.003)
    assert ours.std().item() == pytest.approx(theirs.std(), rel=0.1)

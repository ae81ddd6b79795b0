"""Two training steps of the authors' release in numbers (tests/data/asit_reference), and ours."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from tests.conftest import ROOT
from trainer.asit.asit import ASiT, ASiTConfig, Outputs, Views
from trainer.models.pretrained import our_name
from trainer.models.vit import ViTConfig
from trainer.run.optimisation import clip_each, freeze, parameter_groups, set_rates
from trainer.run.schedules import teacher_temperature

REFERENCE = ROOT / "tests" / "data" / "asit_reference" / "reference.npz"
RELATIVE = 1e-4


@pytest.fixture(scope="module")
def reference() -> Mapping[str, npt.NDArray[np.float32]]:
    with np.load(REFERENCE) as archive:
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

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from trainer.asit.asit import ASiT, ASiTConfig, Views
from trainer.asit.flops import flops_per_example, peak_flops
from trainer.models.vit import ViTConfig


@pytest.mark.parametrize(("patch_prototypes", "visible_only"), [(None, False), (24, False), (None, True)])
def test_flops_are_those_that_torch_counts(patch_prototypes: int | None, visible_only: bool) -> None:
    config = ASiTConfig(ViTConfig(32, 2, 2, 96, 64), 64, 16, 48, patch_prototypes, visible_only=visible_only)
    asit, batch = ASiT(config), 3
    # Asked for, the input's gradient counts as everywhere else; plain attention, as torch counts that on any
    # device.
    clean, local = (torch.zeros(count, batch, frames, 64).requires_grad_() for count, frames in ((2, 96), (4, 48)))
    views = Views(clean.detach(), clean, clean.bool(), local)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        losses = asit.losses(views, asit.teach(views, 0.04), asit.student(clean, local, views.mask_QBFM))
        losses.total.backward()
    ours = flops_per_example(config, local_frames=48, local_views=4) * batch
    assert ours == pytest.approx(counter.get_total_flops(), rel=0.001), "torch also counts the pairs of views"


def test_peaks_by_device_name() -> None:
    assert peak_flops("NVIDIA H100 80GB HBM3") == 989e12
    assert peak_flops("NVIDIA GeForce GTX 970") is None

import numpy as np
import pytest
import torch

from trainer.asit.asit import ASiT, ASiTConfig, Outputs, Views
from trainer.asit.decoder import visible_patches
from trainer.asit.heads import ProjectionHead, ReconstructionHead, WeightNormLinear
from trainer.models.vit import ViTConfig


def test_weight_normalised_rows() -> None:
    layer = WeightNormLinear(5, 3)
    with torch.no_grad():
        layer.weight_g.copy_(torch.tensor([[1.0], [2.0], [3.0]]))
    x, v = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32), layer.weight_v.detach().numpy()
    expected = np.stack([g * (x @ row) / np.linalg.norm(row) for g, row in zip((1, 2, 3), v, strict=True)], axis=1)
    np.testing.assert_allclose(layer(torch.from_numpy(x)).detach(), expected, rtol=1e-5, atol=1e-6)


def test_class_and_patch_tokens_share_one_head() -> None:
    head = ProjectionHead(8, 16, 4, 6)
    tokens = torch.randn(2, 3, 8)
    classes, patches = head(tokens[:, 0], tokens)
    assert patches.shape == (2, 3, 6)
    torch.testing.assert_close(classes, patches[:, 0])
    assert patches.abs().max() <= 1 + 1e-6, "cosines of unit vectors at initialisation"


def test_second_last_layer_of_2023() -> None:
    classes, patches = ProjectionHead(8, 16, 4, 6, patch_prototypes=5)(torch.randn(2, 8), torch.randn(2, 3, 8))
    assert classes.shape == (2, 6)
    assert patches.shape == (2, 3, 5)


def test_each_patch_token_paints_its_own_patch() -> None:
    head, tokens = ReconstructionHead(8), torch.randn(1, 6, 8)
    before = head(tokens, (3, 2))
    assert before.shape == (1, 48, 32)
    tokens[0, 3] += 1.0  # time patch 1, frequency patch 1
    changed = (head(tokens, (3, 2)) != before)[0].nonzero()
    assert changed.min(dim=0).values.tolist() == [16, 16]
    assert changed.max(dim=0).values.tolist() == [31, 31]


@pytest.mark.parametrize("patch_prototypes", [None, 5])
def test_every_student_parameter_is_taught_and_no_teacher_parameter(patch_prototypes: int | None) -> None:
    backbone = ViTConfig(16, 2, 2, 48, 32)
    asit = ASiT(ASiTConfig(backbone, hidden=8, bottleneck=4, prototypes=6, patch_prototypes=patch_prototypes))
    clean, mask = torch.randn(2, 3, 48, 32), torch.rand(2, 3, 48, 32) < 0.5
    views = Views(clean, clean.masked_fill(mask, 0.0), mask, torch.randn(4, 3, 16, 32))
    losses = asit.losses(views, asit.teach(views, 0.04), asit.student(views.corrupted_QBFM, views.local_LBFM))
    losses.total.backward()
    assert all(parameter.grad is not None for parameter in asit.student.parameters())
    assert all(parameter.grad is None for parameter in asit.teacher.parameters())
    assert losses.total.item() == pytest.approx(
        (losses.global_ / 2 + losses.local / 2 + losses.reconstruction).item(), rel=1e-6
    )


def test_teacher_is_the_same_in_training_as_in_evaluation() -> None:
    asit = ASiT(ASiTConfig(ViTConfig(16, 2, 2, 32, 32, drop_path=0.9), hidden=8, bottleneck=4, prototypes=6))
    asit.train()
    views = torch.randn(2, 8, 32, 32)
    assert torch.equal(asit.teacher(views).class_VBK, asit.teacher(views).class_VBK)
    assert not torch.equal(asit.student(views).class_VBK, asit.student(views).class_VBK)


@pytest.fixture
def visible() -> ASiT:
    backbone = ViTConfig(16, 2, 2, 96, 64, drop_path=0.0)
    torch.manual_seed(0)
    return ASiT(
        ASiTConfig(backbone, hidden=8, bottleneck=4, prototypes=6, visible_only=True, decoder_blocks=1, ratio_low=0.5)
    ).eval()


def test_the_student_encodes_visible_patches_alone(visible: ASiT) -> None:
    """What lies under the mask changes nothing, what lies beside it does; the teacher sees all in one pass."""
    views, mask = torch.randn(2, 3, 96, 64), torch.zeros(2, 3, 96, 64, dtype=torch.bool)
    mask[:, :, :48] = True  # the first half of 24 patches
    passes = []
    visible.teacher.backbone.register_forward_hook(lambda _module, _inputs, tokens: passes.append(tokens.shape[1]))
    visible.student.backbone.blocks[0].register_forward_hook(lambda _module, _inputs, x: passes.append(x.shape[1]))
    with torch.no_grad():
        first = visible.student(views, None, mask)
        under = visible.student(views + 5.0 * mask, None, mask)
        beside = visible.student(views + 5.0 * ~mask, None, mask)
        visible.teach(Views(views, views, mask, views[:0]), 0.04)
    assert passes == [13, 13, 13, 25], "a class token and 12 of 24 patches; the teacher all, once for all losses"
    for name in Outputs._fields:
        assert torch.equal(getattr(first, name), getattr(under, name)), name
        assert not torch.equal(getattr(first, name), getattr(beside, name)), name
    assert first.patch_QBNK.shape == (2, 3, 24, 6)


def test_all_of_a_visible_student_is_taught(visible: ASiT) -> None:
    clean, mask = torch.randn(2, 3, 96, 64), torch.zeros(2, 3, 96, 64, dtype=torch.bool)
    mask[:, :, 16:80] = True
    views = Views(clean, clean.masked_fill(mask, 0.0), mask, torch.randn(4, 3, 16, 64))
    outputs = visible.student(views.corrupted_QBFM, views.local_LBFM, mask)
    visible.losses(views, visible.teach(views, 0.04), outputs).total.backward()
    assert [name for name, parameter in visible.student.named_parameters() if parameter.grad is None] == []


def test_visible_patches_come_first_and_a_few_touched_ones_fill_up() -> None:
    mask = torch.zeros(2, 48, 32, dtype=torch.bool)
    mask[0, :16, 16:] = True  # patch 1
    mask[1, 16:, :] = True  # patches 2 to 5
    assert visible_patches(mask, 4).tolist() == [[0, 2, 3, 4], [0, 1, 2, 3]]

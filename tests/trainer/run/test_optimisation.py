import pytest
import torch
from torch import nn

from trainer.asit.asit import ASiT, ASiTConfig
from trainer.models.vit import ViTConfig
from trainer.run.average import move
from trainer.run.optimisation import clip_each, freeze, parameter_groups, set_rates


@pytest.fixture
def asit() -> ASiT:
    torch.manual_seed(0)
    return ASiT(ASiTConfig(ViTConfig(16, 1, 2, 32, 32), hidden=8, bottleneck=4, prototypes=6))


def test_biases_and_norms_are_not_decayed_but_token_and_positions_are(asit: ASiT) -> None:
    names = {id(parameter): name for name, parameter in asit.student.named_parameters()}
    decayed, rest = ({names[id(p)] for p in group["params"]} for group in parameter_groups(asit.student))  # type: ignore[union-attr]
    assert decayed | rest == set(names.values())
    assert {"backbone.cls_token", "backbone.pos_embed", "head.last_layer.weight_g"} <= decayed
    assert all(name.endswith(".bias") or ".norm" in name for name in rest)


def test_rates_reach_the_right_groups(asit: ASiT) -> None:
    optimiser = torch.optim.AdamW(parameter_groups(asit.student))
    set_rates(optimiser, 0.5, 0.25)
    assert [(group["lr"], group["weight_decay"]) for group in optimiser.param_groups] == [
        (0.5, 0.25),
        (0.5, 0.0),
    ]


def test_each_tensor_is_clipped_by_itself() -> None:
    long, short, unused = (nn.Parameter(torch.zeros(4)) for _ in range(3))
    long.grad, short.grad = torch.full((4,), 5.0), torch.full((4,), 0.5)
    norms = clip_each([long, short, unused], longest=3.0)
    assert norms.tolist() == pytest.approx([10.0, 1.0])
    assert long.grad.norm().item() == pytest.approx(3.0, rel=1e-5)
    assert short.grad.tolist() == [0.5] * 4


def test_a_frozen_layer_stays_even_under_weight_decay(asit: ASiT) -> None:
    optimiser = torch.optim.AdamW(parameter_groups(asit.student), lr=0.1, weight_decay=0.5)
    for parameter in asit.student.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = [parameter.clone() for parameter in asit.last_layers()]
    other = asit.student.head.mlp[0].weight.clone()
    freeze(asit.last_layers())
    optimiser.step()
    assert all(torch.equal(*pair) for pair in zip(before, asit.last_layers(), strict=True))
    assert not torch.equal(other, asit.student.head.mlp[0].weight)


def test_teacher_follows_every_parameter(asit: ASiT) -> None:
    before = {name: value.clone() for name, value in asit.teacher.named_parameters()}
    with torch.no_grad():
        for parameter in asit.student.parameters():
            parameter.add_(1.0)
    move(asit.teacher.parameters(), asit.student.parameters(), 1 - 0.9)
    for name, value in asit.teacher.named_parameters():
        torch.testing.assert_close(value, before[name] + 0.1)

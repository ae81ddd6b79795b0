"""Which parameters Muon takes, that it and AdamW are one optimiser, and what its steps are."""

import copy

import pytest
import torch
from torch import nn

from trainer.models.streaming_vit import Stage, StreamConfig, StreamViT
from trainer.run.muon import MuonAdamW, block_matrices
from trainer.run.optimisation import set_rates


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return StreamViT(StreamConfig(stages=(Stage(16, 2, 2, 2), Stage(32, 1, 2, 2)), mels=32), 3, -1.0)


def train(network: nn.Module, optimiser: MuonAdamW, steps: int) -> None:
    for step in range(steps):
        torch.manual_seed(step)
        set_rates(optimiser, 1e-3, 0.05)
        optimiser.zero_grad()
        logits, _ = network(torch.randn(2, 64, 32))
        logits.frames.square().sum().backward()
        optimiser.step()


def test_every_parameter_has_one_group_and_matrices_of_blocks_are_muons(network: nn.Module) -> None:
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    muons = {names[id(parameter)] for parameter in block_matrices(network)}
    assert muons == {
        f"blocks.{block}.{layer}.weight"
        for block in range(3)
        for layer in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    }
    groups = [[names[id(parameter)] for parameter in group["params"]] for group in MuonAdamW(network).param_groups]
    assert sorted(name for group in groups for name in group) == sorted(names.values())
    assert set(groups[0]) == muons


def test_an_update_of_a_matrix_has_adamws_size_in_every_direction(network: nn.Module) -> None:
    """Orthogonal, so all singular values are about alike; 0.2 times the rate in the mean (arXiv 2502.16982)."""
    matrix = block_matrices(network)[0]
    before = matrix.detach().clone()
    optimiser = MuonAdamW(network)
    set_rates(optimiser, 1e-3, 0.0)
    torch.manual_seed(0)
    for parameter in network.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimiser.step()
    update = (matrix - before).detach()
    assert update.square().mean().sqrt().item() == pytest.approx(0.2e-3, rel=0.2)
    values = torch.linalg.svdvals(update)
    assert (values.max() / values.min()).item() < 2.5


def test_a_saved_state_goes_on_as_if_nothing_had_happened(network: nn.Module) -> None:
    twin = copy.deepcopy(network)
    train(network, optimiser := MuonAdamW(network), 2)
    twin.load_state_dict(network.state_dict())
    resumed = MuonAdamW(twin)
    resumed.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    train(network, optimiser, 2)
    train(twin, resumed, 2)
    for one, other in zip(network.parameters(), twin.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_state_of_another_optimiser_is_refused(network: nn.Module) -> None:
    with pytest.raises(KeyError):
        MuonAdamW(network).load_state_dict(torch.optim.AdamW(network.parameters()).state_dict())

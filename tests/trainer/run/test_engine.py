import copy

import pytest
import torch
from torch import nn

from asit_edge.errors import AsitEdgeError
from trainer.run.engine import Engine, Progress, due, is_finite
from trainer.run.optimisation import parameter_groups


def engine(clip_norm: float = 1.0) -> Engine:
    torch.manual_seed(0)
    network = nn.Linear(3, 2)
    return Engine.alone(network, torch.optim.AdamW(parameter_groups(network)), clip_norm)


def test_a_step_clips_steps_and_averages() -> None:
    ours = engine()
    theirs = copy.deepcopy(ours.network)
    optimiser = torch.optim.AdamW(parameter_groups(theirs), lr=0.1, weight_decay=0.5)
    optimiser.param_groups[1]["weight_decay"] = 0.0
    before = {name: value.clone() for name, value in ours.average.items()}
    batch = torch.full((4, 3), 9.0)
    ours.step(ours.network(batch).square().mean(), learning_rate=0.1, weight_decay=0.5, share=0.25)
    theirs(batch).square().mean().backward()
    nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
    optimiser.step()
    assert ours.done == 1
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.network.state_dict()[name], value)
        torch.testing.assert_close(ours.average[name], 0.75 * before[name] + 0.25 * value)


def test_without_a_share_the_average_stays() -> None:
    ours = engine()
    before = {name: value.clone() for name, value in ours.average.items()}
    ours.step(ours.network(torch.ones(1, 3)).sum(), 0.1, 0.0, share=0.0)
    assert all(torch.equal(before[name], value) for name, value in ours.average.items())


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_changes_nothing(loss: float) -> None:
    ours = engine()
    before = copy.deepcopy(ours.network.state_dict())
    ours.step(ours.network(torch.ones(1, 3)).sum(), 0.0, 0.0, share=0.0)
    with pytest.raises(AsitEdgeError, match=f"the loss is {loss} at step 2; try a lower learning rate"):
        ours.step(ours.network(torch.ones(1, 3)).sum().abs() * loss, 0.1, 0.0, share=1.0)
    assert ours.done == 1
    assert all(torch.equal(before[name], value) for name, value in ours.network.state_dict().items())


def test_what_is_due_every_so_many_steps_is_due_at_the_end_too() -> None:
    assert [done for done in range(1, 8) if due(done, 3, 7)] == [3, 6, 7]


def test_numbers_are_finite_together() -> None:
    assert is_finite(1.0, -2.0)
    assert not is_finite(1.0, float("nan"))
    assert not is_finite(float("inf"), 0.0)


def test_a_log_has_a_line_every_hundred_steps_and_one_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("fold1", 120) as progress:
        for done in range(1, 121):
            progress.report(done, 1.0 if done == 1 else 2.0)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" loss")[0] for line in lines] == ["fold1: step 100/120", "fold1: step 120/120"]
    smoothed = 2 - 0.98**99
    assert f"loss {smoothed:.4f}" in lines[0]

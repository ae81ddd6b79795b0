"""Averages of weights: the teacher of pre-training, and what fine-tuning and distillation evaluate and save.

All of them move towards the newest weights by a share; they differ in how large the share is at a step.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

Weights = dict[str, Tensor]


def copied(network: nn.Module) -> Weights:
    """A network's weights and statistics, of their own."""
    return {name: value.clone() for name, value in network.state_dict().items()}


def follow(average: Weights, network: nn.Module, share: float) -> None:
    """Moves an average of a network's weights and statistics by that share towards what they are now, in place."""
    newest = network.state_dict()
    move([average[name] for name in newest], newest.values(), share)


@torch.no_grad()
def move(average: Iterable[Tensor], newest: Iterable[Tensor], share: float) -> None:
    """average = (1 - share) * average + share * newest, in place; whole numbers, which count something, are copied."""
    pairs = list(zip(average, newest, strict=True))
    floating = [pair for pair in pairs if pair[0].is_floating_point()]
    torch._foreach_lerp_([old for old, _ in floating], [new for _, new in floating], share)
    for old, new in pairs:
        if not old.is_floating_point():
            old.copy_(new)


def running_share(decay: float, done: int, steps: int, late: int) -> float:
    """Share of a running average after `done` of `steps` steps: 1 - `decay`, at first more.

    The first steps weigh less (of `late` steps as much as of all before), and the average reaches back over a tenth of
    a short run at most: weights that have learnt nothing yet are no part of it.
    """
    return 1 - max(min(decay, done / (done + late), 1 - 10 / steps), 0.0)


def epoch_mean_share(done: int, epoch_steps: int, first_epoch: int) -> float:
    """Share of the plain mean over the ends of epochs from `first_epoch` (from 1) on; before them the newest weights
    are taken, between them nothing.
    """
    epoch, place = divmod(done, epoch_steps)
    count = epoch - first_epoch + 1
    if count <= 0:
        return 1.0
    return 0.0 if place else 1 / count

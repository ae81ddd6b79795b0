"""What a step does to the parameters (ASiT section 4): groups, clipping, frozen last layer, EMA."""

from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import Tensor, nn


def parameter_groups(network: nn.Module) -> list[dict[str, object]]:
    """Two groups for AdamW: matrices, which are decayed, and biases and 1-D parameters, which are not.

    The class token and the positions are decayed, as in the authors' code.
    """
    decayed: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        (rest if name.endswith(".bias") or parameter.ndim == 1 else decayed).append(parameter)
    return [{"params": decayed, "decayed": True}, {"params": rest, "decayed": False, "weight_decay": 0.0}]


class HasGroups(Protocol):
    """A `torch.optim.Optimizer`, or several as one."""

    @property
    def param_groups(self) -> list[dict[str, Any]]: ...


def set_rates(optimiser: HasGroups, learning_rate: float, weight_decay: float) -> None:
    """Puts this step's learning rate and weight decay into an optimiser over `parameter_groups`."""
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
        if group["decayed"]:
            group["weight_decay"] = weight_decay


@torch.no_grad()
def clip_each(parameters: Iterable[nn.Parameter], longest: float) -> Tensor:
    """Scales each gradient tensor to a norm of at most `longest`; returns the norms before, (tensors,)."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norms = torch.stack(torch._foreach_norm(gradients))
    torch._foreach_mul_(gradients, list((longest / (norms + 1e-6)).clamp_max(1.0)))
    return norms


def freeze(parameters: Iterable[nn.Parameter]) -> None:
    """Leaves these parameters out of the coming optimiser step, weight decay included."""
    for parameter in parameters:
        parameter.grad = None


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """EMA over all parameters: teacher = momentum * teacher + (1 - momentum) * student."""
    torch._foreach_lerp_(list(teacher.parameters()), list(student.parameters()), 1 - momentum)

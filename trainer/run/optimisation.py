"""What a step does to the parameters (ASiT section 4): groups, rates, clipping, frozen last layer."""

import re
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
        (decayed if _is_decayed(name, parameter) else rest).append(parameter)
    return [{"params": decayed, "decayed": True}, {"params": rest, "decayed": False, "weight_decay": 0.0}]


def layered_groups(model: nn.Module, decay: float) -> list[dict[str, object]]:
    """Groups for AdamW; each has a `scale` for its learning rate: 1 for head and final norm, `decay` less for every
    block below, and the least for embeddings and for what merges tokens between blocks.

    Biases and 1-D parameters are not decayed (`decayed`).
    """
    depth = 1 + max(
        (int(found[1]) for name, _ in model.named_parameters() if (found := re.search(r"blocks\.(\d+)\.", name))),
        default=-1,
    )
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        found = re.search(r"blocks\.(\d+)\.", name)
        embedding = re.search(r"(patch_embed|pos_embed|cls_token|frequency_embed|merges|picture|features)", name)
        below = depth - int(found[1]) if found else depth + 1 if embedding else 0
        groups.setdefault((below, _is_decayed(name, parameter)), []).append(parameter)
    return [
        {"params": parameters, "decayed": decayed, "weight_decay": 0.0, "scale": decay**below}
        for (below, decayed), parameters in sorted(groups.items(), key=lambda item: item[0])
    ]


def warm_groups(model: nn.Module, scale: float = 0.1) -> list[dict[str, object]]:
    """Groups for AdamW of a student that begins with somebody's convolutions and classifier: those (`features`,
    `hidden`, `frame_head`, `picture`) learn at `scale` of the rate."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        begun = name.partition(".")[0] in ("features", "hidden", "frame_head", "picture")
        groups.setdefault((begun, _is_decayed(name, parameter)), []).append(parameter)
    return [
        {"params": parameters, "decayed": decayed, "weight_decay": 0.0, "scale": scale if begun else 1.0}
        for (begun, decayed), parameters in groups.items()
    ]


def _is_decayed(name: str, parameter: nn.Parameter) -> bool:
    return not name.endswith(".bias") and parameter.ndim != 1


class Optimiser(Protocol):
    """A `torch.optim.Optimizer`, or several as one."""

    @property
    def param_groups(self) -> list[dict[str, Any]]: ...

    def zero_grad(self, set_to_none: bool = True) -> None: ...

    def step(self) -> Any: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any], /) -> None: ...


def set_rates(optimiser: Optimiser, learning_rate: float, weight_decay: float) -> None:
    """Puts this step's learning rate, times its group's `scale` if it has one, and weight decay into an optimiser."""
    for group in optimiser.param_groups:
        group["lr"] = learning_rate * group.get("scale", 1.0)
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

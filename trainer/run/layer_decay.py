"""Parameter groups for fine-tuning: weight decay for matrices only, and smaller learning rates for deeper layers."""

import re

import torch
from torch import nn


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
        embedding = re.search(r"(patch_embed|pos_embed|cls_token|frequency_embed|merges)", name)
        below = depth - int(found[1]) if found else depth + 1 if embedding else 0
        plain = name.endswith(".bias") or parameter.ndim == 1
        groups.setdefault((below, not plain), []).append(parameter)
    return [
        {"params": parameters, "decayed": decayed, "weight_decay": 0.0, "scale": decay**below}
        for (below, decayed), parameters in sorted(groups.items(), key=lambda item: item[0])
    ]


def set_scaled_rates(optimiser: torch.optim.Optimizer, learning_rate: float, weight_decay: float) -> None:
    """Puts this step's learning rate and weight decay into an optimiser over `layered_groups`."""
    for group in optimiser.param_groups:
        group["lr"] = learning_rate * group["scale"]
        if group["decayed"]:
            group["weight_decay"] = weight_decay

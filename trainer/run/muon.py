"""Muon for the matrices of transformer blocks, AdamW for everything else, as one optimiser.

Muon makes each update of a matrix orthogonal (Jordan et al. 2024, kellerjordan.github.io/posts/muon); its steps are
scaled to AdamW's size (arXiv 2502.16982), so that both take the same learning rate and weight decay.
"""

from typing import Any

import torch
from torch import nn

from trainer.run.optimisation import parameter_groups


class MuonAdamW:
    """What a training loop needs of a `torch.optim.Optimizer`, over both."""

    def __init__(self, network: nn.Module) -> None:
        matrices = block_matrices(network)
        chosen = {id(parameter) for parameter in matrices}
        groups = parameter_groups(network)
        for group in groups:
            group["params"] = [parameter for parameter in group["params"] if id(parameter) not in chosen]  # type: ignore[attr-defined]
        muon = torch.optim.Muon([{"params": matrices, "decayed": True}], adjust_lr_fn="match_rms_adamw")
        self._both: dict[str, torch.optim.Optimizer] = {"muon": muon, "adamw": torch.optim.AdamW(groups)}

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [group for optimiser in self._both.values() for group in optimiser.param_groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        for optimiser in self._both.values():
            optimiser.zero_grad(set_to_none)

    def step(self) -> None:
        for optimiser in self._both.values():
            optimiser.step()

    def state_dict(self) -> dict[str, Any]:
        return {name: optimiser.state_dict() for name, optimiser in self._both.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises KeyError if the state is that of another optimiser."""
        for name, optimiser in self._both.items():
            optimiser.load_state_dict(state[name])


def block_matrices(network: nn.Module) -> list[nn.Parameter]:
    """Weights of the linear layers inside transformer blocks (modules in a list called `blocks`)."""
    return [
        parameter
        for name, parameter in network.named_parameters()
        if "blocks" in name.split(".") and name.endswith(".weight") and parameter.ndim == 2
    ]

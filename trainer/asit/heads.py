"""The two heads of ASiT (section 3): tokens to prototype logits, and patch tokens back to a spectrogram."""

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from trainer.models.vit import PATCH


class WeightNormLinear(nn.Module):
    """Linear layer without bias; rows are `weight_g` times the direction of `weight_v` (arXiv 1602.07868).

    `frozen_scale`: `weight_g` stays 1 (DINO's `norm_last_layer`).
    """

    def __init__(self, inputs: int, outputs: int, frozen_scale: bool = False) -> None:
        super().__init__()
        self.weight_g = nn.Parameter(torch.ones(outputs, 1), requires_grad=not frozen_scale)
        self.weight_v = nn.Parameter(torch.empty(outputs, inputs))
        # As torch begins a linear layer: rows of a norm of 0.577, which says how far a step turns them.
        nn.init.uniform_(self.weight_v, -(inputs**-0.5), inputs**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        return nnf.linear(x, self.weight_g * nnf.normalize(self.weight_v, dim=1))


class ProjectionHead(nn.Module):
    """Tokens (..., width) to logits over prototypes.

    One MLP for class and patch tokens; one last layer for both (2024), or, with `patch_prototypes`, a second
    one for patch tokens (2023).
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        bottleneck: int,
        prototypes: int,
        patch_prototypes: int | None = None,
        frozen_scale: bool = False,
    ) -> None:
        super().__init__()
        self.mlp = _mlp(width, hidden, bottleneck)
        self.last_layer = WeightNormLinear(bottleneck, prototypes, frozen_scale)
        self.last_layer_patch = (
            WeightNormLinear(bottleneck, patch_prototypes, frozen_scale) if patch_prototypes else None
        )

    def forward(self, class_tokens: Tensor, patch_tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Class tokens (B, D) and patch tokens (B, N, D) to their logits (B, K) and (B, N, K')."""
        patch_layer = self.last_layer_patch or self.last_layer
        return self.last_layer(self._bottleneck(class_tokens)), patch_layer(self._bottleneck(patch_tokens))

    def _bottleneck(self, tokens: Tensor) -> Tensor:
        return nnf.normalize(self.mlp(tokens), dim=-1)


class ReconstructionHead(nn.Module):
    """Patch tokens (B, T*F, D) to a spectrogram (B, 16 T, 16 F). Each of the three layers ends in a GELU."""

    def __init__(self, width: int, hidden: int | None = None, bottleneck: int | None = None) -> None:
        """`hidden` and `bottleneck`: widths of the first two layers and of the last; None is `width`."""
        super().__init__()
        self.mlp = _mlp(width, hidden or width, bottleneck or width)
        self.pixels = nn.ConvTranspose2d(bottleneck or width, 1, kernel_size=PATCH, stride=PATCH)

    def forward(self, patch_tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        image = nnf.gelu(self.mlp(patch_tokens)).transpose(1, 2)
        return self.pixels(image.reshape(*image.shape[:2], *grid))[:, 0]  # type: ignore[no-any-return]


def _mlp(width: int, hidden: int, out: int) -> nn.Sequential:
    layers = nn.Sequential(
        nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, out)
    )
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
    return layers

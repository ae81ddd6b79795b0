"""Published and own weights, read into our networks: one loader for every format.

Understood are our own checkpoints, those of the authors' releases of 2023 and 2024 (`student` and `teacher`,
prefix `module.backbone.`) and ImageNet weights under timm's and DeiT's names (RGB kernels are summed over the
channels, positions resized to the audio grid), as `torch.save` files or safetensors. Nothing in a file is
ever executed.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from asit_edge.errors import AsitEdgeError
from trainer.models.vit import PATCH, SIZES, ViT, ViTConfig, stretch_positions
from trainer.run.checkpoint import read_file

Weights = Mapping[str, Tensor]


_WRAPPERS = ("module.", "_orig_mod.")
"""Prefixes that DataParallel and torch.compile put before every name."""

_THEIR_NAMES = (
    (r"^head_recons\.convTrans\.", "reconstruction.pixels."),
    (r"^head_recons\.", "reconstruction."),
    (r"^head_cls\.cls_layer\.", "head.last_layer."),
    (r"^head_cls\.data_layer\.", "head.last_layer_patch."),
    (r"^head_cls\.", "head."),
)
"""The heads' names in the authors' releases, and ours."""


def network_weights(content: Mapping[str, Any], network: Literal["student", "teacher"] = "teacher") -> Weights:
    """The weights in a checkpoint's content, under our names: of that network where it holds two."""
    for key in (network, "model", "state_dict"):
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    weights = {our_name(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if not any(name.startswith("backbone.") for name in weights):
        weights = {f"backbone.{name}": value for name, value in weights.items()}
    return weights


def our_name(name: str) -> str:
    """Our name for a parameter of a known format: "module.head_recons.mlp.0.bias" has its head renamed."""
    while name.startswith(_WRAPPERS):
        name = name.split(".", 1)[1]
    for theirs, ours in _THEIR_NAMES:
        name = re.sub(theirs, ours, name)
    return name


def backbone_weights(
    path: Path, config: ViTConfig, network: Literal["student", "teacher"] = "teacher"
) -> dict[str, Tensor]:
    """A state dict for `ViT(config)` from any known file, adapted to one channel and to the config's grid.

    Raises AsitEdgeError that names each parameter whose shape does not fit, with both shapes, or that is
    missing.
    """
    needed = ViT(config).state_dict()
    prefix = "backbone."
    found = {
        name.removeprefix(prefix): value.float()
        for name, value in network_weights(read_file(path), network).items()
        if name.startswith(prefix)
    }
    found = _adapted(found, config)
    # Heads of ImageNet models (head.*, fc_norm.*, pre_logits.*) are left behind; further blocks are not.
    blocks = {name for name in found if name.startswith("blocks.")}
    check_shapes(path, {name: found[name] for name in found if name in needed or name in blocks}, needed)
    return {name: found[name] for name in needed}


def stored_backbone(path: Path) -> tuple[str, int]:
    """Size (a key of SIZES) and window length in frames of the backbone in a file; 592 for image models.

    Raises AsitEdgeError if it is none of the sizes.
    """
    weights = network_weights(read_file(path))
    positions, kernel = weights.get("backbone.pos_embed"), weights.get("backbone.patch_embed.proj.weight")
    if positions is None or positions.ndim != 3 or kernel is None:
        raise AsitEdgeError(f"{path}: holds no backbone (no pos_embed or patch_embed)")
    depth = len({name.split(".")[2] for name in weights if name.startswith("backbone.blocks.")})
    width = positions.shape[2]
    for size, (known_width, known_depth, _) in SIZES.items():
        if (width, depth) == (known_width, known_depth):
            image = kernel.ndim == 4 and kernel.shape[1] == 3
            grid = None if image else _grid(positions.shape[1] - 1, image, 128 // PATCH)
            return size, grid[0] * PATCH if grid else 592
    raise AsitEdgeError(f"{path}: a backbone of width {width} and depth {depth} is none of {', '.join(SIZES)}")


def load_backbone(vit: ViT, path: Path, network: Literal["student", "teacher"] = "teacher") -> None:
    """Loads a backbone from any known file, as `backbone_weights` does."""
    vit.load_state_dict(backbone_weights(path, vit.config, network))


def load_exactly(module: nn.Module, weights: Weights, path: Path) -> None:
    """Loads weights that must fit as they are; `path` is named in the error if they do not."""
    check_shapes(path, weights, module.state_dict())
    module.load_state_dict(dict(weights))


def check_shapes(path: Path, found: Weights, needed: Weights) -> None:
    """Raises AsitEdgeError unless both hold the same names with the same shapes."""
    wrong = [
        f"{name}: the file has {_shape(found.get(name))}, the model needs {_shape(needed.get(name))}"
        for name in sorted(found.keys() | needed.keys(), key=_natural)
        if _shape(found.get(name)) != _shape(needed.get(name))
    ]
    if wrong:
        more = f"; and {len(wrong) - 4} more" if len(wrong) > 4 else ""
        raise AsitEdgeError(f"{path}: made for another model: {'; '.join(wrong[:4])}{more}")


def _adapted(weights: dict[str, Tensor], config: ViTConfig) -> dict[str, Tensor]:
    """Kernel and positions of a backbone made for images or for another length, as `config` needs them."""
    kernel, positions = weights.get("patch_embed.proj.weight"), weights.get("pos_embed")
    image = kernel is not None and kernel.ndim == 4 and kernel.shape[1] == 3
    if kernel is not None and image:
        weights["patch_embed.proj.weight"] = kernel.sum(dim=1, keepdim=True)
    if positions is not None and positions.ndim == 3:
        if weights.pop("dist_token", None) is not None:
            # A distilled DeiT has a second token; its position follows the class token's.
            positions = torch.cat((positions[:, :1], positions[:, 2:]), dim=1)
        grid = _grid(positions.shape[1] - 1, image, config.mels // PATCH)
        if grid is not None and grid != config.grid:
            positions = stretch_positions(positions, grid, config.grid)
        weights["pos_embed"] = positions
    return weights


def _grid(patches: int, image: bool, frequency: int) -> tuple[int, int] | None:
    """The (time, frequency) grid that a checkpoint's positions were made for, None if they fit no grid."""
    side = math.isqrt(patches)
    if image:
        return (side, side) if side * side == patches else None
    return (patches // frequency, frequency) if patches and patches % frequency == 0 else None


def _shape(value: Tensor | None) -> str:
    return "nothing" if value is None else str(tuple(value.shape))


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts block 10 after block 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]

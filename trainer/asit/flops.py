"""How many floating-point operations a step must do, and what devices could: for model-FLOP utilisation.

Counted are the matrix products that the method needs (two operations a multiply-add), backward twice the
forward.
"""

from trainer.asit.asit import ASiTConfig
from trainer.models.vit import PATCH

DENSE_BF16 = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12}
"""Operations per second by a part of the device's name, from the maker's data sheets, without sparsity."""


def flops_per_example(config: ASiTConfig, local_frames: int, local_views: int, global_views: int = 2) -> float:
    """Of one example in one training step: student forward and backward, teacher forward."""
    time, frequency = config.backbone.grid
    patches = time * frequency
    patch_prototypes = config.patch_prototypes or config.prototypes
    backbone = global_views * _backbone(config, patches)
    classes, patch_logits = _head(config, config.prototypes), patches * _head(config, patch_prototypes)
    width = config.backbone.width
    hidden, bottleneck = config.reconstruction_hidden or width, config.reconstruction_bottleneck or width
    layers = _linear(width, hidden) + _linear(hidden, hidden) + _linear(hidden, bottleneck)
    reconstruction = patches * (layers + _linear(bottleneck, PATCH * PATCH))
    common = backbone + global_views * (classes + patch_logits + reconstruction)
    local = local_views * (_backbone(config, local_frames // PATCH * frequency) + classes)
    return 3 * (common + local) + common


def peak_flops(device_name: str) -> float | None:
    """Dense bfloat16 operations per second of a GPU, None where the table does not know it."""
    return next((peak for name, peak in DENSE_BF16.items() if name in device_name), None)


def _backbone(config: ASiTConfig, patches: int) -> float:
    width, tokens = config.backbone.width, patches + 1
    block = tokens * 12 * _linear(width, width) + 4 * tokens**2 * width
    return patches * _linear(PATCH * PATCH, width) + config.backbone.depth * block


def _head(config: ASiTConfig, prototypes: int) -> float:
    hidden, bottleneck = config.hidden, config.bottleneck
    return (
        _linear(config.backbone.width, hidden)
        + _linear(hidden, hidden)
        + _linear(hidden, bottleneck)
        + _linear(bottleneck, prototypes)
    )


def _linear(inputs: int, outputs: int) -> float:
    return 2.0 * inputs * outputs

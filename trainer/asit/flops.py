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
    classes, patch_logits = _head(config, config.prototypes), patches * _head(config, patch_prototypes)
    width = config.backbone.width
    hidden, bottleneck = config.reconstruction_hidden or width, config.reconstruction_bottleneck or width
    layers = _linear(width, hidden) + _linear(hidden, hidden) + _linear(hidden, bottleneck)
    reconstruction = patches * (layers + _linear(bottleneck, PATCH * PATCH))
    heads = classes + patch_logits + reconstruction
    teacher = global_views * (_backbone(config, patches) + heads)
    student = global_views * (_backbone(config, config.encoded, patches) + heads)
    if config.visible_only:
        width = config.backbone.width
        student += global_views * config.decoder_blocks * _block(patches, width)
    local = local_views * (_backbone(config, local_frames // PATCH * frequency) + classes)
    return 3 * (student + local) + teacher


def peak_flops(device_name: str) -> float | None:
    """Dense bfloat16 operations per second of a GPU, None where the table does not know it."""
    return next((peak for name, peak in DENSE_BF16.items() if name in device_name), None)


def _backbone(config: ASiTConfig, encoded: int, embedded: int | None = None) -> float:
    """`encoded` patches through the blocks; `embedded` of them (all, if not said) become tokens at first."""
    width = config.backbone.width
    embedding = (embedded or encoded) * _linear(PATCH * PATCH, width)
    return embedding + config.backbone.depth * _block(encoded + 1, width)


def _block(tokens: int, width: int) -> float:
    return tokens * 12 * _linear(width, width) + 4.0 * tokens**2 * width


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

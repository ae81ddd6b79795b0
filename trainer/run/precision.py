"""In which precision networks are computed while they are trained."""

import torch

LOWEST_SCALE = 1.0
"""Of a loss; where gradients are beyond float16 even then, they are beyond anything."""


def autocast(device: torch.device, bf16: bool | None = None, fp16: bool = False) -> torch.autocast:
    """bfloat16, if not said otherwise where the hardware multiplies it: on GPUs, and on processors with AMX.

    Elsewhere it would be slower. `fp16`: float16 instead, whose gradients need `loss_scaler`.
    """
    if fp16:
        return torch.autocast(device.type, torch.float16)
    return torch.autocast(device.type, torch.bfloat16, enabled=multiplies_bf16(device) if bf16 is None else bf16)


def loss_scaler(device: torch.device, fp16: bool) -> torch.amp.GradScaler:
    """Keeps float16's small gradients above zero; where nothing is computed in float16 it does nothing."""
    return torch.amp.GradScaler(device.type, enabled=fp16)


def multiplies_bf16(device: torch.device) -> bool:
    """Whether the hardware does; GPUs before Ampere (V100, T4) only imitate it, far slower than float32."""
    return torch.cuda.is_bf16_supported(including_emulation=False) if device.type == "cuda" else has_amx()


def has_amx() -> bool:
    """Whether this processor has Intel's matrix units, which multiply bfloat16 several times as fast as float32."""
    supported = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return supported is not None and bool(supported())

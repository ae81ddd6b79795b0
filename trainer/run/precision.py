"""In which precision networks are computed while they are trained."""

import torch


def autocast(device: torch.device, bf16: bool | None = None) -> torch.autocast:
    """bfloat16, if not said otherwise where the hardware multiplies it: on GPUs, and on processors with AMX.

    Elsewhere it would be slower.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=multiplies_bf16(device) if bf16 is None else bf16)


def multiplies_bf16(device: torch.device) -> bool:
    """Whether the hardware does; GPUs before Ampere (V100, T4) only imitate it, far slower than float32."""
    return torch.cuda.is_bf16_supported(including_emulation=False) if device.type == "cuda" else has_amx()


def has_amx() -> bool:
    """Whether this processor has Intel's matrix units, which multiply bfloat16 several times as fast as float32."""
    supported = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return supported is not None and bool(supported())

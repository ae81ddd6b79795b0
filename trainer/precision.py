"""In which precision networks are computed while they are trained."""

import torch


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 where the hardware multiplies it: on GPUs, and on processors with AMX. Elsewhere it would be slower."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type != "cpu" or has_amx())


def has_amx() -> bool:
    """Whether this processor has Intel's matrix units, which multiply bfloat16 several times as fast as float32."""
    supported = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return supported is not None and bool(supported())

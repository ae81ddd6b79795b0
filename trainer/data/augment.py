"""Masking, rolling and noise on spectrograms, for a batch on its device (SpecAugment, arXiv 1904.08779; AST).

Where several processes share a batch, each has its `share` of the examples; what is drawn is drawn for the whole batch.
"""

import torch
import torch.nn.functional as nnf
from torch import Tensor

from trainer.run.ranks.sharing import Share, whole


def mask_axis(
    log_mel: Tensor, axis: int, longest: int, generator: torch.Generator, share: Share | None = None
) -> Tensor:
    """Sets one run of 0 to `longest` places along `axis` to zero, the data mean, drawn anew for each example."""
    share, places = share or whole(len(log_mel)), log_mel.shape[axis]
    length = torch.randint(0, min(longest, places) + 1, (share.batch, 1), generator=generator)
    start = (torch.rand(share.batch, 1, generator=generator) * (places - length + 1)).long()
    position = torch.arange(places)[None]
    masked = ((position >= start) & (position < start + length))[share.rows].to(log_mel.device)
    shape = [len(log_mel), *[1] * (log_mel.ndim - 1)]
    shape[axis] = places
    return log_mel.masked_fill(masked.view(shape), 0.0)


def spec_augment(
    log_mel: Tensor, time: int, frequency: int, generator: torch.Generator, share: Share | None = None
) -> Tensor:
    """One time mask and one frequency mask on each example of (batch, frames, mels)."""
    return mask_axis(mask_axis(log_mel, 1, time, generator, share), 2, frequency, generator, share)


def equalise(
    log_mel: Tensor, most: float, floor: float, generator: torch.Generator, share: Share | None = None
) -> Tensor:
    """Adds a smooth random frequency response to each example of (batch, frames, mels), up to `most` either way.

    In log-mel a response is an offset a bin; nothing falls below `floor`, the value of silence, or rises from it.
    """
    share, mels = share or whole(len(log_mel)), log_mel.shape[2]
    points = most * (2 * torch.rand(share.batch, 1, 6, generator=generator) - 1)[share.rows]
    response = nnf.interpolate(points, size=mels, mode="linear", align_corners=True).to(log_mel.device)
    return torch.where(log_mel <= floor + 1e-4, log_mel, (log_mel + response).clamp_min(floor))


def roll_frames(log_mel: Tensor, most: int, generator: torch.Generator, share: Share | None = None) -> Tensor:
    """Each example of (batch, frames, mels) is rolled by up to `most` frames, either way and round the end."""
    share, frames = share or whole(len(log_mel)), log_mel.shape[1]
    shift = torch.randint(-most, most + 1, (share.batch, 1), generator=generator)[share.rows]
    source = ((torch.arange(frames)[None] - shift) % frames).to(log_mel.device)
    return log_mel.gather(1, source[..., None].expand_as(log_mel))


def add_noise(log_mel: Tensor, most: float, generator: torch.Generator, share: Share | None = None) -> Tensor:
    """Uniform noise from 0 to a level on every value; each example's level is drawn from 0 to `most`."""
    share = share or whole(len(log_mel))
    level = most * torch.rand(share.batch, 1, 1, generator=generator)
    noise = level * torch.rand(share.batch, *log_mel.shape[1:], generator=generator)
    return log_mel + noise[share.rows].to(log_mel.device)

"""GMML corruption: random blocks of a spectrogram are blanked or replaced (ASiT section 3, GMML arXiv
2205.14986).

Which blocks is drawn on the CPU from a generator, a few numbers an example, so that a seed gives the same
blocks on any device and on any number of processes; painting them is done for the whole batch at once on its
device.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from trainer.models.vit import PATCH

NOISE_STD = 0.5
"""Standard deviation of the noise fill: that of the data after the front end's (x - mean) / (2 std)."""

_WORD = 62
"""Blocks painted in one pass: one bit each of a 64-bit integer, sign bit left alone."""


@dataclass(frozen=True)
class CorruptionConfig:
    """How views are corrupted. Shares are of the view's area; the defaults are ASiT's (2024)."""

    ratio: tuple[float, float] = (0.5, 0.5)
    """Blocks are added until this share is covered, drawn uniformly between the two for each view."""
    fill: Literal["zero", "noise"] = "zero"
    """What blocks are filled with: zero is the data mean, noise is Gaussian with the data's deviation."""
    replace_probability: float = 0.5
    """Share of views whose blocks show another clean view of the batch instead."""
    replace_ratio: float = 0.3
    """Covered share of those views."""
    longest_side: float = 0.3
    """Sides of a block are drawn from 1 to less than this share of the axis."""
    aligned: bool = False
    """Blocks of whole patches instead of single frames and bins."""

    def __post_init__(self) -> None:
        low, high = self.ratio
        if not 0 <= low <= high <= 0.9 or not 0 <= self.replace_ratio <= 0.9:
            raise ValueError(f"ratios must lie in 0 to 0.9, low first (ratio {self.ratio}, {self.replace_ratio})")
        if not 0 < self.longest_side <= 1:
            raise ValueError(f"longest_side must lie in (0, 1], not {self.longest_side}")


@dataclass(frozen=True)
class CorruptionPlan:
    """What will be done to V views of each of B examples; on the CPU, shapes start with (V, B)."""

    blocks: Tensor
    """Top, left, bottom, right of each block, ends exclusive, int64 (V, B, blocks, 4)."""
    ratio: Tensor
    """Share of the area to cover, (V, B)."""
    replaced: Tensor
    """Whether the blocks show another view, bool (V, B)."""
    partner: Tensor
    """Which view that is, as a share of the views at hand, in [0, 1), (V, B)."""
    seed: int
    """Of the noise fill."""

    def part(self, first: int, last: int) -> "CorruptionPlan":
        """The plan for examples first to last - 1: what one process does of the whole batch."""
        part = slice(first, last)
        return CorruptionPlan(
            self.blocks[:, part],
            self.ratio[:, part],
            self.replaced[:, part],
            self.partner[:, part],
            self.seed + first,
        )


def draw_plan(
    config: CorruptionConfig, views: int, batch: int, size: tuple[int, int], generator: torch.Generator
) -> CorruptionPlan:
    """Draws the corruption of `views` views of `batch` examples of `size` (frames, bins)."""
    height, width = (side // PATCH for side in size) if config.aligned else size
    low, high = config.ratio
    shape = (views, batch)
    replaced = torch.rand(shape, generator=generator) < config.replace_probability
    drawn = low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)
    count = _enough_blocks(max(high, config.replace_ratio), config.longest_side)
    return CorruptionPlan(
        blocks=_draw_blocks((*shape, count), height, width, _longest_sides((height, width), config), generator),
        ratio=torch.where(replaced, config.replace_ratio, drawn),
        replaced=replaced,
        partner=torch.rand(shape, generator=generator, dtype=torch.float64),
        seed=int(torch.randint(2**62, (), generator=generator)),
    )


def corrupt(clean: Tensor, plan: CorruptionPlan, config: CorruptionConfig) -> tuple[Tensor, Tensor]:
    """Clean views (V, B, frames, bins) to (corrupted views, mask of the touched places), the same shape.

    The mask is bool, on the views' device; replaced places are masked too.
    """
    views = clean.flatten(0, 1)
    frames, bins = views.shape[1:]
    size = (frames // PATCH, bins // PATCH) if config.aligned else (frames, bins)
    blocks, ratio = plan.blocks.flatten(0, 1), plan.ratio.flatten()
    mask = paint_blocks(blocks.to(clean.device), size, ratio.to(clean.device))
    if config.aligned:
        mask = mask.repeat_interleave(PATCH, dim=1).repeat_interleave(PATCH, dim=2)
    partner = (plan.partner.flatten() * len(views)).long().to(clean.device)
    replaced = plan.replaced.flatten().to(clean.device)
    fill = torch.zeros_like(views)
    if config.fill == "noise":
        generator = torch.Generator(clean.device).manual_seed(plan.seed)
        fill.normal_(0.0, NOISE_STD, generator=generator)
    shown = torch.where(replaced[:, None, None], views[partner], fill)
    return torch.where(mask, shown, views).view_as(clean), mask.view(clean.shape)


def paint_blocks(blocks: Tensor, size: tuple[int, int], ratio: Tensor) -> Tensor:
    """Adds each example's blocks in their order until `ratio` of the area is covered.

    blocks (B, K, 4) as in `CorruptionPlan`, ratio (B,); returns bool (B, height, width). The block that
    reaches the ratio is the last one added, so the covered share is the ratio or a little more (less only if
    K blocks are too few).
    """
    mask = torch.zeros(len(blocks), *size, dtype=torch.bool, device=blocks.device)
    wanted = ratio * size[0] * size[1]
    for word in torch.split(blocks, _WORD, dim=1):
        mask = _add_until(mask, word, wanted)
        # On a GPU to ask would be to wait; a pass too many changes nothing.
        if mask.device.type == "cpu" and bool((mask.flatten(1).sum(dim=1) >= wanted).all()):
            break
    return mask


def _add_until(mask: Tensor, blocks: Tensor, wanted: Tensor) -> Tensor:
    """One pass of up to 62 blocks over mask (B, H, W); `wanted` is an area (B,).

    Every place gets a bit for each block over it; its lowest bit is the block that covers it first, so one
    histogram tells how the covered area grows from block to block, and no loop has to wait for the device.
    """
    count = blocks.shape[1]
    bit = 2 ** torch.arange(count, device=blocks.device)
    top, left, bottom, right = blocks[..., None].unbind(dim=2)
    y, x = (torch.arange(side, device=blocks.device) for side in mask.shape[1:])
    rows = (((top <= y) & (y < bottom)) * bit[:, None]).sum(dim=1)
    columns = (((left <= x) & (x < right)) * bit[:, None]).sum(dim=1)
    over = (rows[:, :, None] & columns[:, None, :]).masked_fill(mask, 0)
    first = over & -over
    order = torch.where(first > 0, (first.float().log2() + 0.5).long(), count).flatten(1)
    gained = torch.zeros(len(mask), count + 1, dtype=torch.int64, device=mask.device)
    gained.scatter_add_(1, order, torch.ones_like(order))
    gained = gained[:, :count]
    before = mask.flatten(1).sum(dim=1, keepdim=True) + gained.cumsum(dim=1) - gained
    added = (before < wanted[:, None]).sum(dim=1)
    return mask | ((first > 0) & (first < 2 ** added[:, None, None]))


def _draw_blocks(
    shape: tuple[int, ...], height: int, width: int, longest: Tensor, generator: torch.Generator
) -> Tensor:
    """Blocks (*shape, 4), drawn as the authors' code does: sides uniform from 1 to `longest` (height, width), corners
    anywhere but on the last row and column; what reaches over the end is cut off, so the end is covered most."""
    size = torch.tensor((height, width))
    uniform = torch.rand(*shape, 4, generator=generator, dtype=torch.float64)
    sides = 1 + (uniform[..., :2] * longest).long()
    start = (uniform[..., 2:] * (size - 1).clamp_min(1)).long()
    return torch.cat((start, torch.minimum(start + sides, size)), dim=-1)


def _longest_sides(size: tuple[int, int], config: CorruptionConfig) -> Tensor:
    """Of a block on a grid of that size, in its places. Of frames and bins the authors' code leaves out the longest."""
    most = (torch.tensor(size) * config.longest_side).long()
    return (most if config.aligned else most - 1).clamp_min(1)


def _enough_blocks(ratio: float, longest: float) -> int:
    """So many blocks that too few is out of the ordinary: four times what would do without edges."""
    return math.ceil(4 * -math.log(1 - ratio) / (longest / 2) ** 2) if ratio else 1

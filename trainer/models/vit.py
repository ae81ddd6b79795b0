"""The backbone: a plain pre-norm vision transformer on log-mel spectrograms (ASiT section 3).

Parameter names follow timm and DeiT (`patch_embed.proj`, `blocks.N.attn.qkv`, `blocks.N.mlp.fc1`, `norm`,
`pos_embed`, `cls_token`), so that published checkpoints load; how they are adapted lives in
`trainer.models.pretrained`. Shape suffixes: B batch, T time patches, F frequency patches, N = 1 + T*F tokens, D width.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

PATCH = 16
"""Side of a patch, frames and mel bins."""


@dataclass(frozen=True)
class ViTConfig:
    """Size of a backbone. `frames` and `mels` are the spectrogram it is made for; both multiples of 16."""

    width: int
    depth: int
    heads: int
    frames: int = 592
    mels: int = 128
    drop_path: float = 0.1
    stride: int = PATCH
    """Frames and bins from patch to patch; less than 16 makes them overlap, as AST does in fine-tuning."""

    def __post_init__(self) -> None:
        if not 0 < self.stride <= PATCH:
            raise ValueError(f"stride ({self.stride}) must be from 1 to {PATCH}")
        if self.frames < PATCH or self.mels < PATCH or self.frames % PATCH or self.mels % PATCH:
            raise ValueError(f"frames ({self.frames}) and mels ({self.mels}) must be positive multiples of {PATCH}")
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads})")

    @property
    def grid(self) -> tuple[int, int]:
        """(time patches, frequency patches)."""
        return patches(self.frames, self.stride), patches(self.mels, self.stride)


def patches(length: int, stride: int) -> int:
    """How many patches fit into that many frames or bins."""
    return (length - PATCH) // stride + 1


SIZES = {
    "nano": (128, 6, 4),
    "tiny": (192, 12, 3),
    "small": (384, 12, 6),
    "base": (768, 12, 12),
}
"""Width, depth and heads by name; tiny, small and base are the paper's, nano is ours for CPUs."""


def vit_config(size: str, frames: int, mels: int = 128, drop_path: float = 0.1) -> ViTConfig:
    """A named size. ValueError names the sizes that exist."""
    if size not in SIZES:
        raise ValueError(f"unknown model size {size!r}; known: {', '.join(SIZES)}")
    width, depth, heads = SIZES[size]
    return ViTConfig(width, depth, heads, frames, mels, drop_path)


class PatchEmbed(nn.Module):
    """Log-mel (B, frames, mels) to patch tokens (B, T*F, D), time outer, frequency inner."""

    def __init__(self, width: int, stride: int = PATCH) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, width, kernel_size=PATCH, stride=stride)

    def forward(self, log_mel: Tensor) -> Tensor:
        return self.proj(log_mel[:, None]).flatten(2).transpose(1, 2)  # type: ignore[no-any-return]


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Scaled dot-product attention, (..., N, C) each, in torch's fused kernel.

    Written out for bfloat16 on a CPU, where the fused kernel's backward pass takes as long as the rest of the network.
    """
    if query.device.type == "cpu" and query.dtype == torch.bfloat16:
        similarity = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
        return similarity.softmax(dim=-1).to(value.dtype) @ value
    return nnf.scaled_dot_product_attention(query, key, value)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x_BND: Tensor) -> Tensor:
        batch, tokens, width = x_BND.shape
        qkv = self.qkv(x_BND).reshape(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        attended = attend(qkv[0], qkv[1], qkv[2])
        return self.proj(attended.transpose(1, 2).reshape(batch, tokens, width))  # type: ignore[no-any-return]


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"gelu": nnf.gelu, "relu": nnf.relu}


class Mlp(nn.Module):
    def __init__(self, width: int, activation: str = "gelu") -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x_BND: Tensor) -> Tensor:
        return self.fc2(self.activation(self.fc1(x_BND)))  # type: ignore[no-any-return]


class DropPath(nn.Module):
    """Drops a residual branch for whole examples (stochastic depth, arXiv 1603.09382)."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, branch: Tensor) -> Tensor:
        if not self.training or self.probability == 0.0:
            return branch
        keep = 1.0 - self.probability
        kept = torch.rand(branch.shape[0], *[1] * (branch.ndim - 1), device=branch.device) < keep
        return branch * kept / keep


class Block(nn.Module):
    def __init__(self, width: int, heads: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)
        self.drop_path = DropPath(drop_path)

    def forward(self, x_BND: Tensor) -> Tensor:
        x_BND = x_BND + self.drop_path(self.attn(self.norm1(x_BND)))
        return x_BND + self.drop_path(self.mlp(self.norm2(x_BND)))  # type: ignore[no-any-return]


class ViT(nn.Module):
    """Log-mel (B, frames, mels) to normalised tokens (B, 1 + T*F, D); token 0 is the class token."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.config = config
        time, frequency = config.grid
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + time * frequency, config.width))
        self.patch_embed = PatchEmbed(config.width, config.stride)
        rates = [config.drop_path * block / max(config.depth - 1, 1) for block in range(config.depth)]
        self.blocks = nn.ModuleList(Block(config.width, config.heads, rate) for rate in rates)
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        self.apply(initialise)

    def forward(self, log_mel: Tensor, encoded_BK: Tensor | None = None) -> Tensor:
        """`encoded_BK`: numbers of the patches to encode, each at its place; the others are as if they were not there,
        and the tokens are (B, 1 + K, D). None is all of them.
        """
        x_BND = self.patch_embed(log_mel)
        stride = self.config.stride
        positions = self._positions(patches(log_mel.shape[1], stride), patches(log_mel.shape[2], stride))
        x_BND = torch.cat((self.cls_token.expand(x_BND.shape[0], -1, -1), x_BND), dim=1) + positions
        if encoded_BK is not None:
            encoded = x_BND[:, 1:].gather(1, encoded_BK[..., None].expand(-1, -1, x_BND.shape[-1]))
            x_BND = torch.cat((x_BND[:, :1], encoded), dim=1)
        for block in self.blocks:
            x_BND = block(x_BND)
        return self.norm(x_BND)  # type: ignore[no-any-return]

    def _positions(self, time: int, frequency: int) -> Tensor:
        """Positions for a spectrogram of that many patches; stretched if it is not the native size."""
        if (time, frequency) == self.config.grid:
            return self.pos_embed
        return stretch_positions(self.pos_embed, self.config.grid, (time, frequency))


def stretch_positions(pos_embed: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Position embeddings (1, 1 + T*F, D) from one (T, F) grid to another by bicubic interpolation."""
    cls, grid = pos_embed[:, :1], pos_embed[:, 1:]
    image = grid.reshape(1, *old, -1).permute(0, 3, 1, 2)
    image = nnf.interpolate(image, size=new, mode="bicubic", align_corners=False)
    return torch.cat((cls, image.permute(0, 2, 3, 1).flatten(1, 2)), dim=1)


def initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)

"""The streaming student: a block-causal vision transformer that computes every patch of sound once.

Tokens are time-major. A chunk of a few time steps attends to itself in both directions and to a limited past; what it
needs of the past are the keys and values of earlier steps, kept in caches of fixed shape. Keys are cached before the
rotation by time (RoPE, arXiv 2104.09864) and rotated by their place in the cache, so nothing grows with a stream's
age. Frequency tokens are merged in pairs between stages, where sizes say so. One forward serves both ways of running:
a whole recording under a mask (training, evaluation) and one chunk with its memory (device).

Shape suffixes: B batch, S time steps of 16 frames, F frequency tokens, N = S*F tokens, D width, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from trainer.vit import PATCH, DropPath, Mlp, PatchEmbed, initialise

STEP = PATCH
"""Frames of one time step (160 ms at 10 ms a frame): the finest time at which the model decides."""

ROTARY_BASE = 100.0
"""Wavelengths of the rotation, from about 6 steps to some 600: a context of tens of steps needs no longer ones."""

STEM_PAST = STEP
"""Frames of past that the convolutional stem looks at; its receptive field is 15 frames beyond a step's own."""


@dataclass(frozen=True)
class Stage:
    """Blocks of one width; `context` is how many time steps of the past each token attends to."""

    width: int
    depth: int
    heads: int
    context: int


@dataclass(frozen=True)
class StreamConfig:
    """Size of a streaming model. Between two stages neighbouring frequency tokens are merged in pairs."""

    stages: tuple[Stage, ...]
    stem: tuple[int, ...] = ()
    """Channels of the 3x3 convolutions, of stride 2, before the last one; empty: one 16x16 patch projection (ASiT)."""
    chunk: int = 2
    """Time steps that are heard together: 2 are 0.32 s."""
    mels: int = 128
    drop_path: float = 0.05

    def __post_init__(self) -> None:
        tokens = self.mels // PATCH
        if self.mels % PATCH or tokens % 2 ** (len(self.stages) - 1):
            raise ValueError(f"{self.mels} mel bins do not divide into patches for {len(self.stages)} stages")
        if self.stem and len(self.stem) != 3:
            raise ValueError(f"stem must have 3 widths (a fourth layer makes the tokens), got {len(self.stem)}")
        if not 1 <= self.chunk <= 6:
            raise ValueError(f"chunk must be from 1 to 6 time steps (0.16 to 0.96 s), got {self.chunk}")
        for stage in self.stages:
            if stage.width % stage.heads or stage.width // stage.heads % 2:
                raise ValueError(f"width {stage.width} does not divide into {stage.heads} heads of even size")
            if stage.context < 0:
                raise ValueError("context must not be negative")

    @property
    def layers(self) -> list[tuple[Stage, int]]:
        """Every block's stage and its frequency tokens, in order."""
        tokens = self.mels // PATCH
        return [(stage, tokens >> index) for index, stage in enumerate(self.stages) for _ in range(stage.depth)]

    @property
    def frames(self) -> int:
        """Frames of a chunk."""
        return self.chunk * STEP

    @property
    def receptive_steps(self) -> int:
        """How many time steps before a chunk can matter to its scores.

        Each layer reaches its context back from the start of the chunk; older keys were made with their own chunk.
        """
        reach = 0
        for stage, _ in self.layers:
            reach += -(-stage.context // self.chunk) * self.chunk
        return reach + (1 if self.stem else 0)


SIZES = {
    "nano": StreamConfig(
        stages=(Stage(96, 2, 3, 8), Stage(160, 2, 5, 16), Stage(224, 2, 7, 24)), stem=(16, 32, 64)
    ),
    "tiny": StreamConfig(stages=(Stage(192, 12, 3, 24),)),
}
"""`tiny` is the paper's ViT-Tiny made causal, context 3.84 s; `nano` is ours, for processors without a GPU."""


class Logits(NamedTuple):
    """`frames` (B, S, K): is it sounding in this step; `chunks` (B, S / chunk, K): was it heard in the last seconds."""

    frames: Tensor
    chunks: Tensor


Memory = list[Tensor]
"""What a stream leaves behind: the stem's frames (B, 16, mels) if it has one, then each layer's keys and values
(B, context * F, 2 * D)."""


class Stem(nn.Module):
    """Log-mel (B, 16 + frames, mels), the first 16 frames being past, to tokens (B, S*F, D): four strided convolutions.

    Finer than one projection a patch, and learned from much less data. Causal: padded on the left only.
    """

    def __init__(self, widths: Sequence[int], width: int) -> None:
        super().__init__()
        channels = [1, *widths, width]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2) for before, after in zip(channels, channels[1:], strict=False)
        )

    def forward(self, log_mel: Tensor) -> Tensor:
        x_BCSF = log_mel[:, None]
        for index, convolution in enumerate(self.convolutions):
            x_BCSF = convolution(nnf.pad(x_BCSF if index == 0 else nnf.gelu(x_BCSF), (1, 0, 1, 0)))
        return x_BCSF[:, :, 1:].flatten(2).transpose(1, 2)


class StreamAttention(nn.Module):
    """Attention of a chunk's tokens to themselves and to the cached past; names as in `trainer.vit`."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x_BND: Tensor, past: Tensor | None, tokens: int, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """`tokens` a time step. Returns the output and all keys and values, past and new, (B, past + N, 2 * D)."""
        width = x_BND.shape[2]
        query, new = self.qkv(x_BND).split((width, 2 * width), dim=2)
        known = new if past is None else torch.cat((past.to(new.dtype), new), dim=1)
        key, value = known.split((width, width), dim=2)
        before = (known.shape[1] - new.shape[1]) // tokens
        query = rotate(self._by_head(query), tokens, before) * (width // self.heads) ** -0.5
        key = rotate(self._by_head(key), tokens, 0)
        # Written out: on CPUs the fused kernel's backward pass takes longer than all the rest of the model.
        similarity = query @ key.transpose(2, 3)
        if mask is not None:
            similarity = similarity.masked_fill(mask, -torch.inf)
        attended = similarity.softmax(dim=-1) @ self._by_head(value)
        return self.proj(attended.transpose(1, 2).flatten(2)), known

    def _by_head(self, x_BND: Tensor) -> Tensor:
        return x_BND.unflatten(2, (self.heads, -1)).transpose(1, 2)


def rotate(x_BHNC: Tensor, tokens: int, first: int) -> Tensor:
    """Rotates each head's channels, in pairs (i, i + C/2), by the time step of the token, counted from `first`."""
    steps, half = x_BHNC.shape[2] // tokens, x_BHNC.shape[3] // 2
    wavelengths = ROTARY_BASE ** (torch.arange(half, device=x_BHNC.device, dtype=torch.float32) / half)
    times = torch.arange(first, first + steps, device=x_BHNC.device, dtype=torch.float32)
    angles_NC = (times[:, None] / wavelengths).repeat_interleave(tokens, dim=0)
    cos, sin = angles_NC.cos().to(x_BHNC.dtype), angles_NC.sin().to(x_BHNC.dtype)
    even, odd = x_BHNC.split((half, half), dim=3)
    return torch.cat((even * cos - odd * sin, even * sin + odd * cos), dim=3)


class StreamBlock(nn.Module):
    def __init__(self, width: int, heads: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = StreamAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)
        self.drop_path = DropPath(drop_path)

    def forward(self, x_BND: Tensor, past: Tensor | None, tokens: int, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        attended, known = self.attn(self.norm1(x_BND), past, tokens, mask)
        x_BND = x_BND + self.drop_path(attended)
        return x_BND + self.drop_path(self.mlp(self.norm2(x_BND))), known


class Merge(nn.Module):
    """Neighbouring frequency tokens (B, N, D) become one of another width (B, N / 2, E)."""

    def __init__(self, width: int, wider: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(2 * width, eps=1e-6)
        self.proj = nn.Linear(2 * width, wider)

    def forward(self, x_BND: Tensor) -> Tensor:
        return self.proj(self.norm(x_BND.unflatten(1, (-1, 2)).flatten(2)))  # type: ignore[no-any-return]


class StreamViT(nn.Module):
    """Log-mel (B, frames, mels), frames a multiple of the chunk, to logits for every time step and every chunk."""

    def __init__(self, config: StreamConfig, classes: int, silence: float) -> None:
        """`silence` is the log-mel value of digital silence, `FrontEnd.silence`."""
        super().__init__()
        self.config = config
        self.silence = silence
        first, last = config.stages[0], config.stages[-1]
        self.patch_embed = Stem(config.stem, first.width) if config.stem else PatchEmbed(first.width)
        self.frequency_embed = nn.Parameter(torch.zeros(config.mels // PATCH, first.width))
        depth = len(config.layers)
        self.blocks = nn.ModuleList(
            StreamBlock(stage.width, stage.heads, config.drop_path * index / max(depth - 1, 1))
            for index, (stage, _) in enumerate(config.layers)
        )
        widths = [stage.width for stage in config.stages]
        self.merges = nn.ModuleList(Merge(*pair) for pair in zip(widths, widths[1:], strict=False))
        self.norm = nn.LayerNorm(last.width, eps=1e-6)
        embedding = config.layers[-1][1] * last.width
        self.frame_head = nn.Linear(embedding, classes)
        self.chunk_head = nn.Linear(embedding, classes)
        nn.init.trunc_normal_(self.frequency_embed, std=0.02)
        self.apply(initialise)

    def forward(self, log_mel: Tensor, memory: Memory | None = None) -> tuple[Logits, Memory]:
        """Without a memory there is no past: the stem sees silence before the beginning, attention nothing.

        Returns the logits and the memory after the last frame; the memory has its full shape only if one was given.
        """
        steps, chunk = log_mel.shape[1] // STEP, self.config.chunk
        caches = list(memory) if memory is not None else None
        remembered: Memory = []
        if self.config.stem:
            past = caches.pop(0) if caches is not None else log_mel.new_full((1,), self.silence).expand(
                log_mel.shape[0], STEM_PAST, log_mel.shape[2]
            )
            log_mel = torch.cat((past, log_mel), dim=1)
            remembered.append(log_mel[:, -STEM_PAST:])
        x_BND = self.patch_embed(log_mel)
        x_BND = x_BND.float() + self.frequency_embed.repeat(steps, 1)
        width, masks = self.config.stages[0], {}
        for index, (stage, tokens) in enumerate(self.config.layers):
            if stage is not width:
                x_BND = self.merges[self.config.stages.index(stage) - 1](x_BND)
                width = stage
            cache = caches[index] if caches is not None else None
            before = stage.context if cache is not None else 0
            if stage not in masks:
                masks[stage] = attention_mask(steps, before, stage.context, chunk, tokens, x_BND.device)
            x_BND, known = self.blocks[index](x_BND, cache, tokens, masks[stage])
            remembered.append(known[:, known.shape[1] - min(stage.context * tokens, known.shape[1]) :])
        embedded_BSD = self.norm(x_BND).unflatten(1, (steps, -1)).flatten(2)
        chunks = embedded_BSD.unflatten(1, (-1, chunk)).mean(dim=2)
        return Logits(self.frame_head(embedded_BSD), self.chunk_head(chunks)), remembered

    def empty_memory(self, batch: int = 1) -> Memory:
        """Frames of silence and caches of zeros: the shapes of a memory, not yet the state after silence."""
        weight = self.frame_head.weight
        frames = [weight.new_full((batch, STEM_PAST, self.config.mels), self.silence)] if self.config.stem else []
        return frames + [
            weight.new_zeros(batch, stage.context * tokens, 2 * stage.width) for stage, tokens in self.config.layers
        ]

    @torch.no_grad()
    def silent_memory(self) -> Memory:
        """The memory (batch 1) of a stream that has heard digital silence for ever."""
        frames = self.frame_head.weight.new_full((1, self.config.frames, self.config.mels), self.silence)
        memory = self.empty_memory()
        for _ in range(-(-self.config.receptive_steps // self.config.chunk) + 1):
            memory = self(frames, memory)[1]
        return memory


def attention_mask(
    steps: int, before: int, context: int, chunk: int, tokens: int, device: torch.device
) -> Tensor | None:
    """Which keys each query must not see, (steps * tokens, (before + steps) * tokens); None if it may see all.

    A query sees its own chunk and the `context` steps before the chunk. `before` steps of past stand ahead of the
    queries' own steps among the keys.
    """
    if steps == chunk and before == context:
        return None
    query = torch.arange(steps, device=device)
    start = before + query // chunk * chunk
    key = torch.arange(before + steps, device=device)
    hidden = (key < start[:, None] - context) | (key >= start[:, None] + chunk)
    return hidden.repeat_interleave(tokens, dim=0).repeat_interleave(tokens, dim=1)

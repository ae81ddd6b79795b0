"""The streaming student: a block-causal vision transformer that computes every patch of sound once.

Tokens are time-major. A chunk of a few time steps attends to itself in both directions and to a limited past; what it
needs of the past are the keys and values of earlier steps, kept in caches of fixed shape. Positions in time are
relative (a learned bias by distance, arXiv 1910.10683), so nothing grows with a stream's age. Frequency tokens are
merged in pairs between stages, where sizes say so. One forward serves both ways of running: a whole recording under a
mask (training, evaluation) and one chunk with its memory (device).

Shape suffixes: B batch, S time steps of 16 frames, F frequency tokens, N = S*F tokens, D width, H heads, K classes.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from trainer.models.vit import ACTIVATIONS, PATCH, DropPath, Mlp, PatchEmbed, initialise

STEP = PATCH
"""Frames of one time step (160 ms at 10 ms a frame): the finest time at which the model decides."""

LONGEST_CHUNK = 6
"""Time steps, 0.96 s."""

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
    activation: Literal["gelu", "relu"] = "gelu"
    """GELU as in the paper; ReLU costs a processor a third of it."""

    def __post_init__(self) -> None:
        tokens = self.mels // PATCH
        if self.mels % PATCH or tokens % 2 ** (len(self.stages) - 1):
            raise ValueError(f"{self.mels} mel bins do not divide into patches for {len(self.stages)} stages")
        if self.stem and len(self.stem) != 3:
            raise ValueError(f"stem must have 3 widths (a fourth layer makes the tokens), got {len(self.stem)}")
        if not 1 <= self.chunk <= LONGEST_CHUNK:
            raise ValueError(f"chunk must be from 1 to {LONGEST_CHUNK} time steps (0.16 to 0.96 s), got {self.chunk}")
        for stage in self.stages:
            if stage.width % stage.heads:
                raise ValueError(f"width {stage.width} does not divide into {stage.heads} heads")
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


def stream_config(plain: Mapping[str, Any]) -> StreamConfig:
    """From built-in types, as `asdict` gives them and a checkpoint holds them.

    Raises KeyError, TypeError or ValueError if they are none.
    """
    values = dict(plain)
    stages = tuple(Stage(**stage) for stage in values.pop("stages"))
    return StreamConfig(stages=stages, stem=tuple(values.pop("stem")), **values)


SIZES = {
    "nano": StreamConfig(
        stages=(Stage(96, 2, 3, 8), Stage(160, 2, 5, 16), Stage(224, 2, 7, 24)), stem=(16, 32, 64), activation="relu"
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
(B, 2 * H, context * F, D / H)."""


class Stem(nn.Module):
    """Log-mel (B, 16 + frames, mels), the first 16 frames being past, to tokens (B, S*F, D): four strided convolutions.

    Finer than one projection a patch, and learned from much less data. Causal: padded on the left only.
    """

    def __init__(self, widths: Sequence[int], width: int, activation: str) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        channels = [1, *widths, width]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2) for before, after in itertools.pairwise(channels)
        )

    def forward(self, log_mel: Tensor) -> Tensor:
        x_BCSF = log_mel[:, None]
        for index, convolution in enumerate(self.convolutions):
            x_BCSF = convolution(nnf.pad(x_BCSF if index == 0 else self.activation(x_BCSF), (1, 0, 1, 0)))
        return x_BCSF[:, :, 1:].flatten(2).transpose(1, 2)


class StreamAttention(nn.Module):
    """Attention of a chunk's tokens to themselves and to the cached past; names as in `trainer.models.vit`.

    What a query thinks of a key depends, beside what they hold, on how far apart they are in time (`time_bias`, from
    the longest distance ahead to the longest back) and on their two frequencies (`frequency_bias`).
    """

    def __init__(self, width: int, heads: int, tokens: int, context: int) -> None:
        super().__init__()
        self.heads, self.tokens, self.context = heads, tokens, context
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.time_bias = nn.Parameter(torch.zeros(heads, context + 2 * LONGEST_CHUNK - 1))
        self.frequency_bias = nn.Parameter(torch.zeros(heads, tokens, tokens))

    def forward(self, x_BND: Tensor, past: Tensor | None, hidden_SS: Tensor | None) -> tuple[Tensor, Tensor]:
        """`past` (B, 2H, M, C) are cached keys and values; `hidden_SS` says which time steps are not for a query.

        Returns the output and all keys and values, past and new, (B, 2H, M + N, C).
        """
        heads = self.heads
        qkv = self.qkv(x_BND).unflatten(2, (3 * heads, -1)).transpose(1, 2)
        query, new = qkv.split((heads, 2 * heads), dim=1)
        known = new if past is None else torch.cat((past.to(new.dtype), new), dim=2)
        key, value = known.split((heads, heads), dim=1)
        # Written out: on CPUs the fused kernel's backward pass takes longer than all the rest of the model.
        similarity = query @ key.transpose(2, 3) * query.shape[3] ** -0.5
        bias = self.bias(query.shape[2] // self.tokens, key.shape[2] // self.tokens, hidden_SS)
        attended = (similarity + bias.to(similarity.dtype)).softmax(dim=-1) @ value
        return self.proj(attended.transpose(1, 2).flatten(2)), known

    def bias(self, queries: int, keys: int, hidden_SS: Tensor | None) -> Tensor:
        """Added to similarities, (H, queries * F, keys * F); the queries are the last of the keys' time steps."""
        query = torch.arange(keys - queries, keys, device=self.time_bias.device)[:, None]
        distance = query - torch.arange(keys, device=self.time_bias.device)
        place = (distance + LONGEST_CHUNK - 1).clamp(0, self.time_bias.shape[1] - 1)
        time_HSS = self.time_bias[:, place]
        if hidden_SS is not None:
            time_HSS = time_HSS.masked_fill(hidden_SS, -torch.inf)
        both = time_HSS[:, :, None, :, None] + self.frequency_bias[:, None, :, None, :]
        return both.flatten(3, 4).flatten(1, 2)


class StreamBlock(nn.Module):
    def __init__(self, stage: Stage, tokens: int, activation: str, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(stage.width, eps=1e-6)
        self.attn = StreamAttention(stage.width, stage.heads, tokens, stage.context)
        self.norm2 = nn.LayerNorm(stage.width, eps=1e-6)
        self.mlp = Mlp(stage.width, activation)
        self.drop_path = DropPath(drop_path)

    def forward(self, x_BND: Tensor, past: Tensor | None, hidden_SS: Tensor | None) -> tuple[Tensor, Tensor]:
        attended, known = self.attn(self.norm1(x_BND), past, hidden_SS)
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
        self.patch_embed = Stem(config.stem, first.width, config.activation) if config.stem else PatchEmbed(first.width)
        self.frequency_embed = nn.Parameter(torch.zeros(config.mels // PATCH, first.width))
        depth = len(config.layers)
        self.blocks = nn.ModuleList(
            StreamBlock(stage, tokens, config.activation, config.drop_path * index / max(depth - 1, 1))
            for index, (stage, tokens) in enumerate(config.layers)
        )
        widths = [stage.width for stage in config.stages]
        self.merges = nn.ModuleList(Merge(*pair) for pair in itertools.pairwise(widths))
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
        embedded_BSD, remembered = self.embed(log_mel, memory)
        return self.classify(embedded_BSD), remembered

    def classify(self, embedded_BSD: Tensor) -> Logits:
        """What `embed` makes of time steps, to logits."""
        chunks = embedded_BSD.unflatten(1, (-1, self.config.chunk)).mean(dim=2)
        return Logits(self.frame_head(embedded_BSD), self.chunk_head(chunks))

    def embed(self, log_mel: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """As `forward`, up to the heads: (B, S, F * D of the last stage)."""
        steps, chunk = log_mel.shape[1] // STEP, self.config.chunk
        caches = list(memory) if memory is not None else None
        remembered: Memory = []
        if self.config.stem:
            past = (
                caches.pop(0)
                if caches is not None
                else log_mel.new_full((1,), self.silence).expand(log_mel.shape[0], STEM_PAST, log_mel.shape[2])
            )
            log_mel = torch.cat((past, log_mel), dim=1)
            remembered.append(log_mel[:, -STEM_PAST:])
        x_BND = self.patch_embed(log_mel)
        x_BND = x_BND.float() + self.frequency_embed.repeat(steps, 1)
        current = self.config.stages[0]
        for index, (stage, tokens) in enumerate(self.config.layers):
            if stage is not current:
                x_BND, current = self.merges[self.config.stages.index(stage) - 1](x_BND), stage
            cache = caches[index] if caches is not None else None
            hidden = hidden_steps(steps, stage.context, chunk, cache is not None, x_BND.device)
            x_BND, known = self.blocks[index](x_BND, cache, hidden)
            kept = min(stage.context * tokens, known.shape[2])
            remembered.append(known[:, :, known.shape[2] - kept :])
        return self.norm(x_BND).unflatten(1, (steps, -1)).flatten(2), remembered

    @property
    def embedding(self) -> int:
        """Numbers that `embed` gives for a time step."""
        return self.frame_head.in_features

    @property
    def cache_names(self) -> list[str]:
        """In the order of the memory."""
        stem = ["frames"] if self.config.stem else []
        return stem + [f"layer{index}" for index in range(len(self.config.layers))]

    def empty_memory(self, batch: int = 1) -> Memory:
        """Frames of silence and caches of zeros: the shapes of a memory, not yet the state after silence."""
        weight = self.frame_head.weight
        frames = [weight.new_full((batch, STEM_PAST, self.config.mels), self.silence)] if self.config.stem else []
        return frames + [
            weight.new_zeros(batch, 2 * stage.heads, stage.context * tokens, stage.width // stage.heads)
            for stage, tokens in self.config.layers
        ]

    @torch.no_grad()
    def silent_memory(self) -> Memory:
        """The memory (batch 1) of a stream that has heard digital silence for ever."""
        frames = self.frame_head.weight.new_full((1, self.config.frames, self.config.mels), self.silence)
        memory = self.empty_memory()
        for _ in range(-(-self.config.receptive_steps // self.config.chunk) + 1):
            memory = self(frames, memory)[1]
        return memory


def hidden_steps(steps: int, context: int, chunk: int, remembers: bool, device: torch.device) -> Tensor | None:
    """Which time steps each query step must not see, (steps, past + steps); None if it may see all.

    A query sees its own chunk and the `context` steps before the chunk. With a memory, `context` steps of past stand
    ahead of the queries' own steps.
    """
    past = context if remembers else 0
    if steps == chunk and past == context:
        return None
    start = past + torch.arange(steps, device=device)[:, None] // chunk * chunk
    key = torch.arange(past + steps, device=device)
    return (key < start - context) | (key >= start + chunk)

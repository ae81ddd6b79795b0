"""The warm-started streaming student: an EfficientAT MobileNet made to stream, an ASiT transformer on top.

The convolutions are those of a published teacher (`trainer.models.mobilenet`), whose weights load as they are. The
first ones are computed once for every chunk: within it they look both ways, of what was before it they find the last
columns in caches, and squeeze-excitation averages over the last second instead of a whole clip. The later ones, which
look far to both sides, are computed over a window of the columns that the first ones made, anew with every chunk. What
they see is judged by the teacher's own classifier, which is the starting point, and by a block-causal transformer (the
blocks of `trainer.models.streaming_vit`) that corrects it with ten seconds of past.

Shape suffixes: B batch, N chunks, Z = B*N, C channels, F rows (frequency), T columns (time), S time steps, D width,
K classes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from asit_edge.model.frontend import FrontEnd
from trainer.models.chunked import ALIGNED, classifier_of, folded, out_channels, packed, through
from trainer.models.mobilenet import MobileNet
from trainer.models.streaming_vit import STEP, Logits, Memory, Stage, StreamBlock, hidden_steps
from trainer.models.teacher_picture import TeacherPicture
from trainer.models.vit import initialise

CHUNK = 2
"""Time steps of a chunk: 32 frames, which all strides together make one column of."""

HALF_STRIDE = 13
"""The first layer whose columns are 32 frames apart; before it they are a time step apart."""


FIRST = 7
"""Layers that never learn: they see 0.2 s at most."""


@dataclass(frozen=True)
class WarmConfig:
    """Size of a warm-started student. Its weights fit any `split` and `window`."""

    split: int = 7
    """The first layer of the MobileNet (of 17) that is computed over windows; 7 has columns of 80 ms, 13 of 160 ms."""
    window: int = 128
    """Frames of a window, in whole chunks."""
    squeezed: int = 4
    """Chunks over which squeeze-excitation averages before the split: 1.28 s."""
    judged: int = 2
    """Columns that the teacher's classifier judges together, the last of a window: 0.64 s. More tell better what a
    sound is, and fewer when it is over."""
    trunk: float = 0.4
    """Width of the MobileNet."""
    width: int = 192
    depth: int = 3
    heads: int = 3
    context: int = 62
    """Time steps of the past that a token attends to: 9.92 s."""
    mels: int = 103
    drop_path: float = 0.05
    chunk: int = CHUNK

    def __post_init__(self) -> None:
        if self.split not in (7, HALF_STRIDE):
            raise ValueError(f"split must be 7 or {HALF_STRIDE}, got {self.split}")
        if self.window % self.frames or self.window < 2 * self.frames:
            raise ValueError(f"window must be two or more chunks of {self.frames} frames, got {self.window}")
        if not 1 <= self.judged <= self.window // self.frames:
            raise ValueError(f"judged must be from 1 to {self.window // self.frames} columns, got {self.judged}")
        if self.chunk != CHUNK:
            raise ValueError(f"chunk must be {CHUNK} (one column of the convolutions), got {self.chunk}")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} does not divide into {self.heads} heads")

    @property
    def frames(self) -> int:
        """Frames of a chunk."""
        return self.chunk * STEP

    @property
    def columns(self) -> int:
        """Columns of a chunk where the windows begin."""
        return self.frames // (8 if self.split == 7 else 16)

    @property
    def stage(self) -> Stage:
        return Stage(self.width, self.depth, self.heads, self.context)


def warm_config(plain: Mapping[str, Any]) -> WarmConfig:
    """From built-in types, as `asdict` gives them and a checkpoint holds them."""
    return WarmConfig(**plain)


WARM_SIZES = {
    "warm-tiny": WarmConfig(),
    "warm-nano": WarmConfig(split=HALF_STRIDE, depth=1),
}


class StreamMobile(nn.Module):
    """Log-mel (B, frames, mels), frames a multiple of the chunk, to logits for every time step and every chunk."""

    def __init__(self, config: WarmConfig, classes: int, spec: FrontEnd) -> None:
        super().__init__()
        self.config = config
        self.silence = spec.silence
        self.picture = TeacherPicture(spec)
        teacher = MobileNet(config.trunk, classes)
        self.features = folded(teacher.features)
        self.hidden, self.frame_head = classifier_of(teacher)
        seen, halves = self.hidden.in_features, out_channels(list(self.features)[HALF_STRIDE - 1])
        self.token = nn.Linear(2 * seen + halves, config.width)
        self.blocks = nn.ModuleList(
            StreamBlock(config.stage, 1, "relu", config.drop_path * index / max(config.depth - 1, 1))
            for index in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self.correction = nn.Linear(config.width, classes)
        self.chunk_head = nn.Linear(config.width, classes)
        with torch.no_grad():
            silence = torch.full((1, config.frames, config.mels), self.silence)
            self.kept_shapes = [tuple(cache.shape[1:]) for cache in self.convolve(silence, None)[2]]
        for part in (self.token, self.blocks, self.chunk_head):
            part.apply(initialise)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)

    @torch.no_grad()
    def begin_with(self, teacher: MobileNet, rows: Sequence[int]) -> None:
        """Takes over a teacher's convolutions and, of its classifier, those rows, one a class of this model."""
        self.features.load_state_dict(folded(teacher.features).state_dict())
        hidden, head = classifier_of(teacher)
        self.hidden.load_state_dict(hidden.state_dict())
        self.frame_head.weight.copy_(head.weight[list(rows)])
        self.frame_head.bias.copy_(head.bias[list(rows)])

    def learn_convolutions(self, learn: bool) -> None:
        """Whether the convolutions over windows, and the classifier's hidden layer, learn.

        The first ones, which see no more than edges and tones, stay as they were; that halves a step.
        """
        layers = list(self.features)
        for part in (*layers[FIRST:], self.hidden):
            part.requires_grad_(learn)
        for part in (*layers[:FIRST], self.picture):
            part.requires_grad_(False)

    def forward(self, log_mel: Tensor, memory: Memory | None = None) -> tuple[Logits, Memory]:
        """Without a memory the convolutions have heard silence before, and attention nothing.

        Returns the logits and the memory after the last frame; the memory has its full shape only if one was given.
        """
        embedded, remembered = self.embed(log_mel, memory)
        return self.classify(embedded), remembered

    def classify(self, embedded_BSD: Tensor) -> Logits:
        """What `embed` makes of time steps, to logits."""
        hidden, corrected = embedded_BSD.split((self.hidden.out_features, self.config.width), dim=2)
        frames = self.frame_head(hidden) + self.correction(corrected)
        return Logits(frames, self.chunk_head(corrected.unflatten(1, (-1, self.config.chunk)).mean(dim=2)))

    def embed(self, log_mel: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """(B, S, hidden + D): what the teacher's classifier and what the transformer makes of it, side by side."""
        chunk = self.config.chunk
        caches = list(memory) if memory is not None else None
        known = self.unpacked(caches.pop(0)) if caches is not None else None
        seen_BND, halves_BSC, kept = self.convolve(log_mel, known)
        remembered = [packed(kept)]
        judged_BNC, seen_BND = seen_BND.split((self.hidden.in_features, 2 * self.hidden.in_features), dim=2)
        hidden_BND = nnf.hardswish(self.hidden(judged_BNC))
        x_BSD = self.token(torch.cat((seen_BND.repeat_interleave(chunk, dim=1), halves_BSC), dim=2))
        for block in self.blocks:
            cache = caches.pop(0) if caches is not None else None
            hidden_SS = hidden_steps(x_BSD.shape[1], self.config.context, chunk, cache is not None, x_BSD.device)
            x_BSD, pairs = block(x_BSD, cache, hidden_SS)
            last = min(self.config.context, pairs.shape[2])
            remembered.append(pairs[:, :, pairs.shape[2] - last :])
        return torch.cat((hidden_BND.repeat_interleave(chunk, dim=1), self.norm(x_BSD)), dim=2), remembered

    def convolve(self, log_mel: Tensor, caches: Memory | None) -> tuple[Tensor, Tensor, Memory]:
        """What the convolutions see, and their new caches; the old ones are taken off `caches`.

        Of every chunk the means of the columns that are judged and of its whole window, and its last column (B, N, 3C);
        of every time step the columns before the last stride (B, S, C').
        """
        config, batch = self.config, log_mel.shape[0]
        lead = 0 if caches is not None else config.window // config.frames - 1
        if lead:
            log_mel = nnf.pad(log_mel, (0, 0, lead * config.frames, 0), value=self.silence)
        chunks = log_mel.shape[1] // config.frames
        picture_BTF = self.picture(log_mel)
        x = picture_BTF.unflatten(1, (-1, config.frames)).flatten(0, 1).transpose(1, 2)[:, None]
        remembered: Memory = []
        layers = list(self.features)
        for layer in layers[: config.split]:
            x = through(layer, x, chunks, config.squeezed, caches, remembered)
        columns_BCFT = x if chunks == 1 else x.unflatten(0, (batch, -1)).permute(0, 2, 3, 1, 4).flatten(3)
        if caches is not None:
            columns_BCFT = torch.cat((caches.pop(0), columns_BCFT), dim=3)
        window = config.window // config.frames * config.columns
        remembered.append(columns_BCFT[..., columns_BCFT.shape[3] - window + config.columns :])
        x = columns_BCFT
        if chunks > 1:
            x = x.unfold(3, window, config.columns).permute(0, 3, 1, 2, 4).flatten(0, 1)
            x = x.contiguous(memory_format=torch.channels_last)
        for layer in layers[config.split : HALF_STRIDE]:
            x = layer(x)
        halves_BSC = x[..., -config.chunk :].mean(dim=2).unflatten(0, (batch, -1)).transpose(2, 3).flatten(1, 2)
        for layer in layers[HALF_STRIDE:]:
            x = layer(x)
        rows = x.mean(dim=2)
        judged = rows[..., -config.judged :].mean(dim=2)
        seen_ZD = torch.cat((judged, rows.mean(dim=2), rows[..., -1]), dim=1)
        return seen_ZD.unflatten(0, (batch, -1)), halves_BSC, remembered

    def unpacked(self, packed_BN: Tensor) -> Memory:
        """The caches of the convolutions from the one that they travel in."""
        sizes = [math.prod(shape) for shape in self.kept_shapes]
        parts = packed_BN.split([*sizes, packed_BN.shape[1] - sum(sizes)], dim=1)
        return [part.unflatten(1, shape) for part, shape in zip(parts, self.kept_shapes, strict=False)]

    @property
    def embedding(self) -> int:
        """Numbers that `embed` gives for a time step."""
        return self.hidden.out_features + self.config.width

    @property
    def cache_names(self) -> list[str]:
        """In the order of the memory."""
        return ["convolved", *(f"layer{index}" for index in range(self.config.depth))]

    def empty_memory(self, batch: int = 1) -> Memory:
        """Caches of zeros: the shapes of a memory, not yet the state after silence."""
        weight, stage = self.frame_head.weight, self.config.stage
        size = sum(math.prod(shape) for shape in self.kept_shapes)
        shapes: list[tuple[int, ...]] = [(size + -size % ALIGNED,)]
        shapes += [(2 * stage.heads, stage.context, stage.width // stage.heads)] * self.config.depth
        return [weight.new_zeros(batch, *shape) for shape in shapes]

    @torch.no_grad()
    def silent_memory(self) -> Memory:
        """The memory (batch 1) of a stream that has heard digital silence for ever."""
        frames = self.frame_head.weight.new_full((1, self.config.frames, self.config.mels), self.silence)
        memory = self.empty_memory()
        chunks = self.config.window // self.config.frames + self.config.depth * -(-self.config.context // CHUNK)
        for _ in range(chunks + 8):
            memory = self(frames, memory)[1]
        return memory

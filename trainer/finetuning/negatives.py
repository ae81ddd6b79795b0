"""Sounds that are none of the classes, for a student whose body stays as it is: what a bundle ships of them.

A bundle that can be taught has of every sound a few directions: its embedding along the axes in which sounds differ,
without their length. They become embeddings again, as far as those axes go, with the lengths of embeddings that are
heard beside them; what the axes leave out is what it is on average.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor

from asit_edge.model.bundle import find_bundle, load_bundle
from asit_edge.teach.space import FULL, load_space
from trainer.models.finetuned import StreamNetwork

BUNDLE = Path("asit-warm-tiny")
"""Whose negatives they are."""

SAME_SHARE = 0.02
"""Share of chunks, the likest ones, that may be of the same kind as one's own sound."""

DRAWN = 1024
"""Chunks that a step of training draws."""

USUAL = 25.0
"""Length of an embedding along the axes: of nine tenths of 120 recordings' chunks it is from 15 to 36."""

Related = Callable[[str, str], bool]
"""Whether two labels are the same, or one is a kind of the other."""


@dataclass(frozen=True)
class Negatives:
    """Chunks of other sounds, as a student's embedding has them."""

    mean: Tensor
    """(numbers,)."""
    basis: Tensor
    """From embeddings to axes, (numbers, axes)."""
    back: Tensor
    """From axes to embeddings, (axes, numbers)."""
    directions: Tensor
    """Unit vectors (chunks, axes)."""
    clips: Tensor
    """Number of the clip that each chunk is of, (chunks,)."""
    counted: Tensor
    """Which clips are none of which class, (clips, classes): 0 where what the clip is called is related to it."""

    def to(self, device: torch.device) -> "Negatives":
        return Negatives(**{name: tensor.to(device) for name, tensor in vars(self).items()})

    def embeddings(self, chunks: Tensor, lengths: Tensor) -> Tensor:
        """Of these chunks (n,), with these lengths (n,) along the axes: (n, numbers)."""
        return self.mean + (self.directions[chunks] * lengths[:, None]) @ self.back

    def lengths(self, embedded: Tensor) -> Tensor:
        """Of embeddings (..., numbers) along the axes, (...)."""
        return ((embedded - self.mean) @ self.basis).norm(dim=-1)

    def loss(self, network: StreamNetwork, heard: Tensor, generator: torch.Generator) -> Tensor:
        """Binary cross entropy of chunks that are drawn, against silence in all classes that they are none of.

        The likest `SAME_SHARE` of them may be of the same kind as one's own sound, and do not count. `heard` are
        embeddings (batch, steps, numbers) of what is learnt beside them.
        """
        device = self.directions.device
        chunks = torch.randint(len(self.directions), (DRAWN,), generator=generator).to(device)
        known = self.lengths(heard.detach()).flatten()
        lengths = known[torch.randint(len(known), (DRAWN,), generator=generator).to(device)]
        logits = self.logits(network, chunks, lengths)
        likest = logits.detach().topk(max(round(SAME_SHARE * DRAWN), 1), dim=0).indices
        counted = self.counted[self.clips[chunks]].scatter(0, likest, 0.0)
        return (nnf.softplus(logits) * counted).sum() / counted.sum().clamp_min(1)

    def logits(self, network: StreamNetwork, chunks: Tensor, lengths: Tensor) -> Tensor:
        """(n, classes)."""
        steps = network.student.config.chunk
        embedded = self.embeddings(chunks, lengths)[:, None].expand(-1, steps, -1)
        return network.student.classify(embedded).frames[:, 0]

    @torch.no_grad()
    def taken_for(self, network: StreamNetwork, thresholds: Sequence[float]) -> list[int]:
        """How many clips would reach the threshold (a probability) of each class that they are none of."""
        chunks = torch.arange(len(self.directions), device=self.directions.device)
        logits = self.logits(network, chunks, torch.full((len(chunks),), USUAL, device=chunks.device))
        highest = torch.full((len(self.counted), logits.shape[1]), -torch.inf, device=logits.device)
        highest = highest.scatter_reduce(0, self.clips[:, None].expand_as(logits), logits, "amax")
        reached = highest.sigmoid() >= torch.tensor(thresholds, device=logits.device)
        return [int(count) for count in (reached & (self.counted > 0)).sum(dim=0)]

    def __len__(self) -> int:
        """Clips."""
        return len(self.counted)


def shipped(categories: Sequence[str], related: Related) -> Negatives:
    """Those of `BUNDLE`, held against classes of these names. Raises AsitEdgeError if the bundle is damaged."""
    space = load_space(load_bundle(find_bundle(BUNDLE)))
    basis = torch.from_numpy(space.axes.basis)
    named = np.array([[not related(name, one) for one in categories] for name in space.names], np.float32)
    return Negatives(
        torch.from_numpy(space.axes.mean),
        basis,
        torch.linalg.pinv(basis),
        torch.from_numpy(space.vectors.astype(np.float32) / FULL),
        torch.from_numpy(np.repeat(np.arange(len(space.labels)), np.diff(space.starts))),
        torch.from_numpy(named[space.labels]),
    )

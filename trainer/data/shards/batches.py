"""Which examples a step learns from: an exactly shuffled stream of waveform crops, resumable at any step.

The order of an epoch and the crops of an example depend on the seed, the epoch and the example alone, never on the
number of workers or on what ran before, so the position in a run is the number of its step.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from asit_edge.audio.samples import Samples
from asit_edge.errors import AsitEdgeError, WrongUse
from trainer.data.mixing import fitted
from trainer.data.shards.reading import Shards

log = logging.getLogger(__name__)

_DAMAGED_IN_A_ROW = 20
"""So many unreadable examples next to each other are no accident any more."""


def epoch_order(counts: list[int], seed: int, epoch: int, window: int = 0) -> npt.NDArray[np.int64]:
    """The order of all examples in one epoch.

    With window 0 every permutation is equally likely. Else the shards are shuffled, and examples only among
    `window` shards that follow each other in that order, which a slow disk reads from its cache.
    """
    rng = np.random.default_rng((seed, epoch))
    if window == 0:
        return rng.permutation(sum(counts))
    starts = np.concatenate(([0], np.cumsum(counts)))
    shards = [np.arange(starts[shard], starts[shard + 1]) for shard in rng.permutation(len(counts))]
    windows = [np.concatenate(shards[first : first + window]) for first in range(0, len(shards), window)]
    return np.concatenate([rng.permutation(part) for part in windows])


Draw = tuple[int, int]
"""An epoch and the index of an example."""


@dataclass(frozen=True)
class Batches:
    """Which examples each step's batch has, and which of them are this process's; the parts come one by one.

    A batch of the run has `parts * processes` parts of `part_size` examples; the process `rank` takes its
    share of each. What is left of an epoch after its last whole batch is left out, and is other examples the
    next time. Iterating gives the parts of all steps from `first_step` on: the batch sampler of a DataLoader.
    """

    counts: list[int]
    part_size: int
    parts: int
    processes: int
    rank: int
    seed: int
    epochs: int
    first_step: int = 0
    window: int = 0

    @property
    def batch(self) -> int:
        """Examples in a batch of all processes."""
        return self.part_size * self.parts * self.processes

    @cached_property
    def steps_per_epoch(self) -> int:
        return sum(self.counts) // self.batch

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.epochs * self.steps_per_epoch

    def first_of_part(self, part: int) -> int:
        """Place in the batch of the first example of this process's part."""
        return (part * self.processes + self.rank) * self.part_size

    def __iter__(self) -> Iterator[list[Draw]]:
        epoch, order = -1, np.empty(0, np.int64)
        for step in range(self.first_step, self.steps):
            if step // self.steps_per_epoch != epoch:
                epoch = step // self.steps_per_epoch
                order = epoch_order(self.counts, self.seed, epoch, self.window)
            start = step % self.steps_per_epoch * self.batch
            for part in range(self.parts):
                first = start + self.first_of_part(part)
                yield [(epoch, int(index)) for index in order[first : first + self.part_size]]


@dataclass(frozen=True)
class CropSizes:
    """The waveform crops of an example; lengths in samples."""

    rate: int
    global_length: int
    local_length: int
    globals_: int = 2
    locals_: int = 4

    @property
    def sizes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """(length, count) of the global and of the local crops."""
        return (self.global_length, self.globals_), (self.local_length, self.locals_)


class Crops(Dataset[tuple[int, Tensor, Tensor]]):
    """A draw to (index, global crops (Q, samples), local crops (L, samples)), float32.

    An example that cannot be read is warned of, and the next one that can stands in for it.
    """

    def __init__(self, shards: Shards, config: CropSizes, seed: int) -> None:
        self._shards, self._config, self._seed = shards, config, seed

    def __getitem__(self, draw: Draw) -> tuple[int, Tensor, Tensor]:
        epoch, index = draw
        config = self._config
        samples, index = self._readable(index)
        rng = np.random.default_rng((self._seed, epoch, draw[1]))
        crops = [np.empty((count, length), np.float32) for length, count in config.sizes]
        for waveforms in crops:
            for place in range(len(waveforms)):
                waveforms[place] = fitted(samples, waveforms.shape[1], rng)
        return index, torch.from_numpy(crops[0]), torch.from_numpy(crops[1])

    def _readable(self, index: int) -> tuple[Samples, int]:
        for step in range(_DAMAGED_IN_A_ROW):
            candidate = (index + step) % len(self._shards)
            try:
                return self._shards.read(candidate, self._config.rate), candidate
            except WrongUse:
                raise
            except AsitEdgeError as error:
                log.warning("%s; the next example stands in", error)
        raise AsitEdgeError(f"{self._shards.name(index)}: it and the {_DAMAGED_IN_A_ROW - 1} after it cannot be read")

"""Shards into training batches: an exactly shuffled stream of waveform crops, resumable at any step.

The audio files of all tars are found once, by reading their headers; after that an example is one read at its
place. The order of an epoch and the crops of an example depend on the seed, the epoch and the example alone,
never on the number of workers or on what ran before, so the position in a run is the number of its step.
"""

import io
import logging
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from asit_edge.audio.samples import Samples
from asit_edge.errors import AsitEdgeError, WrongUse
from trainer.data.decode import UNREADABLE, read_mono
from trainer.data.mixing import fitted

log = logging.getLogger(__name__)

_AUDIO = (".flac", ".opus", ".ogg", ".wav")
_TAR_BLOCK = 512
_DAMAGED_IN_A_ROW = 20
"""So many unreadable examples next to each other are no accident any more."""


class Shards:
    """The examples of one or more folders of tars; indices run over all of them in the order of the files."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Reads the headers of all tars; a damaged one is warned of and used up to the damage.

        Raises WrongUse if there is no example.
        """
        self.paths: list[Path] = []
        for folder in folders:
            if not folder.is_dir():
                raise WrongUse(f"{folder}: no such folder; make shards with python -m trainer.prepare")
            found = sorted(folder.glob("*.tar"))
            if not found:
                raise WrongUse(f"{folder}: no shards (*.tar); make them with python -m trainer.prepare")
            self.paths += found
        places = [_places(path) for path in self.paths]
        self.counts = [len(offsets) for offsets in places]
        """Examples of each shard."""
        if not sum(self.counts):
            raise WrongUse(f"{', '.join(map(str, folders))}: the {len(self.paths)} shards hold no audio")
        self._places = np.concatenate(places)
        self._ends = np.cumsum(self.counts)

    def __len__(self) -> int:
        return len(self._places)

    def name(self, index: int) -> str:
        """Shard and file of an example, for people."""
        path, offset, _ = self._place(index)
        with path.open("rb") as file:
            file.seek(offset - _TAR_BLOCK)
            return f"{path.name}/{file.read(100).rstrip(bytes(1)).decode(errors='replace')}"

    def read(self, index: int, rate: int) -> Samples:
        """The waveform of an example, mono, (samples,).

        Raises AsitEdgeError if it cannot be read, WrongUse if its rate is another.
        """
        path, offset, size = self._place(index)
        try:
            with path.open("rb") as file:
                file.seek(offset)
                samples, found = read_mono(io.BytesIO(file.read(size)))
        except UNREADABLE as error:
            raise AsitEdgeError(f"{self.name(index)}: cannot be read ({error})") from None
        if found != rate:
            raise WrongUse(
                f"{self.name(index)}: sampled at {found} Hz, not {rate}; make the shards with trainer.prepare"
            )
        return samples

    def _place(self, index: int) -> tuple[Path, int, int]:
        offset, size = self._places[index]
        return self.paths[int(np.searchsorted(self._ends, index, side="right"))], int(offset), int(size)


def _places(path: Path) -> npt.NDArray[np.int64]:
    """Offset and size of each audio file in a tar, (examples, 2)."""
    places, end = [], 0
    length = path.stat().st_size
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                whole = member.offset_data + member.size <= length
                if member.isfile() and member.name.endswith(_AUDIO) and member.size and whole:
                    places.append((member.offset_data, member.size))
                end = member.offset_data + -(-member.size // _TAR_BLOCK) * _TAR_BLOCK
        with path.open("rb") as file:
            file.seek(end)
            closed = file.read(_TAR_BLOCK) == bytes(_TAR_BLOCK)
    except tarfile.ReadError:
        closed = False
    if not closed:
        log.warning("%s: damaged or cut off; its first %d examples are used", path, len(places))
    elif not places:
        log.warning("%s: holds no audio", path)
    return np.array(places, np.int64).reshape(-1, 2)


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

"""Work that the processes of a run share out among themselves: the examples of a batch, gradients, clips to score."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from asit_edge.errors import WrongUse
from trainer.run.ranks.distributed import Processes, from_all

T = TypeVar("T")


@dataclass(frozen=True)
class Share:
    """A process's examples of a batch that all processes have together: `count` of its `batch`, from `first` on.

    What is drawn for a batch is drawn for all of it on every process, which takes its rows: so any number of processes
    learns from the same.
    """

    first: int
    count: int
    batch: int

    @property
    def rows(self) -> slice:
        return slice(self.first, self.first + self.count)

    @property
    def places(self) -> range:
        return range(self.first, self.first + self.count)


def whole(batch: int) -> Share:
    """That of a process that stands alone."""
    return Share(0, batch, batch)


def share_of(batch: int, processes: Processes) -> Share:
    """Equal parts. Raises WrongUse where a batch has none."""
    count, rest = divmod(batch, processes.count)
    if rest or not count:
        near = max(count, 1) * processes.count
        raise WrongUse(f"batch {batch}: cannot be shared out among {processes.count} processes; take --batch {near}")
    return Share(processes.rank * count, count, batch)


def in_parallel(network: nn.Module, processes: Processes, some_unused: bool) -> nn.Module:
    """The network as the loop calls it: the mean of all processes' gradients comes with the backward pass.

    `some_unused`: the loss does not ask all weights that learn, or not at every step.
    """
    if processes.count == 1:
        return network
    return DistributedDataParallel(network, find_unused_parameters=some_unused)


def shared_out(items: Sequence[T], processes: Processes) -> list[T]:
    """Every so-many-th item, from this process's on; `gathered` puts together what was made of them."""
    return list(items[processes.rank :: processes.count])


def gathered(made: Sequence[T], processes: Processes) -> list[T]:
    """What all processes made of their items, in the order of the items, on each of them."""
    if processes.count == 1:
        return list(made)
    by_rank = from_all(list(made))
    return [by_rank[index % len(by_rank)][index // len(by_rank)] for index in range(sum(map(len, by_rank)))]

"""The processes of one run (torchrun's), and the few things they do together. One process needs no group."""

import os
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from asit_edge.errors import AsitEdgeError, one_line

T = TypeVar("T")

PATIENCE = timedelta(days=1)
"""How long processes wait where the first one does something alone that may take hours, such as a test."""


@dataclass(frozen=True)
class Processes:
    """Which process this is, of how many, and the device it computes on."""

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    @property
    def name(self) -> str:
        """For people: its rank and its machine."""
        return f"rank {self.rank} ({socket.gethostname()})"


def join_processes(patience: timedelta | None = None) -> Processes:
    """Joins the group that torchrun set up (nccl on GPUs, gloo on CPUs), or stands alone.

    `patience` is how long processes wait for each other before they give up; None: as long as torch does (minutes).
    """
    local = int(os.environ.get("LOCAL_RANK", 0))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        dist.init_process_group("nccl" if cuda else "gloo", timeout=patience)
        return Processes(dist.get_rank(), dist.get_world_size(), device)
    return Processes(0, 1, device)


@contextmanager
def leaving_together() -> Iterator[None]:
    """Around what processes do together: AsitEdgeError, in one line, where one of them is gone.

    What they exchange then fails with a RuntimeError that only says of which library it is.
    """
    try:
        yield
    except RuntimeError as error:
        said = one_line(error)
        together = dist.is_available() and dist.is_initialized()
        if not together or not (isinstance(error, dist.DistError) or re.search(r"gloo|NCCL|Connection", said)):
            raise
        raise AsitEdgeError(
            f"another process of this run is gone, or its network ({said[:200]}); start the run again on all nodes, "
            "with --resume: it goes on from its last checkpoint"
        ) from None


def leave_processes() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


@contextmanager
def joined_processes(patience: timedelta | None = None) -> Iterator[Processes]:
    """The group, left again at the end. Raises AsitEdgeError where another process of it is gone."""
    try:
        processes = join_processes(patience)
        with leaving_together():
            yield processes
    finally:
        leave_processes()


def standing_alone() -> Processes:
    """This process without others, on the GPU where there is one."""
    return Processes(0, 1, torch.device("cuda" if torch.cuda.is_available() else "cpu"))


def mean_over_processes(value: Tensor) -> Tensor:
    """The mean of one tensor over all processes, on each of them; itself where there is no group."""
    if not dist.is_available() or not dist.is_initialized():
        return value
    total = value.clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()


def from_all(value: T) -> list[T]:
    """What each process has to say, by rank, on all of them: plain values, a few."""
    if not dist.is_available() or not dist.is_initialized():
        return [value]
    said: list[T] = [value] * dist.get_world_size()
    dist.all_gather_object(said, value)
    return said


def from_first(value: T) -> T:
    """What the first process has to say, on all of them."""
    if not dist.is_available() or not dist.is_initialized():
        return value
    said = [value]
    dist.broadcast_object_list(said)
    return said[0]


@torch.no_grad()
def overwrite_by_first(tensors: Iterable[Tensor], device: torch.device) -> None:
    """Gives tensors, the same ones in the same order on every process, the values that they have on the first.

    `device` is where the group exchanges tensors; those that lie elsewhere go there and back.
    """
    if not dist.is_available() or not dist.is_initialized():
        return
    for tensor in tensors:
        there = tensor.detach().to(device).contiguous()
        dist.broadcast(there, 0)
        tensor.copy_(there)

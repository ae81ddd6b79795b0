"""The processes of one run (torchrun's), and the few things they do together. One process needs no group."""

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


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


def join_processes() -> Processes:
    """Joins the group that torchrun set up (nccl on GPUs, gloo on CPUs), or stands alone."""
    local = int(os.environ.get("LOCAL_RANK", 0))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        dist.init_process_group("nccl" if cuda else "gloo")
        return Processes(dist.get_rank(), dist.get_world_size(), device)
    return Processes(0, 1, device)


def leave_processes() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def mean_over_processes(value: Tensor) -> Tensor:
    """The mean of one tensor over all processes, on each of them; itself where there is no group."""
    if not dist.is_available() or not dist.is_initialized():
        return value
    total = value.clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()

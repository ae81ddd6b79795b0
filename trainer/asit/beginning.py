"""A pre-training run on disk: what it begins with or goes on from, and its checkpoint."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from asit_edge.errors import AsitEdgeError, WrongUse
from trainer.asit.asit import ASiT
from trainer.asit.config import PretrainConfig, resumed
from trainer.data.shards.batches import Batches
from trainer.data.shards.reading import Shards
from trainer.models.pretrained import load_exactly
from trainer.run.checkpoint import FORMAT, PRETRAINING, read_file
from trainer.run.ranks.agreement import Facts, code_version
from trainer.run.ranks.distributed import Processes
from trainer.run.settings import checked

CHECKPOINT = "last.pt"

OF_A_PROCESS = ("data", "workers", "probe_data")
"""Settings that may differ between the processes of a run: where a node has its shards, and who decodes them."""


class Begun(NamedTuple):
    """What a run begins with, or goes on from."""

    saved: dict[str, Any] | None
    source: Path
    """Where that was."""
    shards: Shards
    batches: Batches


def begin(
    config: PretrainConfig, run: Path, resume: bool, processes: Processes, snapshot: Path | None = None
) -> tuple[Begun, Facts]:
    """What this process finds, and what of it must be the same on all of them.

    `snapshot`: a checkpoint whose state a new run takes over; its settings may be others. Raises WrongUse where the run
    that is there is another, or where shards are not what their index says.
    """
    checkpoint = run / CHECKPOINT
    saved = _read_checkpoint(checkpoint) if resume and checkpoint.exists() else None
    if saved:
        resumed(saved["config"], config, checkpoint)
    elif checkpoint.exists():
        raise WrongUse(f"{checkpoint}: there is a run already; add --resume to go on with it, or give another folder")
    elif snapshot is not None:
        checkpoint, saved = snapshot, _read_checkpoint(snapshot)
    shards = Shards([Path(folder) for folder in config.data])
    step = int(saved["step"]) if saved else 0
    batches = _batches(config, shards, processes, step)
    extent = {"examples": len(shards), "batch": batches.batch}
    if saved and saved["extent"] != extent:
        raise WrongUse(
            f"{checkpoint}: is of a run of other data or another batch: it has {saved['extent']}, this one {extent}"
        )
    settings = {key: str(value) for key, value in config.model_dump().items() if key not in OF_A_PROCESS}
    return Begun(saved, checkpoint, shards, batches), {
        "checkpoint": {"step": str(step) if saved else "none, a new run"},
        "setting": settings,
        "shard": shards.facts,
        "code": {"version": code_version()},
    }


def state_of(asit: ASiT, optimiser: torch.optim.Optimizer) -> Iterator[Tensor]:
    """All that a run is at a step, in one order on every process."""
    yield from asit.state_dict().values()
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            of_parameter = optimiser.state.get(parameter, {})
            yield from (of_parameter[key] for key in sorted(of_parameter) if isinstance(of_parameter[key], Tensor))


def _batches(config: PretrainConfig, shards: Shards, processes: Processes, first_step: int) -> Batches:
    """Which examples this process takes at each step from the first one on. WrongUse if there are too few."""
    batches = Batches(
        shards.counts,
        config.part_size,
        config.parts,
        processes.count,
        processes.rank,
        config.seed,
        config.epochs,
        first_step,
        config.shuffle_window,
    )
    if batches.steps_per_epoch == 0:
        raise WrongUse(f"{len(shards)} examples do not fill one batch of {batches.batch}; lower part_size or parts")
    return batches


def content_of(
    config: PretrainConfig,
    extent: dict[str, int],
    step: int,
    asit: ASiT,
    optimiser: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
) -> dict[str, Any]:
    """A checkpoint: plain values and tensors only, so that it loads without running any code."""
    return {
        "config": config.model_dump(),
        "extent": extent,
        "step": step,
        "student": asit.student.state_dict(),
        "teacher": asit.teacher.state_dict(),
        "centre_class": asit.centre_class.state_dict(),
        "centre_patch": asit.centre_patch.state_dict(),
        "optimiser": optimiser.state_dict(),
        "scaler": scaler.state_dict(),
    }


def _read_checkpoint(path: Path) -> dict[str, Any]:
    content = read_file(path)
    if (content.get("format"), content.get("kind")) != (FORMAT, PRETRAINING):
        raise AsitEdgeError(
            f"{path}: is no checkpoint of trainer.pretrain; to begin with its weights use --set initial="
        )
    return content


def changed_since(saved: dict[str, Any], config: PretrainConfig) -> str:
    """In words, which settings are others than those of a snapshot."""
    old = checked(PretrainConfig, saved["config"]).model_dump()
    new = config.model_dump()
    return ", ".join(f"{key} {old[key]} -> {new[key]}" for key in new if key != "data" and old[key] != new[key])


def restore(saved: dict[str, Any], asit: ASiT, optimiser: torch.optim.Optimizer, path: Path) -> None:
    for name in ("student", "teacher", "centre_class", "centre_patch"):
        load_exactly(getattr(asit, name), saved[name], path)
    optimiser.load_state_dict(saved["optimiser"])

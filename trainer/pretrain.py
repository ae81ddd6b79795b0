"""ASiT pre-training (arXiv 2211.13189): `python -m trainer.pretrain RUN --data SHARDS`, also under torchrun.

The loop of a run, top to bottom; the method is in `trainer.asit.asit`. A step depends on the config and on its
number alone (the order of examples, crops, corruption and dropped paths are seeded by it), so a run that was
stopped anywhere goes on from its last checkpoint to the same losses.
"""

import contextlib
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from asit_edge.errors import AsitEdgeError
from trainer.asit.asit import ASiT, Distributions, Entropies, Views
from trainer.asit.beginning import CHECKPOINT, Begun, begin, changed_since, content_of, restore, state_of
from trainer.asit.collapse import CollapseWatch
from trainer.asit.config import PretrainConfig, Rates, make_config
from trainer.asit.corruption import CorruptionPlan, corrupt, draw_plan
from trainer.asit.flops import flops_per_example, peak_flops
from trainer.asit.pictures import reconstruction_picture
from trainer.data.features import BatchedLogMel
from trainer.data.shards.batches import Batches, Crops, CropSizes
from trainer.data.shards.reading import Shards
from trainer.evaluation.frozen import ProbeClips
from trainer.models.pretrained import backbone_weights
from trainer.run.checkpoint import PRETRAINING, save_checkpoint
from trainer.run.command import run as run_command
from trainer.run.engine import due, is_finite
from trainer.run.journal import Journal, tracker
from trainer.run.optimisation import clip_each, freeze, parameter_groups, set_rates
from trainer.run.precision import LOWEST_SCALE, autocast, loss_scaler
from trainer.run.ranks.agreement import Facts, alike
from trainer.run.ranks.distributed import (
    Processes,
    from_first,
    joined_processes,
    mean_over_processes,
    overwrite_by_first,
)
from trainer.run.resuming.kept import keep
from trainer.run.resuming.seeds import generator_of, seed_step
from trainer.run.settings import parse_settings
from trainer.run.signals import StopRequest

GLOBAL_VIEWS = 2

LOSSES = ("loss/total", "loss/global", "loss/local", "loss/reconstruction")
ENTROPIES = (
    "entropy/teacher class",
    "entropy/centre class",
    "entropy/student class",
    "entropy/teacher patch",
    "entropy/centre patch",
    "entropy/student patch",
)


def pretrain(
    config: PretrainConfig,
    run: Path,
    resume: bool,
    processes: Processes,
    stopping: StopRequest,
    snapshot: Path | None = None,
    wandb: str | None = None,
) -> None:
    """Trains to the last epoch or until SIGTERM; leaves checkpoint, metrics and pictures in `run`.

    A new run takes over the state of a `snapshot`, if one is given. `wandb`: project at Weights & Biases to report to.
    """
    device = processes.device
    checkpoint = run / CHECKPOINT
    # All processes look at their own folder, shards and code, and begin only if they found the same.
    begun, probed = alike(processes, lambda: _look(config, run, resume, processes, snapshot))
    saved, source, shards, batches = begun
    extent = {"examples": len(shards), "batch": batches.batch}
    first_step = batches.first_step

    # Data: shards of recordings, crops of them as waveforms; spectrograms are made on the device.
    loader = _loader(config, shards, batches, device, stopping)
    log_mel = BatchedLogMel(config.front_end).to(device)

    # Model: student, teacher, centres.
    asit = _asit(config, begins=saved is None).to(device)
    optimiser = torch.optim.AdamW(parameter_groups(asit.student), fused=device.type == "cuda")
    if saved:
        restore(saved, asit, optimiser, source)
    overwrite_by_first(state_of(asit, optimiser), device)
    scaler = loss_scaler(device, config.fp16)
    scaler.load_state_dict(from_first(saved["scaler"] if saved and "scaler" in saved else scaler.state_dict()))
    if config.compile:
        asit.student.compile()
        asit.teacher.compile()
    student = asit.student if processes.count == 1 else DistributedDataParallel(asit.student)

    journal = None
    if processes.first:
        journal = Journal(run, first_step, batches.steps, tracker(wandb, run, config.model_dump()) if wandb else None)
        if saved and source != checkpoint:
            others = changed_since(saved, config) or "none"
            journal.say(f"begins with the state of {source} after step {first_step}; other settings: {others}")
    watch = CollapseWatch(config.prototypes, config.patch_prototypes or config.prototypes)
    model_flops = flops_per_example(config.asit, config.local_frames, config.local_views) * batches.batch
    peak = peak_flops(torch.cuda.get_device_name(device)) if device.type == "cuda" else None
    loaded = iter(loader)
    since, steps_since = time.perf_counter(), 0

    for step in range(first_step, batches.steps):
        rates = config.rates(step, batches.steps_per_epoch, batches.batch)
        seed_step(config.seed, step, processes.rank)
        size = (config.frames, config.mels)
        plan = draw_plan(config.corruption, GLOBAL_VIEWS, batches.batch, size, generator_of(config.seed, step))
        taken = [_next_part(loaded) for _ in range(config.parts)]
        parts = [
            _views(crops_of_part, log_mel, plan.part(first, first + config.part_size), config, device)
            for crops_of_part, first in zip(taken, map(batches.first_of_part, range(config.parts)), strict=True)
        ]
        # The reconstruction loss is a mean over the masked places of the whole batch, in whatever part.
        masked = mean_over_processes(torch.stack([views.mask_QBFM.sum() for views in parts]).float().mean())

        summed = torch.zeros(5, device=device)
        recorded = due(step + 1, config.log_every, batches.steps)
        seen: list[Distributions] = []
        for number, views in enumerate(parts):
            with _gradients_exchanged(student, only_if=number == config.parts - 1):
                with autocast(device, config.bf16, config.fp16):
                    taught = asit.teach(views, rates.temperature)
                    outputs = student(views.corrupted_QBFM, views.local_LBFM, views.mask_QBFM)
                losses = asit.losses(views, taught, outputs, masked)
                scaler.scale(losses.total / config.parts).backward()  # type: ignore[no-untyped-call]
            if recorded:
                seen.append(asit.distributions(taught, outputs))
            summed[:4] += torch.stack(losses).detach() / config.parts
        summed[4] = float(stopping.asked)
        *losses_of_batch, asked = mean_over_processes(summed).tolist()
        total = losses_of_batch[0]
        scaler.unscale_(optimiser)
        gradient_norm = clip_each(asit.student.parameters(), config.clip).norm().item()
        # A gradient beyond float16 is no error: the scaler leaves the step out and takes a lower scale.
        left_out = config.fp16 and not is_finite(gradient_norm) and scaler.get_scale() > LOWEST_SCALE
        if not is_finite(total) or not (is_finite(gradient_norm) or left_out):
            where = _save_names(run, step, processes.rank, shards, taken)
            raise AsitEdgeError(
                f"step {step}: the loss is {total}, the norm of the gradient {gradient_norm}; the examples "
                f"of the batch are in {where}, the weights of the last save in {checkpoint}"
            )

        if step // batches.steps_per_epoch < config.frozen_epochs:
            freeze(asit.last_layers())
        set_rates(optimiser, rates.learning_rate, rates.weight_decay)
        scaler.step(optimiser)
        scaler.update()
        optimiser.zero_grad(set_to_none=True)
        asit.close_step(rates.ema)

        steps_since += 1
        done = step + 1
        told: dict[str, float] = {}
        if recorded:
            entropies = Distributions(*map(_mean_of_batch, zip(*seen, strict=True))).entropies()
            seconds = (time.perf_counter() - since) / steps_since
            since, steps_since = time.perf_counter(), 0
            if journal:
                told |= _metrics(losses_of_batch, entropies, gradient_norm, rates)
                told["clips per second"] = batches.batch / seconds
                if config.fp16:
                    told["loss scale"] = scaler.get_scale()
                if peak:
                    told["model FLOP utilisation"] = model_flops / seconds / (peak * processes.count)
                for collapse in watch.observe(entropies):
                    journal.say(f"warning: step {done}: {collapse}")
        if journal:
            if probed and done % (config.probe_every * batches.steps_per_epoch) == 0:
                began = time.perf_counter()
                told |= probed.accuracies(asit.teacher.backbone)
                since += time.perf_counter() - began
            if told:
                journal.record(done, told)
            journal.advance()
            if due(done, config.picture_every, batches.steps):
                journal.picture(done, reconstruction_picture(parts[-1], outputs))
            kept = config.keep_every and done % (config.keep_every * batches.steps_per_epoch) == 0
            if asked or kept or due(done, config.save_every, batches.steps):
                try:
                    save_checkpoint(checkpoint, PRETRAINING, content_of(config, extent, done, asit, optimiser, scaler))
                    if kept:
                        keep(checkpoint, f"epoch-{done // batches.steps_per_epoch:04d}")
                except AsitEdgeError as error:
                    if asked or done == batches.steps:
                        raise
                    journal.say(f"warning: step {done}: {error}")
        if asked:
            if journal:
                journal.say(f"asked to stop: saved after step {done} in {checkpoint}")
            break
    if journal:
        journal.close()


def _look(
    config: PretrainConfig, run: Path, resume: bool, processes: Processes, snapshot: Path | None
) -> tuple[tuple[Begun, ProbeClips | None], Facts]:
    """What this process finds, and what of it must be the same on all of them; the first one probes."""
    begun, facts = begin(config, run, resume, processes, snapshot)
    probes = config.probe_data is not None and processes.first
    return (begun, ProbeClips(Path(str(config.probe_data)), config.front_end) if probes else None), facts


def _loader(
    config: PretrainConfig, shards: Shards, batches: Batches, device: torch.device, stopping: StopRequest
) -> DataLoader[Any]:
    """Crops of the examples as waveforms, part by part."""
    spec = config.front_end
    lengths = spec.samples_for(config.frames), spec.samples_for(config.local_frames)
    crops = Crops(shards, CropSizes(spec.sample_rate, *lengths, GLOBAL_VIEWS, config.local_views), config.seed)
    return DataLoader(
        crops,
        batch_sampler=batches,  # type: ignore[arg-type]  # draws, where torch's types know only indices
        num_workers=config.workers,
        pin_memory=device.type == "cuda",
        worker_init_fn=stopping.shield,
    )


def _asit(config: PretrainConfig, begins: bool) -> ASiT:
    """Student, teacher and centres; where the run `begins`, with the weights that it was given."""
    torch.manual_seed(config.seed)
    asit = ASiT(config.asit)
    if config.initial and begins:
        weights = backbone_weights(Path(config.initial), config.backbone)
        asit.student.backbone.load_state_dict(weights)
        asit.teacher.backbone.load_state_dict(weights)
    return asit


def _next_part(loaded: Iterator[Any]) -> Any:
    """The next of the loader; an error of ours in a worker comes as itself, without the worker's traceback."""
    try:
        return next(loaded)
    except AsitEdgeError as error:
        kind = type(error)
        last_line = str(error).strip().splitlines()[-1]
        raise kind(last_line.removeprefix(f"{kind.__module__}.{kind.__qualname__}: ")) from None


def _gradients_exchanged(student: torch.nn.Module, only_if: bool) -> contextlib.AbstractContextManager[None]:
    """Lets processes add up their gradients in the last part's backward only, all parts' at once."""
    if isinstance(student, DistributedDataParallel) and not only_if:
        return student.no_sync()  # type: ignore[no-any-return,no-untyped-call]
    return contextlib.nullcontext()


def _views(
    taken: tuple[Tensor, Tensor, Tensor],
    log_mel: BatchedLogMel,
    plan: CorruptionPlan,
    config: PretrainConfig,
    device: torch.device,
) -> Views:
    """Waveform crops (B, views, samples) of one part as spectrograms on the device, corrupted by plan."""
    _, global_, local = taken
    with torch.no_grad():
        clean = log_mel(global_.to(device, non_blocking=True).transpose(0, 1))
        local_views = log_mel(local.to(device, non_blocking=True).transpose(0, 1))
        return Views(clean, *corrupt(clean, plan, config.corruption), local_views)


def _mean_of_batch(of_parts: tuple[Tensor, ...]) -> Tensor:
    """The mean over this process's parts and over all processes."""
    return mean_over_processes(torch.stack(of_parts).mean(dim=0))


def _metrics(losses: list[float], entropies: Entropies, gradient_norm: float, rates: Rates) -> dict[str, float]:
    """What the journal records of a step, by name; losses in the order of `Losses`, entropies of `Entropies`."""
    return {
        **dict(zip(LOSSES, losses, strict=True)),
        **dict(zip(ENTROPIES, entropies, strict=True)),
        "gradient norm": gradient_norm,
        "learning rate": rates.learning_rate,
        "weight decay": rates.weight_decay,
        "EMA momentum": rates.ema,
        "teacher temperature": rates.temperature,
    }


def _save_names(run: Path, step: int, rank: int, shards: Shards, taken: list[Any]) -> Path:
    """The names of the examples of this process's batch, for the search after what broke the loss."""
    path = run / f"not-finite-step-{step}-rank-{rank}.json"
    path.write_text(json.dumps([[shards.name(int(index)) for index in part[0]] for part in taken], indent=1))
    return path


def main(
    run: Annotated[Path, typer.Argument(help="folder for checkpoint, metrics and pictures")],
    data: Annotated[list[str] | None, typer.Option(help="folder of shards; may be repeated")] = None,
    variant: Annotated[str, typer.Option(help="defaults: the authors' release of 2024 or 2023, or visible")] = "2024",
    config: Annotated[Path | None, typer.Option(help="YAML file of settings")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value; may be repeated")] = None,
    resume: Annotated[bool, typer.Option(help="go on with the run in that folder, if there is one")] = False,
    from_snapshot: Annotated[
        Path | None, typer.Option(help="checkpoint, such as RUN/kept/epoch-0010.pt, whose state a new run takes over")
    ] = None,
    wandb: Annotated[str | None, typer.Option(help="report to this project at Weights & Biases, too")] = None,
) -> None:
    """Pre-trains ASiT on shards made by trainer.prepare."""
    logging.basicConfig(format="%(message)s")
    settings = parse_settings(set_ or ()) | ({"data": data} if data else {})
    full = make_config(variant, config, settings)
    run.mkdir(parents=True, exist_ok=True)
    with joined_processes() as processes, StopRequest() as stopping:
        pretrain(full, run, resume, processes, stopping, from_snapshot, wandb)


if __name__ == "__main__":
    run_command("trainer.pretrain", main)

"""What a step of distillation costs, and what 5,800 hours would: `python -m bench.lab.distill_step`.

Times the parts of a step on this machine: scenes mixed from FLAC shards by one worker on a CPU, and on the device (the
GPU where there is one) what the teachers and the student hear, the student's forward and backward pass, and its update.
From these it reckons how long a number of GPUs, with so many workers each, would take for so many hours of sound.

Without a GPU the time on one is an estimate from the operations that a step counts (torch's counter), at a share of an
H100's peak that is assumed and printed. Recordings are noise of AudioSet's 10 s, weights are random.
"""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
import soundfile
import torch
import typer
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from trainer.asit.flops import DENSE_BF16
from trainer.data.audioset import audioset_ids
from trainer.data.layouts.collections import read_recordings
from trainer.data.layouts.listing import list_recordings
from trainer.data.scenes import SceneConfig
from trainer.distillation.batches import MixedScenes
from trainer.distillation.hearing import Hearing
from trainer.distillation.material import build_targets, heard
from trainer.distillation.training import Lesson, make_optimiser
from trainer.models.mobilenet import MobileNet
from trainer.models.streaming_vit import STEP
from trainer.prepare import PrepareConfig, prepare_shards
from trainer.run.optimisation import Optimiser
from trainer.run.ranks.distributed import standing_alone
from trainer.run.ranks.sharing import whole
from trainer.students.config import DistillConfig, usual_for
from trainer.students.student import new_student

T = TypeVar("T")

RATE = 16_000
ASSUMED = 0.01
"""Share of a GPU's peak that small networks of short layers reach: assumed, not measured."""


def bench(
    size: Annotated[str, typer.Option(help="Student.")] = "nano",
    teacher: Annotated[float, typer.Option(help="Width of the live MobileNetV3 teacher: 0.4 is mn04.")] = 0.4,
    batch: Annotated[int, typer.Option(min=1)] = 16,
    hours: Annotated[float, typer.Option(help="Of sound: AudioSet-2M has 5,800.")] = 5_800.0,
    passes: Annotated[float, typer.Option(help="How often each second is heard.")] = 10.0,
    gpus: Annotated[int, typer.Option(min=1)] = 8,
    workers: Annotated[int, typer.Option(min=1, help="Processes that mix scenes, for each GPU.")] = 8,
    repeats: Annotated[int, typer.Option(min=1, help="Steps; medians are reported.")] = 5,
) -> None:
    """Times the parts of a step and reckons the whole."""
    torch.set_num_threads(1)
    device = standing_alone().device
    with tempfile.TemporaryDirectory() as folder:
        parts, operations, seconds = _measure(Path(folder), size, teacher, batch, repeats, device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "one CPU thread"
    print(f"{size}, live teacher of width {teacher:g}, batches of {batch} scenes of {seconds:g} s; device: {name}")
    for part, spent in parts.items():
        print(f"{part:52}{1000 * spent / batch:9.2f} ms a scene")
    mixing, *on_device = parts.values()
    scenes = hours * 3600 * passes / seconds
    step = sum(on_device)
    print(f"operations of a step: {operations / batch / 1e9:.1f} GFLOP a scene")
    if device.type == "cuda":
        rate, basis = batch / step, f"measured on one {name}"
    else:
        rate, basis = ASSUMED * DENSE_BF16["H100"] / (operations / batch), f"estimate: {ASSUMED:.0%} of an H100's peak"
    feed = batch / mixing
    print(f"a GPU: {rate:.0f} scenes/s ({basis}); a worker: {feed:.0f} scenes/s (measured on this CPU)")
    print(f"{hours:,.0f} h, each heard {passes:g} times: {scenes / 1e6:.1f} M scenes")
    waits = "the workers" if workers * feed < rate else "the GPUs"
    together = gpus * min(rate, workers * feed)
    print(f"on {gpus} GPUs with {workers} workers each: {scenes / together / 3600:.1f} h, which {waits} decide")


def _measure(
    folder: Path, size: str, width: float, batch: int, repeats: int, device: torch.device
) -> tuple[dict[str, float], float, float]:
    """Median seconds of each part of a step, operations of a step, and seconds of a scene."""
    labels = list(audioset_ids())
    shards = _shards(folder)
    torch.save(MobileNet(width, len(labels)).state_dict(), folder / "teacher.pt")
    usual = usual_for(size)
    config = DistillConfig(
        size=size, batch=batch, live=[str(folder / "teacher.pt")], validation=0.0, scenes=SceneConfig(), **usual
    )
    known = heard(read_recordings(shards), [], config, folder)
    material = build_targets(known.of(known.training), known.training, known.waveforms, [], labels, config)
    scenes = MixedScenes(known.sampler(material, known.training, config), config, whole(batch))
    hearing = Hearing(config, labels).to(device)
    model = new_student(config, len(labels)).to(device).train()
    lesson, optimiser = Lesson(model, None, config), make_optimiser(model, config)
    generator, share = torch.Generator().manual_seed(0), whole(batch)
    rows: list[dict[str, float]] = []
    for number in range(repeats + 1):  # the first one warms up
        row: dict[str, float] = {}
        taken = _timed(row, "read and mix scenes (a worker)", partial(scenes.__getitem__, number), device)
        hear = partial(hearing, taken, generator, share)
        given = _timed(row, "live teacher, log-mel, masks (on the device)", hear, device)
        loss = _timed(row, "student, forward", partial(lesson, given), device)
        _timed(row, "student, backward", loss.backward, device)
        _timed(row, "clipping and update", partial(_update, model, optimiser, config), device)
        rows.append(row)
    medians = {name: float(np.median([row[name] for row in rows[1:]])) for name in rows[0]}
    with FlopCounterMode(display=False) as counter:
        lesson(hearing(scenes[0], generator, share)).backward()
    return medians, float(counter.get_total_flops()), config.scenes.steps * STEP * config.spec.hop / RATE


def _update(model: nn.Module, optimiser: Optimiser, config: DistillConfig) -> None:
    nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)


def _timed(row: dict[str, float], name: str, work: Callable[[], T], device: torch.device) -> T:
    """What `work` gives; its seconds go into the row, the device's work included."""
    began = time.perf_counter()
    result = work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    row[name] = time.perf_counter() - began
    return result


def _shards(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    (folder / "audio").mkdir()
    rows = ["path,audioset_label"]
    for number in range(16):
        soundfile.write(folder / "audio" / f"{number}.flac", rng.normal(0, 0.1, 10 * RATE), RATE)
        rows.append(f"{number}.flac,{('Dog', 'Rain')[number % 2]}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    shards = folder / "shards"
    prepare_shards(list_recordings(folder / "audio", folder / "manifest.csv", {}), shards, PrepareConfig(), workers=1)
    return shards


if __name__ == "__main__":
    typer.run(bench)

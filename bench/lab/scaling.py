"""How long pre-training on AudioSet-2M would take, from parts measured on this machine: `python -m bench.lab.scaling`.

Measured: clips that the loader reads, decodes and crops a second, by number of workers; and a step of one device (data
preparation, teacher, student, update) on the GPU, if there is one, else on one thread of the CPU. Estimated from them:
100 epochs of 2.08 million clips on 8 GPUs. A CPU's step says nothing of a GPU: there the estimate is of an H100's data
sheet and an assumed utilisation, and says so.
"""

import os
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import torch
import typer
from torch.utils.data import DataLoader

from trainer.asit.asit import ASiT, Views
from trainer.asit.config import PretrainConfig, make_config
from trainer.asit.corruption import corrupt, draw_plan
from trainer.asit.flops import DENSE_BF16, flops_per_example
from trainer.data.features import BatchedLogMel
from trainer.data.layouts.listing import list_recordings
from trainer.data.shards.batches import Batches, Crops, CropSizes
from trainer.data.shards.reading import Shards
from trainer.prepare import PrepareConfig, prepare_shards
from trainer.run.optimisation import clip_each, parameter_groups
from trainer.run.precision import autocast
from trainer.run.settings import parse_settings

CLIPS = 2_084_320
"""All of AudioSet's segments."""

EPOCHS, GPUS = 100, 8


def read_rate(config: PretrainConfig, shards: Shards, workers: int, seconds: float) -> float:
    """Clips a second that so many worker processes read, decode and crop."""
    spec = config.front_end
    lengths = spec.samples_for(config.frames), spec.samples_for(config.local_frames)
    crops = Crops(shards, CropSizes(spec.sample_rate, *lengths, 2, config.local_views), config.seed)
    batches = Batches(shards.counts, config.part_size, 1, 1, 0, config.seed, epochs=1_000_000)
    loaded = iter(DataLoader(crops, batch_sampler=batches, num_workers=workers))  # type: ignore[arg-type]
    for _ in range(2 * max(workers, 1)):  # what was read before the clock starts
        next(loaded)
    began, clips = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        clips += len(next(loaded)[0])
    return clips / (time.perf_counter() - began)


def step_rate(config: PretrainConfig, device: torch.device, repeats: int) -> float:
    """Clips a second of one device that learns from noise: log-mel to update, the median of some steps."""
    spec, size = config.front_end, (config.frames, config.mels)
    log_mel, generator = BatchedLogMel(spec).to(device), torch.Generator().manual_seed(0)
    asit = ASiT(config.asit).to(device)
    if config.compile:
        asit.student.compile()
        asit.teacher.compile()
    optimiser = torch.optim.AdamW(parameter_groups(asit.student), lr=1e-5, fused=device.type == "cuda")
    shapes = ((2, config.frames), (config.local_views, config.local_frames))
    global_, local = (
        0.1 * torch.randn(views, config.part_size, spec.samples_for(frames), device=device) for views, frames in shapes
    )
    seconds = []
    for _ in range(repeats + 2):  # the first ones warm up
        began = time.perf_counter()
        with torch.no_grad():
            clean = log_mel(global_)
            plan = draw_plan(config.corruption, 2, config.part_size, size, generator)
            views = Views(clean, *corrupt(clean, plan, config.corruption), log_mel(local))
        with autocast(device, config.bf16):
            taught = asit.teach(views, 0.04)
            outputs = asit.student(views.corrupted_QBFM, views.local_LBFM, views.mask_QBFM)
        asit.losses(views, taught, outputs).total.backward()  # type: ignore[no-untyped-call]
        clip_each(asit.student.parameters(), config.clip).norm().item()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        asit.close_step(0.996)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - began)
    return config.part_size / float(np.median(seconds[2:]))


def noise_shards(folder: Path, clips: int = 48) -> Shards:
    """Clips of AudioSet's ten seconds."""
    rng = np.random.default_rng(0)
    (folder / "audio").mkdir()
    for number in range(clips):
        soundfile.write(folder / "audio" / f"{number}.flac", rng.normal(0, 0.1, 160_000), 16_000)
    prepare_shards(list_recordings(folder / "audio", None, {}), folder / "shards", PrepareConfig(), workers=1)
    return Shards([folder / "shards"])


def main(
    size: Annotated[list[str] | None, typer.Option(help="Models; repeat; default small and base.")] = None,
    variant: Annotated[str, typer.Option(help="2024, 2023 or visible.")] = "2024",
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value of trainer.pretrain.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Of each measurement of the loader.")] = 5.0,
    repeats: Annotated[int, typer.Option(min=1, help="Steps of a device.")] = 5,
    utilisation: Annotated[float, typer.Option(min=0.01, max=1.0, help="Of an H100, where there is no GPU.")] = 0.3,
) -> None:
    """Measure the parts and print the estimate."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        torch.set_num_threads(1)
    settings = parse_settings(set_ or ())
    if device.type == "cpu":
        settings = {"part_size": 4, "bf16": False, **settings}
    alone = 0.0
    with tempfile.TemporaryDirectory() as folder:
        config = make_config(variant, None, {"data": [folder], **settings})
        shards = noise_shards(Path(folder))
        cores = os.cpu_count() or 1
        print(f"loader, {cores} cores: clips read, decoded and cropped a second (measured)")
        for workers in sorted({count for count in (1, 2, 4, 8, 16) if count <= cores} | {cores}):
            clips = read_rate(config, shards, workers, seconds)
            alone = alone or clips
            print(f"  {workers:3} workers {clips:9.1f}")
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else "one thread of this CPU"
    for name in size or ("small", "base"):
        config = make_config(variant, None, {"data": ["-"], "size": name, **settings})
        operations = flops_per_example(config.asit, config.local_frames, config.local_views)
        measured = step_rate(config, device, repeats)
        print(f"{name}, {variant}: {operations / 1e9:.0f} GFLOP a clip (counted), {measured:.2f} clips/s on {where}")
        if device.type == "cuda":
            rate, by = measured, "measured on one of these"
        else:
            rate = utilisation * DENSE_BF16["H100"] / operations
            by = f"assumed: {utilisation:.0%} of an H100's data sheet; run this on a GPU to measure"
        hours = CLIPS * EPOCHS / (rate * GPUS) / 3600
        print(f"  {EPOCHS} epochs of AudioSet-2M on {GPUS}: {hours:.0f} h at {rate:.0f} clips/s a GPU ({by})")
        print(f"  that takes {rate / alone:.1f} workers a GPU, as fast as one of these is alone")


if __name__ == "__main__":
    typer.run(main)

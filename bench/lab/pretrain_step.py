"""What a pre-training step costs, data preparation included: `python bench/lab/pretrain_step.py`.

Prints seconds, which depend on the machine, and ratios, which hardly do: the shares of a step, and the step's
model operations against those of a large matrix product on the same threads (utilisation). Recordings are
noise of AudioSet's 10 s, made for the occasion.
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

from trainer.asit.asit import ASiT, Views
from trainer.asit.config import PretrainConfig, make_config
from trainer.asit.corruption import corrupt, draw_plan
from trainer.asit.flops import flops_per_example
from trainer.data.features import BatchedLogMel
from trainer.data.layouts.listing import list_recordings
from trainer.data.shards.batches import Crops, CropSizes
from trainer.data.shards.reading import Shards
from trainer.prepare import PrepareConfig, prepare_shards
from trainer.run.optimisation import clip_each, parameter_groups
from trainer.run.settings import parse_settings

T = TypeVar("T")


def bench(
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value of trainer.pretrain")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="steps; the median is reported")] = 5,
    threads: Annotated[int, typer.Option(min=1)] = 1,
) -> None:
    """Times the parts of a step on this machine's CPU, one thread by default."""
    torch.set_num_threads(threads)
    given = {"size": "tiny", "part_size": 4, **parse_settings(settings or ())}
    with tempfile.TemporaryDirectory() as folder:
        config = make_config("2024", None, {**given, "data": [folder]})
        shards = _noise_shards(Path(folder), config.part_size)
        times = _times(config, shards, repeats)
    whole = sum(times.values())
    operations = flops_per_example(config.asit, config.local_frames, config.local_views) * config.part_size
    product = _product_flops()
    clips = config.part_size
    print(f"{config.size}, {config.frames}/{config.local_frames} frames, batch {clips}, {threads} threads")
    for name, seconds in times.items():
        print(f"{name:34}{1000 * seconds / clips:9.1f} ms a clip {seconds / whole:8.1%} of the step")
    print(f"{'all':34}{1000 * whole / clips:9.1f} ms a clip {clips / whole:8.2f} clips/s")
    share = operations / whole / product
    print(f"model operations: {operations / whole / 1e9:.1f} GFLOP/s, {share:.2f} of a matrix product's")


def _times(config: PretrainConfig, shards: Shards, repeats: int) -> dict[str, float]:
    """Median seconds of each part of a step."""
    spec = config.front_end
    lengths = spec.samples_for(config.frames), spec.samples_for(config.local_frames)
    crops = Crops(shards, CropSizes(spec.sample_rate, *lengths, 2, config.local_views), config.seed)
    log_mel, generator = BatchedLogMel(spec), torch.Generator().manual_seed(0)
    asit = ASiT(config.asit)
    optimiser = torch.optim.AdamW(parameter_groups(asit.student), lr=1e-5)

    def read() -> list[torch.Tensor]:
        _, global_, local = zip(*(crops[0, index] for index in range(config.part_size)), strict=True)
        return [torch.stack(waveforms).transpose(0, 1) for waveforms in (global_, local)]

    def features(waveforms: list[torch.Tensor]) -> list[torch.Tensor]:
        return [log_mel(kind) for kind in waveforms]

    def corruption(clean: torch.Tensor, local: torch.Tensor) -> Views:
        size = (config.frames, config.mels)
        plan = draw_plan(config.corruption, 2, config.part_size, size, generator)
        return Views(clean, *corrupt(clean, plan, config.corruption), local)

    def learn(views: Views) -> None:
        taught = asit.teach(views, 0.04)
        outputs = asit.student(views.corrupted_QBFM, views.local_LBFM)
        asit.losses(views, taught, outputs).total.backward()  # type: ignore[no-untyped-call]

    def update() -> None:
        clip_each(asit.student.parameters(), config.clip)
        optimiser.step()
        optimiser.zero_grad()
        asit.close_step(0.996)

    rows = []
    for _ in range(repeats + 1):  # the first one warms up
        row: dict[str, float] = {}
        waveforms = _timed(row, "read, decode, crop", read)
        spectrograms = _timed(row, "log-mel", partial(features, waveforms))
        views = _timed(row, "corruption", partial(corruption, *spectrograms))
        _timed(row, "teacher, student, losses, backward", partial(learn, views))
        _timed(row, "clipping, AdamW, EMA, centres", update)
        rows.append(row)
    return {name: float(np.median([row[name] for row in rows[1:]])) for name in rows[0]}


def _timed(row: dict[str, float], name: str, work: Callable[[], T]) -> T:
    begin = time.perf_counter()
    result = work()
    row[name] = time.perf_counter() - begin
    return result


def _product_flops(side: int = 1024, repeats: int = 10) -> float:
    """Operations per second of a float32 matrix product, the best of some."""
    matrix = torch.randn(side, side)
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        matrix @ matrix
        seconds.append(time.perf_counter() - begin)
    return 2 * side**3 / min(seconds)


def _noise_shards(folder: Path, clips: int) -> Shards:
    rng = np.random.default_rng(0)
    (folder / "audio").mkdir()
    for number in range(clips):
        soundfile.write(folder / "audio" / f"{number}.flac", rng.normal(0, 0.1, 160_000), 16_000)
    prepare_shards(list_recordings(folder / "audio", None, {}), folder, PrepareConfig(), workers=1)
    return Shards([folder])


if __name__ == "__main__":
    typer.run(bench)

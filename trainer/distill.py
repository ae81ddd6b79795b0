"""Distillation: `python -m trainer.distill RUN --data DIR... --teacher FILE...`: teachers' knowledge into a stream.
Also under torchrun.

Labelled and unlabelled recordings together; targets in time from what teachers said of windows, and labels on top.
A killed run goes on where it was.
"""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from asit_edge.errors import WrongUse
from trainer.data.audioset import read_labels
from trainer.data.layouts.collections import read_recordings
from trainer.data.recording import Recording
from trainer.data.scenes import SceneConfig
from trainer.distillation.pool import open_pool
from trainer.distillation.run import distil, distil_pool
from trainer.distillation.training import Manner
from trainer.models.streaming_mobilenet import WARM_SIZES
from trainer.models.streaming_vit import SIZES
from trainer.run.command import Threads, run
from trainer.run.ranks.distributed import PATIENCE, joined_processes
from trainer.students.config import CNN, DistillConfig, usual_for
from trainer.teachers.assignment import read_assigned

Teachers = Annotated[
    list[Path] | None,
    typer.Option(help="Stored scores, YAMNet, EfficientAT, checkpoint, bundle or ONNX (docs/streaming.md); repeat."),
]
LiveTeachers = Annotated[
    list[Path] | None,
    typer.Option(help="EfficientAT teacher (.pt) that hears every scene of the training itself; repeat."),
]
Assign = Annotated[
    Path | None, typer.Option(help="YAML, label: teacher's file; in these labels that teacher alone has a say.")
]


def main(
    out: Annotated[Path, typer.Argument(help="Folder of the run: its checkpoint; a run that is there goes on.")],
    data: Annotated[
        list[Path] | None, typer.Option(help="Collection (manifest.csv, ESC-50 layout, shards); repeat.")
    ] = None,
    scenes: Annotated[
        Path | None, typer.Option(help="Pool of trainer.scenes to learn from, in place of --data and teachers.")
    ] = None,
    validation: Annotated[Path | None, typer.Option(help="Pool of scenes to judge by.")] = None,
    begin: Annotated[Path | None, typer.Option(help="EfficientAT (.pt) that a warm student begins as.")] = None,
    frozen: Annotated[int, typer.Option(min=0, help="Steps before its convolutions learn.")] = DistillConfig.frozen,
    teacher: Teachers = None,
    size: Annotated[
        str, typer.Option(help=f"Student: {', '.join((*WARM_SIZES, *SIZES))} or cnn.")
    ] = DistillConfig.size,
    chunk: Annotated[int | None, typer.Option(min=1, max=6, help="Time steps of 0.16 s a chunk; default 2.")] = None,
    steps: Annotated[int, typer.Option(min=1)] = DistillConfig.steps,
    batch: Annotated[int, typer.Option(min=1)] = DistillConfig.batch,
    lr: Annotated[float, typer.Option(min=0.0)] = DistillConfig.learning_rate,
    optimiser: Annotated[str, typer.Option(help="muon or adamw.")] = DistillConfig.optimiser,
    initial: Annotated[
        Path | None, typer.Option(help="Student of an earlier run, of the same size, to begin from.")
    ] = None,
    focus: Annotated[
        Path | None, typer.Option(help="Labels that matter (trainer/everyday.txt): the others are heard less often.")
    ] = None,
    test_fold: Annotated[int | None, typer.Option(help="Fold (ESC-50 layout) that is left out.")] = None,
    labels_only: Annotated[
        bool, typer.Option("--labels-only", help="Use the teachers to choose labels only; for comparison.")
    ] = False,
    live: LiveTeachers = None,
    assign: Assign = None,
    speed: Annotated[
        float,
        typer.Option(
            min=0.0, max=0.5, help="Sounds are played up to this share faster or slower; with --live 0.4 is better."
        ),
    ] = SceneConfig.speed,
    features: Annotated[Path | None, typer.Option(help="Pre-trained ASiT whose features it also learns.")] = None,
    features_size: Annotated[str, typer.Option(help="Size of that ASiT.")] = DistillConfig.features_size,
    sharealike: Annotated[bool, typer.Option("--sharealike", help="Use share-alike recordings too.")] = False,
    seed: Annotated[int, typer.Option()] = DistillConfig.seed,
    save_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 500,
    keep_every: Annotated[int, typer.Option(min=0, help="Steps between those that stay, as the best does.")] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes that mix scenes, for each GPU.")] = 1,
    threads: Threads = 0,
) -> None:
    """Distil teachers into a streaming student."""
    _check(size, optimiser, scenes, data, assign)
    config = DistillConfig(
        size=size,
        steps=steps,
        warmup=min(DistillConfig.warmup, steps // 10),
        batch=batch,
        learning_rate=lr,
        optimiser=cast(Literal["muon", "adamw"], optimiser),
        initial=str(initial) if initial else None,
        focus=read_labels(focus) if focus else [],
        test_fold=test_fold,
        labels_only=labels_only,
        live=[str(file) for file in live or ()],
        assigned=read_assigned(assign) if assign else {},
        features=str(features) if features else None,
        features_size=features_size,
        seed=seed,
        begin=str(begin) if begin else None,
        frozen=frozen,
        **usual_for(size),
        scenes=SceneConfig(speed=speed),
        model=asdict(replace(SIZES[size], chunk=chunk)) if chunk and size in SIZES else None,
    )
    with joined_processes(PATIENCE) as processes:
        manner = Manner(save_every, keep_every, workers, processes)
        if scenes is not None:
            distil_pool(out, open_pool(scenes), open_pool(validation) if validation else None, config, manner)
        else:
            distil(out, _recordings(data or [], sharealike), teacher or [], config, manner)


def _recordings(data: list[Path], sharealike: bool) -> list[Recording]:
    return [one for root in data for one in read_recordings(root) if sharealike or not one.sharealike]


def _check(size: str, optimiser: str, scenes: Path | None, data: list[Path] | None, assign: Path | None) -> None:
    if size not in (*WARM_SIZES, *SIZES, CNN):
        raise WrongUse(f"--size {size}: unknown; known are {', '.join((*WARM_SIZES, *SIZES))} and {CNN}")
    if (scenes is None) == (not data):
        raise WrongUse("give either --data DIR, and teachers, or --scenes POOL")
    if assign and scenes:
        raise WrongUse("--assign: what teachers say of a pool's scenes is settled; give it to trainer.scenes")
    if optimiser not in ("muon", "adamw"):
        raise WrongUse(f"--optimiser {optimiser}: unknown; known are muon and adamw")


if __name__ == "__main__":
    run("trainer.distill", main)

"""Distillation: `python -m trainer.distill RUN --data DIR... --teacher FILE...`: teachers' knowledge into a stream.

Labelled and unlabelled recordings together; targets in time from what teachers said of windows, and labels on top.
One readable loop; a killed run goes on where it was.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Literal, cast

import numpy as np
import torch
import typer
from torch import nn

from asit_edge.errors import WrongUse
from trainer.data.audioset import read_labels
from trainer.data.decode import load_waveforms
from trainer.data.layouts.collections import read_recordings
from trainer.data.recording import Recording, Role
from trainer.data.scenes import SceneConfig, SceneSampler
from trainer.distillation.material import build_targets, choose_labels, room_responses, sampling_weights
from trainer.distillation.training import train
from trainer.distillation.validation import held_out, mean_rank, validation_scores
from trainer.models.streaming_vit import SIZES, STEP
from trainer.run.command import run
from trainer.students.config import CNN, DistillConfig
from trainer.teachers.teacher import teacher_scores


def distil(
    out: Path, recordings: list[Recording], sources: Sequence[Path], config: DistillConfig, save_every: int
) -> nn.Module:
    """From recordings and teachers to a student. Beside the run `out` waveforms and teachers' scores are kept."""
    out.mkdir(parents=True, exist_ok=True)
    spec = config.spec
    recordings = [
        recording for recording in recordings if config.test_fold is None or recording.fold != config.test_fold
    ]
    waveforms = load_waveforms(recordings, spec.sample_rate, out.parent / "waveforms")
    cache = out.parent / "teachers"
    teachers = [teacher_scores(source, recordings, waveforms, spec.sample_rate, cache) for source in sources]
    sounds = [index for index, recording in enumerate(recordings) if recording.role is Role.SOUND]
    training = [index for index in sounds if not held_out(recordings[index], config)]
    validation = [index for index in sounds if held_out(recordings[index], config)]
    labels = choose_labels([recordings[index] for index in training], teachers)
    used = [] if config.labels_only else teachers
    material = build_targets([recordings[index] for index in training], training, waveforms, used, labels, config)
    hours = float(np.diff(material.starts).sum() * STEP * spec.hop / spec.sample_rate / 3600)
    print(
        f"{len(training)} recordings to train on ({hours:.1f} h), {len(validation)} to validate, {len(labels)} labels",
        file=sys.stderr,
    )
    sampler = SceneSampler(
        waveforms,
        material.indices,
        sampling_weights(material, config.focus),
        material.targets,
        material.starts,
        spec.sample_rate,
        STEP * spec.hop,
        config.scenes,
        room_responses(recordings, waveforms, spec.sample_rate),
    )
    labelled = [index for index in validation if recordings[index].label in labels]

    def validate(student: nn.Module) -> dict[str, float]:
        if not labelled:
            return {}
        scores = validation_scores(student, waveforms, labelled, spec)
        means = np.stack([one.mean(axis=0) for one in scores])
        return mean_rank(means, [recordings[index] for index in labelled], labels)

    return train(out / "student.pt", sampler, labels, config, validate, save_every)


def main(
    out: Annotated[Path, typer.Argument(help="Folder of the run: its checkpoint; a run that is there goes on.")],
    data: Annotated[list[Path], typer.Option(help="Collection of recordings (manifest.csv or ESC-50 layout); repeat.")],
    teacher: Annotated[
        list[Path] | None,
        typer.Option(
            help="Stored scores, YAMNet, EfficientAT, checkpoint, bundle or ONNX (docs/streaming.md); repeat."
        ),
    ] = None,
    size: Annotated[str, typer.Option(help=f"Student: {', '.join(SIZES)} or cnn.")] = DistillConfig.size,
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
    live: Annotated[
        Path | None, typer.Option(help="EfficientAT teacher (.pt) that hears every scene of the training itself.")
    ] = None,
    speed: Annotated[
        float,
        typer.Option(
            min=0.0, max=0.5, help="Sounds are played up to this share faster or slower; with --live 0.4 is better."
        ),
    ] = SceneConfig.speed,
    features: Annotated[
        Path | None, typer.Option(help="Pre-trained ASiT whose features the student also learns.")
    ] = None,
    features_size: Annotated[str, typer.Option(help="Size of that ASiT.")] = DistillConfig.features_size,
    sharealike: Annotated[bool, typer.Option("--sharealike", help="Use share-alike recordings too.")] = False,
    seed: Annotated[int, typer.Option()] = DistillConfig.seed,
    save_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 500,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: all.")] = 0,
) -> None:
    """Distil teachers into a streaming student."""
    if threads:
        torch.set_num_threads(threads)
    if size not in (*SIZES, CNN):
        raise WrongUse(f"--size {size}: unknown; known are {', '.join(SIZES)} and {CNN}")
    if optimiser not in ("muon", "adamw"):
        raise WrongUse(f"--optimiser {optimiser}: unknown; known are muon and adamw")
    recordings = [recording for root in data for recording in read_recordings(root)]
    recordings = [recording for recording in recordings if sharealike or not recording.sharealike]
    config = DistillConfig(
        size=size,
        steps=steps,
        batch=batch,
        learning_rate=lr,
        optimiser=cast(Literal["muon", "adamw"], optimiser),
        initial=str(initial) if initial else None,
        focus=read_labels(focus) if focus else [],
        test_fold=test_fold,
        labels_only=labels_only,
        live=str(live) if live else None,
        features=str(features) if features else None,
        features_size=features_size,
        seed=seed,
        scenes=SceneConfig(speed=speed),
        model=asdict(replace(SIZES[size], chunk=chunk)) if chunk and size in SIZES else None,
    )
    distil(out, recordings, teacher or [], config, save_every)


if __name__ == "__main__":
    run("trainer.distill", main)

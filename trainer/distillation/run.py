"""One run of distillation: recordings and teachers become material, material becomes a student."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import nn

from asit_edge.errors import WrongUse
from trainer.data.decode import load_waveforms
from trainer.data.recording import Recording, Role
from trainer.data.scenes import SceneSampler
from trainer.distillation.batches import MixedScenes, PooledScenes
from trainer.distillation.material import build_targets, choose_labels, room_responses, sampling_weights
from trainer.distillation.pool import ScenePool
from trainer.distillation.training import train
from trainer.distillation.validation import held_out, mean_rank, pool_precision, validation_scores
from trainer.models.streaming_vit import STEP
from trainer.students.config import DistillConfig
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

    return train(
        out / "student.pt",
        lambda first: MixedScenes(sampler, config, first, labels),
        labels,
        config,
        validate,
        save_every,
    )


def distil_pool(
    out: Path, pool: ScenePool, validation: ScenePool | None, config: DistillConfig, save_every: int
) -> nn.Module:
    """From a pool of scenes to a student; judged on the scenes of another pool, where there is one."""
    out.mkdir(parents=True, exist_ok=True)
    if validation is not None and validation.labels != pool.labels:
        raise WrongUse(f"{validation.folder}: has other labels than {pool.folder}; make both of the same data")
    print(f"{len(pool)} scenes, {len(pool.labels)} labels", file=sys.stderr)

    def validate(student: nn.Module) -> dict[str, float]:
        return pool_precision(student, validation, config.spec) if validation is not None else {}

    return train(
        out / "student.pt",
        lambda first: PooledScenes(pool, config, first),
        pool.labels,
        config,
        validate,
        save_every,
    )

"""One run of distillation: recordings and teachers become material, material becomes a student."""

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import nn

from asit_edge.errors import WrongUse
from trainer.data.recording import Recording
from trainer.distillation.batches import MixedScenes, PooledScenes
from trainer.distillation.material import build_targets, choose_labels, heard
from trainer.distillation.pool import ScenePool
from trainer.distillation.training import train
from trainer.distillation.validation import mean_rank, pool_precision, validation_scores
from trainer.models.streaming_vit import STEP
from trainer.students.config import DistillConfig


def distil(
    out: Path,
    recordings: list[Recording],
    sources: Sequence[Path],
    config: DistillConfig,
    save_every: int,
    keep_every: int = 0,
) -> nn.Module:
    """From recordings and teachers to a student. Beside the run `out` waveforms and teachers' scores are kept."""
    out.mkdir(parents=True, exist_ok=True)
    spec = config.spec
    known = heard(recordings, sources, config, out.parent)
    recordings, waveforms, training, validation = known.recordings, known.waveforms, known.training, known.validation
    labels = choose_labels(known.of(training), known.teachers)
    used = [] if config.labels_only else known.teachers
    material = build_targets(known.of(training), training, waveforms, used, labels, config)
    hours = float(np.diff(material.starts).sum() * STEP * spec.hop / spec.sample_rate / 3600)
    print(
        f"{len(training)} recordings to train on ({hours:.1f} h), {len(validation)} to validate, {len(labels)} labels",
        file=sys.stderr,
    )
    sampler = known.sampler(material, config)
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
        keep_every=keep_every,
        data=_fingerprint(
            [(one.name, list(one.labels)) for one in known.of(training)],
            [source.name for source in sources],
            material.starts.tolist(),
        ),
    )


def distil_pool(
    out: Path,
    pool: ScenePool,
    validation: ScenePool | None,
    config: DistillConfig,
    save_every: int,
    keep_every: int = 0,
) -> nn.Module:
    """From a pool of scenes to a student; judged on the scenes of another pool, where there is one."""
    out.mkdir(parents=True, exist_ok=True)
    if validation is not None and validation.labels != pool.labels:
        raise WrongUse(f"{validation.folder}: has other labels than {pool.folder}; make both of the same data")
    print(f"{len(pool)} scenes, {len(pool.labels)} labels", file=sys.stderr)

    def validate(student: nn.Module) -> dict[str, float]:
        return pool_precision(student, validation, config) if validation is not None else {}

    return train(
        out / "student.pt",
        lambda first: PooledScenes(pool, config, first),
        pool.labels,
        config,
        validate,
        save_every,
        keep_every=keep_every,
        data=_fingerprint(pool.about, len(pool)),
    )


def _fingerprint(*facts: object) -> str:
    """Of what a run learns from, so that it goes on with nothing else."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

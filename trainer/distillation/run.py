"""One run of distillation: recordings and teachers become material, material becomes a student."""

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import nn

from asit_edge.errors import AsitEdgeError, WrongUse
from trainer.data.recording import Recording
from trainer.distillation.batches import MixedScenes, PooledScenes
from trainer.distillation.material import Heard, build_targets, choose_labels, heard
from trainer.distillation.pool import ScenePool
from trainer.distillation.training import Manner, train
from trainer.distillation.validation import mean_rank, pool_precision, validation_scores
from trainer.models.streaming_vit import STEP
from trainer.run.command import warn
from trainer.students.config import DistillConfig

JUDGED = 2048
"""Recordings of the validation part that a student is judged by, at most: every so-many-th."""


def distil(
    out: Path,
    recordings: list[Recording],
    sources: Sequence[Path],
    config: DistillConfig,
    manner: Manner,
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
    if manner.processes.first:
        print(
            f"{len(training)} recordings to train on ({hours:.1f} h), {len(validation)} to validate, "
            f"{len(labels)} labels",
            file=sys.stderr,
        )
    sampler = known.sampler(material, training, config)
    labelled = [index for index in validation if recordings[index].label in labels]
    labelled = labelled[:: -(-len(labelled) // JUDGED) or 1] if manner.processes.first else []
    labelled = [index for index in labelled if _is_readable(known, index)]

    def validate(student: nn.Module) -> dict[str, float]:
        if not labelled:
            return {}
        scores = validation_scores(student, waveforms, labelled, spec)
        means = np.stack([one.mean(axis=0) for one in scores])
        return mean_rank(means, [recordings[index] for index in labelled], labels)

    return train(
        out / "student.pt",
        lambda share: MixedScenes(sampler, config, share),
        labels,
        config,
        validate,
        manner,
        named=lambda index: recordings[index].shown,
        data=_fingerprint(
            [(one.name, list(one.labels)) for one in known.of(training)],
            [source.name for source in sources],
            material.starts.tolist(),
        ),
    )


def _is_readable(known: Heard, index: int) -> bool:
    """Whether a recording to be judged by can be read; one that cannot is named. Files have been decoded already."""
    if known.recordings[index].inside is not None:
        try:
            _ = known.waveforms[index]
        except AsitEdgeError as error:
            warn([f"{error}; left out of validation"])
            return False
    return True


def distil_pool(
    out: Path,
    pool: ScenePool,
    validation: ScenePool | None,
    config: DistillConfig,
    manner: Manner,
) -> nn.Module:
    """From a pool of scenes to a student; judged on the scenes of another pool, where there is one."""
    out.mkdir(parents=True, exist_ok=True)
    if validation is not None and validation.labels != pool.labels:
        raise WrongUse(f"{validation.folder}: has other labels than {pool.folder}; make both of the same data")
    if manner.processes.first:
        print(f"{len(pool)} scenes, {len(pool.labels)} labels", file=sys.stderr)

    def validate(student: nn.Module) -> dict[str, float]:
        return pool_precision(student, validation, config) if validation is not None else {}

    return train(
        out / "student.pt",
        lambda share: PooledScenes(pool, config, share),
        pool.labels,
        config,
        validate,
        manner,
        data=_fingerprint(pool.about, len(pool)),
    )


def _fingerprint(*facts: object) -> str:
    """Of what a run learns from, so that it goes on with nothing else."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

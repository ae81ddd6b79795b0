"""Labels and thresholds of a student, from recordings of its run's validation groups.

Where somebody labelled a sound or the teachers are sure of it, it is there; where they are sure that it is not, it is
not; between these nobody asks.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asit_edge.errors import WrongUse
from trainer.data.decode import load_waveforms
from trainer.data.left_out import split_left_out
from trainer.data.recording import Recording, Role
from trainer.distillation.material import build_targets
from trainer.distillation.validation import held_out, validation_scores
from trainer.evaluation.metrics import average_precision
from trainer.evaluation.selection import RELEASE
from trainer.students.student import load_student
from trainer.teachers.teacher import teacher_scores

SURE, ABSENT = 0.5, 0.1
"""Targets from which on a sound counts as there, and below which as not there; between them nobody asks."""

PRECISION = 0.7
"""An event starts where at least this share of the time steps with such a score is right."""

LOWEST, HIGHEST = 0.15, 0.7
"""Thresholds stay within these."""

FEWEST, KNOWN = 5, 0.2
"""Recordings with a sound, and average precision, that a threshold of its own needs; else it is that of all labels."""


def threshold_for(scores: npt.NDArray[np.float32], truth: npt.NDArray[np.bool_], precision: float) -> float | None:
    """The lowest score from which on the share of truth is at least `precision`; None if there is none."""
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(truth[order]) / np.arange(1, len(order) + 1)
    # A score decides for all that have it.
    last = np.append(scores[order][1:] != scores[order][:-1], True)
    enough = np.flatnonzero((right >= precision) & last)
    return float(scores[order][enough[-1]]) if len(enough) else None


def student_facts(
    checkpoint: Path,
    recordings: Sequence[Recording],
    sources: Sequence[Path],
    listed: Sequence[str] | None,
    least: float,
) -> dict[str, Any]:
    """Facts for `export.bundle`: the student's labels that are `listed` (None: all), their thresholds, and metrics.

    Labels of an average precision below `least` are dropped. Raises WrongUse where no recording is in the validation
    groups of the student's run.
    """
    student, config, known, record = load_student(checkpoint)
    names = [label.name for label in known]
    rate = config.spec.sample_rate
    kept, _ = split_left_out(recordings, config.test_fold)
    held = [one for one in kept if not one.sharealike and one.role is Role.SOUND and held_out(one, config)]
    if not held:
        raise WrongUse("--data: no recording there is in the run's validation groups")
    cache = checkpoint.parent.parent
    waveforms = load_waveforms(held, rate, cache / "waveforms")
    teachers = [teacher_scores(source, held, waveforms, rate, cache / "teachers") for source in sources]
    material = build_targets(held, range(len(held)), waveforms, teachers, names, config)
    scores = [
        step_scores[: material.starts[index + 1] - material.starts[index]]
        for index, step_scores in enumerate(validation_scores(student, waveforms, range(len(held)), config.spec))
    ]
    targets = [material.of(index, waveforms[index])[: len(one)] for index, one in enumerate(scores)]
    columns = [column for column, name in enumerate(names) if listed is None or name in listed]
    thresholds, precisions = choose(scores, targets, {names[column]: column for column in columns}, least)
    return {
        "labels": list(thresholds),
        "thresholds": thresholds,
        "metrics": {
            "validation": f"{len(held)} recordings of groups that were not trained on, at step {record['step']}",
            "step_average_precision": precisions,
            "mean_step_average_precision": round(float(np.mean(list(precisions.values()))), 3) if precisions else None,
        },
    }


def choose(
    by_recording: Sequence[npt.NDArray[np.float32]],
    targets: Sequence[npt.NDArray[np.float32]],
    columns: dict[str, int],
    least: float,
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Label to [on, off] and label to average precision, from scores and targets (steps, labels) of each recording.

    `columns` says which column of these is which label's.
    """
    scores, truth = np.concatenate(by_recording), np.concatenate(targets)
    recording = np.repeat(np.arange(len(by_recording)), [len(one) for one in by_recording])
    places = list(columns.values())
    asked = (truth >= SURE) | (truth < ABSENT)
    pooled = threshold_for(scores[:, places][asked[:, places]], truth[:, places][asked[:, places]] >= SURE, PRECISION)
    thresholds: dict[str, list[float]] = {}
    precisions: dict[str, float] = {}
    for name, column in columns.items():
        chosen = asked[:, column]
        there = truth[chosen, column] >= SURE
        found = len(np.unique(recording[chosen][there]))
        own = None
        if found >= FEWEST:
            precisions[name] = round(average_precision(scores[chosen, column], there), 3)
            if precisions[name] < least:
                continue
            if precisions[name] >= KNOWN:
                own = threshold_for(scores[chosen, column], there, PRECISION)
        on = float(np.clip(own if own is not None else pooled or 0.5, LOWEST, HIGHEST))
        thresholds[name] = [round(on, 2), round(RELEASE * on, 2)]
    return thresholds, precisions

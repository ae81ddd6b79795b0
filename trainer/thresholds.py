"""Thresholds of a student: `python -m trainer.thresholds CKPT --data DIR... --teacher FILE... --out YAML`.

From recordings that the student was not trained on (the validation groups of its run): where somebody labelled a sound
or the teachers are sure of it, and where they are sure that it is not there. What it writes goes into the bundle with
`export.bundle --facts`.
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
import typer
import yaml

from asit_edge.errors import WrongUse
from trainer.data.audioset import read_labels
from trainer.data.decode import load_waveforms
from trainer.data.layouts.collections import read_recordings
from trainer.data.recording import Role
from trainer.distillation.material import build_targets
from trainer.distillation.validation import held_out, validation_scores
from trainer.evaluation.metrics import average_precision
from trainer.run.command import run
from trainer.students.student import load_student
from trainer.teachers.teacher import teacher_scores

SURE, ABSENT = 0.5, 0.1
"""Targets from which on a sound counts as there, and below which as not there; between them nobody asks."""

PRECISION = 0.7
"""An event starts where at least this share of the time steps with such a score is right."""

LOWEST, HIGHEST = 0.15, 0.7
OFF = 0.6
"""An event ends below this share of the threshold at which it starts."""

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


def main(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of trainer.distill.")],
    data: Annotated[list[Path], typer.Option(help="The collections of the run; repeat.")],
    out: Annotated[Path, typer.Option(help="YAML for export.bundle --facts.")],
    teacher: Annotated[list[Path] | None, typer.Option(help="The teachers of the run; repeat.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Names to keep, one a line (trainer/everyday.txt); default: all.")
    ] = None,
    least: Annotated[float, typer.Option(help="Drop labels of a lower average precision in validation.")] = 0.0,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: all.")] = 0,
) -> None:
    """Choose labels and thresholds on the validation groups of a student's run."""
    if threads:
        torch.set_num_threads(threads)
    student, config, known, record = load_student(checkpoint)
    names = [label.name for label in known]
    listed = read_labels(labels) if labels else names
    wanted = [name for name in names if name in listed]
    rate = config.spec.sample_rate
    recordings = [
        one for root in data for one in read_recordings(root) if not one.sharealike and one.role is Role.SOUND
    ]
    recordings = [one for one in recordings if held_out(one, config)]
    if not recordings:
        raise WrongUse("--data: no recording there is in the run's validation groups")
    cache = checkpoint.parent.parent
    waveforms = load_waveforms(recordings, rate, cache / "waveforms")
    teachers = [teacher_scores(source, recordings, waveforms, rate, cache / "teachers") for source in teacher or []]
    material = build_targets(recordings, range(len(recordings)), waveforms, teachers, names, config)
    steps = [
        step_scores[: material.starts[index + 1] - material.starts[index]]
        for index, step_scores in enumerate(validation_scores(student, waveforms, range(len(recordings)), config.spec))
    ]
    targets = [
        material.targets[material.starts[index] : material.starts[index] + len(one)] for index, one in enumerate(steps)
    ]
    scores, truth = np.concatenate(steps), np.concatenate(targets)
    recording = np.repeat(np.arange(len(steps)), [len(one) for one in steps])
    columns = [names.index(name) for name in wanted]
    asked = (truth >= SURE) | (truth < ABSENT)
    pooled = threshold_for(
        scores[:, columns][asked[:, columns]], truth[:, columns][asked[:, columns]] >= SURE, PRECISION
    )
    thresholds: dict[str, list[float]] = {}
    precisions: dict[str, float] = {}
    for name, column in zip(wanted, columns, strict=True):
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
        thresholds[name] = [round(on, 2), round(OFF * on, 2)]
    facts: dict[str, Any] = {"labels": list(thresholds), "thresholds": thresholds}
    facts["metrics"] = {
        "validation": f"{len(recordings)} recordings of groups that were not trained on, at step {record['step']}",
        "step_average_precision": precisions,
        "mean_step_average_precision": round(float(np.mean(list(precisions.values()))), 3) if precisions else None,
    }
    out.write_text(yaml.safe_dump(facts, sort_keys=False, allow_unicode=True), encoding="utf-8")
    print(f"wrote {out}: {len(thresholds)} labels, {len(precisions)} of them judged by validation")


if __name__ == "__main__":
    run("trainer.thresholds", main)

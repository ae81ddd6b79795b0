"""Evaluation of checkpoints and bundles on labelled clips, through the very windows that a device would score.

`python -m trainer.evaluate CKPT|BUNDLE --data DIR [--fold N]`
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer

from asit_edge.assembly import open_classifier
from asit_edge.bundle import load_bundle
from asit_edge.classifier import Classifier, SlidingWindow
from asit_edge.errors import WrongUse
from asit_edge.frontend import FrontEnd
from asit_edge.pipeline import Scorer
from asit_edge.tag import clip_scores
from trainer.checkpoint import checkpoint_kind, load_classifier
from trainer.classifier import ClipClassifier
from trainer.command import run
from trainer.crops import Samples
from trainer.esc50 import read_esc50
from trainer.finetune_config import FinetuneConfig
from trainer.student import STUDENT, TorchWindows, load_student, student_classifier

DECISION_FRAMES = 48
"""Frames between decisions where a checkpoint is evaluated; a bundle brings its own."""


@dataclass(frozen=True)
class Report:
    """Results on single-label clips. `confusion[true, predicted]` counts clips."""

    clips: int
    accuracy: float
    confusion: npt.NDArray[np.int64]


def checkpoint_classifier(model: ClipClassifier, config: FinetuneConfig) -> Classifier:
    """A checkpoint behind the device's `Classifier` protocol."""
    silence = np.full(config.spec.mels, config.spec.silence, np.float32)
    return SlidingWindow(TorchWindows(model), config.frames, DECISION_FRAMES, silence)


def score_clip(samples: Samples, front_end: FrontEnd, classifier: Classifier) -> Samples:
    """Scores of one clip (classes,), exactly as `asit-edge tag` makes them."""
    scorer = Scorer(front_end, classifier, front_end.sample_rate)
    decisions = [*scorer.push(samples), *scorer.flush()]
    return clip_scores(np.stack([decision.scores for decision in decisions]))


def closed_set(scores: Samples, targets: Samples) -> Report:
    """Accuracy of the best-scored class. `scores` and `targets` are (clips, classes), targets one-hot."""
    predicted, true = scores.argmax(axis=1), targets.argmax(axis=1)
    confusion = np.zeros((targets.shape[1], targets.shape[1]), np.int64)
    np.add.at(confusion, (true, predicted), 1)
    return Report(len(true), float((predicted == true).mean()), confusion)


def evaluate_clips(model: ClipClassifier, config: FinetuneConfig, clips: list[Samples], targets: Samples) -> Report:
    """Accuracy of a checkpoint on waveforms at the front end's rate."""
    classifier = checkpoint_classifier(model, config)
    scores = [score_clip(clip, config.spec, classifier) for clip in clips]
    return closed_set(np.stack(scores), targets)


def print_reports(reports: dict[str, Report]) -> None:
    """One line a fold and the mean over folds."""
    for name, report in reports.items():
        print(f"{name}: accuracy {report.accuracy:.3f} on {report.clips} clips")
    if len(reports) > 1:
        print(f"mean: accuracy {np.mean([report.accuracy for report in reports.values()]):.3f}")


def main(
    model: Annotated[
        Path, typer.Argument(help="Checkpoint of trainer.finetune or trainer.distill, or directory of a model bundle.")
    ],
    data: Annotated[Path, typer.Option(help="Folder in the ESC-50 layout.")],
    fold: Annotated[
        list[int] | None, typer.Option(help="Only these folds; default: the checkpoint's test fold.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a fold, with the confusion matrix.")] = False,
) -> None:
    """Accuracy on the folds of a data set in the ESC-50 layout."""
    dataset = read_esc50(data)
    if model.is_dir():
        bundle = load_bundle(model)
        spec = bundle.manifest.front_end
        names = [label.name for label in bundle.manifest.labels]
        classifier = open_classifier(bundle)
        folds = fold or dataset.folds
    elif checkpoint_kind(model) == STUDENT:
        student, run_config, labels, _ = load_student(model)
        spec = run_config.spec
        names = [label.name for label in labels]
        classifier = student_classifier(student, spec)
        folds = fold or ([run_config.test_fold] if run_config.test_fold is not None else dataset.folds)
    else:
        network, config, labels, record = load_classifier(model)
        spec = config.spec
        names = [label.name for label in labels]
        classifier = checkpoint_classifier(network, config)
        tested = record["test_fold"]
        folds = fold or ([tested] if tested is not None else dataset.folds)
    wanted = [label.name for label in dataset.labels]
    if missing := [name for name in wanted if name not in names]:
        raise WrongUse(f"{model}: has no label {missing[0]!r}, which {data} needs")
    columns = [names.index(name) for name in wanted]
    clips, targets = dataset.load(spec.sample_rate), dataset.targets
    reports: dict[str, Report] = {}
    for number in folds:
        chosen = [index for index, clip in enumerate(dataset.clips) if clip.fold == number]
        if not chosen:
            raise WrongUse(f"--fold {number}: the data has folds {', '.join(map(str, dataset.folds))}")
        scores = np.stack([score_clip(clips[index], spec, classifier) for index in chosen])
        report = closed_set(scores[:, columns], targets[chosen])
        reports[f"fold{number}"] = report
        if as_json:
            row = {"fold": number, "clips": report.clips, "accuracy": report.accuracy, "labels": wanted}
            print(json.dumps(row | {"confusion": report.confusion.tolist()}))
    if not as_json:
        print_reports(reports)


if __name__ == "__main__":
    run("trainer.evaluate", main)

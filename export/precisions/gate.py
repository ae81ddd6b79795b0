"""The gate: what a model in another precision may lose against fp32, measured on real audio.

Scores of both go through the very `Classifier` that a device would use. Pure: audio in, numbers out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asit_edge.audio.samples import Samples
from asit_edge.detect.clip_scores import clip_scores
from asit_edge.model.bundle import Manifest
from asit_edge.model.classifier import Classifier, Scores
from asit_edge.model.front_ends import AnyFrontEnd
from asit_edge.model.golden import deviation, logits_of
from asit_edge.model.variant import Gate
from trainer.evaluation.decisions import decision_scores
from trainer.evaluation.metrics import average_precision

LIMITS: dict[str, dict[str, float]] = {
    "fp16": {
        "max_error": 0.02,
        "relative_error": 0.01,
        "label_error": 0.05,
        "top1_change": 0.005,
        "event_change": 0.01,
        "accuracy_loss": 0.005,
        "map_loss": 0.005,
    },
    "int8": {
        "max_error": 0.15,
        "relative_error": 0.05,
        "label_error": 0.3,
        "top1_change": 0.02,
        "event_change": 0.03,
        "accuracy_loss": 0.01,
        "map_loss": 0.01,
    },
}
"""Default limits by precision; `asit_edge.model.bundle.Gate` says what they mean."""


@dataclass(frozen=True)
class Decisions:
    """What a model decided on recordings: for each the scores of its decisions (n, classes)."""

    scores: list[Scores]

    @property
    def all(self) -> Scores:
        return np.concatenate(self.scores)

    @property
    def clips(self) -> Scores:
        """(recordings, classes), as `asit-edge tag` would score them."""
        return np.stack([clip_scores(scores) for scores in self.scores])


def decisions_on(classifier: Classifier, front_end: AnyFrontEnd, recordings: Sequence[Samples]) -> Decisions:
    """Every decision of a model on recordings at the front end's rate."""
    return Decisions([decision_scores(classifier, front_end, samples) for samples in recordings])


def compare(
    reference: Decisions, variant: Decisions, manifest: Manifest, labels: Sequence[str | None]
) -> dict[str, float]:
    """What the variant loses; keys as in `asit_edge.model.bundle.Gate`.

    Accuracy (best class among those that the labels have) and mean average precision are of whole recordings, and
    only there if the model knows at least two of the labels.
    """
    expected, actual = reference.all.astype(np.float64), variant.all.astype(np.float64)
    on = np.array([label.on_threshold for label in manifest.labels])
    logits, changed = logits_of(expected), logits_of(actual)
    measured = {
        "max_error": float(np.abs(expected - actual).max()),
        "relative_error": float(np.linalg.norm(changed - logits) / max(np.linalg.norm(logits), 1e-12)),
        "label_error": deviation(expected, actual).label_error,
        "top1_change": float((expected.argmax(axis=1) != actual.argmax(axis=1)).mean()),
        "event_change": float(((expected >= on) != (actual >= on)).any(axis=1).mean()),
    }
    names = [label.name for label in manifest.labels]
    known = [index for index, label in enumerate(labels) if label in names]
    columns = sorted({names.index(str(labels[index])) for index in known})
    if len(columns) > 1:
        true = np.array([columns.index(names.index(str(labels[index]))) for index in known])
        before, after = (quality(one.clips[known][:, columns], true) for one in (reference, variant))
        measured["accuracy_loss"] = before[0] - after[0]
        measured["map_loss"] = before[1] - after[1]
    return {name: round(value, 6) for name, value in measured.items()}


def quality(scores: npt.NDArray[np.floating], true: npt.NDArray[np.integer]) -> tuple[float, float]:
    """Accuracy and mean average precision of scores (clips, classes) for the index of each clip's true class.

    Scores that are not numbers count as zero.
    """
    finite = np.nan_to_num(scores)
    precisions = [average_precision(finite[:, column], true == column) for column in range(scores.shape[1])]
    return float((finite.argmax(axis=1) == true).mean()), float(np.nanmean(precisions))


def active_decisions(decisions: Decisions, manifest: Manifest) -> npt.NDArray[np.int64]:
    """Decisions in which a label is at its on-threshold or above, (labels,)."""
    on = np.array([label.on_threshold for label in manifest.labels])
    return np.asarray((decisions.all >= on).sum(axis=0))


def judge(
    precision: str,
    data: str,
    measured: Mapping[str, float],
    limits: Mapping[str, float],
    errors: Mapping[str, float],
    unchecked: Sequence[str] = (),
) -> Gate:
    """The gate as a bundle records it; `errors` are the local errors of layers, of which the largest is named."""
    worst = max(errors, key=lambda name: errors[name], default="")
    allowed = {**LIMITS[precision], **limits}
    return Gate(
        data=data,
        limits={name: allowed[name] for name in measured},
        measured=dict(measured),
        worst_layer=f"{worst} (relative error {errors[worst]:.2g})" if worst else "",
        unchecked=list(unchecked),
    )

"""Clip-level metrics in NumPy: how well scores of whole clips agree with their labels.

Scores and truth are (clips, classes). A class without positive clips (or, for the ROC, without negative ones) has no
value: NaN, left out of every mean.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Values = npt.NDArray[np.float64]
Truth = npt.NDArray[np.bool_]


def precision_recall(scores: Floats, truth: Truth) -> tuple[Values, Values, Values]:
    """Precision, recall and threshold at each distinct score, highest first; `scores` and `truth` are (clips,).

    At a threshold everything that scores as high or higher counts as found, so equal scores are found together.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, hits = np.asarray(scores, np.float64)[order], truth[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else np.zeros(0, np.int64)
    found = np.cumsum(hits)[last]
    positives = truth.sum()
    recall = found / positives if positives else np.full(len(last), np.nan)
    return found / (last + 1), recall, ranked[last]


def average_precision(scores: Floats, truth: Truth) -> float:
    """Sum over thresholds of precision times the step in recall (no interpolation). NaN without positives."""
    if not truth.any():
        return float("nan")
    precision, recall, _ = precision_recall(scores, truth)
    return float((np.diff(recall, prepend=0.0) * precision).sum())


def roc_auc(scores: Floats, truth: Truth) -> float:
    """The chance that a positive clip scores above a negative one; ties count half. NaN without either kind."""
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        return float("nan")
    _, group, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[group]
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def d_prime(auc: float) -> float:
    """Separation of two unit Gaussians that has this AUC: sqrt(2) * inverse normal CDF. Infinite at 0 and 1."""
    if np.isnan(auc):
        return float("nan")
    if not 0 < auc < 1:
        return float("inf") if auc >= 1 else float("-inf")
    return float(np.sqrt(2) * NormalDist().inv_cdf(auc))


def confusion_matrix(
    predicted: npt.NDArray[np.int64], true: npt.NDArray[np.int64], classes: int
) -> npt.NDArray[np.int64]:
    """`confusion[true, predicted]` counts clips."""
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (true, predicted), 1)
    return confusion


def best_threshold(scores: Floats, truth: Truth, beta: float = 1.0) -> float:
    """The score from which on a clip is best taken for positive: the highest F-beta, halfway to the next lower score.

    With `beta` below 1 precision weighs more than recall. NaN without positives.
    """
    if not truth.any():
        return float("nan")
    precision, recall, thresholds = precision_recall(scores, truth)
    best = int(np.argmax((1 + beta**2) * precision * recall / np.maximum(beta**2 * precision + recall, 1e-12)))
    below = thresholds[best + 1] if best + 1 < len(thresholds) else 0.0
    return float((thresholds[best] + below) / 2)


@dataclass(frozen=True)
class Interval:
    """A value and where 95 % of its bootstrap samples lie."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap(
    statistic: Callable[[npt.NDArray[np.int64]], float], groups: Sequence[str], samples: int = 1000, seed: int = 0
) -> Interval:
    """`statistic` of all clips, given as indices, and its 95 % interval over resampled recordings.

    `groups` names each clip's recording: clips of one recording are drawn together, because they are not
    independent. Where the statistic of all clips is NaN, so are the others.
    """
    value = statistic(np.arange(len(groups)))
    if np.isnan(value):
        return Interval(value, value, value)
    _, member, counts = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    members = np.split(np.argsort(member, kind="stable"), np.cumsum(counts)[:-1])
    rng = np.random.default_rng(seed)
    values = [
        statistic(np.concatenate([members[group] for group in rng.integers(len(members), size=len(members))]))
        for _ in range(samples)
    ]
    finite = np.array([value for value in values if np.isfinite(value)])
    low, high = np.percentile(finite, [2.5, 97.5]) if finite.size else (np.nan, np.nan)
    return Interval(value, float(low), float(high))


def mean_average_precision(scores: Floats, truth: Truth) -> float:
    """Macro mean over the classes that have positives; NaN if none has."""
    return nan_mean([average_precision(scores[:, index], truth[:, index]) for index in range(truth.shape[1])])


def nan_mean(values: Sequence[float]) -> float:
    """The mean of those that are numbers; NaN if none is."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")

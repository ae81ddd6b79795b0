"""What the validation part decides: which weights are kept, and from which score on a class counts as heard."""

from collections.abc import Sequence

import numpy as np
import torch

from asit_edge.audio.samples import Samples
from asit_edge.detect.hysteresis import ClassSettings
from asit_edge.model.frontend import log_mel
from trainer.data.clips.batches import clip_windows
from trainer.data.clips.windows import sounding
from trainer.data.dataset import Dataset
from trainer.data.mixing import fitted
from trainer.evaluation.detection import Timeline, outcomes, track
from trainer.evaluation.metrics import best_threshold, mean_average_precision
from trainer.evaluation.scoring import ScoringModel
from trainer.finetuning.config import FinetuneConfig
from trainer.models.finetuned import FinetunedNetwork

LOWEST, HIGHEST = 0.2, 0.95
"""Thresholds stay within these: a few validation clips do not prove that less or more is safe in a long day."""

BETA = 0.5
"""Precision weighs more than recall: all day long there is far more to mistake than in the validation part."""

RELEASE = 0.6
"""An event ends at this share of the score that it starts at."""


def fast_scores(
    model: FinetunedNetwork, clips: Sequence[Samples], config: FinetuneConfig, device: torch.device, batch: int = 64
) -> Samples:
    """Clip scores (clips, classes) in batches: of whole clips, or the mean over windows that cover a clip."""
    length = config.spec.samples_for(config.frames)
    model = model.eval()
    totals: list[Samples] = []
    waiting: list[tuple[int, Samples]] = []

    def score() -> None:
        features = np.stack([log_mel(config.spec, window) for _, window in waiting])
        with torch.inference_mode():
            logits = model(torch.from_numpy(features).to(device)).float()
            probabilities = logits.softmax(dim=-1) if model.exclusive else logits.sigmoid()
        rows = (probabilities.mean(dim=1) if probabilities.ndim == 3 else probabilities).cpu().numpy()
        for (index, _), row in zip(waiting, rows, strict=True):
            if index == len(totals):
                totals.append(np.zeros_like(row))
                counts.append(0)
            totals[index] += row
            counts[index] += 1
        waiting.clear()

    counts: list[int] = []
    for index, clip in enumerate(clips):
        whole = config.crop == "whole"
        for window in [fitted(clip, length)] if whole else clip_windows(clip, config.spec, config.frames):
            waiting.append((index, window))
            if len(waiting) == batch:
                score()
    if waiting:
        score()
    return np.stack(totals) / np.array(counts, np.float32)[:, None]


def decision_map(timelines: Sequence[Timeline], dataset: Dataset) -> float:
    """Mean average precision of single decisions against what sounds in them (strong labels)."""
    classes = len(dataset.categories)
    truth = [sounding(line.edges, events, classes) for line, events in zip(timelines, dataset.events, strict=True)]
    scores = np.concatenate([line.scores for line in timelines])
    return mean_average_precision(scores, np.concatenate(truth) > 0)


def choose_thresholds(model: ScoringModel, dataset: Dataset, clips: Sequence[Samples]) -> dict[str, list[float]]:
    """Label to [on, off], of the classes that the validation clips can tell something about.

    Strong labels: the highest F-beta of events, through the tracker. Else: the highest F-beta of clips, by their
    highest decision, because one is enough to start an event (a model of whole clips: by the clip's score).
    """
    if dataset.strong:
        starts = _by_events(model, dataset, [model.timeline(clip) for clip in clips])
    else:
        whole = model.whole is not None
        highest = model.clips(clips) if whole else np.stack([model.timeline(clip).scores.max(axis=0) for clip in clips])
        truth = dataset.targets > 0
        starts = [
            best_threshold(highest[:, index], truth[:, index], BETA) if not truth[:, index].all() else float("nan")
            for index in range(truth.shape[1])
        ]
    return {
        label.name: [round(on, 3), round(RELEASE * on, 3)]
        for label, start in zip(model.labels, starts, strict=True)
        if np.isfinite(start) and (on := float(np.clip(start, LOWEST, HIGHEST)))
    }


def _by_events(model: ScoringModel, dataset: Dataset, timelines: Sequence[Timeline]) -> list[float]:
    count, rate = len(model.labels), model.spec.sample_rate
    events = dataset.events
    best = [(float("-inf"), float("nan"))] * count
    for on in np.arange(LOWEST, HIGHEST + 0.01, 0.05):
        settings = [
            entry and ClassSettings(float(on), RELEASE * float(on), entry.min_duration, entry.merge_gap, entry.cooldown)
            for entry in model.classes
        ]
        heard = [track(line, settings, rate) for line in timelines]
        for label, outcome in enumerate(outcomes(heard, events, count)):
            if outcome.events:
                found = outcome.events - outcome.missed
                precision = outcome.precision if outcome.detected else 0.0
                recall = found / outcome.events
                value = (1 + BETA**2) * precision * recall / max(BETA**2 * precision + recall, 1e-12)
                best[label] = max(best[label], (value, float(on)))
    return [on for _, on in best]

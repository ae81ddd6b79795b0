"""What the validation part decides: which weights are kept, and from which score on a class counts as heard."""

from collections.abc import Sequence

import numpy as np
import torch

from asit_edge.events import ClassSettings
from asit_edge.frontend import log_mel
from trainer.classifier import ClipClassifier
from trainer.crops import Samples, sounding
from trainer.dataset import Dataset
from trainer.detection import Timeline, outcomes, track
from trainer.finetune_config import FinetuneConfig
from trainer.metrics import best_f1_threshold, mean_average_precision
from trainer.probe import clip_windows
from trainer.scoring import Model
from trainer.whole_clips import fitted

LOWEST, HIGHEST = 0.05, 0.95
"""Thresholds stay within these: a few validation clips do not prove that less or more is safe."""

RELEASE = 0.6
"""An event ends at this share of the score that it starts at."""


def fast_scores(
    model: ClipClassifier, clips: Sequence[Samples], config: FinetuneConfig, device: torch.device, batch: int = 64
) -> Samples:
    """Clip scores (clips, classes) in batches: of whole clips, or the mean over windows that cover a clip."""
    length = config.spec.samples_for(config.frames)
    windows: list[Samples] = []
    owner: list[int] = []
    for index, clip in enumerate(clips):
        parts = [fitted(clip, length)] if config.crop == "whole" else clip_windows(clip, config.spec, config.frames)
        windows += parts
        owner += [index] * len(parts)
    model = model.eval()
    scores = []
    with torch.inference_mode():
        for first in range(0, len(windows), batch):
            features = np.stack([log_mel(config.spec, window) for window in windows[first : first + batch]])
            logits = model(torch.from_numpy(features).to(device)).float()
            probabilities = logits.softmax(dim=-1) if model.exclusive else logits.sigmoid()
            scores.append((probabilities.mean(dim=1) if probabilities.ndim == 3 else probabilities).cpu().numpy())
    flat = np.concatenate(scores)
    sums = np.zeros((len(clips), flat.shape[1]), np.float32)
    np.add.at(sums, owner, flat)
    counts = np.bincount(owner, minlength=len(clips)).astype(np.float32)
    return (sums / counts[:, None]).astype(np.float32)


def decision_map(timelines: Sequence[Timeline], dataset: Dataset) -> float:
    """Mean average precision of single decisions against what sounds in them (strong labels)."""
    classes = len(dataset.categories)
    truth = [sounding(line.edges, events, classes) for line, events in zip(timelines, dataset.events, strict=True)]
    scores = np.concatenate([line.scores for line in timelines])
    return mean_average_precision(scores, np.concatenate(truth) > 0)


def choose_thresholds(model: Model, dataset: Dataset, clips: Sequence[Samples]) -> dict[str, list[float]]:
    """Label to [on, off], of the classes that the validation clips can tell something about.

    Strong labels: the highest F1 of events, through the tracker. Else: the highest F1 of clips, by their highest
    decision, because one is enough to start an event.
    """
    timelines = [model.timeline(clip) for clip in clips]
    if dataset.strong:
        starts = _by_events(model, dataset, timelines)
    else:
        highest = np.stack([line.scores.max(axis=0) for line in timelines])
        truth = dataset.targets > 0
        starts = [
            best_f1_threshold(highest[:, index], truth[:, index]) if not truth[:, index].all() else float("nan")
            for index in range(truth.shape[1])
        ]
    return {
        label.name: [round(on, 3), round(RELEASE * on, 3)]
        for label, start in zip(model.labels, starts, strict=True)
        if np.isfinite(start) and (on := float(np.clip(start, LOWEST, HIGHEST)))
    }


def _by_events(model: Model, dataset: Dataset, timelines: Sequence[Timeline]) -> list[float]:
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
                precision = outcome.precision if outcome.heard else 0.0
                recall = found / outcome.events
                f1 = 2 * precision * recall / max(precision + recall, 1e-12)
                best[label] = max(best[label], (f1, float(on)))
    return [on for _, on in best]

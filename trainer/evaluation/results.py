"""What a model is worth on labelled recordings: numbers for clips, for events, and for who lives with the device."""

import math
import sys
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from asit_edge.audio.samples import Samples
from asit_edge.errors import WrongUse
from trainer.data.dataset import TEST, Dataset
from trainer.data.decode import samples_of
from trainer.data.recording import TrueEvent
from trainer.evaluation.detection import (
    DetectedEvent,
    Outcome,
    Timeline,
    collar_f1,
    crossings_per_minute,
    miss_rate_at,
    operating_points,
    outcomes,
    together,
    track,
)
from trainer.evaluation.metrics import (
    average_precision,
    bootstrap,
    confusion_matrix,
    d_prime,
    mean_average_precision,
    nan_mean,
    roc_auc,
)
from trainer.evaluation.psds import PSDS1, PSDS2, psds
from trainer.evaluation.scoring import DEFAULT_ON, ScoringModel

Json = dict[str, Any]


ALARM_RATES = (1.0, 5.0, 20.0)
"""False alarms per hour, all classes together, at which misses are reported."""


SAMPLES = 1000
"""Bootstrap samples; fewer where clips times classes are many."""


@dataclass(frozen=True)
class Scored:
    """What a model made of recordings. `scores` and `truth` are (clips, classes); the rest is there for strong labels.

    With strong labels a clip's score is the highest of its decisions, else the clip's own.
    """

    labels: list[str]
    scores: Samples
    truth: npt.NDArray[np.bool_]
    groups: list[str]
    single_label: bool
    timelines: list[Timeline]
    events: list[list[TrueEvent]]
    detected: list[list[DetectedEvent]]


def columns_of(model: ScoringModel, dataset: Dataset, others: bool) -> list[int]:
    """The model's outputs to look at, the data's classes first. Raises WrongUse where the model lacks one."""
    names = [label.name for label in model.labels]
    wanted = [label.name for label in dataset.labels]
    if missing := [name for name in wanted if name not in names]:
        raise WrongUse(f"{model.name}: has no label {missing[0]!r}, which {dataset.name} needs")
    rest = [name for name in names if name not in wanted] if others else []
    return [names.index(name) for name in wanted + rest]


def score_dataset(model: ScoringModel, dataset: Dataset, others: bool = True) -> Scored:
    """Every recording through the model.

    `others`: with strong labels, classes of the model that the data do not have take part; what is heard of them is
    a false alarm.
    """
    strong = dataset.strong
    columns = columns_of(model, dataset, others and strong)
    classes = [model.classes[column] for column in columns]
    rate = model.spec.sample_rate
    waveforms = (
        samples_of(recording, rate)
        for recording in tqdm(dataset.recordings, "scoring", disable=not sys.stderr.isatty())
    )
    timelines: list[Timeline] = []
    if strong:
        lines = (model.timeline(samples) for samples in waveforms)
        timelines = [Timeline(line.edges, line.scores[:, columns]) for line in lines]
        scores = np.stack([line.scores.max(axis=0) for line in timelines])
    else:
        scores = model.clips(waveforms)[:, columns]
    truth = np.zeros((len(dataset.recordings), len(columns)), np.bool_)
    truth[:, : len(dataset.categories)] = dataset.targets > 0
    detected = [track(line, classes, rate) for line in timelines]
    names = [model.labels[column].name for column in columns]
    return Scored(names, scores, truth, dataset.groups, dataset.single_label, timelines, dataset.events, detected)


def clip_results(scored: Scored) -> Json:
    """Clip-level metrics with 95 % bootstrap intervals over recordings."""
    scores, truth, groups = scored.scores, scored.truth, scored.groups
    samples = int(np.clip(2e7 / scores.size, 50, SAMPLES))

    def interval(index: int) -> Json:
        own, true = scores[:, index], truth[:, index]
        return asdict(bootstrap(lambda chosen: average_precision(own[chosen], true[chosen]), groups, samples))

    aucs = [roc_auc(scores[:, index], truth[:, index]) for index in range(len(scored.labels))]
    results: Json = {
        "clips": len(scores),
        "map": asdict(bootstrap(lambda chosen: mean_average_precision(scores[chosen], truth[chosen]), groups, samples)),
        "auc": nan_mean(aucs),
        "d_prime": d_prime(nan_mean(aucs)),
        "classes": {
            label: {"clips": int(truth[:, index].sum()), "ap": interval(index), "auc": auc, "d_prime": d_prime(auc)}
            for index, (label, auc) in enumerate(zip(scored.labels, aucs, strict=True))
        },
    }
    if scored.single_label:
        predicted, true = scores.argmax(axis=1), truth.argmax(axis=1)
        right = predicted == true
        results["accuracy"] = asdict(bootstrap(lambda chosen: float(right[chosen].mean()), groups, samples))
        results["confusion"] = confusion_matrix(predicted, true, len(scored.labels)).tolist()
        results["labels"] = scored.labels
    return results


def detection_results(scored: Scored, model: ScoringModel) -> Json:
    """Detection metrics, at the model's own thresholds and over all of them."""
    count, rate = len(scored.labels), model.spec.sample_rate
    settings = {label.name: entry for label, entry in zip(model.labels, model.classes, strict=True)}
    classes = [settings[name] for name in scored.labels]
    hours = sum(line.seconds for line in scored.timelines) / 3600
    quiet = [line.seconds for line, events in zip(scored.timelines, scored.events, strict=True) if not events]
    psds1, alone1 = psds(scored.timelines, scored.events, count, PSDS1)
    psds2, alone2 = psds(scored.timelines, scored.events, count, PSDS2)
    f1 = collar_f1(scored.detected, scored.events, count)
    flicker = crossings_per_minute(scored.timelines, [entry.on if entry else DEFAULT_ON for entry in classes])
    parts = outcomes(scored.detected, scored.events, count)
    points = operating_points(scored.timelines, scored.events, classes, rate)
    chosen = {f"{alarms:g}": miss_rate_at(points, alarms) for alarms in ALARM_RATES}
    everything = together(parts)
    return {
        "recordings": len(scored.timelines),
        "hours": hours,
        "psds1": psds1,
        "psds2": psds2,
        "event_f1": nan_mean(f1),
        "quiet_hours": sum(quiet) / 3600,
        "quiet_alarms_per_hour": everything.quiet_alarms * 3600 / sum(quiet) if quiet else None,
        **_outcome(everything, hours),
        "flicker_per_minute": float(np.mean(flicker)),
        "misses_at_alarms_per_hour": {name: point and asdict(point) for name, point in chosen.items()},
        "operating_points": [asdict(point) for point in points],
        "classes": {
            label: {
                "psds1": alone1[index],
                "psds2": alone2[index],
                "event_f1": f1[index],
                **_outcome(parts[index], hours),
                "flicker_per_minute": flicker[index],
            }
            for index, label in enumerate(scored.labels)
        },
    }


def _outcome(outcome: Outcome, hours: float) -> Json:
    return {
        "events": outcome.events,
        "miss_rate": outcome.miss_rate,
        "precision": outcome.precision,
        "alarms_per_hour": outcome.alarms / hours,
        "delay_p50": outcome.delay(50),
        "delay_p95": outcome.delay(95),
    }


def evaluate(model: ScoringModel, dataset: Dataset, others: bool = True) -> tuple[Scored, Json]:
    """Scores and results of one part of a data set."""
    scored = score_dataset(model, dataset, others)
    results = clip_results(scored)
    if dataset.strong:
        results["detection"] = detection_results(scored, model)
    return scored, results


def choose_part(dataset: Dataset, part: str) -> Dataset:
    """The clips of a publisher's part. Raises WrongUse that names the parts there are."""
    chosen = [index for index, one in enumerate(dataset.recordings) if one.part == part]
    if not chosen:
        parts = sorted({one.part for one in dataset.recordings if one.part is not None})
        raise WrongUse(f"--part {part}: {dataset.name} has {'the parts ' + ', '.join(parts) if parts else 'no parts'}")
    return dataset.choose(chosen)


def default_parts(model: ScoringModel, dataset: Dataset) -> list[str | None]:
    """The fold that the checkpoint was not trained on; else the publisher's test part; else everything (None)."""
    tested = model.record.get("test_fold")
    if tested is not None and int(tested) in dataset.folds:
        return [str(tested)]
    return [TEST] if any(one.part == TEST for one in dataset.recordings) else [None]


def plain(value: Any) -> Any:
    """For JSON: what is not a finite number becomes null."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def table(results: Json) -> str:
    """The results of one part, to be read."""
    lines = []
    for name in ("accuracy", "map"):
        if name in results:
            entry = results[name]
            title = {"accuracy": "accuracy", "map": "mAP"}[name]
            lines.append(
                f"{title} {entry['value']:.3f} [{entry['low']:.3f}, {entry['high']:.3f}] on {results['clips']} clips"
            )
    lines.append(f"AUC {results['auc']:.3f}, d-prime {results['d_prime']:.2f}")
    detection = results.get("detection")
    if detection:
        lines += [
            f"PSDS1 {detection['psds1']:.3f}, PSDS2 {detection['psds2']:.3f}, event F1 {detection['event_f1']:.3f}",
            f"at the model's thresholds: {detection['events']} events, {detection['miss_rate']:.1%} missed, "
            f"{detection['alarms_per_hour']:.1f} false alarms per hour in {detection['hours']:.2f} h, "
            f"delay p50 {detection['delay_p50']:.2f} s, p95 {detection['delay_p95']:.2f} s",
        ]
        if detection["quiet_alarms_per_hour"] is not None:
            lines.append(
                f"recordings without events: {detection['quiet_alarms_per_hour']:.1f} false alarms per hour "
                f"in {detection['quiet_hours']:.2f} h"
            )
        for alarms, point in detection["misses_at_alarms_per_hour"].items():
            reached = (
                f"{point['miss_rate']:.1%} missed at threshold {point['threshold']:.2f}" if point else "never reached"
            )
            lines.append(f"at most {alarms} false alarms per hour: {reached}")
    lines.append("")
    width = max(map(len, results["classes"]))
    header = f"{'':{width}}  clips     AP    AUC"
    if detection:
        header += "  events  missed  alarms/h  delay p50  PSDS1  PSDS2     F1"
    lines.append(header)
    for label, row in results["classes"].items():
        line = f"{label:{width}}  {row['clips']:5d}  {row['ap']['value']:5.3f}  {row['auc']:5.3f}"
        if detection:
            own = detection["classes"][label]
            line += (
                f"  {own['events']:6d}  {own['miss_rate']:6.1%}  {own['alarms_per_hour']:8.1f}  {own['delay_p50']:9.2f}"
                f"  {own['psds1']:5.3f}  {own['psds2']:5.3f}  {own['event_f1']:5.3f}"
            )
        lines.append(line.replace("nan%", "   -").replace("nan", "  -"))
    return "\n".join(lines)

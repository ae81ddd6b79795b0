"""How well a model hears the sounds in scenes: which are there, when, and at what price in false alarms."""

from dataclasses import asdict
from typing import Any

import numpy as np

from asit_edge.detect.hysteresis import ClassSettings
from trainer.evaluation.detection import Timeline, miss_rate_at, operating_points, outcomes, together, track
from trainer.evaluation.families import parents
from trainer.evaluation.metrics import average_precision, bootstrap, mean_average_precision
from trainer.evaluation.psds import PSDS1, PSDS2, psds
from trainer.evaluation.results import ALARM_RATES
from trainer.evaluation.scoring import SoundModel
from trainer.evaluation.yardstick.clips import columns_for, unknown_labels
from trainer.evaluation.yardstick.listening import Scenes

THRESHOLDS = tuple(float(threshold) for threshold in np.concatenate(([0.01, 0.02], np.arange(1, 24) / 24, [0.99])))
"""At which false alarms are counted."""

ABSENT = -1.0
"""Score of a label that a model does not have: below every threshold, so that all its events are missed."""


def scene_quality(model: SoundModel, scenes: Scenes) -> dict[str, Any]:
    """Clip mAP (a scene's score is the highest of its decisions), PSDS, and misses: at few false alarms, with one
    threshold for all labels and at each number of false alarms the best one (experimental labels too), and at the
    model's own thresholds. What is a kind of what was named, and was not named itself, is no false alarm.
    """
    rate, wanted = model.spec.sample_rate, scenes.sounds.classes
    truth, lines = [], []
    for index in range(len(scenes)):
        line = model.timeline(scenes.samples(index, rate))
        lines.append(Timeline(line.edges, columns_for(line.scores, model, wanted, ABSENT)))
        truth.append(scenes.events(index))
    unknown = unknown_labels(model, wanted)
    settings = {label.name: entry for label, entry in zip(model.labels, model.classes, strict=True)}
    classes = [settings.get(name) for name in wanted]
    usual = next((entry for entry in model.classes if entry), ClassSettings(0.5, 0.3))
    every = [entry or (usual if name in settings else None) for name, entry in zip(wanted, classes, strict=True)]
    wider = [{wanted.index(name) for name in parents(label) & set(wanted)} for label in wanted]
    scores = np.stack([line.scores.max(axis=0) for line in lines])
    there = np.zeros(scores.shape, np.bool_)
    for row, events in enumerate(truth):
        there[row, [event.label for event in events]] = True
    psds1, alone1 = psds(lines, truth, len(wanted), PSDS1)
    psds2, alone2 = psds(lines, truth, len(wanted), PSDS2)
    points = operating_points(lines, truth, every, rate, THRESHOLDS, wider)
    reached = {f"{alarms:g}": miss_rate_at(points, alarms) for alarms in ALARM_RATES}
    hours = sum(line.seconds for line in lines) / 3600
    own = outcomes([track(line, classes, rate) for line in lines], truth, len(wanted), wider=wider)
    names = [str(index) for index in range(len(scenes))]
    return {
        "scenes": len(scenes),
        "hours": hours,
        "events": sum(map(len, truth)),
        "labels": len(wanted),
        "unknown": unknown,
        "map": asdict(bootstrap(lambda chosen: mean_average_precision(scores[chosen], there[chosen]), names, 200)),
        "psds1": psds1,
        "psds2": psds2,
        "missed_at": {name: None if point is None else point.miss_rate for name, point in reached.items()},
        "own": {"missed": together(own).miss_rate, "alarms_per_hour": together(own).alarms / hours},
        "by_label": {
            name: {
                "events": own[column].events,
                "missed": own[column].missed,
                "alarms": own[column].alarms,
                "ap": average_precision(scores[:, column], there[:, column]),
                "psds1": alone1[column],
                "psds2": alone2[column],
            }
            for column, name in enumerate(wanted)
        },
    }

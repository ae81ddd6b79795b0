"""Quality and delay by how often a model decides: `python bench/lab/decision_intervals.py MODEL CLIPS SCENES`.

MODEL is a checkpoint, a bundle, or YAMNet's TFLite file with its class map beside it. A model over windows is asked
every 0.96, 0.48 and 0.32 s, a stream in its own chunks. CLIPS give accuracy and mAP of the classes that they have,
SCENES (strong labels) PSDS and, at the threshold that misses least with at most 20 false alarms an hour, misses and
delays.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from asit_edge.audio.samples import Samples
from asit_edge.detect.hysteresis import ClassSettings
from asit_edge.model.classifier import SlidingWindow
from asit_edge.model.frontend import FrontEnd
from trainer.data.audioset import label_for
from trainer.data.dataset import Dataset
from trainer.data.layouts.detect import read_any
from trainer.evaluation.detection import OperatingPoint, Timeline, miss_rate_at, outcomes, together, track
from trainer.evaluation.results import choose_part, evaluate, plain
from trainer.evaluation.scoring import DEFAULT_OFF, DEFAULT_ON, ScoringModel, event_settings, open_model
from trainer.teachers.yamnet import RATE, WINDOW, YamNet

EVERY = (0.96, 0.48, 0.32)
ALARMS = 20.0
"""False alarms an hour, all classes together, that are allowed where misses and delays are compared."""


@dataclass(frozen=True)
class YamNetModel(ScoringModel):
    """YAMNet behind the lab's evaluation: windows of 0.975 s, each counts for the time since the one before."""

    hop: int = 0

    def timeline(self, samples: Samples) -> Timeline:
        count = -(-len(samples) // self.hop)
        padded = np.zeros(WINDOW + count * self.hop, np.float32)
        padded[WINDOW : WINDOW + len(samples)] = samples
        windows = [padded[step * self.hop : step * self.hop + WINDOW] for step in range(1, count + 1)]
        edges = np.minimum(np.arange(count + 1) * self.hop, len(samples)) / RATE
        return Timeline(edges, self.classifier.score(np.stack(windows)))  # type: ignore[attr-defined]

    def clips(self, waveforms: Iterable[Samples], batch: int = 32) -> Samples:
        return np.stack([self.timeline(samples).scores.mean(axis=0) for samples in waveforms])


def open_yamnet(file: Path, seconds: float) -> ScoringModel:
    network = YamNet(file)
    labels = [label_for(name) for name in network.labels]
    classes = event_settings([(DEFAULT_ON, DEFAULT_OFF)] * len(labels), RATE)
    hop = round(seconds * RATE)
    return YamNetModel("yamnet", labels, FrontEnd(), network, classes, {}, hop=hop)  # type: ignore[arg-type]


def variants(file: Path) -> Iterable[tuple[float, ScoringModel]]:
    """The model, once for every interval at which it can decide, in seconds."""
    if file.suffix == ".tflite":
        yield from ((seconds, open_yamnet(file, seconds)) for seconds in EVERY)
        return
    model = open_model(file)
    frame = model.spec.hop / model.spec.sample_rate
    if not isinstance(model.classifier, SlidingWindow):
        yield model.classifier.chunk * frame, model
        return
    for seconds in EVERY:
        model.classifier.chunk = round(seconds / frame)
        yield seconds, model


def quality_and_delay(model: ScoringModel, clips: Dataset, scenes: Dataset) -> dict[str, float | None]:
    _, told = evaluate(model, clips, others=False)
    scored, heard = evaluate(model, scenes, others=False)
    detection, rate = heard["detection"], model.spec.sample_rate
    settings = {label.name: entry for label, entry in zip(model.labels, model.classes, strict=True)}
    classes = [settings[name] for name in scored.labels]
    point = miss_rate_at(scored_points(detection), ALARMS)
    row = {
        "accuracy": told.get("accuracy", {}).get("value"),
        "map": told["map"]["value"],
        "scenes_map": heard["map"]["value"],
        "psds1": detection["psds1"],
        "psds2": detection["psds2"],
        "missed": point and point.miss_rate,
    }
    if point is not None:
        on = point.threshold
        fixed = [one and ClassSettings(on, 0.6 * on, one.min_duration, one.merge_gap, one.cooldown) for one in classes]
        found = [track(line, fixed, rate) for line in scored.timelines]
        outcome = together(outcomes(found, scored.events, len(classes)))
        row |= {"threshold": on, "delay_p50": outcome.delay(50), "delay_p95": outcome.delay(95)}
    return row


def scored_points(detection: dict[str, object]) -> list[OperatingPoint]:
    return [OperatingPoint(**point) for point in detection["operating_points"]]  # type: ignore[attr-defined]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", type=Path)
    parser.add_argument("clips", type=Path)
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--part", help="fold of CLIPS; default: all of them")
    options = parser.parse_args()
    clips, scenes = read_any(options.clips), read_any(options.scenes)
    if options.part:
        clips = choose_part(clips, options.part)
    for seconds, model in variants(options.model):
        row = quality_and_delay(model, clips, scenes)
        rounded = {key: value and round(float(value), 3) for key, value in plain(row).items()}
        print(json.dumps({"model": options.model.name, "every": round(seconds, 2), **rounded}), flush=True)


if __name__ == "__main__":
    main()

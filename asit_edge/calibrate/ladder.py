"""The thresholds that a calibration chooses from: a label's own, and higher ones. Pure.

Rungs are even in log-odds (logit), in which scores near 1 are told apart as well as those in the middle. The
off-threshold rises by as many log-odds as the on-threshold, so that hysteresis stays as wide as it was.
"""

from collections.abc import Sequence

import numpy as np

from asit_edge.config.events import Events, SourceEvents
from asit_edge.detect.class_settings import class_settings
from asit_edge.detect.hysteresis import ClassSettings
from asit_edge.model.bundle import BundleLabel, Manifest

HIGHEST = 0.999
"""The highest on-threshold, as in `config.yaml` and in commands."""

RUNGS = 64
"""Thresholds of a label to choose from, the one in force included; from 0.5 on they are at most 0.03 apart."""

DECIMALS = 3

Rungs = Sequence[Sequence[ClassSettings | None]]
"""From the thresholds in force upwards: of every class how it becomes events, None where it is not reported."""


def ladder(manifest: Manifest) -> list[Manifest]:
    """The manifest with the thresholds of all labels on the same rung: as they are first, the highest last."""
    return [
        manifest.model_copy(update={"labels": [raised(label, rung / (RUNGS - 1)) for label in manifest.labels]})
        for rung in range(RUNGS)
    ]


def rungs(
    steps: Sequence[Manifest], events: Events, source: SourceEvents | None = None, where: str = ""
) -> list[list[ClassSettings | None]]:
    """Of every step of the ladder what would be in force with it: what the configuration sets does not move."""
    return [class_settings(events, manifest, source, where) for manifest in steps]


def raised(label: BundleLabel, share: float) -> BundleLabel:
    """Higher by that share, from 0 to 1, of the way to the highest, in log-odds."""
    way = share * max(_logit(HIGHEST) - _logit(label.on_threshold), 0.0)
    if way == 0:
        return label
    on = max(_moved(label.on_threshold, way), label.on_threshold)
    off = min(max(_moved(label.off_threshold, way), label.off_threshold), on)
    return label.model_copy(update={"on_threshold": on, "off_threshold": off})


def _logit(score: float) -> float:
    return float(np.log(score / (1 - score)))


def _moved(score: float, logits: float) -> float:
    return round(float(1 / (1 + np.exp(-(_logit(score) + logits)))), DECIMALS)

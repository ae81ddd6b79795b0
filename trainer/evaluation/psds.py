"""Polyphonic sound detection score (Bilen et al., ICASSP 2020), over every threshold (Ebbers et al., ICASSP 2022).

A detection is a run of decisions at or above the threshold. It is *relevant* if at least `dtc` of it lies in true
events of its class (else a false alarm), a true event is found if relevant detections cover at least `gtc` of it, and a
false alarm of which at least `cttc` lies in events of another class is a cross-trigger of that class. Times are rounded
to microseconds before they are compared, so that exact ratios count as reached.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.data.recording import TrueEvent
from trainer.evaluation.detection import Timeline

Values = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

AT_ONCE = 2_000_000
"""Decisions times thresholds that are looked at together."""


@dataclass(frozen=True)
class PsdsSettings:
    """Criteria and weights; false alarms are counted per hour up to `most`."""

    dtc: float
    gtc: float
    cttc: float | None = None
    cross_triggers: float = 0.0
    """Weight of the mean cross-trigger rate over the other classes (alpha_ct)."""
    instability: float = 1.0
    """Weight of the deviation between classes (alpha_st)."""
    most: float = 100.0


PSDS1 = PsdsSettings(dtc=0.7, gtc=0.7)
"""DCASE's scenario 1: react fast, so edges matter."""

PSDS2 = PsdsSettings(dtc=0.1, gtc=0.1, cttc=0.3, cross_triggers=0.5)
"""DCASE's scenario 2: do not confuse classes, edges matter little."""


@dataclass(frozen=True)
class Roc:
    """True positive ratio over false alarms per hour (effective, cross-triggers included); a staircase."""

    rate: Values
    found: Values


def psds(
    timelines: Sequence[Timeline], truth: Sequence[Sequence[TrueEvent]], classes: int, settings: PsdsSettings
) -> tuple[float, list[float]]:
    """The score, and the score of each class by itself; from 0 to 1.

    Classes that never occur have NaN and take no part in the score; it is NaN if none occurs. A negative score is that
    of a class that the model does not have: it is at no threshold, and so never found.
    """
    hours = sum(line.seconds for line in timelines) / 3600
    lengths = np.zeros(classes)
    for events in truth:
        for event in events:
            lengths[event.label] += event.offset - event.onset
    rocs = {
        label: _roc(timelines, truth, label, lengths, hours, settings) for label in range(classes) if lengths[label] > 0
    }
    alone = [_area([rocs[label]], settings, 0.0) if label in rocs else float("nan") for label in range(classes)]
    return (_area(list(rocs.values()), settings, settings.instability) if rocs else float("nan")), alone


def _area(rocs: list[Roc], settings: PsdsSettings, instability: float) -> float:
    """Area under mean minus deviation of the classes' staircases, up to `most`, as a share of it."""
    rates = np.unique(np.concatenate([roc.rate for roc in rocs]))
    rates = rates[rates <= settings.most]
    found = np.stack([roc.found[np.searchsorted(roc.rate, rates, side="right") - 1] for roc in rocs])
    effective = np.maximum(found.mean(axis=0) - instability * found.std(axis=0), 0.0)
    return float((effective * np.diff(np.append(rates, settings.most))).sum() / settings.most)


def _roc(
    timelines: Sequence[Timeline],
    truth: Sequence[Sequence[TrueEvent]],
    label: int,
    lengths: Values,
    hours: float,
    settings: PsdsSettings,
) -> Roc:
    # Rows: threshold, then the changes that it brings: found events, false alarms, weighted cross-triggers an hour.
    rows = [_changes(line, events, label, lengths, settings) for line, events in zip(timelines, truth, strict=True)]
    table = np.concatenate(rows)
    if not len(table):
        return Roc(np.zeros(1), np.zeros(1))
    table = table[np.argsort(-table[:, 0], kind="stable")]
    last = np.flatnonzero(np.append(table[1:, 0] != table[:-1, 0], True))
    found, alarms, crossed = np.cumsum(table[:, 1:], axis=0)[last].T
    count = sum(event.label == label for events in truth for event in events)
    rate = np.append(0.0, alarms / hours + crossed)
    order = np.argsort(rate, kind="stable")
    best = np.maximum.accumulate(np.append(0.0, found / count)[order])
    rate = rate[order]
    last = np.flatnonzero(np.append(rate[1:] != rate[:-1], True))
    return Roc(rate[last], best[last])


def _changes(
    line: Timeline, events: Sequence[TrueEvent], label: int, lengths: Values, settings: PsdsSettings
) -> Values:
    """One recording: (thresholds, 4), what each distinct score adds to the counts when the threshold falls to it."""
    scores = line.scores[:, label]
    own = [event for event in events if event.label == label]
    # (events, edges): how much of each event lies before each edge of the decisions.
    before = _before(line.edges, own)
    total = before.sum(axis=0)
    others = sorted({event.label for event in events} - {label})  # of classes that are not here nothing is crossed
    other = [_before(line.edges, [event for event in events if event.label == index]).sum(axis=0) for index in others]
    weight = 3600 * settings.cross_triggers / max(len(lengths) - 1, 1)
    needed = np.round(settings.gtc * np.array([event.offset - event.onset for event in own]), 6)
    thresholds = np.unique(scores[scores >= 0])[::-1]
    counts = np.zeros((len(thresholds), 3))
    at_once = max(AT_ONCE // len(scores), 1)
    for begin in range(0, len(thresholds), at_once):
        part = counts[begin : begin + at_once]  # a view: what is counted here is counted there
        row, first, last = _runs(scores >= thresholds[begin : begin + at_once, None])
        seconds = line.edges[last] - line.edges[first]
        relevant = np.round(total[last] - total[first], 6) >= np.round(settings.dtc * seconds, 6)
        covered = before[:, last[relevant]] - before[:, first[relevant]]
        for index, length in enumerate(needed):
            part[:, 0] += np.round(np.bincount(row[relevant], covered[index], len(part)), 6) >= length
        part[:, 1] = np.bincount(row[~relevant], minlength=len(part))
        if settings.cttc is not None:
            for index, time in zip(others, other, strict=True):
                inside = np.round(time[last] - time[first], 6) >= np.round(settings.cttc * seconds, 6)
                part[:, 2] += weight * np.bincount(row[inside & ~relevant], minlength=len(part)) / lengths[index]
    return np.column_stack((thresholds, np.diff(counts, axis=0, prepend=0.0)))


def _runs(active: npt.NDArray[np.bool_]) -> tuple[Indices, Indices, Indices]:
    """Runs in each row of (rows, decisions): their row, first decision, and the one after the last."""
    steps = np.diff(np.pad(active, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, first = np.nonzero(steps == 1)
    return row, first, np.nonzero(steps == -1)[1]


def _before(edges: Values, events: Sequence[TrueEvent]) -> Values:
    """Seconds of each event before each edge, (events, edges)."""
    onsets = np.array([event.onset for event in events]).reshape(-1, 1)
    offsets = np.array([event.offset for event in events]).reshape(-1, 1)
    return np.clip(edges[None], onsets, offsets) - onsets

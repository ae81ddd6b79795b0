"""Detection metrics: scores over time become events by the device's own tracker and are compared with the truth.

Times are in seconds of the recording. A heard event is *right* if, between its onset and its offset, its class really
sounded, or had sounded no longer than `PATIENCE` before: a window model decides by what it has heard until now.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asit_edge.detect.hysteresis import ClassSettings
from asit_edge.detect.tracker import Kind, Tracker
from trainer.data.event import Event

Values = npt.NDArray[np.float64]

PATIENCE = 0.5
"""Seconds after a sound has ended in which its event may still begin."""


@dataclass(frozen=True)
class Heard:
    """An event as the device tells it. `told` is the end of the audio by which it was announced."""

    onset: float
    offset: float
    label: int
    told: float
    peak: float


@dataclass(frozen=True)
class Timeline:
    """Decisions that follow on each other: `edges` (n + 1,) and `scores` (n, classes)."""

    edges: Values
    scores: npt.NDArray[np.floating]

    def __post_init__(self) -> None:
        if len(self.edges) != len(self.scores) + 1:
            raise ValueError(f"{len(self.scores)} decisions need one edge more, not {len(self.edges)}")

    @property
    def seconds(self) -> float:
        return float(self.edges[-1] - self.edges[0])


def track(line: Timeline, classes: Sequence[ClassSettings | None], rate: int) -> list[Heard]:
    """What the device would tell of these scores. `rate` is in Hz: the settings' durations are in samples."""
    tracker = Tracker(classes)
    samples = np.round(line.edges * rate).astype(int)
    changes = []
    for start, end, scores in zip(samples[:-1], samples[1:], line.scores, strict=True):
        changes += tracker.step(int(start), int(end), np.asarray(scores, np.float32))
    changes += tracker.finish(int(samples[-1]))
    told: dict[tuple[int, int], int] = {}
    heard: list[Heard] = []
    for change in changes:
        if change.kind is Kind.NEW:
            told[change.label, change.onset] = change.decided
        elif change.kind is Kind.END and change.offset is not None:
            decided = told[change.label, change.onset]
            heard.append(Heard(change.onset / rate, change.offset / rate, change.label, decided / rate, change.peak))
    return heard


@dataclass(frozen=True)
class Outcome:
    """Counts of one class, or of all together, over recordings."""

    events: int
    missed: int
    alarms: int
    """Heard events that are not right."""
    quiet_alarms: int
    """Those in recordings without any true event."""
    heard: int
    delays: tuple[float, ...]
    """Seconds from true onset to announcement, for each true event that an event answers which began after it."""
    pieces: int
    """Right heard events: more of them than found true events means that events break up."""

    @property
    def miss_rate(self) -> float:
        return self.missed / self.events if self.events else float("nan")

    @property
    def precision(self) -> float:
        return self.pieces / self.heard if self.heard else float("nan")

    def delay(self, percent: float) -> float:
        return float(np.percentile(self.delays, percent)) if self.delays else float("nan")


def outcomes(
    heard: Sequence[Sequence[Heard]], truth: Sequence[Sequence[Event]], classes: int, patience: float = PATIENCE
) -> list[Outcome]:
    """One outcome a class, over recordings."""
    return [
        _outcome(
            [[event for event in events if event.label == label] for events in heard],
            [[event for event in events if event.label == label] for events in truth],
            [not events for events in truth],
            patience,
        )
        for label in range(classes)
    ]


def together(parts: Sequence[Outcome]) -> Outcome:
    """All classes as one."""
    return Outcome(
        sum(part.events for part in parts),
        sum(part.missed for part in parts),
        sum(part.alarms for part in parts),
        sum(part.quiet_alarms for part in parts),
        sum(part.heard for part in parts),
        tuple(delay for part in parts for delay in part.delays),
        sum(part.pieces for part in parts),
    )


def _outcome(
    heard: Sequence[Sequence[Heard]], truth: Sequence[Sequence[Event]], quiet: Sequence[bool], patience: float
) -> Outcome:
    missed = alarms = quiet_alarms = pieces = 0
    delays: list[float] = []
    for told, true, silent in zip(heard, truth, quiet, strict=True):
        wrong = [
            event
            for event in told
            if not any(event.onset < other.offset + patience and other.onset < event.offset for other in true)
        ]
        alarms += len(wrong)
        quiet_alarms += len(wrong) if silent else 0
        pieces += len(told) - len(wrong)
        for event in true:
            answers = [other for other in told if other.onset < event.offset + patience and event.onset < other.offset]
            if not answers:
                missed += 1
            elif (first := min(answers, key=lambda other: other.told)).told >= event.onset:
                delays.append(first.told - event.onset)
    events, told_events = sum(map(len, truth)), sum(map(len, heard))
    return Outcome(events, missed, alarms, quiet_alarms, told_events, tuple(delays), pieces)


def collar_f1(
    heard: Sequence[Sequence[Heard]],
    truth: Sequence[Sequence[Event]],
    classes: int,
    collar: float = 0.2,
    share: float = 0.2,
) -> list[float]:
    """Event F1 a class: onset within `collar`, offset within `collar` or `share` of the true length (DCASE).

    Each event is matched at most once, and as many as possible are. NaN for a class that neither is nor is heard.
    """
    scores = []
    for label in range(classes):
        matched = found = true = 0
        for told, events in zip(heard, truth, strict=True):
            ours = [event for event in told if event.label == label]
            theirs = [event for event in events if event.label == label]
            edges = [
                [
                    column
                    for column, guess in enumerate(ours)
                    if round(abs(guess.onset - event.onset), 6) <= collar
                    and round(abs(guess.offset - event.offset), 6)
                    <= round(max(collar, share * (event.offset - event.onset)), 6)
                ]
                for event in theirs
            ]
            matched += most_pairs(edges)
            found += len(ours)
            true += len(theirs)
        scores.append(2 * matched / (found + true) if found + true else float("nan"))
    return scores


def most_pairs(edges: Sequence[Sequence[int]]) -> int:
    """Size of the largest matching: row i may be paired with the columns `edges[i]`, each once (Kuhn's algorithm)."""
    taken: dict[int, int] = {}

    def place(row: int, seen: set[int]) -> bool:
        for column in edges[row]:
            if column not in seen:
                seen.add(column)
                if column not in taken or place(taken[column], seen):
                    taken[column] = row
                    return True
        return False

    return sum(place(row, set()) for row in range(len(edges)))


def crossings_per_minute(timelines: Sequence[Timeline], thresholds: Sequence[float]) -> list[float]:
    """Flicker a class: how often its bare score crosses its threshold, up or down, in a minute of audio."""
    minutes = sum(line.seconds for line in timelines) / 60
    counts = np.zeros(len(thresholds))
    for line in timelines:
        counts += np.abs(np.diff((line.scores >= np.asarray(thresholds)).astype(int), axis=0)).sum(axis=0)
    return [float(count / minutes) for count in counts]


@dataclass(frozen=True)
class OperatingPoint:
    """What one threshold for every class leads to."""

    threshold: float
    alarms_per_hour: float
    miss_rate: float


def operating_points(
    timelines: Sequence[Timeline],
    truth: Sequence[Sequence[Event]],
    classes: Sequence[ClassSettings | None],
    rate: int,
    thresholds: Sequence[float] = tuple(np.arange(1, 100) / 100),
) -> list[OperatingPoint]:
    """False alarms and misses by the threshold at which events start; they end at 0.6 of it."""
    hours = sum(line.seconds for line in timelines) / 3600
    points = []
    for threshold in thresholds:
        settings = [
            entry
            and ClassSettings(
                float(threshold), 0.6 * float(threshold), entry.min_duration, entry.merge_gap, entry.cooldown
            )
            for entry in classes
        ]
        heard = [track(line, settings, rate) for line in timelines]
        outcome = together(outcomes(heard, truth, len(classes)))
        points.append(OperatingPoint(float(threshold), outcome.alarms / hours, outcome.miss_rate))
    return points


def miss_rate_at(points: Sequence[OperatingPoint], alarms_per_hour: float) -> OperatingPoint | None:
    """The point with the fewest misses among those with no more false alarms; None if there is none."""
    allowed = [point for point in points if point.alarms_per_hour <= alarms_per_hour]
    return min(allowed, key=lambda point: (point.miss_rate, point.alarms_per_hour)) if allowed else None

"""Detection metrics: scores over time become events by the device's own tracker and are compared with the truth.

Times are in seconds of the recording. A detected event is *right* if, between its onset and its offset, its class was
really active, or had been no longer than `PATIENCE` before: a window model decides by what it has heard until now.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asit_edge.detect.hysteresis import ClassSettings
from asit_edge.detect.tracker import Kind, Tracker
from trainer.data.recording import TrueEvent

Values = npt.NDArray[np.float64]

PATIENCE = 0.5
"""Seconds after a sound has ended in which its event may still begin."""


@dataclass(frozen=True)
class DetectedEvent:
    """An event as the device reports it; `reported` is the end of the audio after which it did."""

    onset: float
    offset: float
    label: int
    reported: float
    peak: float


Detections = Sequence[Sequence[DetectedEvent]]
"""Of each recording."""

Truth = Sequence[Sequence[TrueEvent]]
"""Of each recording."""


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


def track(line: Timeline, classes: Sequence[ClassSettings | None], rate: int) -> list[DetectedEvent]:
    """The events that the device would report. `rate` is in Hz: the settings' durations are in samples."""
    tracker = Tracker(classes)
    samples = np.round(line.edges * rate).astype(int)
    changes = []
    for start, end, scores in zip(samples[:-1], samples[1:], line.scores, strict=True):
        changes += tracker.step(int(start), int(end), np.asarray(scores, np.float32))
    changes += tracker.finish(int(samples[-1]))
    decided: dict[tuple[int, int], int] = {}
    detected: list[DetectedEvent] = []
    for change in changes:
        if change.kind is Kind.NEW:
            decided[change.label, change.onset] = change.decided
        elif change.kind is Kind.END and change.offset is not None:
            reported = decided[change.label, change.onset] / rate
            detected.append(
                DetectedEvent(change.onset / rate, change.offset / rate, change.label, reported, change.peak)
            )
    return detected


@dataclass(frozen=True)
class Outcome:
    """Counts of one class, or of all together, over recordings."""

    events: int
    missed: int
    alarms: int
    """Detected events that are not right."""
    quiet_alarms: int
    """Those in recordings without any true event."""
    detected: int
    delays: tuple[float, ...]
    """Seconds from true onset to announcement, for each true event that an event answers which began after it."""
    pieces: int
    """Right detected events: more of them than found true events means that events break up."""

    @property
    def miss_rate(self) -> float:
        return self.missed / self.events if self.events else float("nan")

    @property
    def precision(self) -> float:
        return self.pieces / self.detected if self.detected else float("nan")

    def delay(self, percent: float) -> float:
        return float(np.percentile(self.delays, percent)) if self.delays else float("nan")


def outcomes(
    detected: Detections,
    truth: Truth,
    classes: int,
    patience: float = PATIENCE,
    wider: Sequence[Collection[int]] | None = None,
) -> list[Outcome]:
    """One outcome a class, over recordings.

    `wider`, a class: those that it is a kind of. Who hears "Bleat" where only "Goat" was named is neither right nor
    raises a false alarm; such an event counts as not detected. Where a kind of goat was named, "Goat" was not.
    """
    named = [_named(events, wider) for events in truth] if wider else truth
    return [
        _outcome(
            [[event for event in events if event.label == label] for events in detected],
            [[event for event in events if event.label == label] for events in truth],
            [[event for event in events if wider and event.label in wider[label]] for events in named],
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
        sum(part.detected for part in parts),
        tuple(delay for part in parts for delay in part.delays),
        sum(part.pieces for part in parts),
    )


def _outcome(detected: Detections, truth: Truth, wider: Truth, quiet: Sequence[bool], patience: float) -> Outcome:
    missed = alarms = quiet_alarms = pieces = found = 0
    delays: list[float] = []
    for events, true, kinds, silent in zip(detected, truth, wider, quiet, strict=True):
        right = [event for event in events if _during(event, true, patience)]
        wrong = [event for event in events if not _during(event, [*true, *kinds], patience)]
        alarms += len(wrong)
        quiet_alarms += len(wrong) if silent else 0
        pieces += len(right)
        found += len(right) + len(wrong)
        for event in true:
            answers = [
                other for other in events if other.onset < event.offset + patience and event.onset < other.offset
            ]
            if not answers:
                missed += 1
            elif (first := min(answers, key=lambda other: other.reported)).reported >= event.onset:
                delays.append(first.reported - event.onset)
    return Outcome(sum(map(len, truth)), missed, alarms, quiet_alarms, found, tuple(delays), pieces)


def _named(events: Sequence[TrueEvent], wider: Sequence[Collection[int]]) -> list[TrueEvent]:
    """Without those that are true only because a kind of them is at the same time."""
    implied = {(one.onset, one.offset, above) for one in events for above in wider[one.label]}
    return [one for one in events if (one.onset, one.offset, one.label) not in implied]


def _during(event: DetectedEvent, true: Sequence[TrueEvent], patience: float) -> bool:
    return any(event.onset < other.offset + patience and other.onset < event.offset for other in true)


def collar_f1(
    detected: Detections,
    truth: Truth,
    classes: int,
    collar: float = 0.2,
    share: float = 0.2,
) -> list[float]:
    """Event F1 a class: onset within `collar`, offset within `collar` or `share` of the true length (DCASE).

    Each event is matched at most once, and as many as possible are. NaN for a class that neither is nor is detected.
    """
    scores = []
    for label in range(classes):
        matched = found = true = 0
        for guesses, events in zip(detected, truth, strict=True):
            ours = [event for event in guesses if event.label == label]
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
    truth: Truth,
    classes: Sequence[ClassSettings | None],
    rate: int,
    thresholds: Sequence[float] = tuple(np.arange(1, 100) / 100),
    wider: Sequence[Collection[int]] | None = None,
) -> list[OperatingPoint]:
    """False alarms and misses by the threshold at which events start; they end at 0.6 of it. `wider` as of
    `outcomes`."""
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
        detected = [track(line, settings, rate) for line in timelines]
        outcome = together(outcomes(detected, truth, len(classes), wider=wider))
        points.append(OperatingPoint(float(threshold), outcome.alarms / hours, outcome.miss_rate))
    return points


def miss_rate_at(points: Sequence[OperatingPoint], alarms_per_hour: float) -> OperatingPoint | None:
    """The point with the fewest misses among those with no more false alarms; None if there is none."""
    allowed = [point for point in points if point.alarms_per_hour <= alarms_per_hour]
    return min(allowed, key=lambda point: (point.miss_rate, point.alarms_per_hour)) if allowed else None

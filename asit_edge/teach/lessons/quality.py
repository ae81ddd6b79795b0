"""How good a taught sound will be, said before anyone relies on it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asit_edge.teach.prototype import Likeness, direction_of, fitted, likeness, negative_peaks, tail_of
from asit_edge.teach.space import Directions, SoundSpace

ALIKE = 0.93
"""Takes that are all more like one another than this tell nothing of another distance or room."""

UNLIKE = 0.25
"""A take that is less like the others than this may be something else."""

CONFUSED = 5
"""Of so many of the likest negatives it is told what they are."""


@dataclass(frozen=True)
class TakeHeard:
    """A take, judged by the others alone."""

    name: str
    likeness: float
    heard: bool


@dataclass(frozen=True)
class Quality:
    """Of a taught sound; figures on sounds that it was not made from."""

    takes: list[TakeHeard]
    average_precision: float
    """Of the takes, each judged by the others, among all negative clips: 1 if each is liker than all of them."""
    alarms_per_day: float
    """Expected of sounds like the negatives."""
    hours: float
    """Of negatives that this rests on."""
    confused_with: list[str]
    """Labels of the likest negatives, the likest first."""
    alike: float
    """The least likeness between two takes."""

    @property
    def heard(self) -> int:
        return sum(take.heard for take in self.takes)


def judge(
    names: Sequence[str],
    takes: Sequence[Directions],
    spans: Sequence[Directions],
    wrong: Sequence[Directions],
    space: SoundSpace,
    per_day: float,
) -> Quality:
    """`takes` are the streams (chunks, axes) of takes as they were recorded, `spans` what prototypes are made of.

    Every take is judged by a prototype of the others.
    """
    heard, peaks, precisions = [], [], []
    for left, (name, stream) in enumerate(zip(names, takes, strict=True)):
        others = [span for index, span in enumerate(spans) if index != left]
        direction = direction_of(others, wrong)
        negatives = negative_peaks(space, direction)
        known = [float(likeness(one, direction).max()) for index, one in enumerate(takes) if index != left]
        prototype = fitted(direction, known, [tail_of(negatives, space.hours)], per_day)
        peak = float(likeness(stream, direction).max())
        heard.append(TakeHeard(name, peak, peak >= prototype.threshold))
        peaks.append(peak)
        precisions.append(1 / (1 + int((negatives >= peak).sum())))
    direction = direction_of(spans, wrong)
    negatives = negative_peaks(space, direction)
    tail = tail_of(negatives, space.hours)
    return Quality(
        heard,
        float(np.mean(precisions)),
        tail.per_day(tail.threshold(per_day)),
        space.hours,
        confusions(space, negatives),
        _least_alike(spans),
    )


def confusions(space: SoundSpace, peaks: Likeness) -> list[str]:
    """What the likest negative clips are called, without those that nobody has named."""
    names: list[str] = []
    for clip in np.argsort(-peaks):
        name = space.names[space.labels[clip]]
        if name and name not in names:
            names.append(name)
        if len(names) == CONFUSED:
            break
    return names


def _least_alike(spans: Sequence[Directions]) -> float:
    middles = [direction_of([span]) for span in spans]
    pairs = [float(one @ other) for index, one in enumerate(middles) for other in middles[:index]]
    return min(pairs, default=1.0)

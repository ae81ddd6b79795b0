"""How good a taught sound will be, said before anyone relies on it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asit_edge.teach.lessons.fitting import Fitted, fit
from asit_edge.teach.prototype import Likeness, direction_of, likeness
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
    taken_for_it: int
    """How many negative clips would be an alarm."""
    negatives: int
    """Of how many."""
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
    whole: Fitted,
) -> Quality:
    """`takes` are the streams (chunks, axes) of takes as they were recorded, `spans` what prototypes are made of.

    Every take is judged by a prototype of the others; `whole` is that of all.
    """
    heard, precisions = [], []
    for left, (name, stream) in enumerate(zip(names, takes, strict=True)):
        made = fit(without(spans, left), without(takes, left), wrong, space, per_day)
        peak = float(likeness(stream, made.prototype.direction).max())
        heard.append(TakeHeard(name, peak, peak >= made.prototype.threshold))
        precisions.append(1 / (1 + int((made.negatives >= peak).sum())))
    return Quality(
        heard,
        float(np.mean(precisions)),
        len(whole.taken_for_it),
        len(whole.negatives),
        confusions(space, whole.negatives),
        _least_alike(spans),
    )


def without(parts: Sequence[Directions], left: int) -> list[Directions]:
    return [part for index, part in enumerate(parts) if index != left]


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

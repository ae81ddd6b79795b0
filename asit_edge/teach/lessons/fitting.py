"""From examples to a prototype: how far away from what is wrong, and above which likeness. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asit_edge.teach.prototype import Prototype, Tail, direction_of, fitted, likeness, negative_peaks, tail_of
from asit_edge.teach.space import Directions, SoundSpace

AWAY = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How far from what is wrong a direction may be moved: the one that leaves the takes most above the threshold."""

FEWEST_STRETCHES = 50
"""Of a place's background that say anything of it."""


@dataclass(frozen=True)
class Background:
    """What a place sounds like, in directions (chunks, axes) without a break, of so many hours."""

    stretches: list[Directions]
    hours: float


@dataclass(frozen=True)
class Fitted:
    """A prototype, and how like it the negative clips and the takes are at most."""

    prototype: Prototype
    negatives: np.ndarray
    tail: Tail
    takes: list[float]

    @property
    def margin(self) -> float:
        return float(np.median(self.takes)) - self.prototype.threshold


def fit(
    spans: Sequence[Directions],
    streams: Sequence[Directions],
    wrong: Sequence[Directions],
    space: SoundSpace,
    per_day: float,
    background: Background | None = None,
) -> Fitted:
    """Of takes: `spans` are the chunks with the sound, `streams` the takes as a whole; `wrong` is what it is not."""
    return max((_fit(spans, streams, wrong, space, per_day, background, away) for away in _ways(wrong)), key=_margin)


def _margin(made: Fitted) -> float:
    return made.margin


def _ways(wrong: Sequence[Directions]) -> Sequence[float]:
    return AWAY if wrong else AWAY[:1]


def _fit(
    spans: Sequence[Directions],
    streams: Sequence[Directions],
    wrong: Sequence[Directions],
    space: SoundSpace,
    per_day: float,
    background: Background | None,
    away: float,
) -> Fitted:
    direction = direction_of(spans, wrong, away)
    takes = [float(likeness(stream, direction).max()) for stream in streams]
    negatives = negative_peaks(space, direction)
    tail = tail_of(negatives, space.hours)
    tails = [tail, *_of_place(direction, background, tail.threshold(per_day))]
    amiss = [float(likeness(one, direction).max()) for one in wrong]
    return Fitted(fitted(direction, takes, tails, per_day, amiss), negatives, tail, takes)


def _of_place(direction: Directions, background: Background | None, alarm: float) -> list[Tail]:
    """How often the place's own sounds are how like a direction.

    What was heard here and is as like as an alarm may well have been the sound itself: it is left out.
    """
    if background is None:
        return []
    peaks = np.array([likeness(one, direction).max() for one in background.stretches])
    others = peaks[peaks < alarm]
    return [tail_of(others, background.hours)] if len(others) >= FEWEST_STRETCHES else []

"""From examples to a prototype: how far away from what is wrong, and above which likeness. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asit_edge.teach.prototype import (
    CLIPS_A_DAY,
    Likeness,
    Prototype,
    Tail,
    direction_of,
    fitted,
    likeness,
    negative_peaks,
    tail_of,
)
from asit_edge.teach.space import Directions, SoundSpace

AWAY = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How far from what is wrong a direction may be moved: the one that leaves the takes most above the threshold."""

SAME, SAME_SHARE = 0.85, 0.01
"""Negatives of this share of the takes' own likeness may be the same kind of sound; this share of them at most."""

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
    negatives: Likeness
    takes: list[float]

    @property
    def margin(self) -> float:
        return float(np.median(self.takes)) - self.prototype.threshold

    @property
    def taken_for_it(self) -> npt.NDArray[np.int64]:
        """Numbers of the negative clips that would be an alarm, the likest first."""
        order = np.argsort(-self.negatives)
        return order[self.negatives[order] >= self.prototype.threshold]


def fit(
    spans: Sequence[Directions],
    streams: Sequence[Directions],
    wrong: Sequence[Directions],
    space: SoundSpace,
    per_day: float,
    background: Background | None = None,
) -> Fitted:
    """Of takes: `spans` are the chunks with the sound, `streams` the takes as a whole; `wrong` is what it is not."""
    ways = AWAY if wrong else AWAY[:1]
    made = [_fit(spans, streams, wrong, space, per_day, background, away) for away in ways]
    return max(made, key=lambda one: one.margin)


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
    tail = tail_of(_others(negatives, float(np.median(takes))), len(negatives) / CLIPS_A_DAY)
    tails = [tail, *_of_place(direction, background, tail.threshold(per_day))]
    amiss = [float(likeness(one, direction).max()) for one in wrong]
    return Fitted(fitted(direction, takes, tails, per_day, amiss), negatives, takes)


def _others(negatives: Likeness, usual: float) -> Likeness:
    """Without those, few as they are, that are as like as the takes: the same kind of sound, among thousands of others.

    They cannot be told from it, whatever the threshold, and it is said what they are.
    """
    most = int(SAME_SHARE * len(negatives))
    order = np.sort(negatives)
    same = min(int((order >= SAME * usual).sum()), most)
    return order[: len(order) - same]


def _of_place(direction: Directions, background: Background | None, alarm: float) -> list[Tail]:
    """How often the place's own sounds are how like a direction.

    What was heard here and is as like as an alarm may well have been the sound itself: it is left out.
    """
    if background is None:
        return []
    peaks = np.array([likeness(one, direction).max() for one in background.stretches])
    others = peaks[peaks < alarm]
    return [tail_of(others, background.hours / 24)] if len(others) >= FEWEST_STRETCHES else []

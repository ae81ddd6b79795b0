"""A taught sound as arithmetic: one direction, how like it a chunk is, and from where on that is an alarm. Pure.

The direction is the mean of the takes' directions, each take counting the same, perhaps moved away from what was said
to be wrong (Rocchio's rule). How like it the last second is, is the mean cosine of the last `LATELY` chunks. The
threshold is what the tail of the negatives' likeness allows: how many a day of those many clips would reach it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np
import numpy.typing as npt

from asit_edge.teach.space import Directions, SoundSpace

LATELY = 3
"""Chunks over which likeness is averaged."""

TAIL = 0.02
"""Share of negative clips, the likest, to which the tail of their likeness is fitted."""

FEWEST_TAIL = 25

LIKELY = 2.2
"""Logit of the score of a take that is as like as takes usually are: 0.9."""

STEEPEST = 0.015
"""The least difference of likeness for which the logit changes by one."""

HIGHEST = 0.99
"""No threshold is above it."""

CLIPS_A_DAY = 3000
"""Different sounds that a day is taken to have: so many negative clips stand for a day."""

Likeness = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Prototype:
    """What is computed for every chunk: a score from the likeness to a direction."""

    direction: Directions
    """(axes,), of unit length."""
    threshold: float
    """The likeness at which the score is 0.5."""
    softness: float
    """The difference of likeness that is one in the score's logit."""

    def score(self, likeness: Likeness) -> Likeness:
        """Probabilities."""
        logits = np.clip((likeness - self.threshold) / self.softness, -30, 30)
        scores: Likeness = (1 / (1 + np.exp(-logits))).astype(np.float32)
        return scores


def direction_of(takes: Sequence[Directions], wrong: Sequence[Directions] = (), away: float = 0.5) -> Directions:
    """Of takes (chunks, axes) each the direction (axes,), moved `away` from wrong examples (the takes weigh 1)."""
    middle = np.mean([take.mean(axis=0) for take in takes], axis=0)
    if wrong:
        middle = middle - away * np.linalg.norm(middle) * np.mean([_unit(one.mean(axis=0)) for one in wrong], axis=0)
    return _unit(middle)


def lately(similarity: Likeness) -> Likeness:
    """Cosines (chunks,) of a stream to the mean of each with those before it; what was before the stream counts 0."""
    padded = np.concatenate((np.zeros(LATELY - 1, np.float32), similarity.astype(np.float32)))
    means: Likeness = np.lib.stride_tricks.sliding_window_view(padded, LATELY).mean(axis=1)
    return means


def likeness(directions: Directions, direction: Directions) -> Likeness:
    """How like a direction a stream (chunks, axes) is, chunk by chunk."""
    return lately(directions @ direction)


def negative_peaks(space: SoundSpace, direction: Directions) -> Likeness:
    """The highest likeness of each negative clip, (clips,)."""
    present = space.in_clips
    padded = np.zeros((len(present), present.shape[1] + LATELY - 1), np.float32)
    padded[:, LATELY - 1 :][present] = space.similarities(direction)
    means = np.lib.stride_tricks.sliding_window_view(padded, LATELY, axis=1).mean(axis=2)
    peaks: Likeness = np.where(present, means, -1).max(axis=1).astype(np.float32)
    return peaks


@dataclass(frozen=True)
class Tail:
    """How often negatives are how like: beyond `beyond` they come so often a day, and ever more seldom."""

    beyond: float
    excess: float
    """How much further they are on average, by the inverse hyperbolic tangent of likeness (Fisher's z, which ends
    nowhere): there the tail is taken to be exponential."""
    often: float
    """A day."""

    def threshold(self, per_day: float) -> float:
        """The likeness that they reach so often; below 1."""
        z = np.arctanh(self.beyond) + self.excess * max(log(self.often / per_day), 0.0)
        return float(np.tanh(z))

    def per_day(self, threshold: float) -> float:
        """How often they reach it; never less than the tail's own words."""
        if threshold <= self.beyond:
            return self.often
        return float(self.often * np.exp(-(np.arctanh(threshold) - np.arctanh(self.beyond)) / self.excess))


def tail_of(peaks: Likeness, days: float) -> Tail:
    """Of the peaks of so many sounds in so many days."""
    count = min(max(round(TAIL * len(peaks)), FEWEST_TAIL), len(peaks))
    highest = np.clip(np.sort(peaks)[-count:].astype(np.float64), -0.999, 0.999)
    z = np.arctanh(highest)
    return Tail(float(highest[0]), float(max((z - z[0]).mean(), 1e-4)), count / days)


def fitted(
    direction: Directions, takes: Sequence[float], tails: Sequence[Tail], per_day: float, wrong: Sequence[float] = ()
) -> Prototype:
    """The prototype whose threshold each of the tails allows so often a day, and which is above what is `wrong` unless
    the takes are no liker; `takes` are how like the takes are."""
    threshold = min(max(tail.threshold(per_day) for tail in tails), HIGHEST)
    usual = float(np.median(takes))
    if wrong and threshold < max(wrong) < usual:
        threshold = (max(wrong) + usual) / 2
    return Prototype(direction, threshold, max((usual - threshold) / LIKELY, STEEPEST))


def _unit(vector: npt.NDArray[np.floating]) -> Directions:
    unit: Directions = (vector / max(float(np.linalg.norm(vector)), 1e-9)).astype(np.float32)
    return unit

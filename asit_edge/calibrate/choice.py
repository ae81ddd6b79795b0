"""Which threshold each label needs so that it raises no more alarms a day than wanted, from what was counted. Pure.

Only raised, never lowered: nothing is known here of the sounds that a lower threshold would let through rightly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asit_edge.model.bundle import BundleLabel, Manifest

SLACK = 0.05
"""By how much a rate may be beyond the wanted one: a day of which an hour was lost is still a day."""

KNOWN_BELOW = 3.0
"""Events: with none of them in some time the rate is below so many in that time, with 95 % confidence
(the rule of three: exp(-3) = 0.05)."""

HOURS_A_DAY = 24.0


@dataclass(frozen=True)
class Tally:
    """What was counted of one source, or of recordings together: `events` is (classes, rungs)."""

    source: str
    hours: float
    """Heard; what was lost or digital silence does not count."""
    events: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Outcome:
    """What a calibration makes of one label; thresholds are (on, off)."""

    label: str
    before: tuple[float, float]
    after: tuple[float, float]
    events: int
    """As many were heard at the thresholds before."""
    a_day: float
    """As many are to be expected at the thresholds after, of all sources together."""

    @property
    def changed(self) -> bool:
        return self.after != self.before


def events_a_day(tallies: Sequence[Tally]) -> npt.NDArray[np.float64]:
    """Of every class at every rung, (classes, rungs): of all sources together."""
    return np.sum([tally.events * (HOURS_A_DAY / tally.hours) for tally in tallies], axis=0)


def choose(a_day: npt.NDArray[np.float64], wanted: float) -> npt.NDArray[np.intp]:
    """Of each class the lowest rung with at most `wanted` events a day, or else the lowest with the fewest.

    `a_day` is (classes, rungs), from the lowest threshold to the highest.
    """
    return np.argmin(np.maximum(a_day, wanted), axis=1)


def outcomes(steps: Sequence[Manifest], tallies: Sequence[Tally], wanted: float) -> list[Outcome]:
    """One a label of the bundle, in its order; `steps` is the ladder."""
    a_day = events_a_day(tallies)
    heard = np.sum([tally.events[:, 0] for tally in tallies], axis=0)
    found = []
    for index, rung in enumerate(choose(a_day, most(wanted))):
        before, after = steps[0].labels[index], steps[rung].labels[index]
        found.append(
            Outcome(before.name, thresholds(before), thresholds(after), int(heard[index]), float(a_day[index, rung]))
        )
    return found


def most(wanted: float) -> float:
    """The highest rate that counts as `wanted`."""
    return wanted * (1 + SLACK)


def thresholds(label: BundleLabel) -> tuple[float, float]:
    return label.on_threshold, label.off_threshold


def known_below(hours: float) -> float:
    """Events a day: of what was not heard at all in so many hours no more is known than that it is rarer than this."""
    return KNOWN_BELOW * HOURS_A_DAY / hours

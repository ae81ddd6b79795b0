"""Labels, thresholds and their quality, from pools of scenes.

A threshold is chosen for whoever lives with the device: the lowest score at which an event may start so that most
events are right and false alarms stay rare, alarms that wake people rarest of all. Scenes of recordings that a student
has not heard are the honest ones; where they have too few sounds of a label, scenes that it has learnt from help, and
flatter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asit_edge.errors import WrongUse
from trainer.distillation.heard_scenes import heard_scenes
from trainer.distillation.pool import ScenePool
from trainer.distillation.validation import SOUNDING
from trainer.evaluation.metrics import average_precision
from trainer.evaluation.selection import RELEASE
from trainer.run.command import warn

WAKING = frozenset(
    (
        *("Smoke detector, smoke alarm", "Fire alarm", "Siren", "Alarm", "Civil defense siren"),
        *("Glass", "Shatter", "Breaking", "Gunshot, gunfire", "Explosion", "Screaming"),
    )
)
"""Labels that people want to be woken by."""

GRID = np.round(1 / (1 + np.exp(-np.linspace(-0.85, 5.3, 42))), 3)
"""Scores at which an event may start, 0.3 to 0.995 in even steps of their logits: below, few sounds of a label are no
evidence that it may."""


@dataclass(frozen=True)
class Demand:
    """What events of a label must be like: the least share that is right, and the most false alarms an hour of scenes.

    Scenes are fuller of sounds than any home.
    """

    precision: float
    per_hour: float


USUAL, WAKES = Demand(0.7, 0.5), Demand(0.9, 0.15)

NEAR = 6
"""Steps about a sound, 0.96 s, in which an event is neither right nor wrong."""

FEWEST, LEAST, MOST_MISSED = 5, 0.25, 0.9
"""Sounds, average precision and share of missed sounds without which a label is experimental."""

Flags = npt.NDArray[np.bool_]


def runs(flags: Flags) -> list[tuple[int, int]]:
    """First and last + 1 of each run of true in (steps,)."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def widened(flags: Flags, by: int) -> Flags:
    """Steps that are at most so many from a true one."""
    spread = np.convolve(flags.astype(np.int64), np.ones(2 * by + 1, np.int64))[by : by + len(flags)]
    return spread > 0


class Outcome:
    """What happens at each threshold of the grid, for one label: (thresholds,) each."""

    def __init__(
        self,
        scores: npt.NDArray[np.float32],
        targets: npt.NDArray[np.float32],
        near: npt.NDArray[np.float32] | None = None,
    ) -> None:
        """Scores and targets (scenes, steps) of the label, and the highest target of it and of those that are a kind of
        it or that it is a kind of: where one of them sounds, an event is not wrong."""
        self.sounds = 0
        self.found, self.right, self.wrong = (np.zeros(len(GRID), np.int64) for _ in range(3))
        for score, target, beside in zip(scores, targets, targets if near is None else near, strict=True):
            there = target >= SOUNDING
            maybe = widened(beside >= SOUNDING / 5, NEAR)
            for first, last in runs(there):
                self.sounds += 1
                self.found += score[first : last + NEAR // 2].max() >= GRID
            if score.max() >= GRID[0]:
                for place, threshold in enumerate(GRID):
                    for first, last in runs(widened(score >= threshold, NEAR // 2)):
                        if there[first:last].any():
                            self.right[place] += 1
                        elif not maybe[first:last].any():
                            self.wrong[place] += 1

    def choose(self, hours: float, demand: Demand) -> int:
        """The place of the threshold in the grid."""
        fit = (self.right >= demand.precision * (self.right + self.wrong)) & (self.wrong <= demand.per_hour * hours)
        # From there on it must hold: a lucky dip at a low score is none.
        holds = np.logical_and.accumulate(fit[::-1])[::-1]
        return int(holds.argmax()) if holds.any() else len(GRID) - 1


def pool_facts(checkpoint: Path, pools: Sequence[ScenePool], listed: Sequence[str] | None, most: int) -> dict[str, Any]:
    """Facts for `export.bundle` from at most so many scenes of each pool: labels (those `listed`; None: all), their
    thresholds and quality, and metrics. A label that no scene sounds is experimental, one that the pool does
    not know is not among the facts. Raises WrongUse where it knows none."""
    heard = heard_scenes(checkpoint, pools, most)
    wanted = [name for name in heard.labels if listed is None or name in listed]
    asked_for = [name for name in wanted if name in heard.known]
    if not asked_for:
        raise WrongUse(
            f"{pools[0].folder}: has none of the labels of {checkpoint} "
            f"({', '.join(wanted[:5]) or 'of which none is listed'}); choose on recordings of them with --data"
        )
    if absent := [name for name in wanted if name not in asked_for]:
        more = ", ..." if len(absent) > 5 else ""
        few = ", ".join(absent[:5])
        warn([f"{len(absent)} of {len(wanted)} labels left out, which the scenes do not know: {few}{more}"])
    thresholds: dict[str, list[float]] = {}
    quality: dict[str, dict[str, Any]] = {}
    for name in asked_for:
        score, target, near = heard.of(name)
        outcome = Outcome(score, target, near)
        place = outcome.choose(heard.hours, WAKES if name in WAKING else USUAL)
        on = float(GRID[place])
        thresholds[name] = [on, round(RELEASE * on, 2)]
        asked = (target >= SOUNDING) | (target < SOUNDING / 5)
        there = target[asked] >= SOUNDING
        precision = average_precision(score[asked], there) if there.any() else 0.0
        missed = 1 - float(outcome.found[place]) / outcome.sounds if outcome.sounds else 1.0
        quality[name] = {
            "experimental": outcome.sounds < FEWEST or precision < LEAST or missed > MOST_MISSED,
            "quality": {
                "sounds": outcome.sounds,
                "average_precision": round(precision, 3),
                "missed": round(missed, 3),
                "false_alarms": round(float(outcome.wrong[place]) / heard.hours, 2),
            },
        }
    kept = [name for name in quality if not quality[name]["experimental"]]
    mean = float(np.mean([quality[name]["quality"]["average_precision"] for name in kept])) if kept else 0.0
    return {
        "labels": list(thresholds),
        "thresholds": thresholds,
        "quality": quality,
        "metrics": {
            "quality_of_labels": f"{heard.hours:.1f} h of scenes full of sounds ({heard.parts} recordings), "
            f"step {heard.step}; those of training recordings flatter, see the left-out figures",
            "labels_reported": len(kept),
            "mean_step_average_precision": round(mean, 3),
        },
    }

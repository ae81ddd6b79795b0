"""Labels, thresholds and their quality, from pools of scenes.

A threshold is chosen for whoever lives with the device: the lowest score at which an event may start so that most
events are right and false alarms stay rare, alarms that wake people rarest of all. Scenes of recordings that a student
has not heard are the honest ones; where they have too few sounds of a label, scenes that it has learnt from help, and
flatter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from torch import nn

from asit_edge.errors import WrongUse
from asit_edge.model.frontend import FrontEnd
from trainer.distillation.pool import ScenePool
from trainer.distillation.validation import SOUNDING, pool_scores
from trainer.evaluation.families import related
from trainer.evaluation.metrics import average_precision
from trainer.evaluation.selection import RELEASE
from trainer.finetuning.checkpoint import load_finetuned
from trainer.models.device import stream_of
from trainer.models.streaming_vit import STEP
from trainer.run.checkpoint import checkpoint_kind
from trainer.run.command import warn
from trainer.students.student import STUDENT, load_student

WAKING = frozenset(
    (
        *("Smoke detector, smoke alarm", "Fire alarm", "Siren", "Alarm", "Civil defense siren"),
        *("Glass", "Shatter", "Breaking", "Gunshot, gunfire", "Explosion", "Screaming"),
    )
)
"""Labels that people want to be woken by."""

GRID = np.round(np.arange(0.30, 0.951, 0.02), 2)
"""Scores at which an event may start: below, few sounds of a label are no evidence that it may."""


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
        related: npt.NDArray[np.float32] | None = None,
    ) -> None:
        """Scores and targets (scenes, steps) of the label, and the highest target of those that are a kind of it or
        that it is a kind of: where one of them sounds, an event is not wrong."""
        self.sounds = 0
        self.found, self.right, self.wrong = (np.zeros(len(GRID), np.int64) for _ in range(3))
        near = targets if related is None else np.maximum(targets, related)
        for score, target, beside in zip(scores, targets, near, strict=True):
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


class Judged(NamedTuple):
    """A network of any command as scenes judge it."""

    network: nn.Module
    labels: list[str]
    spec: FrontEnd
    held: int
    """Time steps after a sound's beginning in which the network may still answer for it."""
    step: int


def open_judged(checkpoint: Path) -> Judged:
    """A distilled or a fine-tuned checkpoint. Raises WrongUse or AsitEdgeError, naming the file."""
    if checkpoint_kind(checkpoint) == STUDENT:
        student, run, known, record = load_student(checkpoint)
        held = run.held if stream_of(student) is not None else run.lately
        return Judged(student, [label.name for label in known], run.spec, held, record["step"])
    network, config, known, _ = load_finetuned(checkpoint)
    held = 1 if network.kind == "frame" else config.frames // STEP
    return Judged(network, [label.name for label in known], config.spec, held, config.steps)


def pool_facts(checkpoint: Path, pools: Sequence[ScenePool], listed: Sequence[str] | None, most: int) -> dict[str, Any]:
    """Facts for `export.bundle` from at most so many scenes of each pool: labels (those `listed`; None: all), their
    thresholds and quality, and metrics. A label that no scene sounds is experimental, one that the pool does
    not know is not among the facts. Raises WrongUse where it knows none."""
    network, names, spec, held, step = open_judged(checkpoint)
    if any(pool.labels != pools[0].labels for pool in pools):
        raise WrongUse(f"{pools[-1].folder}: has other labels than {pools[0].folder}; make both of the same data")
    wanted = [name for name in names if listed is None or name in listed]
    asked_for = [name for name in wanted if name in pools[0].labels]
    if not asked_for:
        raise WrongUse(
            f"{pools[0].folder}: has none of the labels of {checkpoint} "
            f"({', '.join(wanted[:5]) or 'of which none is listed'}); choose on recordings of them with --data"
        )
    if absent := [name for name in wanted if name not in asked_for]:
        more = ", ..." if len(absent) > 5 else ""
        few = ", ".join(absent[:5])
        warn([f"{len(absent)} of {len(wanted)} labels left out, which the scenes do not know: {few}{more}"])
    heard = [pool_scores(network, pool, spec, held, most) for pool in pools]
    scores, targets = (np.concatenate(part) for part in zip(*heard, strict=True))
    parts = ", ".join(
        f"{len(one)} of {pool.about.get('part', 'unknown')}" for (one, _), pool in zip(heard, pools, strict=True)
    )
    hours = scores.shape[0] * scores.shape[1] * STEP * spec.hop / spec.sample_rate / 3600
    thresholds: dict[str, list[float]] = {}
    quality: dict[str, dict[str, Any]] = {}
    for name in asked_for:
        score, target = scores[:, :, names.index(name)], targets[:, :, pools[0].labels.index(name)]
        kin = [place for place, other in enumerate(pools[0].labels) if other != name and related(name, other)]
        outcome = Outcome(score, target, targets[:, :, kin].max(axis=2) if kin else None)
        place = outcome.choose(hours, WAKES if name in WAKING else USUAL)
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
                "false_alarms": round(float(outcome.wrong[place]) / hours, 2),
            },
        }
    kept = [name for name in quality if not quality[name]["experimental"]]
    mean = float(np.mean([quality[name]["quality"]["average_precision"] for name in kept])) if kept else 0.0
    return {
        "labels": list(thresholds),
        "thresholds": thresholds,
        "quality": quality,
        "metrics": {
            "quality_of_labels": f"{hours:.1f} h of scenes full of sounds ({parts} recordings), step {step}; "
            "those of training recordings flatter, see the left-out figures",
            "labels_reported": len(kept),
            "mean_step_average_precision": round(mean, 3),
        },
    }

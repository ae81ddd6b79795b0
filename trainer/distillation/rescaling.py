"""Scores of different labels made comparable, from a pool of scenes that the student has not learnt from.

A student learns each label's scores from teachers who are sure of one label where they hardly dare to say another. Of
every label the logits are scaled and shifted (Platt, "Probabilistic outputs for support vector machines", 1999) so that
of the events that come to a score of 0.8 about 80 % are right. That changes no order within a label: its average
precision stays, and so does every event at a threshold that is moved along.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from asit_edge.errors import WrongUse
from trainer.distillation.heard_scenes import HeardScenes, heard_scenes
from trainer.distillation.pool import ScenePool
from trainer.distillation.scene_thresholds import NEAR, runs, widened
from trainer.distillation.validation import SOUNDING
from trainer.run.checkpoint import load_checkpoint, save_checkpoint
from trainer.students.student import HEADS, STUDENT, load_student

HOLD_SHIFT, HOLD_SCALE = 0.5, 5.0
"""How strongly a label is held to what fits all of them: so much of squared difference weighs as much as one nat of an
event's surprise. A label with a hundred events is its own, one with none is as the mean."""

APART = 5
"""Steps: an event is where a score is the highest of so many before and after it."""

LOWEST = 0.02
"""Of an event's score; below it nobody would set a threshold."""

ROUNDS = 50
"""Of Newton's method, at most; it is there after about six."""

CERTAIN = 1e-6
"""Scores nearer to 0 or 1 count as that near."""

Values = npt.NDArray[np.float64]


class Scale(NamedTuple):
    """New logits are `factor` times the old ones and `shift`."""

    factor: float
    shift: float


AS_IT_IS = Scale(1.0, 0.0)


def fitted(logits: Values, there: npt.NDArray[np.bool_], around: Scale, hold: Scale) -> Scale:
    """The scale under which events (n,) are least surprising, held to `around` with the weights of `hold`."""
    inputs = np.stack((logits, np.ones_like(logits)), axis=1)
    anchor, weights = np.array(around), np.array(hold)
    found = anchor.copy()
    for _ in range(ROUNDS):
        chance = _probability(inputs @ found)
        slope = inputs.T @ (chance - there) + 2 * weights * (found - anchor)
        bend = (inputs * (chance * (1 - chance))[:, None]).T @ inputs + 2 * np.diag(weights)
        step = np.linalg.solve(bend + 1e-9 * np.eye(2), slope)
        found -= step * min(1.0, 1.0 / max(float(np.abs(step).max()), 1e-9))
        if np.abs(step).max() < 1e-6:
            break
    return Scale(float(max(found[0], 0.1)), float(found[1]))


def scales(heard: HeardScenes) -> dict[str, Scale]:
    """Of every label that the pool knows; of one that never sounds, what fits all. Raises WrongUse where none does."""
    events = {name: _events(*heard.of(name)) for name in heard.known}
    sounding = [(logits, right) for logits, right in events.values() if right.any()]
    if not sounding:
        raise WrongUse("in none of the scenes does a label of the student sound, so nothing says what its scores mean")
    logits, right = (np.concatenate(part) for part in zip(*sounding, strict=True))
    mean = fitted(logits, right, AS_IT_IS, Scale(0.0, 0.0))
    hold = Scale(HOLD_SCALE, HOLD_SHIFT)
    return {name: fitted(*event, mean, hold) if event[1].any() else mean for name, event in events.items()}


def rescale(checkpoint: Path, pools: Sequence[ScenePool], most: int, out: Path) -> dict[str, Scale]:
    """Writes a checkpoint whose heads are scaled by what at most so many scenes of each pool say; its scales.

    Labels that the pools do not know are scaled as the mean. It is no run that could be resumed, but another may begin
    from it. Raises WrongUse or AsitEdgeError.
    """
    content = load_checkpoint(checkpoint, STUDENT)
    load_student(checkpoint)
    found = scales(heard_scenes(checkpoint, pools, most))
    mean = Scale(*np.mean(list(found.values()), axis=0).tolist())
    used = [found.get(name, mean) for name in content["labels"]]
    factors, shifts = (np.array(part, np.float32) for part in zip(*used, strict=True))
    weights = dict(content["model"])
    for name, value in weights.items():
        if name.startswith(HEADS):
            rows = value.new_tensor(factors).reshape(-1, *[1] * (value.dim() - 1))
            weights[name] = value * rows
            if name.endswith(".bias") and not name.startswith("correction."):
                weights[name] += value.new_tensor(shifts)
    kept = {key: content[key] for key in ("config", "labels", "step")}
    save_checkpoint(out, STUDENT, {**kept, "model": weights})
    return found


def _events(
    scores: npt.NDArray[np.float32], targets: npt.NDArray[np.float32], near: npt.NDArray[np.float32]
) -> tuple[Values, npt.NDArray[np.bool_]]:
    """Logits of a label's events in scenes (scenes, steps), and whether they are right: of each sound the highest
    score, and every other score that is the highest about it where neither the label nor one of its kind sounds."""
    right, wrong = [], []
    padded = np.pad(scores, ((0, 0), (APART, APART)))
    highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * APART + 1, axis=1).max(axis=2)
    for score, most, target, beside in zip(scores, highest, targets, near, strict=True):
        right += [score[first : last + NEAR // 2].max() for first, last in runs(target >= SOUNDING)]
        maybe = widened(beside >= SOUNDING / 5, NEAR + NEAR // 2)
        wrong += list(score[(score == most) & (score >= LOWEST) & ~maybe])
    found = [score for score in right if score >= LOWEST]
    chances = np.clip(np.array([*found, *wrong], np.float64), CERTAIN, 1 - CERTAIN)
    return np.log(chances / (1 - chances)), np.arange(len(chances)) < len(found)


def _probability(logits: Values) -> Values:
    chances: Values = 0.5 + 0.5 * np.tanh(0.5 * logits)
    return chances

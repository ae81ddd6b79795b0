"""Scores of different labels made comparable, from pools of scenes.

A student learns each label's scores from teachers who are sure of one label where they hardly dare to say another. Of
every label the logits are scaled and shifted (Platt, "Probabilistic outputs for support vector machines", 1999) so that
of the moments with a score of 0.8 the label sounds in about 80 %. That changes no order within a label: its average
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
from trainer.distillation.validation import SOUNDING
from trainer.run.checkpoint import load_checkpoint, save_checkpoint
from trainer.students.student import HEADS, STUDENT, load_student

HOLD_SHIFT, HOLD_SCALE = 0.5, 5.0
"""How strongly a label is held to what fits all of them: so much of squared difference weighs as much as one nat of a
moment's surprise. A label with a hundred moments is its own, one with none is as the mean."""

ENOUGH = 2_000_000
"""Moments of all labels that say what fits them all, about."""

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
    """The scale under which moments (n,) are least surprising, held to `around` with the weights of `hold`."""
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
    """Of every label that the pools know; of one that never sounds, what fits all. Raises WrongUse where none does."""
    every = max(heard.scores.size // ENOUGH, 1)
    some = [_moments(heard, name, every) for name in heard.known]
    sounding = [(logits, there) for logits, there in some if there.any()]
    if not sounding:
        raise WrongUse("in none of the scenes does a label of the student sound, so nothing says what its scores mean")
    logits, there = (np.concatenate(part) for part in zip(*sounding, strict=True))
    mean = fitted(logits, there, AS_IT_IS, Scale(0.0, 0.0))
    found = {}
    for name in heard.known:
        logits, there = _moments(heard, name)
        found[name] = fitted(logits, there, mean, Scale(HOLD_SCALE, HOLD_SHIFT)) if there.any() else mean
    return found


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


def _moments(heard: HeardScenes, name: str, every: int = 1) -> tuple[Values, npt.NDArray[np.bool_]]:
    """Logits of the label, and whether it sounds, at every so-manieth moment of which that is known."""
    scores, targets, near = heard.of(name)
    asked = (targets >= SOUNDING) | (near < SOUNDING / 5)
    chances = np.clip(scores[asked][::every].astype(np.float64), CERTAIN, 1 - CERTAIN)
    return np.log(chances / (1 - chances)), targets[asked][::every] >= SOUNDING


def _probability(logits: Values) -> Values:
    chances: Values = 0.5 + 0.5 * np.tanh(0.5 * logits)
    return chances

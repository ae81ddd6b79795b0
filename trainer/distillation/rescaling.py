"""Every label's scores on the scale of a published model, so that one number means the same whatever the label.

A student of several teachers at once orders a label's sounds about as well as they do, but what it says of an explosion
and what it says of a bird are not comparable: the teachers are sure of different labels. For every label a line, scale
times logit plus shift, brings the student's logits as near as it can to one teacher's probabilities on the same scenes
(Platt's way, with the teacher in place of the truth). Which of two sounds scores higher for a label never changes.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

LEAST = 1e-4
"""Nearer to 0 and 1 probabilities are taken to be so."""

NARROWEST, WIDEST = 0.3, 3.0
"""Of a scale."""

HOLD = 1e-3
"""How strongly a label of which scenes say little stays as it was, beside the mean loss of a step."""

ROUNDS = 25

Values = npt.NDArray[np.float64]


class Line(NamedTuple):
    """What a label's logit becomes: `scale * logit + shift`."""

    scale: float
    shift: float


def logits(probabilities: npt.NDArray[np.floating]) -> Values:
    clipped = np.clip(probabilities.astype(np.float64), LEAST, 1 - LEAST)
    found: Values = np.log(clipped / (1 - clipped))
    return found


def fit_line(student: npt.NDArray[np.floating], teacher: npt.NDArray[np.floating]) -> Line:
    """Of one label's probabilities at the same steps, (steps,) each: the line of least cross entropy.

    It is held near a scale of 1 and a shift of 0. Newton's method; each step is shortened
    until it makes nothing worse.
    """
    z, wanted = logits(student), teacher.astype(np.float64)

    def loss(scale: float, shift: float) -> float:
        raised = scale * z + shift
        entropy = float((np.logaddexp(0, raised) - wanted * raised).mean())
        return entropy + HOLD * ((scale - 1) ** 2 + 0.1 * shift**2)

    at = np.array([1.0, 0.0])
    best = loss(*at)
    for _ in range(ROUNDS):
        said = 1 / (1 + np.exp(-np.clip(at[0] * z + at[1], -30, 30)))
        off, sure = said - wanted, said * (1 - said)
        slope = np.array([(off * z).mean() + 2 * HOLD * (at[0] - 1), off.mean() + 0.2 * HOLD * at[1]])
        both = (sure * z).mean()
        bend = np.array([[(sure * z * z).mean() + 2 * HOLD, both], [both, sure.mean() + 0.2 * HOLD]])
        step = np.linalg.solve(bend, slope)
        length = 1.0
        while length > 1e-4 and loss(*_within(at - length * step)) > best:
            length /= 2
        nearer = _within(at - length * step)
        gained = best - loss(*nearer)
        if gained <= 1e-9:
            break
        at, best = nearer, best - gained
    return Line(float(at[0]), float(at[1]))


def _within(at: Values) -> Values:
    return np.array([np.clip(at[0], NARROWEST, WIDEST), at[1]])


def rescaled(weights: dict[str, Any], lines: dict[int, Line]) -> dict[str, Any]:
    """A streaming student's weights whose logits of these labels (row to line) are on their lines."""
    changed = dict(weights)
    additive = "correction." if "correction.bias" in weights else "frame_head."
    for row, line in lines.items():
        for head in ("frame_head.", "correction.", "chunk_head."):
            for part in ("weight", "bias"):
                name = head + part
                if name not in weights:
                    continue
                if changed[name] is weights[name]:
                    changed[name] = weights[name].clone()
                changed[name][row] *= line.scale
        for head in (additive, "chunk_head."):
            if f"{head}bias" in weights:
                changed[f"{head}bias"][row] += line.shift
    return changed

"""Scores of whole clips: what is in this recording?"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt


def clip_scores(decisions: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scores of decisions (n, classes) to the clip's (classes,): the mean, so one odd window is not enough."""
    return decisions.mean(axis=0)


def running_clip_scores(decisions: Iterable[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32] | None:
    """The same of scores (classes,) as they come, of which there may be any number; None if there are none.

    They are added up in float64, so the last counts as much as the first.
    """
    total, count = np.zeros(0), 0
    for scores in decisions:
        total = total + scores if count else scores.astype(np.float64)
        count += 1
    return (total / count).astype(np.float32) if count else None

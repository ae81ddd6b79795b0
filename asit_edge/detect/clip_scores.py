"""Scores of whole clips: what is in this recording?"""

import numpy as np
import numpy.typing as npt


def clip_scores(decisions: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scores of decisions (n, classes) to the clip's (classes,): the mean, so one odd window is not enough."""
    return decisions.mean(axis=0)

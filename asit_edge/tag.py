"""Scores of whole clips: what is in this file?"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from asit_edge.assembly import Model
from asit_edge.pipeline import to_mono
from asit_edge.sources.audio_file import AudioFile


def clip_scores(windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scores of windows (n, classes) to the clip's (classes,): the mean, so one odd window is not enough."""
    return windows.mean(axis=0)


def tag(path: Path, model: Model) -> npt.NDArray[np.float32]:
    """Scores of one file, shape (classes,). Raises AsitEdgeError if it cannot be read."""
    audio = AudioFile(path)
    scorer = model.scorer(audio.rate)
    windows = [decision.scores for block in audio.blocks(audio.rate) for decision in scorer.push(to_mono(block, None))]
    windows += [decision.scores for decision in scorer.flush()]
    audio.close()
    return clip_scores(np.stack(windows))

"""What a model is given while it listens: the inputs of its graph, taken from real audio."""

from collections.abc import Sequence

import numpy as np

from asit_edge.bundle import Bundle
from asit_edge.frontend import Samples, log_mel
from export.graph import Tensors


def feeds(bundle: Bundle, recordings: Sequence[Samples], most: int) -> list[Tensors]:
    """At most that many inputs of one run each, evenly taken from recordings at the front end's rate."""
    front_end, shape = bundle.manifest.front_end, bundle.manifest.model
    windows = []
    for samples in recordings:
        padded = np.concatenate((samples, np.zeros(front_end.samples_for(shape.frames), np.float32)))
        frames = log_mel(front_end, padded)
        windows += [
            frames[start : start + shape.frames]
            for start in range(0, len(frames) - shape.frames + 1, shape.frames // 2)
        ]
    chosen = np.linspace(0, len(windows) - 1, min(most, len(windows))).round().astype(int)
    return [{"log_mel": windows[index][None]} for index in chosen]

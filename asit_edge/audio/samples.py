"""Blocks of audio as everybody passes them on: samples from -1 to 1, one channel or many."""

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
"""Mono audio, float32, full scale is -1 to 1."""


Block = npt.NDArray[np.float32]
"""Samples as the device delivers them, shape (n, channels)."""


def to_mono(block: Block, channel: int | None) -> Samples:
    """One channel of (n, channels), counted from 1, or the mean of all."""
    if channel is not None:
        return np.ascontiguousarray(block[:, channel - 1])
    return block[:, 0].copy() if block.shape[1] == 1 else block.mean(axis=1)

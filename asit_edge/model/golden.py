"""The golden self-check: inputs that travel with a bundle, and the scores that the lab got for them.

`golden.npz` has frames (n, frames, width), named by their type, `log_mel` or `waveform`, and `scores`: (n, classes),
the last decision on each, or (n, steps, classes), all decisions on the last chunk.
"""

import numpy as np
import numpy.typing as npt

from asit_edge.errors import AsitEdgeError
from asit_edge.model.arrays import read_arrays
from asit_edge.model.bundle import Bundle, StreamModel
from asit_edge.model.classifier import Classifier

GOLDEN = "golden.npz"


def golden_error(bundle: Bundle, classifier: Classifier) -> float:
    """The largest difference of a probability to the bundle's golden scores; infinite if one is no number.

    Raises AsitEdgeError if the bundle has none or they do not fit its manifest.
    """
    inputs, expected = _read(bundle)
    actual = golden_scores(classifier, inputs)
    if expected.ndim == 2:
        actual = actual[:, -1]
    if actual.shape != expected.shape:
        raise AsitEdgeError(
            f"{bundle.path / GOLDEN}: scores of shape {expected.shape}, but the model gives {actual.shape}"
        )
    difference = float(np.abs(actual - expected).max())
    return difference if np.isfinite(difference) else float("inf")


def golden_inputs(bundle: Bundle) -> npt.NDArray[np.float32]:
    """The golden windows or streams (n, frames, width); in a bundle without any, silence and noise."""
    if GOLDEN in bundle.manifest.files:
        return _read(bundle)[0]
    front_end, shape = bundle.manifest.front_end, bundle.manifest.model
    frames = shape.frames * (6 if isinstance(shape, StreamModel) else 1)
    levels = np.linspace(0, 1, 8, dtype=np.float32)[:, None, None]
    noise = np.random.default_rng(0).random((8, frames, front_end.width), np.float32)
    return (np.float32(front_end.silence) + levels * noise).astype(np.float32)


def golden_scores(classifier: Classifier, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The decisions on the last chunk (n, steps, classes) of streams (n, frames, width) after silence.

    The frames are whole chunks; for a window model they are one window.
    """
    memories = [classifier.open() for _ in inputs]
    scores = np.zeros((len(inputs), 0, 0), np.float32)
    for start in range(0, inputs.shape[1], classifier.chunk):
        scores = classifier.step(inputs[:, start : start + classifier.chunk], memories)
    return scores


def _read(bundle: Bundle) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    file = bundle.path / GOLDEN
    if GOLDEN not in bundle.manifest.files:
        raise AsitEdgeError(f"{bundle.path}: has no {GOLDEN}, so nothing can be checked against the lab")
    inputs, scores = read_arrays(file, (bundle.manifest.front_end.type, "scores"), "not readable")
    return inputs, scores

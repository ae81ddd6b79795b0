"""The golden self-check: inputs that travel with a bundle, and the scores that the lab got for them.

`golden.npz` has frames (n, frames, width), named by their type, `log_mel` or `waveform`, and `scores`: (n, classes),
the last decision on each, or (n, steps, classes), all decisions on the last chunk; where the model gives embeddings,
`embedding` (n, numbers), that of the last chunk.
"""

from typing import cast

import numpy as np
import numpy.typing as npt

from asit_edge.errors import AsitEdgeError
from asit_edge.model.arrays import array_names, read_arrays
from asit_edge.model.bundle import EMBEDDING, Bundle, StreamModel
from asit_edge.model.classifier import Classifier, Embedding, Embeddings, Scores

GOLDEN = "golden.npz"


def golden_error(bundle: Bundle, classifier: Classifier) -> float:
    """The largest difference of a probability to the bundle's golden scores, or of an embedding's number to the golden
    one, as a share of the largest; infinite if one is no number.

    Raises AsitEdgeError if the bundle has none or they do not fit its manifest.
    """
    inputs, expected = _read(bundle)
    actual, embedded = golden_answers(classifier, inputs)
    if expected.ndim == 2:
        actual = actual[:, -1]
    if actual.shape != expected.shape:
        raise AsitEdgeError(
            f"{bundle.path / GOLDEN}: scores of shape {expected.shape}, but the model gives {actual.shape}"
        )
    difference = float(np.abs(actual - expected).max())
    file = bundle.path / GOLDEN
    if embedded is not None and EMBEDDING in array_names(file):
        [golden] = read_arrays(file, [EMBEDDING], "not readable")
        if embedded.shape != golden.shape:
            raise AsitEdgeError(f"{file}: embeddings of shape {golden.shape}, but the model gives {embedded.shape}")
        difference = max(difference, float(np.abs(embedded - golden).max() / max(float(np.abs(golden).max()), 1e-9)))
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


def golden_scores(classifier: Classifier, inputs: npt.NDArray[np.float32]) -> Scores:
    """As `golden_answers`, without the embeddings."""
    return golden_answers(classifier, inputs)[0]


def golden_answers(classifier: Classifier, inputs: npt.NDArray[np.float32]) -> tuple[Scores, Embeddings | None]:
    """The decisions on the last chunk (n, steps, classes) of streams (n, frames, width) after silence, and the chunk's
    embeddings (n, numbers) where there are any.

    The frames are whole chunks; for a window model they are one window.
    """
    memories = [classifier.open() for _ in inputs]
    scores, embedded = np.zeros((len(inputs), 0, 0), np.float32), None
    for start in range(0, inputs.shape[1], classifier.chunk):
        chunks = inputs[:, start : start + classifier.chunk]
        if getattr(classifier, "embedding", None) is None:
            scores = classifier.step(chunks, memories)
        else:
            scores, embedded = cast(Embedding, classifier).step_embedded(chunks, memories)
    return scores, embedded


def _read(bundle: Bundle) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    file = bundle.path / GOLDEN
    if GOLDEN not in bundle.manifest.files:
        raise AsitEdgeError(f"{bundle.path}: has no {GOLDEN}, so nothing can be checked against the lab")
    inputs, scores = read_arrays(file, (bundle.manifest.front_end.type, "scores"), "not readable")
    return inputs, scores

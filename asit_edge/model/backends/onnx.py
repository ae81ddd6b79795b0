"""Both shapes of model on ONNX Runtime."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from asit_edge.errors import AsitEdgeError, WrongUse, one_line
from asit_edge.model.arrays import read_arrays
from asit_edge.model.backends.session import Provider, open_session
from asit_edge.model.bundle import EMBEDDING, INITIAL, Bundle
from asit_edge.model.classifier import NO_EMBEDDINGS, Embeddings, LogMels, Scores


class OnnxWindows:
    """A window model on ONNX Runtime. One thread by default: a small model gains little from more."""

    def __init__(self, bundle: Bundle, threads: int = 1, provider: Provider = "cpu") -> None:
        """Raises AsitEdgeError if the model cannot be loaded or is not the one that the manifest describes."""
        self._session = open_session(bundle.model_file, threads, provider)
        first = self._session.get_inputs()[0]
        self._input, self._alone = first.name, first.shape[:1] == [1]
        spec = bundle.manifest
        silence = np.full((1, bundle.window.frames, spec.front_end.width), spec.front_end.silence, np.float32)
        try:
            scores = self.score(silence)
        except Exception as error:  # ONNX Runtime raises a dozen types without a common base of its own
            raise AsitEdgeError(
                f"{bundle.model_file}: does not take windows of shape {silence.shape[1:]}, as bundle.yaml says "
                f"({one_line(error)})"
            ) from None
        labels, steps = len(spec.labels), bundle.window.steps
        check_scores(bundle, scores, (1, labels) if steps == 1 else (1, steps, labels))

    def score(self, windows: LogMels) -> Scores:
        if self._alone and len(windows) > 1:
            return np.concatenate([self.score(window[None]) for window in windows])
        scores: Scores = self._session.run(None, {self._input: windows})[0]
        return scores


class OnnxStream:
    """A streaming model on ONNX Runtime as a `Classifier`: every frame is computed once."""

    def __init__(self, bundle: Bundle, threads: int = 1, provider: Provider = "cpu") -> None:
        """Raises AsitEdgeError if the model cannot be loaded or is not the one that the manifest describes."""
        spec = bundle.manifest
        self.chunk, self.steps = bundle.stream.frames, bundle.stream.steps
        self._session = open_session(bundle.model_file, threads, provider)
        self.embedding = bundle.stream.embedding
        self._caches = list(bundle.stream.caches)
        self._outputs = ["scores", *(f"next_{name}" for name in self._caches)]
        self._initial = read_initial(bundle)
        silence = np.full((2, self.chunk, spec.front_end.width), spec.front_end.silence, np.float32)
        try:
            scores = self.step(silence, [self.open(), self.open()])
        except Exception as error:  # ONNX Runtime raises a dozen types without a common base of its own
            raise AsitEdgeError(
                f"{bundle.model_file}: does not take chunks of shape {silence.shape[1:]} and the caches of "
                f"bundle.yaml ({one_line(error)})"
            ) from None
        check_scores(bundle, scores, (2, self.steps, len(spec.labels)))

    def open(self) -> list[npt.NDArray[np.float32]]:
        return list(self._initial)

    def resume(self, state: Mapping[str, npt.NDArray[Any]]) -> list[npt.NDArray[np.float32]]:
        """The memory of a stream whose caches (by name, without batch) another backend had."""
        return [np.asarray(state[name], np.float32) for name in self._caches]

    def suspend(self, memory: list[npt.NDArray[np.float32]]) -> dict[str, npt.NDArray[np.float32]]:
        """A stream's caches by name, for another backend."""
        return dict(zip(self._caches, memory, strict=True))

    def step(self, chunks: LogMels, memories: Sequence[list[npt.NDArray[np.float32]]]) -> Scores:
        return self._run(self._outputs, chunks, memories)[0]

    def step_embedded(
        self, chunks: LogMels, memories: Sequence[list[npt.NDArray[np.float32]]]
    ) -> tuple[Scores, Embeddings]:
        """As `step`, with an embedding of each chunk, (streams, numbers). Raises WrongUse for a model without any."""
        if self.embedding is None:
            raise WrongUse(NO_EMBEDDINGS)
        scores, embedded = self._run(["scores", EMBEDDING, *self._outputs[1:]], chunks, memories)
        return scores, embedded

    def _run(
        self, outputs: Sequence[str], chunks: LogMels, memories: Sequence[list[npt.NDArray[np.float32]]]
    ) -> list[npt.NDArray[np.float32]]:
        """The outputs that are no caches; those go into the memories."""
        caches = {
            name: memories[0][index][None] if len(memories) == 1 else np.stack([memory[index] for memory in memories])
            for index, name in enumerate(self._caches)
        }
        found = self._session.run(outputs, {"log_mel": chunks, **caches})
        first = len(outputs) - len(self._caches)
        for row, memory in enumerate(memories):
            memory[:] = [cache[row] for cache in found[first:]]
        return list(found[:first])


def read_initial(bundle: Bundle) -> list[npt.NDArray[np.float32]]:
    """What a stream model's caches hold after silence, in the manifest's order.

    Raises AsitEdgeError if the file is not the one that the manifest describes.
    """
    file = bundle.path / INITIAL
    initial = read_arrays(file, bundle.stream.caches, "does not hold the caches that bundle.yaml names")
    for (name, shape), cache in zip(bundle.stream.caches.items(), initial, strict=True):
        if list(cache.shape) != shape or cache.dtype != np.float32:
            raise AsitEdgeError(
                f"{file}: {name} is {cache.dtype} of shape {list(cache.shape)}, bundle.yaml says {shape}"
            )
    return initial


def check_scores(bundle: Bundle, scores: Scores, expected: tuple[int, ...]) -> None:
    """Raises AsitEdgeError if a model's scores of silence are not probabilities, one a label."""
    if scores.shape != expected:
        raise AsitEdgeError(
            f"{bundle.model_file}: gives scores of shape {scores.shape}, but bundle.yaml lists {expected[-1]} labels; "
            "the manifest and the model do not belong together"
        )
    if not np.isfinite(scores).all() or scores.min() < 0 or scores.max() > 1:
        raise AsitEdgeError(
            f"{bundle.model_file}: scores of silence are not probabilities ({scores.min()} to {scores.max()})"
        )

"""From log-mel to scores: what every kind of model offers a stream, and the ONNX Runtime backend of window models.

A stream is followed chunk by chunk. What a model must remember of a stream between chunks is its `Memory`: the last
frames for a window model, key/value caches for a streaming one. One step takes the next chunk of many streams.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from asit_edge.backends.onnx_session import Provider, open_session
from asit_edge.bundle import Bundle
from asit_edge.errors import AsitEdgeError, one_line

LogMels = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float32]
"""Probabilities, each class for itself."""

Memory = Any
"""What a classifier remembers of one stream; opaque to everyone else."""


class Classifier(Protocol):
    """Scores streams chunk by chunk, many streams in one batch."""

    @property
    def chunk(self) -> int:
        """Frames that a step takes of each stream."""
        ...

    @property
    def steps(self) -> int:
        """Decisions a chunk, each about an equal part of it; `chunk` is a multiple of it."""
        ...

    def open(self) -> Memory:
        """The memory of a stream that has heard silence so far."""
        ...

    def step(self, chunks: LogMels, memories: Sequence[Memory]) -> Scores:
        """Chunks (streams, chunk, mels), one of each memory's stream, to probabilities (streams, steps, classes).

        The memories are brought up to date in place. A stream's scores do not depend on the others in the batch.
        """
        ...


class WindowBackend(Protocol):
    """Scores every window on its own."""

    def score(self, windows: LogMels) -> Scores:
        """Log-mel windows (batch, frames, mels) to probabilities (batch, classes)."""
        ...


class SlidingWindow:
    """A window model as a `Classifier`: with every chunk it scores the window that ends with it."""

    steps = 1

    def __init__(self, model: WindowBackend, frames: int, chunk: int, silence: LogMels) -> None:
        """`frames` is the window's length, `chunk` what is between decisions, `silence` one frame's log-mel (mels,)."""
        self._model = model
        self._frames = frames
        self.chunk = chunk
        self._silence = silence

    def open(self) -> LogMels:
        return np.tile(self._silence, (self._frames, 1)).astype(np.float32)

    def step(self, chunks: LogMels, memories: Sequence[LogMels]) -> Scores:
        for window, chunk in zip(memories, chunks, strict=True):
            window[:] = np.concatenate((window, chunk))[-self._frames :]
        return self._model.score(np.stack(memories))[:, None]


class OnnxWindows:
    """A window model on ONNX Runtime. One thread by default: a small model gains little from more."""

    def __init__(self, bundle: Bundle, threads: int = 1, provider: Provider = "cpu") -> None:
        """Raises AsitEdgeError if the model cannot be loaded or is not the one that the manifest describes."""
        self._session = open_session(bundle.model_file, threads, provider)
        self._input = self._session.get_inputs()[0].name
        self._file = bundle.model_file
        spec = bundle.manifest
        self._check(bundle, np.full((1, spec.model.frames, spec.front_end.mels), spec.front_end.silence, np.float32))

    def score(self, windows: LogMels) -> Scores:
        scores: Scores = self._session.run(None, {self._input: windows})[0]
        return scores

    def _check(self, bundle: Bundle, silence: LogMels) -> None:
        try:
            scores = self.score(silence)
        except Exception as error:
            raise AsitEdgeError(
                f"{self._file}: does not take windows of shape {silence.shape[1:]}, as bundle.yaml says "
                f"({one_line(error)})"
            ) from None
        expected = (1, len(bundle.manifest.labels))
        if scores.shape != expected:
            raise AsitEdgeError(
                f"{self._file}: gives scores of shape {scores.shape}, but bundle.yaml lists {expected[1]} labels; "
                "the manifest and the model do not belong together"
            )
        if not np.isfinite(scores).all() or scores.min() < 0 or scores.max() > 1:
            raise AsitEdgeError(
                f"{self._file}: scores of silence are not probabilities ({scores.min()} to {scores.max()})"
            )

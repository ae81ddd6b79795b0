"""From frames to scores: what every kind of model offers a stream, and its backends on ONNX Runtime.

A stream is followed chunk by chunk. What a model must remember of a stream between chunks is its `Memory`: the last
frames for a window model, key/value caches for a streaming one. One step takes the next chunk of many streams.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

LogMels = npt.NDArray[np.float32]
"""Frames as the model's front end gives them, (..., frames, width): log-mel, or samples."""
Scores = npt.NDArray[np.float32]
"""Probabilities, each class for itself."""
Embeddings = npt.NDArray[np.float32]
"""What a model makes of chunks before it decides, (chunks, numbers)."""

NO_EMBEDDINGS = "this model gives no embeddings; take one that says `embedding` in its bundle.yaml"

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
        """Chunks (streams, chunk, width), one of each memory's stream, to probabilities (streams, steps, classes).

        The memories are brought up to date in place. A stream's scores do not depend on the others in the batch.
        """
        ...


class Embedding(Classifier, Protocol):
    """A classifier that also says what it makes of a chunk before it decides."""

    @property
    def embedding(self) -> int | None:
        """Numbers of an embedding; None: this model gives none."""
        ...

    def step_embedded(self, chunks: LogMels, memories: Sequence[Memory]) -> tuple[Scores, Embeddings]:
        """As `step`, with an embedding of each chunk, (streams, numbers). Raises WrongUse for a model without any."""
        ...


class WindowBackend(Protocol):
    """Scores every window on its own."""

    def score(self, windows: LogMels) -> Scores:
        """Windows (batch, frames, width) to probabilities (batch, classes), or (batch, steps, classes)."""
        ...


class SlidingWindow:
    """A window model as a `Classifier`: with every chunk it scores the window that ends with it.

    A model with `steps` gives a score for each of as many equal parts of the chunk.
    """

    def __init__(self, model: WindowBackend, frames: int, chunk: int, silence: LogMels, steps: int = 1) -> None:
        """`frames` is the window's length, `chunk` what is between windows, `silence` one frame of it (width,)."""
        self.steps = steps
        self._model = model
        self._frames = frames
        self.chunk = chunk
        self._silence = silence
        self.most_skimmed = max(frames // chunk - 1, 0)

    def open(self) -> LogMels:
        return np.tile(self._silence, (self._frames, 1)).astype(np.float32)

    def skim(self, chunks: LogMels, memories: Sequence[LogMels]) -> None:
        """Moves the windows on without scoring them. No audio escapes all windows up to `most_skimmed` times."""
        for window, chunk in zip(memories, chunks, strict=True):
            window[:] = np.concatenate((window, chunk))[-self._frames :]

    def step(self, chunks: LogMels, memories: Sequence[LogMels]) -> Scores:
        self.skim(chunks, memories)
        scores = self._model.score(np.stack(memories))
        return scores.reshape(len(memories), self.steps, scores.shape[-1])

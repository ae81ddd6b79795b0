"""A model that knows taught sounds, too: as its own labels, scored with every chunk of every stream.

What it costs is one product of the chunk's embedding with the axes, and one with the sounds' directions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asit_edge.model.classifier import Embedding, LogMels, Memory, Scores
from asit_edge.teach.prototype import LATELY, Prototype
from asit_edge.teach.space import Axes, Directions

MOST_LOGIT = 30.0


@dataclass(frozen=True)
class Corrector:
    """A likeness that makes a label of the model less likely (`wrong`), or more."""

    column: int
    prototype: Prototype
    wrong: bool


@dataclass
class Following:
    """What is remembered of a stream: what the model does, and of the last chunks how like each sound they were."""

    inner: Memory
    recent: npt.NDArray[np.float32] | None = None
    """(LATELY, sounds and corrections)."""
    lesson: int = 0
    """Which sounds those are."""
    latest: Directions | None = None
    """The newest chunk's direction, where it is wanted."""


class TaughtClassifier:
    """A `Classifier` whose last columns are taught sounds, which may come and go between steps; and whose other columns
    are corrected."""

    def __init__(self, model: Embedding) -> None:
        self._model = model
        self.chunk, self.steps = model.chunk, model.steps
        self._axes: Axes | None = None
        self._columns: list[int] = []
        self._correctors: list[Corrector] = []
        self._all = self._lesson = 0
        self.remembers = False
        """Whether directions are wanted though nothing is taught."""

    def know(self, prototypes: Sequence[Prototype | None], axes: Axes, correctors: Sequence[Corrector] = ()) -> None:
        """From the next step on these are the sounds, a column each; None scores nothing."""
        self._axes, self._all, self._correctors = axes, len(prototypes), list(correctors)
        self._lesson += 1
        known = [(column, one) for column, one in enumerate(prototypes) if one is not None]
        self._columns = [column for column, _ in known]
        used = [one for _, one in known] + [one.prototype for one in self._correctors]
        self._directions = np.array([one.direction for one in used], np.float32).reshape(len(used), len(axes)).T.copy()
        self._thresholds = np.array([one.threshold for one in used], np.float32)
        self._softness = np.array([one.softness for one in used], np.float32)

    def open(self) -> Following:
        return Following(self._model.open())

    def step(self, chunks: LogMels, memories: Sequence[Following]) -> Scores:
        inner = [memory.inner for memory in memories]
        if self._axes is None or not (self._columns or self._correctors or self.remembers):
            return self._joined(self._model.step(chunks, inner), None)
        scores, embedded = self._model.step_embedded(chunks, inner)
        # Stream by stream: a product's rounding must not depend on how many streams there are.
        likeness = np.stack([self._follow(one, memory) for one, memory in zip(embedded, memories, strict=True)])
        logits = np.clip((likeness - self._thresholds) / self._softness, -MOST_LOGIT, MOST_LOGIT)
        said = 1 / (1 + np.exp(-logits))
        return self._joined(self._corrected(scores, said[:, len(self._columns) :]), said[:, : len(self._columns)])

    def _follow(self, embedding: npt.NDArray[np.float32], memory: Following) -> npt.NDArray[np.float32]:
        """How like each sound the last chunks of a stream are, this one included."""
        assert self._axes is not None
        direction = self._axes.place(embedding)
        memory.latest = direction if self.remembers else None
        like = direction @ self._directions
        if memory.recent is None or memory.lesson != self._lesson:
            memory.recent, memory.lesson = np.zeros((LATELY, len(like)), np.float32), self._lesson
        memory.recent[:-1] = memory.recent[1:]
        memory.recent[-1] = like
        mean: npt.NDArray[np.float32] = memory.recent.sum(axis=0) / np.float32(LATELY)
        return mean

    def _corrected(self, scores: Scores, said: npt.NDArray[np.float32]) -> Scores:
        """The model's scores (streams, steps, classes), given what correctors say (streams, correctors)."""
        if not self._correctors:
            return scores
        corrected = scores.copy()
        for one, like in zip(self._correctors, said.T, strict=True):
            column = corrected[:, :, one.column]
            changed = column * (1 - like[:, None]) if one.wrong else np.maximum(column, like[:, None])
            corrected[:, :, one.column] = changed
        return corrected

    def _joined(self, scores: Scores, taught: npt.NDArray[np.float32] | None) -> Scores:
        if not self._all:
            return scores
        joined = np.zeros((*scores.shape[:2], scores.shape[2] + self._all), np.float32)
        joined[:, :, : scores.shape[2]] = scores
        if taught is not None:
            joined[:, :, [scores.shape[2] + column for column in self._columns]] = taught[:, None]
        return joined

"""A model that knows taught sounds, too: as its own labels, scored with every chunk of every stream.

What it costs is one product of the chunk's embedding with the axes and the sounds' directions side by side, and a
dozen operations on as many numbers as there are sounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from asit_edge.model.classifier import Embedding, LogMels, Memory, Scores
from asit_edge.teach.prototype import LATELY, Prototype
from asit_edge.teach.space import Axes, Directions

NEVER = -50.0
"""Half a logit, of a probability of 0."""

Likeness = npt.NDArray[np.float32]
"""A number a sound or correction, (prototypes,)."""


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
    recent: list[Likeness] | None = None
    """Of the `LATELY` - 1 chunks before the next one, the oldest first."""
    lesson: int = 0
    """Which sounds those are."""
    latest: Directions | None = None
    """The newest chunk's direction, where it is wanted."""


class Lesson:
    """Prototypes as one matrix beside the axes: a product says where a chunk lies and how like each of them it is.

    Likeness is in half logits, a `LATELY`-th of them each, so that those of the last chunks only have to be added up.
    """

    def __init__(self, axes: Axes, prototypes: Sequence[Prototype | None]) -> None:
        """None is a column that always says 0."""
        scales = [0.5 / one.softness if one else 0.0 for one in prototypes]
        directions = np.zeros((len(prototypes), len(axes)), np.float32)
        self.none = np.full(len(prototypes), NEVER, np.float32)
        """What is added to the sum: the half logits of a likeness of 0."""
        for column, (one, scale) in enumerate(zip(prototypes, scales, strict=True)):
            if one is not None:
                directions[column] = one.direction * (scale / LATELY)
                self.none[column] = -one.threshold * scale
        self._axes = len(axes)
        self._product = np.concatenate((axes.basis, axes.basis @ directions.T), axis=1)
        self._middle = axes.mean @ self._product

    def __len__(self) -> int:
        return len(self.none)

    def place(self, embedding: npt.NDArray[np.float32]) -> tuple[Directions, Likeness]:
        """Of a chunk's embedding (numbers,) its direction and how like the prototypes it is."""
        placed = embedding @ self._product
        placed -= self._middle
        moved = placed[: self._axes]
        placed /= max(sqrt(moved.dot(moved)), 1e-9)
        return moved, placed[self._axes :]


class TaughtClassifier:
    """A `Classifier` whose last columns are taught sounds, which may come and go between steps; and whose other columns
    are corrected."""

    def __init__(self, model: Embedding) -> None:
        self._model = model
        self.chunk, self.steps = model.chunk, model.steps
        self._lesson: Lesson | None = None
        self._correctors: list[Corrector] = []
        self._sounds = self._number = 0
        self._any = False
        self.remembers = False
        """Whether directions are wanted though nothing is taught."""

    def know(self, prototypes: Sequence[Prototype | None], axes: Axes, correctors: Sequence[Corrector] = ()) -> None:
        """From the next step on these are the sounds, a column each; None scores nothing."""
        self._sounds, self._correctors = len(prototypes), list(correctors)
        self._lesson = Lesson(axes, [*prototypes, *(one.prototype for one in self._correctors)])
        self._any = bool(self._correctors) or any(one is not None for one in prototypes)
        self._number += 1

    def open(self) -> Following:
        return Following(self._model.open())

    def step(self, chunks: LogMels, memories: Sequence[Following]) -> Scores:
        inner = [memory.inner for memory in memories]
        lesson = self._lesson
        if lesson is None or not (self._any or self.remembers):
            return self._joined(self._model.step(chunks, inner), None)
        scores, embedded = self._model.step_embedded(chunks, inner)
        said = np.empty((len(memories), len(lesson)), np.float32)
        # Stream by stream: a product's rounding must not depend on how many streams there are.
        for row, memory in enumerate(memories):
            self._follow(lesson, embedded[row], memory, said[row])
        if not self._any:
            return self._joined(scores, None)
        np.tanh(said, out=said)
        said += 1
        said *= 0.5
        return self._joined(self._corrected(scores, said[:, self._sounds :]), said)

    def _follow(
        self, lesson: Lesson, embedding: npt.NDArray[np.float32], memory: Following, half_logits: Likeness
    ) -> None:
        """Writes the half logits of what the last chunks of a stream say of each sound, this one included."""
        direction, like = lesson.place(embedding)
        memory.latest = direction if self.remembers else None
        if memory.recent is None or memory.lesson != self._number:
            memory.recent, memory.lesson = [np.zeros_like(like)] * (LATELY - 1), self._number
        np.add(lesson.none, like, out=half_logits)
        for one in memory.recent:
            half_logits += one
        memory.recent = [*memory.recent[1:], like]

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

    def _joined(self, scores: Scores, said: npt.NDArray[np.float32] | None) -> Scores:
        """The model's scores and, behind them, those of taught sounds (streams, sounds and others); None: all 0."""
        if not self._sounds:
            return scores
        streams, steps, own = scores.shape
        joined = np.empty((streams, steps, own + self._sounds), np.float32)
        joined[:, :, :own] = scores
        joined[:, :, own:] = 0 if said is None else said[:, None, : self._sounds]
        return joined

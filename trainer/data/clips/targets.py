"""Labels of many clips, none of which has many: a few numbers a clip, where a table of all classes fills a memory."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from asit_edge.audio.samples import Samples


class Rows(Protocol):
    """Labels of clips by number: an array (clips, classes), or `MultiHot`."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Samples: ...


class MultiHot:
    """Rows of 0 and 1, (clips, classes), made when they are asked for; AudioSet's two million take 20 MB, not 4 GB."""

    def __init__(self, classes: Sequence[Sequence[int]], count: int) -> None:
        """`classes` are each clip's, by number; `count` is how many there are."""
        self.columns = np.array([column for own in classes for column in own], np.int32)
        self.starts = np.cumsum([0, *map(len, classes)], dtype=np.int64)
        self.shape = (len(classes), count)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> Samples:
        row = np.zeros(self.shape[1], np.float32)
        row[self.columns[self.starts[index] : self.starts[index + 1]]] = 1
        return row

    @property
    def balanced(self) -> npt.NDArray[np.float64]:
        """How often to draw each clip, so that classes come alike: by the sum of 1 / clips over its classes (AST).

        A clip of no class is drawn as often as the most common one's.
        """
        counts = np.bincount(self.columns, minlength=self.shape[1])
        weights = np.bincount(self._rows, 1 / counts[self.columns], minlength=self.shape[0])
        weights[weights == 0] = weights[weights > 0].min() if (weights > 0).any() else 1.0
        balanced: npt.NDArray[np.float64] = weights / weights.sum()
        return balanced

    def tobytes(self) -> bytes:
        """The same bytes for the same rows."""
        return np.array(self.shape, np.int64).tobytes() + self.starts.tobytes() + self.columns.tobytes()

    @property
    def _rows(self) -> npt.NDArray[np.int64]:
        return np.repeat(np.arange(self.shape[0]), np.diff(self.starts))


def of_table(targets: Rows) -> MultiHot:
    """A table of 0 and 1, (clips, classes), by the places of its ones."""
    return MultiHot([np.flatnonzero(targets[index]).tolist() for index in range(len(targets))], targets.shape[1])


def heard_lately(targets: Samples, steps: int) -> Samples:
    """The highest target (..., time steps, labels) of each step and the `steps` - 1 before it."""
    if steps == 1:
        return targets
    before = np.zeros((*targets.shape[:-2], steps - 1, targets.shape[-1]), targets.dtype)
    padded = np.concatenate((before, targets), axis=-2)
    return np.lib.stride_tricks.sliding_window_view(padded, steps, axis=-2).max(axis=-1)

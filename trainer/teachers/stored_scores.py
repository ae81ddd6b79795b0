"""What teachers said of recordings, window by window, in one file: computed once, read by every run.

The file (npz): `paths` (recordings' names), `start` (windows of recording i are rows start[i] to start[i+1]), `index`
and `prob` (windows, kept): the classes of highest probability; `window` and `hop` in seconds and `labels`, the names
that `index` counts. Files without the last three hold 2 s windows every 0.5 s over AudioSet's 527 classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asit_edge.errors import AsitEdgeError, WrongUse, one_line
from trainer.data.audioset import audioset_ids

KEPT = 32
"""Classes kept of each window."""

Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TeacherScores:
    """Sparse probabilities of one teacher. `window` and `hop` are in seconds."""

    names: list[str]
    start: npt.NDArray[np.int64]
    index: npt.NDArray[np.uint16]
    prob: npt.NDArray[np.float16]
    labels: list[str]
    window: float
    hop: float
    source: str = ""
    """Name of the teacher's file."""

    def windows(self, row: int, labels: Sequence[str]) -> Probabilities:
        """Probabilities of recording `row`, dense over `labels`: (windows, labels); what was not kept is 0."""
        column = {name: place for place, name in enumerate(labels)}
        places = np.array([column.get(name, -1) for name in self.labels])
        rows = slice(self.start[row], self.start[row + 1])
        index, prob = places[self.index[rows]], self.prob[rows].astype(np.float32)
        dense = np.zeros((len(index), len(labels) + 1), np.float32)
        np.put_along_axis(dense, index, prob, axis=1)
        return dense[:, :-1]


def read_teacher_scores(file: Path, source: str | None = None) -> TeacherScores:
    """`source` is the name of the teacher's file; None: that of these scores.

    Raises WrongUse or AsitEdgeError, naming the file.
    """
    if not file.is_file():
        raise WrongUse(f"{file}: no such file of teacher probabilities")
    try:
        with np.load(file, allow_pickle=False) as stored:
            return TeacherScores(
                names=[str(name) for name in stored["paths"]],
                start=stored["start"].astype(np.int64),
                index=stored["index"],
                prob=stored["prob"],
                labels=[str(name) for name in stored["labels"]] if "labels" in stored else list(audioset_ids()),
                window=float(stored["window"]) if "window" in stored else 2.0,
                hop=float(stored["hop"]) if "hop" in stored else 0.5,
                source=source or file.name,
            )
    except (OSError, ValueError, KeyError) as error:
        raise AsitEdgeError(f"{file}: not a file of teacher probabilities ({one_line(error)})") from None


def write_teacher_scores(
    file: Path, names: Sequence[str], windows: Sequence[Probabilities], labels: Sequence[str], window: float, hop: float
) -> None:
    """`windows` holds (windows, labels) for each name. The file is whole or not there."""
    kept = min(KEPT, len(labels))
    together = np.concatenate(windows) if windows else np.zeros((0, len(labels)), np.float32)
    index = np.argsort(-together, axis=1, kind="stable")[:, :kept]
    aside = file.with_suffix(".part.npz")
    np.savez_compressed(
        aside,
        paths=np.array(names),
        start=np.cumsum([0, *(len(one) for one in windows)]),
        index=index.astype(np.uint16),
        prob=np.take_along_axis(together, index, axis=1).astype(np.float16),
        labels=np.array(labels),
        window=window,
        hop=hop,
    )
    aside.replace(file)

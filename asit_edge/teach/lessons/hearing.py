"""What the model makes of takes: their directions, chunk by chunk, and which chunks have the sound in them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asit_edge.model.backends.shapes import open_classifier
from asit_edge.model.bundle import Bundle
from asit_edge.model.classifier import Embedding, Scores
from asit_edge.model.front_ends import frames_of
from asit_edge.teach.lessons.augment import Staged
from asit_edge.teach.space import Axes, Directions

BATCH = 4
"""Streams in one step: more take memory and hardly less time."""

REACH = 0.1
"""Seconds of a sound that a chunk must have heard to count as having it."""

AFTERWARDS = 0.3
"""Seconds after the sound's end for which what the model makes of a chunk is still of the sound."""


@dataclass(frozen=True)
class Heard:
    """A stream as the model hears it: directions (chunks, axes), those with the sound in them, probabilities there."""

    stream: Directions
    span: Directions
    before: Directions
    """Of the place alone, before the sound."""
    scores: Scores
    """(chunks of the span, classes)."""


class Hearing:
    """A bundle's model with its axes; for streams that are there as a whole."""

    def __init__(self, bundle: Bundle, axes: Axes, threads: int = 1) -> None:
        """Raises AsitEdgeError if the model cannot be loaded."""
        self._spec = bundle.manifest.front_end
        self._model: Embedding = open_classifier(bundle, threads)  # type: ignore[assignment]
        self._axes = axes

    @property
    def rate(self) -> int:
        return self._spec.sample_rate

    def listen(self, staged: Sequence[Staged]) -> list[Heard]:
        """Streams at the model's rate; alike long ones go together."""
        order = sorted(range(len(staged)), key=lambda index: len(staged[index].samples))
        found: dict[int, Heard] = {}
        for first in range(0, len(order), BATCH):
            some = order[first : first + BATCH]
            found.update(zip(some, self._together([staged[index] for index in some]), strict=True))
        return [found[index] for index in range(len(staged))]

    def _together(self, staged: Sequence[Staged]) -> list[Heard]:
        chunk = self._model.chunk
        streams = [one.samples for one in staged]
        longest = max(len(stream) for stream in streams)
        count = -(-longest // (chunk * self._spec.hop)) + 1
        needed = self._spec.samples_for(count * chunk)
        padded = [np.pad(one, (0, needed - len(one))) for one in streams]
        mels = np.stack([frames_of(self._spec, one)[: count * chunk] for one in padded])
        memories = [self._model.open() for _ in streams]
        places, scores = [], []
        for start in range(0, count * chunk, chunk):
            said, embedded = self._model.step_embedded(np.ascontiguousarray(mels[:, start : start + chunk]), memories)
            places.append(self._axes.place(embedded))
            scores.append(said.max(axis=1))
        return [
            self._heard(one, np.stack([each[row] for each in places]), np.stack([each[row] for each in scores]))
            for row, one in enumerate(staged)
        ]

    def _heard(self, staged: Staged, directions: Directions, scores: Scores) -> Heard:
        return parts_of(staged, self.rate, self._model.chunk * self._spec.hop / self.rate, directions, scores)


def parts_of(staged: Staged, rate: int, seconds: float, directions: Directions, scores: Scores) -> Heard:
    """Which of a stream's chunks, of so many seconds each, have its sound in them, and which come before it."""
    ends = (np.arange(len(directions)) + 1) * seconds
    whole, onset, offset = (count / rate for count in (len(staged.samples), staged.begin, staged.end))
    inside = (ends >= min(onset + REACH, offset + seconds)) & (ends - seconds <= offset + AFTERWARDS - seconds)
    if not inside.any():
        inside = np.arange(len(ends)) == int(np.argmin(np.abs(ends - offset - seconds / 2)))
    kept = ends - seconds < whole
    return Heard(directions[kept], directions[inside & kept], directions[ends <= onset], scores[inside & kept])

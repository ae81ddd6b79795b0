"""The event tracker: scores in, events out. A pure state machine; no clock, no I/O, positions in samples.

Per class: an event begins with the first decision whose score reaches `on` and goes on while scores stay at
`off` or above (true hysteresis). It is announced (`new`) once it has lasted `min_duration`, and ends (`end`) when
the score has been below `off` for longer than `merge_gap`: a return to `on` before that continues the event. After
an end, nothing begins for `cooldown`. Every `new` gets exactly one `end`: by silence, by a gap, or by shutdown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt


class Kind(str, Enum):
    NEW = "new"
    UPDATE = "update"
    END = "end"


@dataclass(frozen=True)
class ClassSettings:
    """How one class becomes events. Scores from 0 to 1, durations in samples."""

    on: float
    off: float
    min_duration: int = 0
    merge_gap: int = 0
    cooldown: int = 0
    update_every: int = 0
    """At most one `update` in this many samples, sent while the event lasts; 0 for none."""

    def __post_init__(self) -> None:
        if not 0 < self.off <= self.on <= 1:
            raise ValueError(f"thresholds must be 0 < off <= on <= 1, not off {self.off}, on {self.on}")
        if min(self.min_duration, self.merge_gap, self.cooldown, self.update_every) < 0:
            raise ValueError("durations must not be negative")


@dataclass(frozen=True)
class Change:
    """Something to tell about an event: `label` is the class index, positions are samples of the stream.

    `score` is the newest score, `peak` the highest one so far; `offset` is set on `end` only. `decided` is the
    end of the audio that the decision rests on.
    """

    kind: Kind
    label: int
    onset: int
    offset: int | None
    score: float
    peak: float
    decided: int


class Tracker:
    """Follows every class of one stream."""

    def __init__(self, settings: Sequence[ClassSettings | None]) -> None:
        """One entry a class, in the model's order; None for classes that are not reported."""
        self._classes = [_ClassTracker(label, entry) for label, entry in enumerate(settings) if entry]
        self._size = len(settings)
        self._position = 0

    def step(self, start: int, end: int, scores: npt.NDArray[np.float32]) -> list[Change]:
        """The scores (classes,) of the audio from `start` to `end`, which must follow on what came before."""
        if not self._position <= start < end:
            raise ValueError(f"audio from {start} to {end} does not follow on {self._position}")
        if scores.shape != (self._size,):
            raise ValueError(f"expected {self._size} scores, not an array of shape {scores.shape}")
        self._position = end
        return [
            change for tracker in self._classes for change in tracker.step(start, end, float(scores[tracker.label]))
        ]

    def finish(self, position: int) -> list[Change]:
        """Ends every event, because the audio stops at `position` (a gap, the end of a file, a shutdown).

        Audio that was scored beyond `position` was padding: offsets never lie behind it.
        """
        changes = [change for tracker in self._classes for change in tracker.finish(position)]
        self._position = position
        return changes


class _ClassTracker:
    def __init__(self, label: int, settings: ClassSettings) -> None:
        self.label = label
        self._settings = settings
        self._onset: int | None = None
        self._announced = False
        self._heard_until = 0
        self._blocked_until = 0
        self._told_at = 0
        self._score = 0.0
        self._peak = 0.0

    def step(self, start: int, end: int, score: float) -> list[Change]:
        settings = self._settings
        changes = self._end_if_over(start, end, score)
        sounding = self._onset is not None and self._heard_until == start
        if score >= settings.on or (sounding and score >= settings.off):
            if self._onset is None:
                if start < self._blocked_until:
                    return changes
                self._onset, self._announced, self._peak = start, False, 0.0
            self._heard_until = end
            self._peak = max(self._peak, score)
        if self._onset is None:
            return changes
        self._score = score
        if not self._announced and self._heard_until - self._onset >= max(settings.min_duration, 1):
            self._announced = True
            changes.append(self._tell(Kind.NEW, end))
        elif self._announced and 0 < settings.update_every <= end - self._told_at:
            changes.append(self._tell(Kind.UPDATE, end))
        return changes

    def finish(self, position: int) -> list[Change]:
        if self._onset is None:
            return []
        return self._end(min(self._heard_until, max(position, self._onset)), position)

    def _end_if_over(self, start: int, end: int, score: float) -> list[Change]:
        """Ends the event if the quiet since it was last heard, this audio included, is longer than may be merged."""
        if self._onset is None:
            return []
        settings = self._settings
        resumes = score >= settings.on or (self._heard_until == start and score >= settings.off)
        quiet_until = start if resumes else end
        if quiet_until - self._heard_until <= settings.merge_gap:
            return []
        self._score = score
        return self._end(self._heard_until, end)

    def _end(self, offset: int, decided: int) -> list[Change]:
        changes = [self._tell(Kind.END, decided, offset)] if self._announced else []
        if self._announced:
            self._blocked_until = offset + self._settings.cooldown
        self._onset = None
        return changes

    def _tell(self, kind: Kind, decided: int, offset: int | None = None) -> Change:
        assert self._onset is not None
        self._told_at = decided
        return Change(kind, self.label, self._onset, offset, self._score, self._peak, decided)

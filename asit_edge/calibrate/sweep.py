"""How many events every class would have had at each of many thresholds, all counted in one pass. Pure.

The same state machine as `detect.hysteresis`, at all thresholds of a class at once. Its memory does not grow with what
is heard: no scores are kept, only the state of each sound and the number of those that counted.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from asit_edge.calibrate.ladder import Rungs
from asit_edge.detect.hysteresis import ClassSettings
from asit_edge.detect.tracker import Change, Tracker


class ClassSweep:
    """One class. Arrays are (rungs,), positions in samples."""

    def __init__(self, rungs: Sequence[ClassSettings]) -> None:
        """From the lowest threshold to the highest; they differ in nothing else."""
        self.events = np.zeros(len(rungs), np.int64)
        """Sounds that counted so far."""
        self._settings = rungs[0]
        self._on = np.array([one.on for one in rungs])
        self._off = np.array([one.off for one in rungs])
        self._sounds = np.zeros(len(rungs), bool)
        self._counts = np.zeros(len(rungs), bool)
        self._onset = np.zeros(len(rungs), np.int64)
        self._heard_until = np.zeros(len(rungs), np.int64)
        self._blocked_until = np.zeros(len(rungs), np.int64)
        self._idle = True

    def step(self, start: int, end: int, score: float) -> None:
        """The score of the audio from `start` to `end`."""
        if self._idle and score < self._settings.on:
            return
        loud = score >= self._on
        goes_on = self._sounds & (self._heard_until == start) & (score >= self._off)
        quiet = np.where(loud | goes_on, start, end) - self._heard_until
        self._end(self._sounds & (quiet > self._settings.merge_gap), self._heard_until)
        begins = loud & ~self._sounds & (start >= self._blocked_until)
        self._onset[begins] = start
        self._counts[begins] = False
        self._sounds |= begins
        heard = self._sounds & (loud | goes_on)
        self._heard_until[heard] = end
        now = heard & ~self._counts & (self._heard_until - self._onset >= self._settings.min_duration)
        self._counts |= now
        self.events += now
        self._idle = not self._sounds.any()

    def finish(self, position: int) -> None:
        """Ends every sound: the audio stops at `position`."""
        self._end(self._sounds.copy(), np.minimum(self._heard_until, np.maximum(position, self._onset)))
        self._idle = True

    def _end(self, which: npt.NDArray[np.bool_], offset: npt.NDArray[np.int64]) -> None:
        self._sounds &= ~which
        after = which & self._counts
        self._blocked_until[after] = offset[after] + self._settings.cooldown


class Sweep:
    """All classes of a stream."""

    def __init__(self, rungs: Rungs) -> None:
        self._size = len(rungs[0]), len(rungs)
        reported = [[one for one in steps if one] for steps in zip(*rungs, strict=True)]
        self._classes = {label: ClassSweep(steps) for label, steps in enumerate(reported) if steps}
        self._muted: frozenset[int] = frozenset()

    @property
    def events(self) -> npt.NDArray[np.int64]:
        """Sounds that counted so far, (classes, rungs)."""
        found = np.zeros(self._size, np.int64)
        for label, one in self._classes.items():
            found[label] = one.events
        return found

    def step(self, start: int, end: int, scores: npt.NDArray[np.float32]) -> None:
        """The scores (classes,) of the audio from `start` to `end`."""
        for label, one in self._classes.items():
            if label not in self._muted:
                one.step(start, end, float(scores[label]))

    def finish(self, position: int) -> None:
        """Ends every sound: the audio stops at `position`."""
        for one in self._classes.values():
            one.finish(position)

    def mute(self, labels: frozenset[int], position: int) -> None:
        """From `position` on these classes, and no others, are passed over."""
        for label in labels & self._classes.keys():
            self._classes[label].finish(position)
        self._muted = labels


class CountingTracker(Tracker):
    """A tracker at the thresholds in force that counts what there would have been at higher ones."""

    def __init__(self, rungs: Rungs, parents: Mapping[int, int] | None = None) -> None:
        super().__init__(rungs[0], parents)
        self.sweep = Sweep(rungs)

    def step(self, start: int, end: int, scores: npt.NDArray[np.float32]) -> list[Change]:
        changes = super().step(start, end, scores)
        self.sweep.step(start, end, scores)
        return changes

    def finish(self, position: int) -> list[Change]:
        self.sweep.finish(position)
        return super().finish(position)

    def mute(self, labels: Iterable[int]) -> list[Change]:
        muted = frozenset(labels)
        self.sweep.mute(muted, self._position)
        return super().mute(muted)

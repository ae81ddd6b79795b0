"""How many events every class would have had at each of many thresholds, all counted in one pass. Pure.

The same state machine as `detect.hysteresis`, for all classes and thresholds at once. Its memory does not grow with
what is heard: no scores are kept, only the state of each sound and the number of those that counted.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from asit_edge.calibrate.ladder import Rungs
from asit_edge.detect.hysteresis import ClassSettings
from asit_edge.detect.tracker import Change, Tracker

NEVER = 2.0
"""A threshold that no score reaches, for classes that are not reported."""


class Sweep:
    """Arrays are (classes, rungs), positions in samples."""

    def __init__(self, rungs: Rungs) -> None:
        shape = len(rungs[0]), len(rungs)
        self.events = np.zeros(shape, np.int64)
        """Sounds that counted so far."""
        self._on = np.array([[NEVER if one is None else one.on for one in rung] for rung in rungs]).T
        self._off = np.array([[NEVER if one is None else one.off for one in rung] for rung in rungs]).T
        self._least = np.maximum(_durations(rungs[0], "min_duration"), 1)
        self._merge_gap = _durations(rungs[0], "merge_gap")
        self._cooldown = _durations(rungs[0], "cooldown")
        self._listening = np.ones((shape[0], 1), bool)
        self._sounds = np.zeros(shape, bool)
        self._counts = np.zeros(shape, bool)
        self._onset = np.zeros(shape, np.int64)
        self._heard_until = np.zeros(shape, np.int64)
        self._blocked_until = np.zeros(shape, np.int64)

    def step(self, start: int, end: int, scores: npt.NDArray[np.float32]) -> None:
        """The scores (classes,) of the audio from `start` to `end`."""
        score = scores.astype(np.float64)[:, None]
        loud = (score >= self._on) & self._listening
        goes_on = self._sounds & (self._heard_until == start) & (score >= self._off)
        quiet = np.where(loud | goes_on, start, end) - self._heard_until
        self._end(self._sounds & (quiet > self._merge_gap) & self._listening, self._heard_until)
        begins = loud & ~self._sounds & (start >= self._blocked_until)
        self._onset[begins] = start
        self._counts[begins] = False
        self._sounds |= begins
        heard = self._sounds & (loud | goes_on)
        self._heard_until[heard] = end
        now = heard & ~self._counts & (self._heard_until - self._onset >= self._least)
        self._counts |= now
        self.events += now

    def finish(self, position: int) -> None:
        """Ends every sound: the audio stops at `position`."""
        self._stop(self._sounds.copy(), position)

    def mute(self, labels: Iterable[int], position: int) -> None:
        """From `position` on these classes, and no others, are passed over."""
        listening = np.ones_like(self._listening)
        listening[list(labels)] = False
        self._stop(self._sounds & ~listening, position)
        self._listening = listening

    def _stop(self, which: npt.NDArray[np.bool_], position: int) -> None:
        self._end(which, np.minimum(self._heard_until, np.maximum(position, self._onset)))

    def _end(self, which: npt.NDArray[np.bool_], offset: npt.NDArray[np.int64]) -> None:
        self._sounds &= ~which
        self._blocked_until = np.where(which & self._counts, offset + self._cooldown, self._blocked_until)


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


def _durations(classes: Sequence[ClassSettings | None], name: str) -> npt.NDArray[np.int64]:
    """Of every class, in samples, (classes, 1)."""
    return np.array([[0 if one is None else getattr(one, name)] for one in classes], np.int64)

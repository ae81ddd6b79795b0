"""One stream from samples to changes of events: resample, log-mel, window, classify, track.

No clock, no I/O, no threads: the same samples give the same changes, whether they come from a microphone now
or from a file at fifty times the speed. Positions are samples at the model's rate since the start of the stream.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soxr

from asit_edge.classifier import Classifier
from asit_edge.events import Change, Tracker
from asit_edge.frontend import FrontEnd, LogMel, Samples
from asit_edge.ring import Block


@dataclass(frozen=True)
class Decision:
    """The scores (classes,) of a window that ends with the audio from `start` to `end`."""

    start: int
    end: int
    scores: npt.NDArray[np.float32]


def to_mono(block: Block, channel: int | None) -> Samples:
    """One channel of (n, channels), counted from 1, or the mean of all."""
    if channel is not None:
        return np.ascontiguousarray(block[:, channel - 1])
    return block[:, 0].copy() if block.shape[1] == 1 else block.mean(axis=1)


class Scorer:
    """Samples in, decisions out: the part of the way that needs no memory of events."""

    def __init__(self, front_end: FrontEnd, frames: int, interval: int, classifier: Classifier, rate: int) -> None:
        """`frames` is the window's length, `interval` the frames between decisions, `rate` the source's in Hz."""
        self._spec = front_end
        self._frames = frames
        self._interval = interval
        self._classifier = classifier
        self._rate = rate
        self._log_mel = LogMel(front_end)
        self.position = 0
        self._restart()

    def _restart(self) -> None:
        """As if silence had been heard until now."""
        rate, model_rate = self._rate, self._spec.sample_rate
        self._resampler = soxr.ResampleStream(rate, model_rate, 1, dtype="float32") if rate != model_rate else None
        self._log_mel.reset()
        self._window = np.full((self._frames, self._spec.mels), self._spec.silence, np.float32)
        self._pending = 0
        self._decided = self.position

    def push(self, samples: Samples) -> Iterator[Decision]:
        """Mono samples at the source's rate to the decisions that they complete."""
        yield from self._hear(self._resampler.resample_chunk(samples) if self._resampler else samples)

    def skip(self, lost: int) -> None:
        """Audio of that many source samples was lost after a `flush`: the time passes, nothing is heard."""
        self.position += round(lost * self._spec.sample_rate / self._rate)
        self._restart()

    def flush(self) -> Iterator[Decision]:
        """Decides on the rest, as if silence followed. `position` then is where the audio ended."""
        if self._resampler:
            yield from self._hear(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        end = self.position
        if end > self._decided:
            until_decision = self._spec.samples_for(self._interval - self._pending) - self._log_mel.pending
            yield from self._hear(np.zeros(until_decision, np.float32))
        self.position = end
        self._restart()

    def _hear(self, samples: Samples) -> Iterator[Decision]:
        self.position += len(samples)
        frames = self._log_mel.push(samples)
        while len(frames):
            taken, frames = np.split(frames, [self._interval - self._pending])
            self._window = np.concatenate((self._window, taken))[-self._frames :]
            self._pending += len(taken)
            if self._pending == self._interval:
                self._pending = 0
                start = self._decided
                self._decided += self._interval * self._spec.hop
                yield Decision(start, self._decided, self._classifier.score(self._window[None])[0])


class Pipeline:
    """The whole way of one stream."""

    def __init__(self, scorer: Scorer, tracker: Tracker) -> None:
        self._scorer = scorer
        self._tracker = tracker

    @property
    def position(self) -> int:
        """Where the stream is, in samples at the model's rate."""
        return self._scorer.position

    def push(self, samples: Samples) -> list[Change]:
        """Mono samples at the source's rate to what they change."""
        return [change for decision in self._scorer.push(samples) for change in self._track(decision)]

    def gap(self, lost: int) -> list[Change]:
        """That many source samples were lost: what was sounding ends where the gap begins."""
        changes = self._stop()
        self._scorer.skip(lost)
        return changes

    def finish(self) -> list[Change]:
        """The stream is over: decides on its last samples and ends every event."""
        return self._stop()

    def _stop(self) -> list[Change]:
        changes = [change for decision in self._scorer.flush() for change in self._track(decision)]
        return changes + self._tracker.finish(self._scorer.position)

    def _track(self, decision: Decision) -> list[Change]:
        return self._tracker.step(decision.start, decision.end, decision.scores)

"""From samples to changes of events: resample, log-mel, classify, track; many streams in one batch.

No clock, no I/O, no threads: the same samples give the same changes, whether they come from a microphone now
or from a file at fifty times the speed. Positions are samples at the model's rate since the start of the stream.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from asit_edge.audio.samples import Samples
from asit_edge.detect.chunker import Chunk, Chunker, decisions
from asit_edge.detect.tracker import Change, Tracker
from asit_edge.model.classifier import Classifier, LogMels, Memory, Scores

UNSCORED_AT_MOST = 20
"""Chunks without scores in a row that are one stretch; what lasts longer is told in several."""


@runtime_checkable
class Skimming(Protocol):
    """A classifier that can take in audio without scoring it, for a fraction of the work.

    Window models can: a window holds many chunks, and scoring it is what costs. A model with caches has to compute
    every chunk to keep them, so for it nothing is saved by asking less often, and it is not one of these.
    """

    most_skimmed: int
    """Chunks in a row that need not be scored for every sound to be in some window that is."""

    def skim(self, chunks: LogMels, memories: Sequence[Memory]) -> None:
        """Chunks (streams, chunk, mels) into the memories of their streams."""
        ...


@dataclass(frozen=True)
class SilenceGate:
    """Below an RMS of `rms` for longer than `hold` samples, the model is not asked: nothing is taken to be heard."""

    rms: float
    hold: int


class Pipeline:
    """One stream. Its chunks wait until `decide` takes them, with those of other streams, to the classifier."""

    def __init__(self, chunker: Chunker, classifier: Classifier, tracker: Tracker, gate: SilenceGate | None = None):
        self.tracker = tracker
        self.decided = 0
        """Decisions of the model so far."""
        self.gated = 0
        """Chunks for which the silence gate was closed."""
        self.skimmed = 0
        """Chunks that the model took in without a decision of their own, because it could not keep up."""
        self.scores: Scores | None = None
        """Of the newest chunk that was decided on, (steps, classes); None where it has none."""
        self._chunker = chunker
        self._classifier = classifier
        self._memory = classifier.open()
        self._gate = gate
        self._quiet = 0
        self._due: deque[Chunk] = deque()
        self._since: int | None = None
        self._skimmed = 0
        self._unscored: list[tuple[int, int]] = []
        self._failing: tuple[int, int] | None = None

    @property
    def failing(self) -> bool:
        """The model gives no numbers for this stream at the moment."""
        return self._failing is not None

    @property
    def position(self) -> int:
        """Where the stream is, in samples at the model's rate."""
        return self._chunker.position

    @property
    def progress(self) -> int:
        """Grows with every chunk that has been dealt with."""
        return self.decided + self.gated + self.skimmed

    @property
    def due(self) -> int:
        """Chunks that wait for a decision."""
        return len(self._due)

    def take(self, samples: Samples) -> None:
        """Mono samples at the source's rate; what they complete waits for `decide`."""
        self._due.extend(self._chunker.push(samples))

    def push(self, samples: Samples) -> list[Change]:
        """Mono samples at the source's rate to what they change, with this stream alone."""
        self.take(samples)
        return self._catch_up()

    def gap(self) -> list[Change]:
        """What comes next does not follow on: decides on the rest and ends every event."""
        self._due.extend(self._chunker.flush())
        changes = self._catch_up() + self.tracker.finish(self.position)
        self._close_unscored()
        self._memory = self._classifier.open()
        self._since, self._skimmed = None, 0
        self._quiet = 0
        return changes

    def resume(self, position: int, rate: int) -> None:
        """After a `gap`: the next sample is the one at `position`, and samples come at `rate` (Hz) from now on."""
        self._chunker.resume(position, rate)

    def finish(self) -> list[Change]:
        """The stream is over: decides on its last samples and ends every event."""
        return self.gap()

    def take_unscored(self) -> list[tuple[int, int]]:
        """From and to, in positions: audio for which the model gave no numbers, each stretch once, when it is over."""
        spans, self._unscored = self._unscored, []
        return spans

    def _catch_up(self) -> list[Change]:
        changes: list[Change] = []
        while self._due:
            for _, some in decide(self._classifier, [self]):
                changes += some
        return changes

    # What follows is `decide`'s.

    def next(self) -> Chunk:
        return self._due.popleft()

    @property
    def memory(self) -> Memory:
        return self._memory

    def closes_gate(self, chunk: Chunk) -> bool:
        """Whether it has been quiet for so long that this chunk need not be scored."""
        if self._gate is None:
            return False
        self._quiet = self._quiet + (chunk.end - chunk.start) if chunk.rms < self._gate.rms else 0
        return self._quiet > self._gate.hold

    def pass_over(self, chunk: Chunk) -> list[Change]:
        """Nothing in it: the model begins anew, from silence, when there is something again."""
        self.gated += 1
        self.scores = None
        self._memory = self._classifier.open()
        return self._track(chunk, np.zeros((1, self.tracker.classes), np.float32))

    def skim(self, chunk: Chunk, every: int) -> bool:
        """True if no decision need be made on this chunk alone, but only on every so many: the next will cover it."""
        if self._skimmed + 1 >= every:
            return False
        self.skimmed += 1
        self.scores = None
        self._skimmed += 1
        self._since = chunk.start if self._since is None else self._since
        return True

    def track(self, chunk: Chunk, scores: Scores) -> list[Change]:
        """The chunk's scores (steps, classes), and what was skimmed before it, to what they change."""
        if not np.isfinite(scores).all():
            self.scores = None
            return self._fail(chunk)
        self.scores = scores
        self._close_unscored()
        self.decided += len(scores)
        return self._track(chunk, scores)

    def _fail(self, chunk: Chunk) -> list[Change]:
        """No numbers came of the chunk: what sounded ends before it, and the model begins anew, from silence."""
        begin = chunk.start if self._since is None else self._since
        self._memory = self._classifier.open()
        self._since, self._skimmed = None, 0
        self._failing = (self._failing[0] if self._failing else begin, chunk.end)
        if self._failing[1] - self._failing[0] > UNSCORED_AT_MOST * (chunk.end - chunk.start):
            self._close_unscored()
        return self.tracker.finish(begin)

    def _close_unscored(self) -> None:
        if self._failing:
            self._unscored.append(self._failing)
            self._failing = None

    def _track(self, chunk: Chunk, scores: Scores) -> list[Change]:
        changes: list[Change] = []
        for decision in decisions(chunk, scores):
            start = decision.start if self._since is None else self._since
            self._since, self._skimmed = None, 0
            changes += self.tracker.step(start, decision.end, decision.scores)
        return changes


def decide(
    classifier: Classifier, pipelines: Sequence[Pipeline], every: int = 1
) -> Iterator[tuple[Pipeline, list[Change]]]:
    """Takes one waiting chunk of each pipeline, all in one batch, and gives what each changes.

    `every` above 1 lowers the rate of decisions, down to one in so many chunks, where the classifier can skim.
    """
    skimming = classifier if every > 1 and isinstance(classifier, Skimming) else None
    most = min(every, skimming.most_skimmed + 1) if skimming else 1
    scored: list[tuple[Pipeline, Chunk]] = []
    skimmed: list[tuple[Pipeline, Chunk]] = []
    for pipeline in pipelines:
        if not pipeline.due:
            continue
        chunk = pipeline.next()
        if pipeline.closes_gate(chunk):
            yield pipeline, pipeline.pass_over(chunk)
        else:
            (skimmed if pipeline.skim(chunk, most) else scored).append((pipeline, chunk))
    if skimming and skimmed:
        skimming.skim(np.stack([chunk.frames for _, chunk in skimmed]), [pipeline.memory for pipeline, _ in skimmed])
    if scored:
        batch = np.stack([chunk.frames for _, chunk in scored])
        scores = classifier.step(batch, [pipeline.memory for pipeline, _ in scored])
        for (pipeline, chunk), own in zip(scored, scores, strict=True):
            yield pipeline, pipeline.track(chunk, own)

"""What was heard of one source, and what was missed: every second of its time is one or the other.

The audio that the supervisor takes goes through here to the pipeline. An interruption ends the source's events at the
last sample that was heard; when audio goes on, the time between is a gap, with its cause and its length.
"""

import logging
from dataclasses import dataclass

from asit_edge.audio.clock import Clock
from asit_edge.audio.downmix import Downmix
from asit_edge.audio.samples import Block
from asit_edge.detect.pipeline import Pipeline
from asit_edge.detect.tracker import Change
from asit_edge.listen.supervision.facts import Changed, Fact, Missed
from asit_edge.listen.supervision.intake import Intake, checked
from asit_edge.listen.supervision.timeline import Timeline
from asit_edge.observe.observer import Observer

log = logging.getLogger(__name__)

NEGLIGIBLE = 0.005
"""Seconds; a shorter gap is rounding."""

NO_SCORES = "no scores"
"""The cause of a gap: what the model gave was no number."""

FOLLOW_WALL = 1.0
"""Seconds between looks at the system clock."""


@dataclass
class Totals:
    """What has become of a source's time, in seconds."""

    heard: float = 0.0
    lost: float = 0.0
    gaps: int = 0


class Account:
    """Of one source. Samples are counted by their index in the present capture, at its rate in Hz."""

    def __init__(self, name: str, pipeline: Pipeline, model_rate: int, silent_after: float, clock: Clock) -> None:
        """`model_rate` is the rate of the pipeline's positions; `silent_after` as for `Intake`."""
        self.totals = Totals()
        self.note = ""
        """What happened to the source's clock, in words for the user."""
        self.facts: list[Fact] = []
        """What became of the source since somebody asked last."""
        self.observer = Observer()
        """Sees what is heard."""
        self.timeline = Timeline(model_rate, clock.steady(), clock.asleep())
        self.intake = Intake(silent_after)
        self._downmix = Downmix(model_rate)
        self._name, self._pipeline, self._model_rate, self._time = name, pipeline, model_rate, clock
        self._looked_at_wall = 0.0
        self._warned: set[str] = set()

    @property
    def heard_until(self) -> float | None:
        """When the last sample was heard that counts as heard, in epoch seconds; None before the first."""
        clock, gap = self.timeline.clock, self.timeline.gap
        return None if clock is None else clock.epoch(self._pipeline.position if gap is None else gap.begin)

    def begin(self, begin: float, rate: int, *, live: bool, muted: bool) -> None:
        """A capture's first sample was heard at the steady time `begin`."""
        wall_offset = self._time.wall() - self._time.steady()
        self._downmix = Downmix(rate)
        self.timeline.place(begin, wall_offset, live=live, muted=muted)
        if not muted:
            self._resume(0, rate)

    def hear(self, block: Block, index: int, rate: int, *, muted: bool) -> bool:
        """The samples (n, channels) from `index` on. True if some of them count as heard."""
        block, problems = checked(block)
        for problem in problems:
            self._warn(f"the audio {problem}")
        if muted:
            return False
        samples = self._downmix.mix(block)
        for news in self._downmix.news():
            self._warn(news)
        taken = self.intake.take(samples)
        self.facts += taken.levels
        if not len(taken.samples):
            return False
        if self.timeline.gap is not None:
            self._resume(index + taken.skipped, rate)
        self.totals.heard += len(taken.samples) / rate
        if self.timeline.clock is not None:
            # Not where the pipeline is: what it resamples comes out later.
            epoch = self.timeline.clock.epoch(self.timeline.position_of(index + taken.skipped, rate))
            self.observer.heard(self._name, epoch, taken.samples, rate)
        self._pipeline.take(taken.samples)
        if taken.flat_seconds:
            self.interrupt("digital silence", taken.flat_seconds)
            self.totals.heard -= taken.flat_seconds
        return True

    def interrupt(self, cause: str, back: float = 0.0) -> None:
        """What comes next does not follow on; the last `back` seconds do not count as heard either."""
        if self.timeline.gap is not None or self.timeline.clock is None:
            return
        if not back:
            self.intake.interrupt()
        self._change(self._pipeline.gap())
        position = self._pipeline.position - round(back * self._model_rate)
        self.timeline.interrupt(position, cause, self._time.asleep())

    def lose(self, seconds: float, cause: str) -> None:
        """So much audio never arrived, before the sample that is read next."""
        self.interrupt(cause)
        self.timeline.lose(seconds)

    def finish(self, now: float) -> None:
        """Nothing more will come: ends the source's events, and a gap that reaches until now."""
        if self.timeline.gap is not None:
            self._pipeline.resume(self.timeline.position_at(now), self._model_rate)
            self._close_gap()
        self._change(self._pipeline.finish())

    def settle(self) -> None:
        """Tells what the model could not score: it was taken in, and yet nobody listened."""
        clock = self.timeline.clock
        if self._pipeline.failing and NO_SCORES not in self._warned:
            self._warned.add(NO_SCORES)
            log.error("%s: the model gives no numbers; its memory of this source begins anew each time", self._name)
        for begin, end in self._pipeline.take_unscored():
            assert clock is not None
            seconds = (min(end, self._pipeline.position) - begin) / self._model_rate
            self.totals.heard -= seconds
            self.totals.lost += seconds
            self.totals.gaps += 1
            self.facts.append(Missed(clock.epoch(begin), clock.epoch(begin) + seconds, NO_SCORES))

    def _warn(self, problem: str) -> None:
        if problem not in self._warned:
            self._warned.add(problem)
            log.warning("%s: %s", self._name, problem)

    def _resume(self, index: int, rate: int) -> None:
        """Audio goes on with that sample: the time until then was missed."""
        self._pipeline.resume(self.timeline.position_of(index, rate), rate)
        self._close_gap()
        self.timeline.awake(self._time.asleep())

    def _close_gap(self) -> None:
        gap, clock = self.timeline.resume(), self.timeline.clock
        if gap is None or clock is None:
            return
        seconds = (self._pipeline.position - gap.begin) / self._model_rate
        self.totals.lost += max(seconds, 0.0)
        if seconds >= NEGLIGIBLE:
            self.totals.gaps += 1
            self.facts.append(Missed(clock.epoch(gap.begin), clock.epoch(self._pipeline.position), gap.cause))

    def _change(self, changes: list[Change]) -> None:
        if changes:
            self.facts.append(Changed(changes))

    # Clocks. Whatever is active keeps its times.

    def follow_drift(self, seconds: float) -> bool:
        """The device's samples have crept away from the clock by so much. True if times were corrected."""
        follows = self.timeline.follow_drift(seconds, quiet=self._pipeline.tracker.quiet)
        if follows:
            log.info("%s: times re-anchored by %+.3f s (its sample rate drifts)", self._name, seconds)
        return follows

    def follow_wall(self, now: float) -> None:
        """Looks whether somebody has set the system clock."""
        if self.timeline.clock is None or now - self._looked_at_wall < FOLLOW_WALL:
            return
        self._looked_at_wall = now
        off = self.timeline.follow_wall(now, self._time.wall(), quiet=self._pipeline.tracker.quiet)
        if off:
            self.note = f"times re-anchored by {off:+.3f} s (the system clock was set)"
            log.warning("%s: %s", self._name, self.note)

"""Sound event detection in anybody's Python: audio in, block by block, events out.

    detector = Detector("asit-stream-nano")
    for event in detector.push(samples, rate):
        print(event.type, event.label, event.onset_epoch)

The same way as `asit-edge replay`, without store and sinks: what it gives does not depend on the size of the blocks.
"""

import logging
import os
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asit_edge.assembly import load_model
from asit_edge.audio.clock import SampleClock, iso
from asit_edge.audio.downmix import Downmix
from asit_edge.audio.level import LOUDEST
from asit_edge.audio.samples import Block, Samples
from asit_edge.config.events import Events
from asit_edge.config.root import Config
from asit_edge.detect.clip_scores import running_clip_scores
from asit_edge.detect.event_writer import EventWriter
from asit_edge.detect.pipeline import Pipeline
from asit_edge.detect.tracker import Change
from asit_edge.errors import WrongUse
from asit_edge.messages.event import Event

log = logging.getLogger(__name__)

FULL_SCALES = {"int16": 2.0**15, "int32": 2.0**31}
"""What counts as 1.0 in samples of whole numbers."""


class Detector:
    """One stream of audio through one model. Not for several threads at a time."""

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        events: Events | None = None,
        source: str = "audio",
        start: float = 0.0,
    ) -> None:
        """`model` is the name of a bundle that comes with the package or the directory of one; None: the default one.

        `events` has the keys of `events` in config.yaml (thresholds, durations, labels); `source` names the stream in
        its events; `start` is when its first sample was heard, in seconds since the epoch. With 0 the times of events
        are seconds since the first sample.

        Raises AsitEdgeError if the bundle cannot be used, or `events` names a label that it does not have.
        """
        settings = events or Events()
        if settings.quiet_hours or settings.same_room:
            raise WrongUse("events: quiet_hours and same_room are for asit-edge listen, which has sources and a clock")
        self._model = load_model(Config(model=None if model is None else Path(model), events=settings))
        manifest = self._model.manifest
        clock = SampleClock(start, manifest.front_end.sample_rate)
        self._writer = EventWriter("python", source, iso(start), clock, manifest, replayed=True)
        self._source = source
        self._pipeline: Pipeline | None = None
        self._downmix = Downmix(manifest.front_end.sample_rate)
        self._rate = 0
        self._count = 0

    @property
    def labels(self) -> list[str]:
        """What the model knows, in the order of its scores."""
        return [label.name for label in self._model.manifest.labels]

    def push(self, samples: npt.ArrayLike, rate: int) -> list[Event]:
        """The next samples, (n,) or (n, channels), at `rate` Hz: floats from -1 to 1, or int16 or int32.

        Returns what has changed: events that began (`new`), go on (`update`) or are over (`end`). Another rate than
        before ends what is active: what comes does not follow on. Raises WrongUse if these are no samples.
        """
        block = _block(samples, rate)
        changes: list[Change] = []
        if self._pipeline is None:
            self._pipeline = self._model.pipeline(rate)
            self._downmix = Downmix(rate)
        elif rate != self._rate:
            self._downmix = Downmix(rate)
            changes = self._pipeline.gap()
            self._pipeline.resume(self._pipeline.position, rate)
        self._rate = rate
        return self._events([*changes, *self._pipeline.push(self._mono(block, self._downmix))])

    def flush(self) -> list[Event]:
        """The stream is over, or breaks off here: decides on the rest and ends every event."""
        return [] if self._pipeline is None else self._events(self._pipeline.gap())

    def scores(self, samples: npt.ArrayLike, rate: int) -> dict[str, float]:
        """Label to score, the highest first, of a whole clip as `asit-edge tag` scores it. The stream is left alone."""
        mono = self._mono(_block(samples, rate), Downmix(rate))
        scorer = self._model.scorer(rate)
        found = running_clip_scores(decision.scores for decision in chain(scorer.push(mono), scorer.flush()))
        if found is None:
            raise WrongUse("scores: a clip needs samples")
        return {self.labels[index]: float(found[index]) for index in np.argsort(-found, kind="stable")}

    def _mono(self, block: Block, downmix: Downmix) -> Samples:
        samples = downmix.mix(block)
        for news in downmix.news():
            log.warning("%s: %s", self._source, news)
        return samples

    def _events(self, changes: list[Change]) -> list[Event]:
        events = []
        for change in changes:
            self._count += 1
            events.append(self._writer.write(change).model_copy(update={"seq": self._count}))
        return events


def _block(samples: npt.ArrayLike, rate: int) -> Block:
    values = np.asarray(samples)
    if not 4_000 <= rate <= 384_000:
        raise WrongUse(f"rate {rate}: must be from 4000 to 384000 Hz")
    if values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] == 0):
        raise WrongUse(f"samples of shape {values.shape}: must be (n,) or (n, channels)")
    if values.dtype.kind != "f" and values.dtype.name not in FULL_SCALES:
        raise WrongUse(f"samples of type {values.dtype}: must be floats from -1 to 1, int16 or int32")
    floats = (values / FULL_SCALES.get(values.dtype.name, 1.0)).astype(np.float32)
    if not np.isfinite(floats).all():
        raise WrongUse("samples that are not numbers (NaN or infinite)")
    return np.clip(floats if floats.ndim == 2 else floats[:, None], -LOUDEST, LOUDEST)

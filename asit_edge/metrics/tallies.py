"""What is counted while a device listens: an observer that adds to counters, some microseconds at a time."""

import time
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

from asit_edge.audio.samples import Samples
from asit_edge.config.root import Config
from asit_edge.messages.event import Event
from asit_edge.messages.report import Gap, Level, Status
from asit_edge.metrics import names
from asit_edge.metrics.names import Name
from asit_edge.model.bundle import Manifest
from asit_edge.model.classifier import Scores
from asit_edge.observe.observer import Observer

disable_created_metrics()  # a second line for every counter, with when it began, which Prometheus has no use for


class Tallies(Observer):
    """Of all sources of a device. What it keeps of each (`statuses`, `levels`) may be read in any thread."""

    def __init__(self, registry: CollectorRegistry, sources: Sequence[str], manifest: Manifest) -> None:
        self.statuses: dict[str, Status | None] = dict.fromkeys(sources)
        """The newest state of each source; None before the first."""
        self.levels: dict[str, tuple[float, Level] | None] = dict.fromkeys(sources)
        """How loud each was last, and when that was told (monotonic)."""
        self._samples, self._seconds = _counter(registry, names.SAMPLES), _counter(registry, names.SECONDS)
        self._decisions = _counter(registry, names.DECISIONS)
        self._gaps, self._gap_seconds = _counter(registry, names.GAPS), _counter(registry, names.GAP_SECONDS)
        self._committed = _histogram(registry, names.COMMITTED, names.LATENCY_BUCKETS)
        self._acknowledged = _histogram(registry, names.ACKNOWLEDGED, names.LATENCY_BUCKETS)
        self._begin(sources)
        self._events = _counter(registry, names.EVENTS)
        self._labels: frozenset[str] = frozenset()
        self.know(manifest)
        self._chunks = _counter(registry, names.CHUNKS)
        self._inference = _histogram(registry, names.INFERENCE, names.INFERENCE_BUCKETS)

    def configured(self, config: Config) -> None:
        """What was counted of a source that is gone stays until the listener ends."""
        self._begin([name for name in config.source_names if name not in self.statuses])
        self.statuses = {name: self.statuses.get(name) for name in config.source_names}
        self.levels = {name: self.levels.get(name) for name in config.source_names}

    def _begin(self, sources: Sequence[str]) -> None:
        """Counted from nothing at once, so that the first is an increase."""
        for source in sources:
            for of_source in (self._samples, self._seconds, self._decisions, self._committed, self._acknowledged):
                of_source.labels(source)
            for cause in names.CAUSES:
                self._gaps.labels(source, cause)
                self._gap_seconds.labels(source, cause)

    def heard(self, source: str, epoch: float, samples: Samples, rate: int) -> None:
        self._samples.labels(source).inc(len(samples))
        self._seconds.labels(source).inc(len(samples) / rate)

    def scored(self, source: str, epoch: float, scores: Scores) -> None:
        self._decisions.labels(source).inc(len(scores))

    def decided(self, streams: int, seconds: float) -> None:
        self._chunks.inc(streams)
        self._inference.observe(seconds)

    def level(self, level: Level) -> None:
        if level.source in self.levels:
            self.levels[level.source] = time.monotonic(), level

    def events(self, source: str, events: Sequence[Event]) -> None:
        now = time.time()
        for event in events:
            label = event.label if event.label in self._labels else names.OTHER
            self._events.labels(source, label, event.type).inc()
            if event.type == "new" and source in self.statuses:
                self._committed.labels(source).observe(max(now - event.onset_epoch, 0.0))

    def acknowledged(self, payload: str) -> None:
        """The broker has this message, an event's or another's."""
        if '"type":"new"' not in payload:
            return
        event = Event.model_validate_json(payload)
        if event.source in self.statuses:
            self._acknowledged.labels(event.source).observe(max(time.time() - event.onset_epoch, 0.0))

    def status(self, status: Status) -> None:
        if status.source in self.statuses:  # not the last word of one that is gone
            self.statuses[status.source] = status

    def gap(self, gap: Gap) -> None:
        self._gaps.labels(gap.source, gap.cause).inc()
        self._gap_seconds.labels(gap.source, gap.cause).inc(gap.duration)

    def know(self, manifest: Manifest) -> None:
        self._labels = frozenset(label.name for label in manifest.labels)
        for label in manifest.labels:
            if not label.experimental:  # counted from nothing at once, so that the first event is an increase
                for source in self.statuses:
                    self._events.labels(source, label.name, "new")


def _counter(registry: CollectorRegistry, what: Name) -> Counter:
    return Counter(what.name, what.help, what.labels, registry=registry)


def _histogram(registry: CollectorRegistry, what: Name, buckets: tuple[float, ...]) -> Histogram:
    return Histogram(what.name, what.help, what.labels, buckets=buckets, registry=registry)

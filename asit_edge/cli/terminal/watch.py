"""What there is to see of the listening at the moment: levels, scores, states, and the events that go on.

The listening's threads leave it here and go on at once; whoever paints takes it when it likes.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from asit_edge.audio.level import FLOOR, dbfs
from asit_edge.audio.samples import Samples
from asit_edge.cli.terminal.tally import Tally
from asit_edge.messages.event import Event
from asit_edge.messages.report import Status
from asit_edge.model.bundle import Manifest
from asit_edge.model.classifier import Scores
from asit_edge.observe.observer import Observer

TOP = 8
"""Labels a source whose scores are kept to be shown."""

LEAST = 0.05
"""Scores below are nothing to show."""

Thresholds = Callable[[Manifest], Mapping[str, Sequence[float | None]]]
"""By source ("" for all others): the score at which each class begins, None where it is not reported."""


@dataclass(frozen=True)
class Score:
    label: str
    score: float
    alarms: bool
    """It has reached the threshold."""


@dataclass(frozen=True)
class Seen:
    """A source as it was last."""

    state: str = ""
    """As in `Status`; "" for a recording."""
    detail: str = ""
    dbfs: float = FLOOR
    scores: tuple[Score, ...] = ()
    """Highest first."""
    until: float = 0.0
    """Seconds since the epoch up to which it was heard."""


@dataclass(frozen=True)
class Moment:
    """All of it at one time."""

    sources: Mapping[str, Seen] = field(default_factory=dict)
    going_on: Sequence[Event] = ()
    """Oldest first, as they were told last."""
    begun: int = 0
    """Events so far."""
    heard: float = 0.0
    """Seconds so far, of all sources together."""
    gaps: int = 0


class Watch(Observer):
    """Gives events that are over to `ended`; keeps what goes on."""

    def __init__(self, thresholds: Thresholds, ended: Callable[[Event], None], sources: Sequence[str] = ()) -> None:
        self.tally = Tally()
        self._of, self._ended = thresholds, ended
        self._names: list[str] = []
        self._on: dict[str, list[float | None]] = {}
        self._lock = threading.Lock()
        self._sources: dict[str, Seen] = {name: Seen("starting") for name in sources}
        self._open: dict[str, Event] = {}

    def moment(self) -> Moment:
        """As it is now."""
        with self._lock:
            events = sorted(self._open.values(), key=lambda one: one.onset_epoch)
            return Moment(dict(self._sources), events, self.tally.begun, self.tally.seconds, self.tally.gaps)

    def know(self, manifest: Manifest) -> None:
        on = {source: list(values) for source, values in self._of(manifest).items()}
        with self._lock:
            self._names, self._on = [label.name for label in manifest.labels], on

    def heard(self, source: str, epoch: float, samples: Samples, rate: int) -> None:
        if not len(samples):
            return
        level, seconds = dbfs(float(np.sqrt(np.dot(samples, samples) / len(samples)))), len(samples) / rate
        with self._lock:
            self.tally.heard(source, epoch, samples, rate)
            self._change(source, dbfs=level, until=epoch + seconds)

    def scored(self, source: str, epoch: float, scores: Scores) -> None:
        highest = scores.max(axis=0)
        order = np.argsort(highest)[::-1]
        with self._lock:
            on = self._on.get(source, self._on.get("", []))
            found: list[Score] = []
            for label in order.tolist():
                if len(found) == TOP or highest[label] < LEAST:
                    break
                threshold = on[label] if label < len(on) else None
                if threshold is not None:
                    score = float(highest[label])
                    found.append(Score(self._names[label], score, score >= threshold))
            self._change(source, scores=tuple(found))

    def events(self, source: str, events: Sequence[Event]) -> None:
        with self._lock:
            self.tally.events(source, events)
            for event in events:
                if event.type == "end":
                    self._open.pop(event.id, None)
                else:
                    self._open[event.id] = event
        for event in events:
            if event.type == "end":
                self._ended(event)

    def status(self, status: Status) -> None:
        with self._lock:
            self.tally.status(status)
            quiet = {} if status.state == "listening" else {"dbfs": FLOOR, "scores": ()}
            self._change(status.source, state=status.state, detail=status.detail, **quiet)

    def threshold(self, source: str, label: str, on: float) -> None:
        with self._lock:
            own = self._on.setdefault(source, list(self._on.get("", [])))
            if label in self._names[: len(own)]:
                own[self._names.index(label)] = on

    def _change(self, source: str, **values: object) -> None:
        self._sources[source] = replace(self._sources.get(source, Seen()), **values)  # type: ignore[arg-type]

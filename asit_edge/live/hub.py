"""The picture of now: what every source does and hears, and who watches it.

An observer: its methods are called in the threads of the listening and return at once. What is expensive (scores in
words, spectrograms) is done only while somebody watches.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from statistics import median
from typing import Any

from pydantic import BaseModel

from asit_edge.audio.samples import Samples
from asit_edge.config.root import Config
from asit_edge.live.sounds import Sounds
from asit_edge.live.spectrograms import Spectrograms
from asit_edge.live.subscriber import Subscriber, Told
from asit_edge.messages.event import Event
from asit_edge.messages.report import Gap, Level, Status
from asit_edge.model.bundle import Manifest
from asit_edge.model.classifier import Scores
from asit_edge.observe.observer import Observer

MOST_GAPS = 50
"""Gaps that are remembered."""

MOST_TIMES = 200
"""Latencies and times of inference that are remembered."""


class Hub(Observer):
    """Of one listener; `picture` and `subscribe` may be called from any thread."""

    def __init__(self, config: Config, manifest: Manifest) -> None:
        """Raises WrongUse where settings do not fit the model."""
        self.device = config.device_name
        self.since = time.time()
        self.begun = threading.Event()
        """Set when the first audio has come."""
        self._sounds = Sounds(config, manifest)
        self._lock = threading.Lock()
        self._model = {"name": manifest.name, "version": manifest.version}
        self._statuses: dict[str, dict[str, Any]] = {}
        self._levels: dict[str, dict[str, Any]] = {}
        self._scores: dict[str, tuple[float, Scores]] = {}
        self._active: dict[str, dict[str, Any]] = {}
        self._gaps: deque[dict[str, Any]] = deque(maxlen=MOST_GAPS)
        self._latencies: deque[int] = deque(maxlen=MOST_TIMES)
        self._inference: deque[float] = deque(maxlen=MOST_TIMES)
        self._watching: tuple[Subscriber, ...] = ()
        self._spectrograms = Spectrograms(lambda data: self._tell(Told("columns", data, live=True)))

    # Who watches.

    def subscribe(self, columns: bool) -> Subscriber:
        """What happens from now on; `columns`: the spectrogram too. Ends with `leave`."""
        subscriber = Subscriber(columns)
        with self._lock:
            self._watching = (*self._watching, subscriber)
        if columns:
            self._spectrograms.watch()
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        with self._lock:
            self._watching = tuple(one for one in self._watching if one is not subscriber)
        if subscriber.columns:
            self._spectrograms.leave()

    def picture(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        with self._lock:
            return {
                "device": self.device,
                "since": self.since,
                "model": self._model,
                "sources": [self._source(name) for name in self._sounds.sources],
                "active": list(self._active.values()),
                "gaps": list(self._gaps)[::-1],
                "times": self._times(),
            }

    def labels(self) -> list[dict[str, Any]]:
        """What is reported, and from which score on."""
        with self._lock:
            return self._sounds.listed()

    @property
    def sources(self) -> list[str]:
        return self._sounds.sources

    def names(self) -> dict[str, str]:
        """Ids of the labels that are reported to their display names."""
        with self._lock:
            return dict(self._sounds.names)

    @property
    def states(self) -> dict[str, str]:
        """Of every source that has said one."""
        with self._lock:
            return {name: str(status["state"]) for name, status in self._statuses.items()}

    def _source(self, name: str) -> dict[str, Any]:
        newest = self._scores.get(name)
        return {
            "name": name,
            **self._sounds.standing(name),
            "status": self._statuses.get(name),
            "level": self._levels.get(name),
            "scores": self._sounds.top(name, newest[1]) if newest else [],
        }

    def _times(self) -> dict[str, float | None]:
        latencies, inference = sorted(self._latencies), sorted(self._inference)
        return {
            "latency_ms": round(median(latencies)) if latencies else None,
            "latency_ms_most": latencies[-1] if latencies else None,
            "inference_ms": round(1000 * median(inference), 2) if inference else None,
        }

    def _tell(self, told: Told) -> None:
        for one in self._watching:
            if told.kind != "columns" or one.columns:
                one.tell(told)

    # What is seen of the listening.

    def heard(self, source: str, epoch: float, samples: Samples, rate: int) -> None:
        if not self.begun.is_set():
            self.begun.set()
        self._spectrograms.heard(source, epoch, samples, rate)

    def scored(self, source: str, epoch: float, scores: Scores) -> None:
        with self._lock:
            self._scores[source] = epoch, scores
            if not self._watching:
                return
            top = self._sounds.top(source, scores)
        self._tell(Told("scores", {"source": source, "epoch": round(epoch, 3), "scores": top}, live=True))

    def decided(self, streams: int, seconds: float) -> None:
        self._inference.append(seconds / streams)

    def level(self, level: Level) -> None:
        told = {"source": level.source, "dbfs": level.dbfs, "peak_dbfs": level.peak_dbfs}
        with self._lock:
            self._levels[level.source] = told
        self._tell(Told("level", told, live=True))

    def configured(self, config: Config) -> None:
        with self._lock:
            self._sounds.configured(config)

    def events(self, source: str, events: Sequence[Event]) -> None:
        for event in events:
            told = event.model_dump(mode="json", by_alias=True)
            with self._lock:
                if event.type == "new" and not event.replayed:
                    self._latencies.append(event.latency_ms)
                self._active.pop(event.id, None)
                if event.type != "end":
                    self._active[event.id] = told
            self._tell(Told("event", told))

    def status(self, status: Status) -> None:
        told = status.model_dump(mode="json", by_alias=True)
        with self._lock:
            self._statuses[status.source] = told
            if status.state != "listening":
                self._scores.pop(status.source, None)
                self._levels.pop(status.source, None)
        self._tell(Told("status", told))

    def gap(self, gap: Gap) -> None:
        told = gap.model_dump(mode="json", by_alias=True)
        with self._lock:
            self._gaps.append(told)
        self._tell(Told("gap", told))

    def know(self, manifest: Manifest) -> None:
        with self._lock:
            self._sounds.know(manifest)
            self._scores.clear()
        self._tell(Told("labels", {}))

    def adjusted(self, adjusted: BaseModel) -> None:
        """What differs from the configuration of a source: all of it."""
        told = adjusted.model_dump(mode="json", by_alias=True)
        with self._lock:
            self._sounds.adjusted(told["source"], told)
        self._tell(Told("adjusted", told))

    def threshold(self, source: str, label: str, on: float) -> None:
        with self._lock:
            self._sounds.threshold(source, label, on)
        self._tell(Told("threshold", {"source": source, "label": label, "on": on}))

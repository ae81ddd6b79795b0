"""All observers of a device as one; an observer that fails is left out from then on, and nobody else notices."""

import logging
from collections.abc import Callable, Sequence

from asit_edge.audio.samples import Samples
from asit_edge.config.root import Config
from asit_edge.messages.event import Event
from asit_edge.messages.report import Adjusted, Gap, Level, Status
from asit_edge.model.bundle import Manifest
from asit_edge.model.classifier import Scores
from asit_edge.observe.observer import Observer

log = logging.getLogger(__name__)


class Observers(Observer):
    """Hands on to each of them, in order."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        self._observers = tuple(observers)

    def replace(self, old: Observer | None, new: Observer | None) -> None:
        """From now on one looks on in the place of another; None: nobody. For the listening loop's thread."""
        others = tuple(one for one in self._observers if one is not old)
        self._observers = (*others, new) if new else others

    def heard(self, source: str, epoch: float, samples: Samples, rate: int) -> None:
        self._all(lambda one: one.heard(source, epoch, samples, rate))

    def scored(self, source: str, epoch: float, scores: Scores) -> None:
        self._all(lambda one: one.scored(source, epoch, scores))

    def decided(self, streams: int, seconds: float) -> None:
        self._all(lambda one: one.decided(streams, seconds))

    def level(self, level: Level) -> None:
        self._all(lambda one: one.level(level))

    def configured(self, config: Config) -> None:
        self._all(lambda one: one.configured(config))

    def clip(self, event: Event) -> str | None:
        found: list[str | None] = []
        self._all(lambda one: found.append(one.clip(event)))
        return next((clip for clip in found if clip is not None), None)

    def events(self, source: str, events: Sequence[Event]) -> None:
        self._all(lambda one: one.events(source, events))

    def status(self, status: Status) -> None:
        self._all(lambda one: one.status(status))

    def gap(self, gap: Gap) -> None:
        self._all(lambda one: one.gap(gap))

    def know(self, manifest: Manifest) -> None:
        self._all(lambda one: one.know(manifest))

    def threshold(self, source: str, label: str, on: float) -> None:
        self._all(lambda one: one.threshold(source, label, on))

    def adjusted(self, adjusted: Adjusted) -> None:
        self._all(lambda one: one.adjusted(adjusted))

    def _all(self, tell: Callable[[Observer], object]) -> None:
        for one in self._observers:
            try:
                tell(one)
            except Exception:
                log.exception("%s: failed, and is switched off; listening goes on", type(one).__name__)
                self._observers = tuple(other for other in self._observers if other is not one)

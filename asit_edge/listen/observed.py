"""An announcer whose announcements observers see too, once they are committed."""

import queue

from asit_edge.listen.announcer import Announcer
from asit_edge.messages.event import Event
from asit_edge.messages.report import Adjusted, Gap, Level, Status
from asit_edge.model.bundle import Manifest
from asit_edge.mqtt.commands import Command
from asit_edge.observe.observer import Observer


class ObservedAnnouncer:
    """Hands on to another announcer first, then tells the observer. An end is told with its clip."""

    def __init__(self, announcer: Announcer, observer: Observer) -> None:
        self._announcer, self._observer = announcer, observer
        self.commands: queue.SimpleQueue[Command] = announcer.commands

    def events(self, source: str, events: list[Event]) -> list[Event]:
        written = self._announcer.events(source, [self._with_clip(event) for event in events])
        if written:
            self._observer.events(source, written)
        return written

    def status(self, status: Status) -> None:
        self._announcer.status(status)
        self._observer.status(status)

    def level(self, level: Level) -> None:
        self._announcer.level(level)
        self._observer.level(level)

    def gap(self, gap: Gap) -> None:
        self._announcer.gap(gap)
        self._observer.gap(gap)

    def know(self, manifest: Manifest) -> None:
        self._announcer.know(manifest)
        self._observer.know(manifest)

    def threshold(self, source: str, label: str, on: float) -> None:
        self._announcer.threshold(source, label, on)
        self._observer.threshold(source, label, on)

    def _with_clip(self, event: Event) -> Event:
        clip = self._observer.clip(event) if event.type == "end" else None
        return event if clip is None else event.model_copy(update={"clip": clip})

    def adjusted(self, adjusted: Adjusted) -> None:
        self._announcer.adjusted(adjusted)
        self._observer.adjusted(adjusted)

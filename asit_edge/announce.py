"""Where a listener's findings go: one object takes events, states, levels and gaps, and brings commands back."""

import logging
import queue
from typing import Literal, NamedTuple, Protocol

from asit_edge.config import Config
from asit_edge.errors import AsitEdgeError
from asit_edge.event import Event
from asit_edge.report import Gap, Level, Status
from asit_edge.sinks.mqtt import MqttSink
from asit_edge.store import Store

log = logging.getLogger(__name__)


class Command(NamedTuple):
    """What somebody wants of a source: `listen` with value "ON" or "OFF", or `threshold` of a label."""

    source: str
    name: Literal["listen", "threshold"]
    label: str
    value: str


class Announcer(Protocol):
    """What the listening loop talks to. No method raises because a disk is full or a broker away."""

    commands: "queue.SimpleQueue[Command]"

    def start(self) -> None: ...

    def stop(self, seconds: float) -> None:
        """Delivers what can be delivered in that time. Raises AsitEdgeError if something is left."""
        ...

    def events(self, source: str, events: list[Event]) -> list[Event]:
        """Commits and announces events; returns them as they are known from now on (numbered)."""
        ...

    def status(self, status: Status) -> None: ...

    def level(self, level: Level) -> None: ...

    def gap(self, gap: Gap) -> None: ...


class StoreAnnouncer:
    """Store and MQTT as they are: levels are not published, and nobody commands."""

    def __init__(self, config: Config) -> None:
        """Raises AsitEdgeError if the store cannot be used, WrongUse if MQTT is configured wrongly."""
        self.commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._path = config.store.effective_path
        self._store = Store(self._path, config.store.keep, queue=config.mqtt.host is not None)
        self._sink = MqttSink(config.mqtt, config.device_name, self._store) if config.mqtt.host else None

    def start(self) -> None:
        if self._sink:
            self._sink.start()

    def stop(self, seconds: float) -> None:
        sink = self._sink
        delivered = sink.drain(seconds if sink.first_attempt(seconds) else 0.0) if sink else True
        problem = sink.problem if sink else None
        waiting = self._store.count_waiting()
        if sink:
            sink.stop()
        self._store.close()
        if not delivered:
            message = f"{waiting} message(s) not delivered yet, kept in {self._path}"
            raise AsitEdgeError(f"{problem}; {message}" if problem else message)

    def events(self, source: str, events: list[Event]) -> list[Event]:
        written = self._store.commit(events, f"{source}/event")
        self._wake()
        return written

    def status(self, status: Status) -> None:
        self._store.post(f"{status.source}/status", status.to_json())
        self._wake()

    def level(self, level: Level) -> None:
        log.debug("%s: %.1f dBFS", level.source, level.dbfs)

    def gap(self, gap: Gap) -> None:
        self._store.post(f"{gap.source}/gap", gap.to_json())
        self._wake()

    def _wake(self) -> None:
        if self._sink:
            self._sink.wake()

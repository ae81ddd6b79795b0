"""All that leaves the device: events, states, levels and gaps on their way out, commands on their way in.

The listening loop calls this and nothing else; no call waits for a network, and none raises because of a disk.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import NamedTuple

from asit_edge.audio.clock import iso
from asit_edge.config.root import Config
from asit_edge.deliver.changing import (
    Broker,
    Prepared,
    Workers,
    broker_differs,
    open_broker,
    open_home,
    other_sinks,
    secrets_of,
)
from asit_edge.deliver.condition import Condition
from asit_edge.deliver.condition import Standing as Standing
from asit_edge.deliver.corrector import Corrector
from asit_edge.deliver.incoming import Incoming
from asit_edge.deliver.last_sound import LastSounds
from asit_edge.deliver.namesakes import Namesakes
from asit_edge.deliver.opening import open_worker
from asit_edge.deliver.outlet import Outlet
from asit_edge.deliver.picture import picture
from asit_edge.deliver.reported import news, reported, starting_state
from asit_edge.deliver.routes import routes, unheard
from asit_edge.deliver.sinks.base import MQTT
from asit_edge.deliver.sinks.mqtt import MqttSink
from asit_edge.host.errands import Errands
from asit_edge.host.identity import identify, identity_file
from asit_edge.messages.event import Event
from asit_edge.messages.report import Adjusted, ClipReport, CommandError, Gap, Health, Level, Status
from asit_edge.model.backends.serving import Serving
from asit_edge.model.bundle import Manifest
from asit_edge.mqtt.commands import Command
from asit_edge.mqtt.connection import Message
from asit_edge.mqtt.topics import Topics
from asit_edge.store.store import Store

log = logging.getLogger(__name__)

TEND_SECONDS = 1.0


class Remains(NamedTuple):
    """What was not delivered when listening stopped. It is kept, and `problem` says why, in words for the user."""

    waiting: int
    problem: str | None


class Delivery:
    """Where the listening loop puts what it heard; every method may be called from any thread."""

    def __init__(self, config: Config, manifest: Manifest, serving: Serving | None = None) -> None:
        """`serving` says which backend runs the model.

        Raises AsitEdgeError or WrongUse if the store is not ours or something in the configuration is unusable."""
        self._config, self._serving = config, serving or Serving()
        self._topics = Topics(config.mqtt.prefix, config.device_name)
        self._sources = config.source_names
        self._sinks = list(routes(config))
        self.on_acknowledged: Callable[[str], None] = lambda payload: None
        """Told the JSON of every event and gap that the broker has acknowledged; one that raises is not told again."""
        self.on_wanted: Callable[[bytes], None] = lambda payload: None
        """Told what comes from afar as a configuration; must return at once."""
        self._reported = reported(config, manifest)
        self._last = LastSounds(self._topics, self._sources, config.store.effective_path)
        self._corrector = Corrector(config, self._refuse)
        self._incoming = Incoming(self._topics, self._sources, self._reported.names, self._corrector.ask)
        self.commands: queue.SimpleQueue[Command] = self._incoming.commands
        self._model = f"{manifest.name} {manifest.version}"
        bounds = config.store
        self._store = Store(bounds.effective_path, bounds.keep, bounds.max_days, bounds.max_mb, sinks=routes(config))
        self._workers = Workers(open_worker(sink, self._store) for sink in config.sinks)
        for warning in unheard(config, (label.name for label in manifest.labels)):
            log.warning("%s", warning)
        self._identity = cache(partial(identify, identity_file(bounds.effective_path)))
        self._home = open_home(config, self._topics, self._model, self._store)
        self._changes: Errands | None = None
        self._outlet = Outlet(self._open_broker(config), self._topics)
        self._show = self._outlet.show
        self._health = ""
        self._others: list[Callable[[], str | None]] = []
        self._stopping = threading.Event()
        self._tending = threading.Thread(target=self._tend, name="delivery", daemon=True)

    def start(self) -> None:
        """Shows the state that is true before anything is heard, and begins to deliver."""
        states = list(starting_state(self._topics, self._reported, iso(time.time())))
        # Online once it is known what the sources do: what an earlier run left at the broker is not true any more.
        states.insert(len(self._sources), (self._topics.available, "online"))
        self._show_all({**dict(states), **self._last.start()})
        self._show_all(self._home.know(self._reported) if self._home else {})
        self._outlet.introduce()
        self._show_health()
        self._outlet.start()
        self._workers.start()
        self._tending.start()

    def events(self, source: str, events: list[Event]) -> list[Event]:
        """Commits and numbers what was heard, and announces it; returns it as announced."""
        if not events:
            return []
        written = self._store.commit(events, f"{source}/event")
        for event in written:
            label = self._reported.slugs.get(event.label_id)
            if label is not None and source in self._sources:  # not of an earlier run's source that is gone
                self._show(self._topics.sound(source, label), "OFF" if event.type == "end" else "ON")
                self._show_all(self._last.heard(event))
        self._wake()
        return written

    def unfinished(self) -> list[Event]:
        """What an earlier run announced and did not bring to its end."""
        return self._store.unfinished()

    def gap(self, gap: Gap) -> None:
        """Audio was lost: stored and sent like an event."""
        self._store.post(f"{gap.source}/gap", gap)
        self._wake()

    def clip(self, clip: ClipReport) -> None:
        """What became of the recording of an event: stored and sent like one. Waits for the store's disk."""
        self._store.post(f"{clip.source}/clip", clip)
        self._wake()
        self._show_all(picture(self._config, self._topics, clip))

    def tells(self, problem: Callable[[], str | None]) -> None:
        """Somebody else has a word in `health`: what is wrong with it at the moment, in words for the user."""
        self._others.append(problem)

    def status(self, status: Status) -> None:
        """A source's state changed."""
        self._show(self._topics.status(status.source), status.to_json())

    def threshold(self, source: str, label: str, on: float) -> None:
        """Events of this label begin at another score from now on."""
        slug = self._reported.slug_of(label)
        if slug is not None and slug in self._reported.thresholds[source]:
            self._show(self._topics.threshold(source, slug), f"{on:g}")

    def adjusted(self, adjusted: Adjusted) -> None:
        """What differs from the configuration of a source."""
        self._show(self._topics.adjusted(adjusted.source), adjusted.to_json())

    def configured(self, answer: str) -> None:
        """What became of a configuration from afar."""
        self._show(self._topics.configured, answer)

    @property
    def connected(self) -> bool:
        """To the broker."""
        return self._outlet.connected

    def prepare(self, before: Config, config: Config) -> Prepared:
        """Opens what another configuration than `before` needs, without a connection; nothing has changed yet.

        Raises WrongUse if something in it is unusable.
        """
        other = other_sinks(before, config)
        workers = [open_worker(sink, self._store) for sink in config.sinks if sink.name in other]
        other_broker = broker_differs(before, config) or secrets_of(config.mqtt) != self._outlet.secrets
        home = open_home(config, self._topics, self._model, self._store, self._home)
        return Prepared(config, self._open_broker(config) if other_broker else None, workers, home)

    def configure(self, prepared: Prepared) -> None:
        """Another configuration is in force, of this device under this name; other labels from the next `know` on."""
        config = prepared.config
        away = [source for source in self._sources if source not in config.source_names]
        gone = [topic for source in away for topic in self._topics.kept_of(source)]
        gone += self._home.said if self._home and not prepared.home else ()
        self._config, self._sources, self._sinks = config, config.source_names, list(routes(config))
        self._incoming.hear_of(self._sources)
        bounds = config.store
        self._store.configure(bounds.keep, bounds.max_days, bounds.max_mb, routes(config))
        self._show_all(dict.fromkeys(gone, ""))
        self._home = prepared.home
        self._changes = self._changes or Errands("changes of sinks", 100, "sinks that are closed hang")
        self._changes.do(self._workers.replace(self._sinks, prepared.workers))
        if prepared.broker:
            self._changes.do(partial(self._outlet.replace, self._outlet.withdraw(prepared.broker), prepared.broker))

    def know(self, manifest: Manifest) -> None:
        """Other labels can be reported from now on: what is new appears, what is gone disappears."""
        before, self._reported = self._reported, reported(self._config, manifest)
        self._incoming.know(self._reported.names)
        states = dict(news(self._topics, before, self._reported))
        self._show_all(states | (self._home.know(self._reported) if self._home else {}))

    def level(self, level: Level) -> None:
        """How loud a source is; sent if there is a connection, or else never."""
        if self._mqtt:
            self._mqtt.publish(self._topics.level(level.source), level.to_json(), qos=0)

    def standing(self) -> Standing:
        """How the store, every sink and what runs beside are doing. Waits for the store's disk."""
        return self._condition.standing

    def stop(self, seconds: float) -> Remains:
        """Delivers what still waits, for at most so long; says `offline`; what is left stays in the store."""
        deadline = time.monotonic() + seconds

        def left() -> float:
            return max(deadline - time.monotonic(), 0.0)

        if self._changes:
            self._changes.stop(seconds)
        if self._mqtt and self._mqtt.first_attempt(seconds):
            self._mqtt.drain(left())
        self._stopping.set()
        self._workers.stop(left)
        self._corrector.stop(left())
        problem = self._condition.undelivered
        if self._mqtt:
            self._mqtt.stop()
        if self._tending.is_alive():
            self._tending.join(timeout=5)
        remains = Remains(self._store.count_waiting(), problem)
        self._store.close()
        return remains

    def _taken(self, payload: str) -> None:
        try:
            self.on_acknowledged(payload)
        except Exception:
            log.exception("whoever is told what the broker has taken failed, and is told no more")
            self.on_acknowledged = lambda payload: None

    def _show_all(self, states: Mapping[str, str]) -> None:
        for topic, payload in states.items():
            self._show(topic, payload)

    def _wake(self) -> None:
        if self._mqtt:
            self._mqtt.wake()
        self._workers.wake()

    def _tend(self) -> None:
        while not self._stopping.wait(TEND_SECONDS):
            self._store.tend()
            if MQTT in self._store.grant_wishes() and self._mqtt:
                self._mqtt.begin_anew()
            self._show_health()
            self._move_home()

    def _move_home(self) -> None:
        """Home Assistant's entities come back under their new topics, once it has let go of them."""
        if self._mqtt and self._home:
            states, old = self._home.moved(self._reported, self._mqtt.up, time.monotonic())
            self._show_all(states)
            self._outlet.retire(old)

    def health(self) -> Health:
        """How store, sinks and what runs beside are doing at the moment."""
        return self._condition.health(self._topics.device, self._serving)

    def _show_health(self) -> None:
        health = self.health().to_json()
        if health != self._health:
            self._health = health
            self._show(self._topics.health, health)

    @property
    def _condition(self) -> Condition:
        return Condition(self._store, self._sinks, self._mqtt, self._namesakes, list(self._workers), self._others)

    @property
    def _mqtt(self) -> MqttSink | None:
        return self._outlet.mqtt

    @property
    def _namesakes(self) -> Namesakes | None:
        return self._outlet.namesakes

    def _open_broker(self, config: Config) -> Broker:
        """Raises WrongUse if certificates or the password cannot be read."""
        return open_broker(
            *(config, self._topics, self._store, self._identity, self._on_message, self._taken),
            lambda payload: self.on_wanted(payload),
        )

    # What comes over MQTT, in the connection's thread.

    def _on_message(self, message: Message) -> None:
        mqtt, namesakes = self._mqtt, self._namesakes
        if mqtt is None or namesakes is None:  # it is being replaced
            return
        if self._home and message.topic == self._home.birth_topic:
            self._home.born(message, mqtt.resend_state)
            return
        if namesakes.take(message.topic, message.payload, time.monotonic()):
            self._show(self._topics.identity, namesakes.own)
        self._outlet.clear_old_topics()
        if (answer := self._incoming.take(message)) is not None:
            self._refuse(answer)

    def _refuse(self, answer: CommandError) -> None:
        if self._mqtt:
            self._mqtt.publish(self._topics.error(answer.source), answer.to_json())

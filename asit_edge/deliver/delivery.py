"""All that leaves the device: events, states, levels and gaps on their way out, commands on their way in.

The listening loop calls this and nothing else; no call waits for a network, and none raises because of a disk.
"""

import logging
import queue
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from asit_edge.audio.clock import iso
from asit_edge.config.root import Config
from asit_edge.deliver.corrector import Corrector
from asit_edge.deliver.home_assistant import HomeAssistant
from asit_edge.deliver.incoming import Incoming
from asit_edge.deliver.last_sound import LastSounds
from asit_edge.deliver.namesakes import Namesakes
from asit_edge.deliver.opening import open_worker
from asit_edge.deliver.picture import picture
from asit_edge.deliver.reported import news, reported, starting_state
from asit_edge.deliver.routes import routes, unheard
from asit_edge.deliver.sinks.base import MQTT
from asit_edge.deliver.sinks.mqtt import MqttSink
from asit_edge.deliver.sinks.worker import Worker
from asit_edge.host.identity import identify
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


class Standing(NamedTuple):
    """How delivery stands."""

    problems: dict[str, str]
    """By part: `store`, `device` (its name) or a sink's name; in words for the user, "" where nothing is wrong."""
    waiting: dict[str, int]
    """Messages by the sink that has not taken them."""
    dropped: int
    refused: int


class Delivery:
    """Where the listening loop puts what it heard; every method may be called from any thread."""

    def __init__(self, config: Config, manifest: Manifest, serving: Serving | None = None) -> None:
        """`serving` says which backend runs the model.

        Raises AsitEdgeError or WrongUse if the store is not ours or something in the configuration is unusable."""
        self._config = config
        self._topics = Topics(config.mqtt.prefix, config.device_name)
        self._sources = [source.name for source in config.sources]
        self._sinks = list(routes(config))
        self.on_acknowledged: Callable[[str], None] = lambda payload: None
        """Told the JSON of every event and gap that the broker has just acknowledged, in the thread that sends: must
        return at once. One that raises is not told again."""
        self._reported = reported(config, manifest)
        self._last = LastSounds(self._topics, self._sources, config.store.effective_path)
        self._corrector = Corrector(config, self._refuse)
        self._incoming = Incoming(self._topics, self._sources, self._reported.names, self._corrector.ask)
        self.commands: queue.SimpleQueue[Command] = self._incoming.commands
        self._model = f"{manifest.name} {manifest.version}"
        self._serving = serving or Serving()
        bounds = config.store
        self._store = Store(bounds.effective_path, bounds.keep, bounds.max_days, bounds.max_mb, sinks=routes(config))
        self._workers: list[Worker] = [open_worker(sink, self._store) for sink in config.sinks]
        for warning in unheard(config, (label.name for label in manifest.labels)):
            log.warning("%s", warning)
        self._home: HomeAssistant | None = None
        self._namesakes: Namesakes | None = None
        self._mqtt: MqttSink | None = None
        if config.mqtt.host is not None:
            beside = bounds.effective_path
            if config.home_assistant.discovery:
                noted = beside.with_name(f"{beside.name}.home-assistant")
                self._home = HomeAssistant(config, self._topics, self._model, self._store.retained(), noted)
            birth = [self._home.birth_topic] if self._home else []
            identity = identify(beside.with_name(f"{beside.name}.identity"))
            host, since = socket.gethostname(), iso(time.time())
            self._namesakes = Namesakes(self._topics, identity, self._store.retained(), host, since)
            self._mqtt = MqttSink(
                config.mqtt,
                self._topics,
                self._store,
                subscriptions=[self._topics.commands, *birth, *self._namesakes.subscriptions],
                on_message=self._on_message,
                on_taken=self._taken,
            )
        self._health = ""
        self._others: list[Callable[[], str | None]] = []
        self._stopping = threading.Event()
        self._tending = threading.Thread(target=self._tend, name="delivery", daemon=True)

    def start(self) -> None:
        """Shows the state that is true before anything is heard, and begins to deliver."""
        if self._mqtt and self._namesakes:
            now = iso(time.time())
            states = list(starting_state(self._topics, self._reported, now))
            # Online once it is known what the sources do: what an earlier run left at the broker is not true any more.
            states.insert(len(self._sources), (self._topics.available, "online"))
            self._set_states({**dict(states), **self._last.start()})
            if self._home:
                self._set_states(self._home.start(self._reported))
            self._mqtt.set_state(self._topics.identity, self._namesakes.own)
        self._show_health()
        if self._mqtt:
            self._clear_old_topics()
            self._mqtt.start()
        for worker in self._workers:
            worker.start()
        self._tending.start()

    def events(self, source: str, events: list[Event]) -> list[Event]:
        """Commits and numbers what was heard, and announces it; returns it as announced."""
        if not events:
            return []
        written = self._store.commit(events, f"{source}/event")
        if self._mqtt:
            for event in written:
                label = self._reported.slugs.get(event.label_id)
                if label is not None and source in self._sources:  # not of an earlier run's source that is gone
                    self._mqtt.set_state(self._topics.sound(source, label), "OFF" if event.type == "end" else "ON")
                    self._set_states(self._last.heard(event))
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
        self._set_states(picture(self._config, self._topics, clip))

    def tells(self, problem: Callable[[], str | None]) -> None:
        """Somebody else has a word in `health`: what is wrong with it at the moment, in words for the user."""
        self._others.append(problem)

    def status(self, status: Status) -> None:
        """A source's state changed."""
        if self._mqtt:
            self._mqtt.set_state(self._topics.status(status.source), status.to_json())

    def threshold(self, source: str, label: str, on: float) -> None:
        """Events of this label begin at another score from now on."""
        slug = self._reported.slug_of(label)
        if self._mqtt and slug is not None and slug in self._reported.thresholds[source]:
            self._mqtt.set_state(self._topics.threshold(source, slug), f"{on:g}")

    def adjusted(self, adjusted: Adjusted) -> None:
        """What differs from the configuration of a source."""
        if self._mqtt:
            self._mqtt.set_state(self._topics.adjusted(adjusted.source), adjusted.to_json())

    def configure(self, config: Config) -> None:
        """Other labels may be reported, at other thresholds: from the next `know` on. Nothing else of it differs."""
        self._config = config

    def know(self, manifest: Manifest) -> None:
        """Other labels can be reported from now on: what is new appears, what is gone disappears."""
        before, self._reported = self._reported, reported(self._config, manifest)
        self._incoming.know(self._reported.names)
        if self._mqtt:
            self._set_states(dict(news(self._topics, before, self._reported)))
            self._set_states(self._home.know(self._reported) if self._home else {})

    def level(self, level: Level) -> None:
        """How loud a source is; sent if there is a connection, or else never."""
        if self._mqtt:
            self._mqtt.publish(self._topics.level(level.source), level.to_json(), qos=0)

    def standing(self) -> Standing:
        """How the store, every sink and what runs beside are doing. Waits for the store's disk."""
        namesake = self._namesakes.problem(time.monotonic()) if self._namesakes else None
        problems = {"store": self._store.problem or "", "device": namesake or ""}
        if self._mqtt:
            problems[MQTT] = self._mqtt.problem or self._mqtt.refusal
        problems |= {worker.name: worker.problem or "" for worker in self._workers}
        problems |= {"beside": "; ".join(words for problem in self._others if (words := problem()))}
        waiting = {sink: self._store.count_waiting(sink) for sink in self._sinks}
        return Standing(problems, waiting, self._store.dropped, self._store.refused)

    def stop(self, seconds: float) -> Remains:
        """Delivers what still waits, for at most so long; says `offline`; what is left stays in the store."""
        deadline = time.monotonic() + seconds
        if self._mqtt and self._mqtt.first_attempt(seconds):
            self._mqtt.drain(max(deadline - time.monotonic(), 0.0))
        for worker in self._workers:
            worker.drain(max(deadline - time.monotonic(), 0.0))
        self._stopping.set()
        for worker in self._workers:
            worker.stop()
        self._corrector.stop(max(deadline - time.monotonic(), 0.0))
        problem = self._problem()
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

    def _set_states(self, states: Mapping[str, str]) -> None:
        if self._mqtt:
            for topic, payload in states.items():
                self._mqtt.set_state(topic, payload)

    def _clear_old_topics(self) -> None:
        """Once it is known which are ours."""
        leftovers = self._namesakes.leftovers() if self._namesakes else None
        if self._mqtt and leftovers is not None:
            self._mqtt.clear_old_topics(leftovers)

    def _wake(self) -> None:
        if self._mqtt:
            self._mqtt.wake()
        for worker in self._workers:
            worker.wake()

    def _problem(self) -> str | None:
        problems = [self._store.problem, self._mqtt.problem if self._mqtt else None]
        return next((one for one in [*problems, *(worker.problem for worker in self._workers)] if one), None)

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
            self._set_states(states)
            if old:
                self._mqtt.retire(old)

    def health(self) -> Health:
        """How store, sinks and what runs beside are doing at the moment."""
        denied = self._mqtt.refusal if self._mqtt else None
        namesake = self._namesakes.problem(time.monotonic()) if self._namesakes else None
        others = [problem() for problem in self._others]
        problems = [self._store.problem, denied, namesake, *(worker.problem for worker in self._workers), *others]
        return Health(
            schema=1,
            device=self._topics.device,
            problem="; ".join(problem for problem in problems if problem),
            dropped=self._store.dropped,
            refused=self._store.refused,
            **(vars(self._serving.now) if self._serving.now else {}),
        )

    def _show_health(self) -> None:
        health = self.health().to_json()
        if health != self._health:
            self._health = health
            if self._mqtt:
                self._mqtt.set_state(self._topics.health, health)

    # What comes over MQTT, in the connection's thread.

    def _on_message(self, message: Message) -> None:
        assert self._mqtt is not None
        assert self._namesakes is not None
        if self._home and message.topic == self._home.birth_topic:
            self._home.born(message, self._mqtt.resend_state)
            return
        if self._namesakes.take(message.topic, message.payload, time.monotonic()):
            self._mqtt.set_state(self._topics.identity, self._namesakes.own)
        self._clear_old_topics()
        if (answer := self._incoming.take(message)) is not None:
            self._refuse(answer)

    def _refuse(self, answer: CommandError) -> None:
        if self._mqtt:
            self._mqtt.publish(self._topics.error(answer.source), answer.to_json())

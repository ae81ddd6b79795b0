"""What of the delivery is opened for another configuration, before anything of the one that is in force is closed."""

import os
import socket
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from asit_edge.audio.clock import iso
from asit_edge.config.delivery import Mqtt
from asit_edge.config.root import Config
from asit_edge.deliver.home_assistant import HomeAssistant
from asit_edge.deliver.namesakes import Namesakes
from asit_edge.deliver.sinks.mqtt import MqttSink
from asit_edge.deliver.sinks.worker import Worker
from asit_edge.host.identity import Identity
from asit_edge.mqtt.connection import Message
from asit_edge.mqtt.topics import Topics
from asit_edge.store.store import Store


class Workers:
    """Those of all sinks; each has what waits for its sink's name."""

    def __init__(self, workers: Iterable[Worker]) -> None:
        self._workers = list(workers)

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._workers)

    def start(self) -> None:
        for worker in self._workers:
            worker.start()

    def wake(self) -> None:
        for worker in self._workers:
            worker.wake()

    def stop(self, left: Callable[[], float]) -> None:
        """They have so many seconds for what waits, as asked before each."""
        for worker in self._workers:
            worker.drain(left())
        for worker in self._workers:
            worker.stop()

    def replace(self, names: Collection[str], fresh: Sequence[Worker]) -> Callable[[], None]:
        """From now on it is those of these names, with the fresh ones among them. Returns what ends the others, which
        may take its time, and then begins the fresh ones: one of the same name takes up what the other has left.
        """
        new = {worker.name for worker in fresh}
        kept = [one for one in self._workers if one.name in names and one.name not in new]
        ended = [one for one in self._workers if one not in kept]
        self._workers = [*kept, *fresh]

        def change() -> None:
            for worker in ended:
                worker.stop()
            for worker in fresh:
                worker.start()

        return change


class Broker(NamedTuple):
    """A connection that is not begun yet, and who else has this device's name there; None and None: there is none."""

    sink: MqttSink | None
    namesakes: Namesakes | None
    secrets: list[tuple[int, int]]
    """As `secrets_of` had them when it was opened."""


class Prepared(NamedTuple):
    """Another configuration, all of whose parts can be used."""

    config: Config
    broker: Broker | None
    """Takes the place of the one there is; None: that one stays."""
    workers: list[Worker]
    """Of sinks that are new, or not as they were."""
    home: HomeAssistant | None
    """What Home Assistant is told from now on; None: it is told nothing."""


def open_broker(
    config: Config,
    topics: Topics,
    store: Store,
    identity: Callable[[], Identity],
    on_message: Callable[[Message], None],
    on_taken: Callable[[str], None],
    on_wanted: Callable[[bytes], None],
) -> Broker:
    """Nothing is connected yet; `identity` says who this device is, `on_wanted` gets what comes from afar.

    Raises WrongUse if certificates or the password cannot be read.
    """
    if config.mqtt.host is None:
        return Broker(None, None, [])
    secrets = secrets_of(config.mqtt)
    birth = [f"{config.home_assistant.prefix}/status"] if config.home_assistant.discovery else []
    wanted = config.wanted_topic

    def take(message: Message) -> None:
        if message.topic == wanted:
            on_wanted(message.payload)
        else:
            on_message(message)

    namesakes = Namesakes(topics, identity(), store.retained(), socket.gethostname(), iso(time.time()))
    sink = MqttSink(
        config.mqtt,
        topics,
        store,
        subscriptions=[topics.commands, *birth, *namesakes.subscriptions, *([wanted] if wanted else [])],
        on_message=take if wanted else on_message,
        on_taken=on_taken,
    )
    return Broker(sink, namesakes, secrets)


def open_home(
    config: Config, topics: Topics, model: str, store: Store, before: HomeAssistant | None = None
) -> HomeAssistant | None:
    """What Home Assistant is told, behind what was told it `before`; None where it is told nothing. Waits for the
    store's disk."""
    if config.mqtt.host is None or not config.home_assistant.discovery:
        return None
    path = config.store.effective_path
    noted = path.with_name(f"{path.name}.home-assistant")
    return HomeAssistant(config, topics, model, store.retained(), noted, before.said if before else {})


def broker_differs(before: Config, after: Config) -> bool:
    """Whether the connection has to be made anew."""
    return before.mqtt != after.mqtt or before.home_assistant != after.home_assistant


def secrets_of(mqtt: Mqtt) -> list[tuple[int, int]]:
    """Of the files that prove who is who: another list means that one was renewed."""
    files = (mqtt.password_file, mqtt.tls.ca_file, mqtt.tls.cert_file, mqtt.tls.key_file)
    return [(found.st_mtime_ns, found.st_ino) for file in files if file and (found := _look(file))]


def _look(file: Path) -> os.stat_result | None:
    try:
        return os.stat(file)
    except OSError:
        return None


def other_sinks(before: Config, after: Config) -> set[str]:
    """Names of sinks that are new, or not as they were."""
    known = {sink.name: sink for sink in before.sinks}
    return {sink.name for sink in after.sinks if known.get(sink.name) != sink}

"""A listener with everything around it: its store, the network, a broker, and a subscriber who counts what comes."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from asit_edge.errors import AsitEdgeError
from asit_edge.store.history import history
from tests.conftest import tones, write_tone_bundle
from tests.integration.mosquitto import PASSWORD, Mosquitto, Subscriber, wait_for
from tests.integration.proxy import Proxy
from tests.integration.test_delivery import PIPE, first_arrivals, rows, write_config
from tests.integration.test_mqtt import ENVIRONMENT

PATIENCE = 180.0
"""Seconds for a listener to come to its end, and for all that is committed to arrive."""
LAST_STARTS = 10
"""Starts, once the fault is over, within which a listener may deliver what is left."""
EVENTS = {"merge_gap": 0.0, "update_every": 0.0}
"""Every beep is an event of two messages."""
BEEP = 0.4
"""Seconds."""
LEFT = """SELECT (SELECT count(*) FROM outbox) + (SELECT count(DISTINCT id) FROM event)
       - (SELECT count(DISTINCT id) FROM event WHERE type = 'end')"""
"""Messages in a store that wait, and events that have not ended."""
LISTEN = ("-m", "asit_edge")


class Counts(NamedTuple):
    """What became of the events. All are unique but `twice`."""

    committed: int
    """Events in the store."""
    arrived: int
    """Of them, those whose `new` came to the subscriber."""
    ended: int
    """Of them, those whose `end` came."""
    twice: int
    """Messages that came once more, with the same content."""
    gaps: int
    """Gaps that the subscriber was told."""

    @property
    def lost(self) -> bool:
        return not self.committed == self.arrived == self.ended


class Station:
    """Device `hall`, which hears beeps from a pipe, behind a network; who subscribes is at the broker."""

    def __init__(
        self,
        folder: Path,
        users: dict[str, str] | None = None,
        *,
        tls: bool = False,
        bytes_a_second: float | None = None,
        broker: Sequence[str] = (),
    ) -> None:
        """`users` and `tls` as for `Mosquitto`, `broker` are lines of its configuration. A user `reader` subscribes."""
        self.folder = folder
        self.broker = Mosquitto(folder / "broker", users, tls=tls)
        self.broker.configure(*broker, f"persistence_location {self.broker.folder}/")
        self.broker.start()
        self.network = Proxy(self.broker.port, bytes_a_second)
        # QoS 0: the broker hands on at once what it acknowledges, and its death loses nothing that was.
        reader = "reader" if users else None
        self.subscriber = Subscriber(self.broker, reader, topic="asit/hall/#", tls=tls, qos=0)
        self.lasting = contextlib.ExitStack()
        """What must be there until all is counted."""
        self.starts = 0
        self._bundle = write_tone_bundle(folder / "tones")
        self._stores: dict[Path, Path] = {}
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Station":
        self.network.__enter__()
        self.subscriber.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for listener in self._running:
            listener.kill()
            listener.wait()
        self.subscriber.__exit__()
        self.network.__exit__(kind, error, trace)
        self.broker.kill()
        self.lasting.close()

    def configure(self, name: str = "device", store: Path | None = None, **mqtt: Any) -> Path:
        """The configuration of a device, with a folder of its own; `store` is where the events go otherwise."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        path = store or folder / "events.db"
        settings = {"port": self.network.port, "backlog_rate": 3000, **mqtt}
        bounds = {"path": str(path), "max_days": 7}
        config = write_config(folder, self._bundle, PIPE, settings, events=EVENTS, store=bounds)
        self._stores[config] = path
        return config

    def listen(
        self, config: Path, seconds: float, every: float = 1.0, program: Sequence[str] = LISTEN
    ) -> "subprocess.Popen[bytes]":
        """Starts a listener that hears so many seconds of beeps, and then the end of its pipe."""
        sound, log = config.with_name("sound.raw"), config.with_name("listener.log")
        beeps = tones(*[(0, every - BEEP), (500, BEEP)] * int(seconds / every)) if seconds else tones((0, 0.0))
        sound.write_bytes((beeps * 32_767).astype("<i2").tobytes())
        command = [sys.executable, *program, "listen", "--config", str(config)]
        environment = ENVIRONMENT | {"ASIT_EDGE_MQTT_PASSWORD": PASSWORD}
        with sound.open("rb") as audio, log.open("ab") as err:
            process = subprocess.Popen(command, stdin=audio, stdout=subprocess.DEVNULL, stderr=err, env=environment)
        self._running.append(process)
        self.starts += 1
        return process

    def events(self, config: Path) -> int:
        """How many messages of events are in the store."""
        try:
            return sum(1 for _ in history(self._stores[config]))
        except AsitEdgeError:  # not there yet
            return 0

    def hear(self, config: Path, more: int) -> None:
        """Waits until so many more messages are committed."""
        target = self.events(config) + more
        wait_for(lambda: self.events(config) >= target, PATIENCE, f"{more} more messages are committed")

    def come(self, more: int) -> None:
        """Waits until so many more messages have come to the subscriber."""

        def arrived() -> int:
            return sum(topic.endswith("/event") for topic, _, _ in list(self.subscriber.messages))

        target = arrived() + more
        wait_for(lambda: arrived() >= target, PATIENCE, f"{more} more messages of events arrive")

    def broker_returns(self) -> None:
        """The subscriber is there before the device: what a broker has forgotten, nobody else would be told."""
        self.network.cut()
        self.broker.start()
        self.subscriber.resubscribed()
        self.network.open()

    def settle(self) -> Counts:
        """The fault is over: what is left is delivered, by as many starts as it takes, and counted."""
        for listener in self._running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                listener.wait(PATIENCE)
        for config, store in self._stores.items():
            for _ in range(LAST_STARTS):
                if self.events(config) and not rows(store, LEFT):
                    break
                self.listen(config, 0.0).wait(PATIENCE)
        deadline = time.monotonic() + PATIENCE / 6
        while (counts := self._count()).lost and time.monotonic() < deadline:
            time.sleep(0.2)
        return counts

    def _count(self) -> Counts:
        committed = {event.id for store in self._stores.values() for event in history(store)}
        messages = list(self.subscriber.messages)
        events, twice = first_arrivals(messages)
        told = {kind: {event["id"] for event in events if event["type"] == kind} for kind in ("new", "end")}
        gaps = {tuple(json.loads(payload).items()) for topic, payload, _ in messages if topic.endswith("/gap")}
        return Counts(len(committed), len(committed & told["new"]), len(committed & told["end"]), twice, len(gaps))

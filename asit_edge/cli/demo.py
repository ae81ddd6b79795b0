"""`asit-edge demo`: a broker in this process, the bundled recording, and a subscriber that prints what arrives."""

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from asit_edge.cli.terminal.look import look_at
from asit_edge.config.delivery import Mqtt
from asit_edge.config.root import Config
from asit_edge.errors import AsitEdgeError
from asit_edge.messages.event import Event


def recording() -> Path:
    """The recording that comes with the package."""
    return Path(str(files("asit_edge") / "recordings" / "demo.flac"))


def demo() -> None:
    """Hear the bundled recording and receive its events from an embedded MQTT broker."""
    from asit_edge.assembly import load_model
    from asit_edge.deliver.publishing import published
    from asit_edge.listen.replay import replay
    from asit_edge.mqtt.embedded_broker import HOST, embedded_broker, free_port

    logging.getLogger("asit_edge").setLevel(logging.WARNING)
    port = free_port()
    model = load_model(Config(), calibrated=False)
    manifest = model.manifest
    known = "; ".join(label.name for label in manifest.labels[:10]) + ("; ..." if len(manifest.labels) > 10 else "")
    print(f"model      {manifest.name} {manifest.version}, {len(manifest.labels)} sounds: {known}")
    print(f"recording  {recording().name}")
    print(f"broker     embedded, {HOST}:{port}")
    settings = Mqtt(host=HOST, port=port, protocol="3.1.1")
    with embedded_broker(port), _subscriber(settings) as received:
        with published(settings, "demo") as (store, sent):
            count = 0
            for _ in replay(recording(), model, "demo", store):
                count += 1
                sent()
        received.wait_for(count, 10)
    print(f"{received.count} events arrived over MQTT, {len(received.labels)} different sounds")
    if len(received.labels) < 2:
        raise AsitEdgeError("fewer than two different sounds were recognised in the bundled recording")


class Received:
    """What the subscriber got, printed as it comes."""

    def __init__(self, line_of: Callable[[str, Event], str]) -> None:
        """`line_of` a topic and an event is what is printed."""
        self._line_of = line_of
        self.count = 0
        self.labels: set[str] = set()
        self._changed = threading.Condition()

    def add(self, event: Event) -> None:
        with self._changed:
            print(self._line_of(f"asit/{event.device}/{event.source}/event", event), flush=True)
            self.count += 1
            self.labels.add(event.label)
            self._changed.notify_all()

    def wait_for(self, count: int, seconds: float) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self.count >= count, seconds):
                raise AsitEdgeError(f"only {self.count} of {count} events came back from the broker")


def _line_of_topic() -> Callable[[str, Event], str]:
    if look_at(sys.stdout).colours:
        from asit_edge.cli.terminal.topics import coloured

        return coloured(sys.stdout)

    def line(topic: str, event: Event) -> str:
        span = f"{event.onset[14:23]} to {event.offset[14:23]}" if event.offset else event.onset[14:23]
        return f"{topic:<24} {event.type:<6} {event.label:<28} peak {event.peak:.2f}  {span}"

    return line


@contextmanager
def _subscriber(settings: Mqtt) -> Iterator[Received]:
    from asit_edge.mqtt.client import Client

    received = Received(_line_of_topic())
    with Client(settings, client_id="demo-subscriber", device="demo", on_event=received.add) as client:
        if not client.subscribed(10):
            raise AsitEdgeError(client.problem or "the embedded broker did not take the subscription")
        yield received

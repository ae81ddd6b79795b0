"""The demonstration: a broker in this process, the bundled recording, and a subscriber that prints what arrives."""

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from asit_edge.assembly import load_model
from asit_edge.config.delivery import Mqtt
from asit_edge.config.root import Config
from asit_edge.deliver.sinks.base import MQTT
from asit_edge.deliver.sinks.mqtt import MqttSink
from asit_edge.errors import AsitEdgeError
from asit_edge.listen.replay import replay
from asit_edge.messages.event import Event
from asit_edge.mqtt.client import Client
from asit_edge.mqtt.topics import Topics
from asit_edge.store.store import Store

HOST = "127.0.0.1"


def recording() -> Path:
    """The recording that comes with the package."""
    return Path(str(files("asit_edge") / "recordings" / "demo.flac"))


def demo() -> None:
    """Replays the bundled recording and prints the events as a subscriber receives them from a broker.

    Raises AsitEdgeError if fewer than two different sounds arrive.
    """
    logging.getLogger("asit_edge").setLevel(logging.WARNING)
    port = _free_port()
    model = load_model(Config())
    manifest = model.manifest
    known = "; ".join(label.name for label in manifest.labels[:10]) + ("; ..." if len(manifest.labels) > 10 else "")
    print(f"model      {manifest.name} {manifest.version}, {len(manifest.labels)} sounds: {known}")
    print(f"recording  {recording().name}")
    print(f"broker     embedded, {HOST}:{port}")
    settings = Mqtt(host=HOST, port=port, protocol="3.1.1")
    with embedded_broker(port), _subscriber(settings) as received:
        store = Store(None, sinks={MQTT: lambda _: True})
        sink = MqttSink(settings, Topics("asit", "demo"), store)
        sink.start()
        try:
            if not sink.first_attempt(15):
                raise AsitEdgeError(sink.problem or "the embedded broker did not answer")
            sent = 0
            for _ in replay(recording(), model, "demo", store):
                sent += 1
                sink.wake()
            if not sink.drain(20):
                raise AsitEdgeError(sink.problem or "the embedded broker did not take every event")
            received.wait_for(sent, 10)
        finally:
            sink.stop()
            store.close()
    print(f"{received.count} events arrived over MQTT, {len(received.labels)} different sounds")
    if len(received.labels) < 2:
        raise AsitEdgeError("fewer than two different sounds were recognised in the bundled recording")


class Received:
    """What the subscriber got, printed as it comes."""

    def __init__(self) -> None:
        self.count = 0
        self.labels: set[str] = set()
        self._changed = threading.Condition()

    def add(self, event: Event) -> None:
        span = f"{event.onset[14:23]} to {event.offset[14:23]}" if event.offset else event.onset[14:23]
        topic = f"asit/{event.device}/{event.source}/event"
        with self._changed:
            print(f"{topic:<24} {event.type:<6} {event.label:<28} peak {event.peak:.2f}  {span}", flush=True)
            self.count += 1
            self.labels.add(event.label)
            self._changed.notify_all()

    def wait_for(self, count: int, seconds: float) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self.count >= count, seconds):
                raise AsitEdgeError(f"only {self.count} of {count} events came back from the broker")


@contextmanager
def _subscriber(settings: Mqtt) -> Iterator[Received]:
    received = Received()
    with Client(settings, client_id="demo-subscriber", device="demo", on_event=received.add) as client:
        if not client.subscribed(10):
            raise AsitEdgeError(client.problem or "the embedded broker did not take the subscription")
        yield received


@contextmanager
def embedded_broker(port: int) -> Iterator[None]:
    """An MQTT 3.1.1 broker on the loopback interface, in a thread of this process."""
    try:
        from amqtt.broker import Broker
    except ImportError:
        raise AsitEdgeError("the demonstration needs an embedded broker: pip install 'asit-edge[demo]'") from None
    logging.getLogger("amqtt").setLevel(logging.ERROR)
    logging.getLogger("transitions").setLevel(logging.ERROR)
    settings = {
        "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    ready = threading.Event()
    failure: list[Exception] = []

    async def serve() -> None:
        try:
            broker = Broker(settings)
            await broker.start()
        except Exception as error:
            failure.append(error)
            ready.set()
            return
        ready.set()
        await stop.wait()
        await broker.shutdown()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="broker", daemon=True)
    thread.start()
    ready.wait(20)
    if failure or not ready.is_set():
        raise AsitEdgeError(
            f"the embedded broker cannot start on {HOST}:{port}: {failure[0] if failure else 'no answer'}"
        )
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port

"""Events of a recording on their way to a broker: a store in memory, and the sink that empties it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from asit_edge.config.delivery import Mqtt
from asit_edge.deliver.sinks.base import MQTT
from asit_edge.deliver.sinks.mqtt import MqttSink
from asit_edge.errors import AsitEdgeError
from asit_edge.mqtt.topics import Topics
from asit_edge.store.store import Store

CONNECT_SECONDS = 15.0
DELIVER_SECONDS = 60.0


@contextmanager
def published(settings: Mqtt, device: str) -> Iterator[tuple[Store, Callable[[], None]]]:
    """A store whose events are sent to the broker, and what is to be called when it has new ones.

    Raises AsitEdgeError if there is no connection, or in the end if the broker has not taken every event.
    """
    store = Store(None, sinks={MQTT: lambda _: True})
    sink = MqttSink(settings, Topics(settings.prefix, device), store)
    sink.start()
    try:
        if not sink.first_attempt(CONNECT_SECONDS):
            raise AsitEdgeError(sink.problem or "no connection to the broker")
        yield store, sink.wake
        delivered = sink.drain(DELIVER_SECONDS)
        problem = sink.problem or "no answer in time"
    finally:
        sink.stop()
    if refused := store.refusals():
        raise AsitEdgeError(
            f"the broker refused {len(refused)} message(s), first {refused[0].topic}: {refused[0].reason}"
        )
    if not delivered:
        raise AsitEdgeError(f"{store.count_waiting()} message(s) not delivered ({problem})")

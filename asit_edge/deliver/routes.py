"""Which sink gets which messages, as the configuration says."""

from asit_edge.config.delivery import SinkSettings
from asit_edge.config.root import Config
from asit_edge.deliver.sinks.base import MQTT
from asit_edge.messages.event import Event
from asit_edge.store.rows import Post, Wants


def routes(config: Config) -> dict[str, Wants]:
    """By the sink's name. The broker gets everything."""
    broker: dict[str, Wants] = {MQTT: lambda message: True} if config.mqtt.host is not None else {}
    return broker | {sink.name: _filter(sink) for sink in config.sinks}


def _filter(sink: SinkSettings) -> Wants:
    def wants(message: Post) -> bool:
        return isinstance(message, Event) and (
            message.type in sink.types and (sink.labels is None or message.label in sink.labels)
        )

    return wants

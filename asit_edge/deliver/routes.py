"""Which sink gets which messages, as the configuration says."""

from collections.abc import Iterable, Iterator

from asit_edge.config.notifications import Notification, SinkSettings
from asit_edge.config.root import Config
from asit_edge.deliver.sinks.base import MQTT
from asit_edge.messages.event import Event
from asit_edge.store.rows import Post, Wants
from asit_edge.validation import nearest

LONGEST_HINT = 100
"""Characters; beyond it a hint is the list of all labels."""


def routes(config: Config) -> dict[str, Wants]:
    """By the sink's name. The broker gets everything."""
    broker: dict[str, Wants] = {MQTT: lambda message: True} if config.mqtt.host is not None else {}
    return broker | {sink.name: _filter(sink) for sink in config.sinks}


def unheard(config: Config, labels: Iterable[str]) -> Iterator[str]:
    """What sinks or Home Assistant are to get or to tell in another way, and no label of the model or taught sound is
    called so."""
    known = sorted(labels)
    yield from _unknown("home_assistant.labels", config.home_assistant.labels or [], known)
    for sink in config.sinks:
        named = {"labels": sink.labels or []}
        if isinstance(sink, Notification):
            hours = [label for entry in sink.quiet_hours for label in entry.labels or []]
            named |= {"priorities": list(sink.priorities), "quiet_hours": hours}
        for key, wanted in named.items():
            yield from _unknown(f"sinks.{sink.name}.{key}", wanted, known)


def _unknown(key: str, wanted: Iterable[str], known: list[str]) -> Iterator[str]:
    for label in wanted:
        if label not in known:
            close = hint if len(hint := nearest(label, known)) < LONGEST_HINT else ""
            yield f"{key}: nothing that is listened for is called {label!r}{close}"


def _filter(sink: SinkSettings) -> Wants:
    if isinstance(sink, Notification):
        types = {"new", "update", "end"} if sink.min_score and "new" in sink.types else set(sink.types)
        score = sink.min_score
    else:
        types, score = set(sink.types), 0.0

    def wants(message: Post) -> bool:
        if not isinstance(message, Event):
            return False
        return message.type in types and message.peak >= score and (sink.labels is None or message.label in sink.labels)

    return wants

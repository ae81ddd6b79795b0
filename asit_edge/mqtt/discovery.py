"""Home Assistant's MQTT discovery: configurations by which this device's entities appear by themselves. Pure.

One configuration topic for each entity, `<prefix>/<platform>/<node>/<object>/config`, all under one device: whatever
is gone is removed by emptying its topic. Fields as documented at https://www.home-assistant.io/integrations/mqtt/
(MQTT discovery, and the platforms binary_sensor, sensor, switch and event).
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, get_args

from asit_edge import __version__
from asit_edge.messages.report import State
from asit_edge.mqtt.topics import HomeAssistantIds, Topics

LEVEL_EXPIRES = 30
"""Seconds after which a level that is not sent again is unknown."""

HEARD = {"sound", "event", "level"}
"""Kinds of entities that mean something only while their source listens: what is not heard is not "clear"."""

LISTENS = "{{ 'online' if value_json is mapping and value_json.state == 'listening' else 'offline' }}"
"""Of a status. In every other state, and where there is none any more, nothing is known of what sounds."""


class Entity(NamedTuple):
    """What Home Assistant shows as one; `source` and `label` are empty where it belongs to none."""

    platform: str
    kind: str
    source: str
    label: str
    name: str
    fields: dict[str, Any]


def discovery(prefix: str, topics: Topics, labels: Mapping[str, Mapping[str, str]], model: str) -> dict[str, str]:
    """Configuration topics and payloads.

    `labels` has what each source reports: a label's slug to its name. `model` names what listens.
    """
    ids = HomeAssistantIds(topics.device)
    shared = {
        "device": {
            "identifiers": [ids.identifier],
            "name": topics.device,
            "manufacturer": "ASiT Edge",
            "model": model,
            "sw_version": __version__,
        },
        "origin": {"name": "ASiT Edge", "sw_version": __version__},
    }
    configurations = {}
    for entity in entities(topics, labels):
        component = ids.component(entity.kind, entity.source, entity.label)
        identity = {
            "name": entity.name,
            "unique_id": ids.unique_id(component),
            "default_entity_id": ids.entity_id(entity.platform, entity.source, entity.label or entity.kind),
        }
        topic = f"{prefix}/{entity.platform}/{ids.identifier}/{component}/config"
        availability = {"availability": _availability(topics, entity), "availability_mode": "all"}
        configurations[topic] = json.dumps(identity | entity.fields | availability | shared, ensure_ascii=False)
    return configurations


def _availability(topics: Topics, entity: Entity) -> list[dict[str, str]]:
    """Where it is said whether an entity means anything: all of it has to be `online`."""
    states = {"payload_available": "online", "payload_not_available": "offline"}
    device = {"topic": topics.available, **states}
    if entity.kind not in HEARD:
        return [device]
    return [device, {"topic": topics.status(entity.source), "value_template": LISTENS, **states}]


def entities(topics: Topics, labels: Mapping[str, Mapping[str, str]]) -> Iterator[Entity]:
    """A sound for each label of each source; what else a source has; the device's own problem."""
    for source, names in labels.items():
        for label, name in names.items():
            yield Entity("binary_sensor", "sound", source, label, f"{name} ({source})", _sound(topics, source, label))
        yield Entity("event", "event", source, "", f"Event ({source})", _event(topics, source))
        yield Entity("sensor", "level", source, "", f"Level ({source})", _level(topics, source))
        yield Entity("sensor", "status", source, "", f"Status ({source})", _status(topics, source))
        yield Entity("switch", "listen", source, "", f"Listen ({source})", _listen(topics, source))
    yield Entity("binary_sensor", "problem", "", "", "Problem", _problem(topics))


def _sound(topics: Topics, source: str, label: str) -> dict[str, Any]:
    return {
        "state_topic": topics.sound(source, label),
        "payload_on": "ON",
        "payload_off": "OFF",
        "device_class": "sound",
    }


def _event(topics: Topics, source: str) -> dict[str, Any]:
    return {
        "state_topic": topics.event(source),
        "event_types": ["new", "update", "end"],
        "value_template": "{{ dict(value_json, event_type=value_json.type) | tojson }}",
    }


def _level(topics: Topics, source: str) -> dict[str, Any]:
    return {
        "state_topic": topics.level(source),
        "value_template": "{{ value_json.dbfs }}",
        "unit_of_measurement": "dBFS",
        "state_class": "measurement",
        "expire_after": LEVEL_EXPIRES,
        "entity_category": "diagnostic",
    }


def _status(topics: Topics, source: str) -> dict[str, Any]:
    return {
        "state_topic": topics.status(source),
        "value_template": "{{ value_json.state }}",
        "device_class": "enum",
        "options": list(get_args(State)),
        "json_attributes_topic": topics.status(source),
        "entity_category": "diagnostic",
    }


def _listen(topics: Topics, source: str) -> dict[str, Any]:
    return {
        "state_topic": topics.status(source),
        "value_template": "{{ 'OFF' if value_json.state == 'muted' else 'ON' }}",
        "command_topic": topics.command(source, "listen"),
        "payload_on": "ON",
        "payload_off": "OFF",
        "entity_category": "config",
    }


def _problem(topics: Topics) -> dict[str, Any]:
    return {
        "state_topic": topics.health,
        "value_template": "{{ 'ON' if value_json.problem else 'OFF' }}",
        "json_attributes_topic": topics.health,
        "device_class": "problem",
        "entity_category": "diagnostic",
    }

"""Home Assistant's MQTT discovery: what it is told about this device, so that entities appear by themselves. Pure.

One configuration topic for each entity, `<prefix>/<platform>/<node>/<object>/config`, all under one device: whatever
is gone is removed by emptying its topic. Fields as documented at https://www.home-assistant.io/integrations/mqtt/
(MQTT discovery, and the platforms binary_sensor, sensor, switch and event).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from asit_edge import __version__
from asit_edge.messages.report import State
from asit_edge.mqtt.topics import HomeAssistantIds, Topics

LEVEL_EXPIRES = 30
"""Seconds after which a level that is not told again is unknown."""


def discovery(prefix: str, topics: Topics, labels: Mapping[str, Mapping[str, str]], model: str) -> dict[str, str]:
    """Configuration topics and payloads.

    `labels` has what each source reports: a label's slug to its name. `model` names what listens.
    """
    ids = HomeAssistantIds(topics.device)
    shared = {
        "availability": [
            {"topic": topics.available, "payload_available": "online", "payload_not_available": "offline"}
        ],
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

    def add(platform: str, component: str, name: str, entity: Sequence[str], fields: dict[str, Any]) -> None:
        topic = f"{prefix}/{platform}/{ids.identifier}/{component}/config"
        identity = {
            "name": name,
            "unique_id": ids.unique_id(component),
            "default_entity_id": ids.entity_id(platform, *entity),
        }
        configurations[topic] = json.dumps(identity | fields | shared, ensure_ascii=False)

    for source in labels:
        status = topics.status(source)
        for label, name in labels[source].items():
            add(
                "binary_sensor",
                ids.component("sound", source, label),
                f"{name} ({source})",
                (source, label),
                {
                    "state_topic": topics.sound(source, label),
                    "payload_on": "ON",
                    "payload_off": "OFF",
                    "device_class": "sound",
                },
            )
        add(
            "event",
            ids.component("event", source),
            f"Event ({source})",
            (source, "event"),
            {
                "state_topic": topics.event(source),
                "event_types": ["new", "update", "end"],
                "value_template": "{{ dict(value_json, event_type=value_json.type) | tojson }}",
            },
        )
        add(
            "sensor",
            ids.component("level", source),
            f"Level ({source})",
            (source, "level"),
            {
                "state_topic": topics.level(source),
                "value_template": "{{ value_json.dbfs }}",
                "unit_of_measurement": "dBFS",
                "state_class": "measurement",
                "expire_after": LEVEL_EXPIRES,
                "entity_category": "diagnostic",
            },
        )
        add(
            "sensor",
            ids.component("status", source),
            f"Status ({source})",
            (source, "status"),
            {
                "state_topic": status,
                "value_template": "{{ value_json.state }}",
                "device_class": "enum",
                "options": list(get_args(State)),
                "json_attributes_topic": status,
                "entity_category": "diagnostic",
            },
        )
        add(
            "switch",
            ids.component("listen", source),
            f"Listen ({source})",
            (source, "listen"),
            {
                "state_topic": status,
                "value_template": "{{ 'OFF' if value_json.state == 'muted' else 'ON' }}",
                "command_topic": topics.command(source, "listen"),
                "payload_on": "ON",
                "payload_off": "OFF",
                "entity_category": "config",
            },
        )
    add(
        "binary_sensor",
        ids.component("problem", ""),
        "Problem",
        ("problem",),
        {
            "state_topic": topics.health,
            "value_template": "{{ 'ON' if value_json.problem else 'OFF' }}",
            "json_attributes_topic": topics.health,
            "device_class": "problem",
            "entity_category": "diagnostic",
        },
    )
    return configurations

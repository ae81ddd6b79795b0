"""What Home Assistant shows of this device: the entities of the box and of each source. Pure.

Fields as documented at https://www.home-assistant.io/integrations/mqtt/ and on the pages of the platforms; a field that
would say what is the default is left out.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

from asit_edge.messages.report import State
from asit_edge.mqtt.commands import HIGHEST, LOWEST
from asit_edge.mqtt.topics import Topics

LEVEL_EXPIRES = 30
"""Seconds after which a level that is not sent again is unknown."""

SNOOZE_SECONDS = 1_800
"""For which the button mutes a source."""

HEARD = {"sound", "event", "level"}
"""Kinds of entities that mean something only while their source listens: what is not heard is not "clear"."""

LISTENS = "{{ 'online' if value_json is mapping and value_json.state == 'listening' else 'offline' }}"
"""Of a status. In every other state, and where there is none any more, nothing is known of what sounds."""

FIRES = (
    "{%% if value_json.type == 'new' and not value_json.replayed and not value_json.continues %%}"
    "{{ {'event_type': value_json.label, 'id': value_json.id, 'score': value_json.score, 'onset': value_json.onset, "
    "'also': value_json.also%s} | tojson }}{%% endif %%}"
)
"""Of an event's message: what Home Assistant is to be told as it happens, and nothing else. Has room for more."""

THERE: tuple[State, ...] = ("listening", "silent_device", "muted")
"""States in which a source delivers audio, or would."""

TROUBLE: tuple[State, ...] = ("silent_device", "stalled", "lost", "recovering", "failed")
"""States that somebody has to look after."""


@dataclass(frozen=True)
class SourceFacts:
    """What is to be known of a source."""

    kind: str
    """`microphone`, `stream`, ..."""
    labels: Mapping[str, str]
    """What it reports: a label's slug to its name."""
    chosen: Collection[str]
    """Of those slugs, the ones whose entities are switched on from the beginning."""
    clips: bool = False
    """Whether what is heard is recorded."""
    pictures: bool = False
    """Whether there are pictures of what was recorded."""


class Entity(NamedTuple):
    """What Home Assistant shows as one; `source` and `label` are empty where it belongs to none."""

    platform: str
    kind: str
    source: str
    label: str
    name: str
    fields: dict[str, Any]


def of_box(topics: Topics) -> Iterator[Entity]:
    """What belongs to no source."""
    connection = {
        "state_topic": topics.available,
        "payload_on": "online",
        "payload_off": "offline",
        "device_class": "connectivity",
        "entity_category": "diagnostic",
    }
    yield Entity("binary_sensor", "connection", "", "", "Connection", connection)
    problem = {
        "state_topic": topics.health,
        "value_template": "{{ 'ON' if value_json.problem else 'OFF' }}",
        "json_attributes_topic": topics.health,
        "device_class": "problem",
        "entity_category": "diagnostic",
    }
    yield Entity("binary_sensor", "problem", "", "", "Problem", problem)


def of_source(topics: Topics, source: str, facts: SourceFacts) -> Iterator[Entity]:
    """What is heard, what was heard last, what the source does, what can be adjusted, and a sound for each label."""
    yield Entity("event", "event", source, "", "Sound", _event(topics, source, facts))
    yield from _last(topics, source, facts)
    yield from _states(topics, source)
    yield from _controls(topics, source)
    for label, name in facts.labels.items():
        chosen = {} if label in facts.chosen else {"enabled_by_default": False}
        sound = {"state_topic": topics.sound(source, label), "device_class": "sound", **chosen}
        yield Entity("binary_sensor", "sound", source, label, name, sound)
        if label in facts.chosen:
            threshold = _threshold(topics, source, label)
            yield Entity("number", "threshold", source, label, f"{name} threshold", threshold)


def _event(topics: Topics, source: str, facts: SourceFacts) -> dict[str, Any]:
    clips = f", 'clip_topic': '{topics.clip(source)}'" if facts.clips else ""
    return {
        "state_topic": topics.event(source),
        "event_types": sorted(set(facts.labels.values())),
        "value_template": FIRES % clips,
        "icon": "mdi:ear-hearing",
    }


def _last(topics: Topics, source: str, facts: SourceFacts) -> Iterator[Entity]:
    sound = {
        "state_topic": topics.last(source),
        "value_template": "{{ value_json.label }}",
        "json_attributes_topic": topics.last(source),
        "icon": "mdi:ear-hearing",
    }
    yield Entity("sensor", "last", source, "", "Last sound", sound)
    confidence = {
        "state_topic": topics.last(source),
        "value_template": "{{ (value_json.peak * 100) | round(1) }}",
        "unit_of_measurement": "%",
        "icon": "mdi:percent",
    }
    yield Entity("sensor", "confidence", source, "", "Last sound confidence", confidence)
    if facts.pictures:
        picture = {"image_topic": topics.picture(source), "content_type": "image/png", "image_encoding": "b64"}
        yield Entity("image", "picture", source, "", "Last recording", picture)


def _states(topics: Topics, source: str) -> Iterator[Entity]:
    status = topics.status(source)
    level = {
        "state_topic": topics.level(source),
        "value_template": "{{ value_json.dbfs }}",
        "unit_of_measurement": "dBFS",
        "state_class": "measurement",
        "expire_after": LEVEL_EXPIRES,
        "entity_category": "diagnostic",
    }
    yield Entity("sensor", "level", source, "", "Level", level)
    told = {
        "state_topic": status,
        "value_template": "{{ value_json.state }}",
        "device_class": "enum",
        "options": list(get_args(State)),
        "json_attributes_topic": status,
        "entity_category": "diagnostic",
    }
    yield Entity("sensor", "status", source, "", "Status", told)
    for kind, name, device_class, states in (
        ("connection", "Connection", "connectivity", THERE),
        ("problem", "Problem", "problem", TROUBLE),
    ):
        fields = {
            "state_topic": status,
            "value_template": f"{{{{ 'ON' if value_json.state in {list(states)} else 'OFF' }}}}",
            "device_class": device_class,
            "entity_category": "diagnostic",
        }
        yield Entity("binary_sensor", kind, source, "", name, fields)


def _controls(topics: Topics, source: str) -> Iterator[Entity]:
    listen = {
        "state_topic": topics.adjusted(source),
        "value_template": "{{ 'ON' if value_json.listen else 'OFF' }}",
        "command_topic": topics.command(source, "listen"),
        "entity_category": "config",
        "icon": "mdi:microphone",
    }
    yield Entity("switch", "listen", source, "", "Listen", listen)
    for kind, name, seconds in (
        ("snooze", f"Snooze {SNOOZE_SECONDS // 60} minutes", SNOOZE_SECONDS),
        ("wake", "End snooze", 0),
    ):
        button = {"command_topic": topics.command(source, "snooze"), "payload_press": str(seconds), "icon": "mdi:sleep"}
        yield Entity("button", kind, source, "", name, button)
    snoozed = {
        "state_topic": topics.adjusted(source),
        "value_template": "{{ 'ON' if value_json.snoozed_until else 'OFF' }}",
        "json_attributes_topic": topics.adjusted(source),
        "entity_category": "diagnostic",
        "icon": "mdi:sleep",
    }
    yield Entity("binary_sensor", "snoozed", source, "", "Snoozed", snoozed)


def _threshold(topics: Topics, source: str, label: str) -> dict[str, Any]:
    return {
        "state_topic": topics.threshold(source, label),
        "command_topic": topics.command(source, f"threshold/{label}"),
        "min": LOWEST,
        "max": HIGHEST,
        "step": 0.001,
        "mode": "box",
        "entity_category": "config",
    }

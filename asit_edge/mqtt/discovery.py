"""Home Assistant's MQTT discovery: messages by which this device's entities appear by themselves. Pure.

The box is a device, and each source one behind it. In the layout `device` each is one message with all of its entities
(Home Assistant 2024.11 and newer); in `entities` each entity is a message of its own, which older ones need. Ids are
the same in both.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from asit_edge import __version__
from asit_edge.mqtt.abbreviations import abbreviated
from asit_edge.mqtt.entities import HEARD, LISTENS, Entity, SourceFacts, of_box, of_source
from asit_edge.mqtt.topics import HomeAssistantIds, Topics

Layout = Literal["device", "entities"]

Components = dict[str, dict[str, str]]
"""What is announced, by the message's topic: each component's key, and its platform."""

MIGRATE = '{"migrate_discovery":true}'
"""Left on a topic of the other layout, this has Home Assistant let go of its entities without forgetting them."""


@dataclass(frozen=True)
class Home:
    """What Home Assistant is told of this box, besides its sources."""

    prefix: str
    layout: Layout
    model: str
    """What listens."""
    page: str | None = None
    """The address of the page for others than this machine; None if there is none."""


def discovery(
    home: Home, topics: Topics, sources: Mapping[str, SourceFacts], gone: Components | None = None
) -> dict[str, str]:
    """Topics and payloads. `gone` are components that are announced no more: in the layout `device` each has to be told
    so, because Home Assistant keeps what a message does not name."""
    messages = dict(_devices(home, topics, sources) if home.layout == "device" else _entities(home, topics, sources))
    for topic, components in (gone or {}).items():
        if topic in messages and "components" in messages[topic]:
            stubs = {key: {"platform": platform} for key, platform in components.items()}
            messages[topic]["components"] = stubs | messages[topic]["components"]
    return {
        topic: json.dumps(abbreviated(message), ensure_ascii=False, separators=(",", ":"))
        for topic, message in messages.items()
    }


def announced(home: Home, topics: Topics, sources: Mapping[str, SourceFacts]) -> Components:
    """What `discovery` announces in the layout `device`; nothing in the other, where each has a topic of its own."""
    if home.layout == "entities":
        return {}
    return {
        topic: {key: component["platform"] for key, component in message["components"].items()}
        for topic, message in _devices(home, topics, sources)
    }


def nothing(topics: Topics) -> str:
    """A message of a device that announces nothing, to try whether one may be sent."""
    device = {"identifiers": [HomeAssistantIds(topics.device).identifier]}
    return json.dumps(abbreviated({"device": device, "origin": _origin(), "components": {}}))


def of_other_layout(home: Home, topics: Topics, kept: Collection[str]) -> list[str]:
    """Of the topics that the broker keeps: those of this device's discovery in the layout that is not used now."""
    ids = HomeAssistantIds(topics.device)
    own = [topic for topic in kept if topic.startswith(f"{home.prefix}/") and ids.owns(topic)]
    devices = f"{home.prefix}/device/"
    return sorted(topic for topic in own if topic.startswith(devices) != (home.layout == "device"))


def _devices(home: Home, topics: Topics, sources: Mapping[str, SourceFacts]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A message for the box, one for each source."""
    ids = HomeAssistantIds(topics.device)
    for source, entities in _all(topics, sources):
        shared: dict[str, Any] = {"device": _device(home, ids, source, sources), "origin": _origin()}
        if source:
            shared |= {"availability": _availability(topics, source, heard=True), "availability_mode": "all"}
        components = {}
        for entity in entities:
            fields = {"platform": entity.platform} | _identity(ids, entity) | entity.fields
            if not source or entity.kind not in HEARD:
                fields |= _available(topics, entity)
            components["-".join(part for part in (entity.kind, entity.label) if part)] = fields
        yield ids.device_topic(home.prefix, source), shared | {"components": components}


def _entities(home: Home, topics: Topics, sources: Mapping[str, SourceFacts]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A message for each entity."""
    ids = HomeAssistantIds(topics.device)
    for source, entities in _all(topics, sources):
        shared = {"device": _device(home, ids, source, sources), "origin": _origin()}
        for entity in entities:
            topic = f"{home.prefix}/{entity.platform}/{ids.identifier}/"
            topic += f"{ids.component(entity.kind, source, entity.label)}/config"
            available = _available(topics, entity)
            if len(available.get("availability", ())) > 1:
                available["availability_mode"] = "all"
            yield topic, _identity(ids, entity) | entity.fields | available | shared


def _all(topics: Topics, sources: Mapping[str, SourceFacts]) -> Iterator[tuple[str, list[Entity]]]:
    """The box first: the devices of sources refer to it."""
    yield "", list(of_box(topics))
    for source, facts in sources.items():
        yield source, list(of_source(topics, source, facts))


def _device(home: Home, ids: HomeAssistantIds, source: str, sources: Mapping[str, SourceFacts]) -> dict[str, Any]:
    page = {"configuration_url": home.page} if home.page else {}
    shared = {"manufacturer": "ASiT Edge", "sw_version": __version__, **page}
    if not source:
        return {"identifiers": [ids.identifier], "name": ids.device, "model": home.model, **shared}
    return {
        "identifiers": [ids.source_identifier(source)],
        "name": f"{ids.device} {source}",
        "model": sources[source].kind,
        "via_device": ids.identifier,
        **shared,
    }


def _origin() -> dict[str, str]:
    return {"name": "ASiT Edge", "sw_version": __version__}


def _identity(ids: HomeAssistantIds, entity: Entity) -> dict[str, Any]:
    """The entity id has two names: until 2025.9 Home Assistant knows the second one only, from 2026.4 on the first."""
    entity_id = ids.entity_id(
        entity.platform, entity.source, entity.label, "" if entity.kind == "sound" else entity.kind
    )
    return {
        "name": entity.name,
        "unique_id": ids.unique_id(ids.component(entity.kind, entity.source, entity.label)),
        "default_entity_id": entity_id,
        "object_id": entity_id.partition(".")[2],
    }


def _available(topics: Topics, entity: Entity) -> dict[str, Any]:
    """Of a single entity; whether the box is there is known whether it is or not."""
    if entity.kind == "connection" and not entity.source:
        return {}
    return {"availability": _availability(topics, entity.source, heard=entity.kind in HEARD)}


def _availability(topics: Topics, source: str, *, heard: bool) -> list[dict[str, str]]:
    """Where it is said whether an entity means anything: all of it has to be `online`."""
    device = {"topic": topics.available}
    return [device, {"topic": topics.status(source), "value_template": LISTENS}] if heard else [device]

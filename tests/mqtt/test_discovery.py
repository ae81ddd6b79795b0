"""Home Assistant's discovery: every payload has the documented fields of its platform, and no others."""

import contextlib
import json
from typing import Any, get_args

import jinja2
import pytest

from asit_edge.messages.report import State
from asit_edge.mqtt.discovery import discovery
from asit_edge.mqtt.topics import Topics

# https://www.home-assistant.io/integrations/mqtt/ and the pages of the platforms: required and optional fields.
COMMON = {
    *[
        "availability",
        "availability_mode",
        "availability_template",
        "availability_topic",
        "default_entity_id",
        "device",
    ],
    *["enabled_by_default", "encoding", "entity_category", "entity_picture", "icon", "json_attributes_template"],
    *["json_attributes_topic", "name", "origin", "payload_available", "payload_not_available", "platform", "qos"],
    *["unique_id", "value_template"],
}
PLATFORMS: dict[str, tuple[set[str], set[str]]] = {
    "binary_sensor": (
        {"state_topic"},
        {"device_class", "expire_after", "force_update", "off_delay", "payload_off", "payload_on"},
    ),
    "sensor": (
        {"state_topic"},
        {
            *["device_class", "expire_after", "force_update", "last_reset_value_template", "options"],
            *["suggested_display_precision", "state_class", "unit_of_measurement"],
        },
    ),
    "switch": (
        {"command_topic"},
        {
            *["command_template", "device_class", "optimistic", "payload_off", "payload_on", "retain", "state_off"],
            *["state_on", "state_topic"],
        },
    ),
    "event": ({"state_topic", "event_types"}, {"device_class"}),
}
DEVICE = {
    *["configuration_url", "connections", "hw_version", "identifiers", "manufacturer", "model", "model_id", "name"],
    *["serial_number", "suggested_area", "sw_version", "via_device"],
}
DEVICE_CLASSES = {"binary_sensor": {"sound", "problem"}, "sensor": {"enum"}}


@pytest.fixture
def configurations() -> dict[str, dict[str, Any]]:
    topics = Topics("asit", "hall")
    labels = {"dog": "Dog", "cat": "Cat"}
    found = discovery("homeassistant", topics, {"mic": labels, "yard": labels}, "nano 0.1")
    return {topic: json.loads(payload) for topic, payload in found.items()}


def test_only_documented_fields_are_used_and_all_required_ones_are_there(
    configurations: dict[str, dict[str, Any]],
) -> None:
    assert len(configurations) == 2 * (2 + 4) + 1
    for topic, fields in configurations.items():
        platform = topic.split("/")[1]
        required, optional = PLATFORMS[platform]
        assert required <= set(fields), topic
        assert set(fields) <= required | optional | COMMON, topic
        assert {"unique_id", "name", "availability", "device", "origin"} <= set(fields)
        assert set(fields["device"]) <= DEVICE
        assert fields["device"]["identifiers"] == ["asit_edge_hall"], "one device a box"
        assert set(fields["origin"]) <= {"name", "sw_version", "support_url"}
        assert fields["origin"]["name"]
        for one in fields["availability"]:
            assert set(one) <= {"topic", "payload_available", "payload_not_available", "value_template"}
        assert fields["availability"][0]["topic"] == "asit/hall/available"
        assert fields["availability_mode"] == "all"
        assert fields.get("entity_category", "diagnostic") in ("diagnostic", "config")
        if "device_class" in fields:
            assert fields["device_class"] in DEVICE_CLASSES[platform]
        assert fields["default_entity_id"].startswith(f"{platform}.hall_")
        if fields.get("device_class") == "enum":
            assert "state_class" not in fields, "an enumeration has options, and no class or unit"
            assert "unit_of_measurement" not in fields
            assert "listening" in fields["options"]


def test_two_sources_never_share_a_topic_or_an_entity(configurations: dict[str, dict[str, Any]]) -> None:
    by_source = {
        source: {fields["state_topic"] for topic, fields in configurations.items() if f"-{source}/" in topic}
        for source in ("mic", "yard")
    }
    assert by_source["mic"]
    assert not by_source["mic"] & by_source["yard"]
    entities = [fields["default_entity_id"] for fields in configurations.values()]
    assert len(set(entities)) == len(entities)


def test_a_sound_is_a_binary_sensor_on_its_own_topic(configurations: dict[str, dict[str, Any]]) -> None:
    dog = configurations["homeassistant/binary_sensor/asit_edge_hall/sound-dog-mic/config"]
    assert dog["name"] == "Dog (mic)"
    assert dog["state_topic"] == "asit/hall/mic/sound/dog"
    assert (dog["payload_on"], dog["payload_off"], dog["device_class"]) == ("ON", "OFF", "sound")


def available(fields: dict[str, Any], kept: dict[str, str]) -> bool:
    """As Home Assistant decides it from what the broker keeps: a topic that is not there says no."""
    said = []
    for one in fields["availability"]:
        payload = kept.get(one["topic"])
        if payload is None:
            said.append(False)
            continue
        if "value_template" in one:
            payload = render(one["value_template"], payload)
        said.append(payload == one["payload_available"])
    return all(said) if fields["availability_mode"] == "all" else any(said)


def render(template: str, payload: str) -> str:
    value = {}
    with contextlib.suppress(ValueError):
        value = {"value_json": json.loads(payload)}
    return str(jinja2.Environment().from_string(template).render(value=payload, **value))


@pytest.mark.parametrize("state", get_args(State))
def test_a_sound_is_unavailable_and_never_clear_while_its_source_does_not_listen(
    configurations: dict[str, dict[str, Any]], state: str
) -> None:
    listening = {"schema": 1, "device": "hall", "source": "yard", "state": "listening", "since": "", "detail": ""}
    kept = {
        "asit/hall/available": "online",
        "asit/hall/yard/status": json.dumps(listening),
        "asit/hall/mic/status": json.dumps(listening | {"source": "mic", "state": state}),
    }
    for topic, fields in configurations.items():
        means_something = "-mic/" not in topic or state == "listening"
        commands_and_reports = any(f"/{kind}-" in topic for kind in ("listen", "status")) or "/problem/" in topic
        assert available(fields, kept) == (means_something or commands_and_reports), topic
        assert not available(fields, kept | {"asit/hall/available": "offline"}), topic


@pytest.mark.parametrize("payload", ["", "listening", "[]", "null", '"listening"', "{}"])
def test_a_status_that_is_gone_or_none_makes_its_sounds_unavailable(
    configurations: dict[str, dict[str, Any]], payload: str
) -> None:
    sound = configurations["homeassistant/binary_sensor/asit_edge_hall/sound-dog-mic/config"]
    assert not available(sound, {"asit/hall/available": "online", "asit/hall/mic/status": payload})
    assert not available(sound, {"asit/hall/available": "online"})

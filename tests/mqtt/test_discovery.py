"""Home Assistant's discovery: every message has the documented fields of its kind, and no others."""

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import jinja2
import pytest
import yaml

from asit_edge.messages.report import State
from asit_edge.mqtt.abbreviations import DEVICE, FIELDS, ORIGIN
from asit_edge.mqtt.discovery import Home, announced, discovery, nothing, of_other_layout
from asit_edge.mqtt.entities import SourceFacts
from asit_edge.mqtt.topics import Topics
from tests.conftest import ROOT
from tests.store.samples import event

TOPICS = Topics("asit", "hall")
DOG, CAT = "Dog", "Baby cry, infant cry"
LABELS = {"dog": DOG, "baby_cry_infant_cry": CAT}
FACTS = SourceFacts("microphone", LABELS, {"dog"}, clips=True, pictures=True)
SOURCES = {"mic": FACTS, "yard": SourceFacts("stream", LABELS, set())}

# https://www.home-assistant.io/integrations/mqtt/ and the pages of the platforms: required and optional fields, and the
# short names of those that are used.
COMMON = {
    *["availability", "availability_mode", "availability_template", "availability_topic", "default_entity_id"],
    *["enabled_by_default", "encoding", "entity_category", "entity_picture", "icon", "json_attributes_template"],
    *["json_attributes_topic", "name", "object_id", "payload_available", "payload_not_available", "platform", "qos"],
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
    "number": (
        {"command_topic"},
        {
            *["command_template", "device_class", "max", "min", "mode", "optimistic", "payload_reset", "retain"],
            *["state_topic", "step", "unit_of_measurement"],
        },
    ),
    "button": ({"command_topic"}, {"command_template", "device_class", "payload_press", "retain"}),
    "image": (
        {"image_topic"},
        {"content_type", "image_encoding", "url_template", "url_topic"},
    ),
}
OF_DEVICE = {
    *["configuration_url", "connections", "hw_version", "identifiers", "manufacturer", "model", "model_id", "name"],
    *["serial_number", "suggested_area", "sw_version", "via_device"],
}
OF_MESSAGE = {
    *["device", "origin", "components", "availability", "availability_mode", "availability_template", "qos"],
    *["availability_topic", "command_topic", "encoding", "payload_available", "payload_not_available", "state_topic"],
}
SHORT = {
    "avty": "availability",
    "avty_mode": "availability_mode",
    "cmd_t": "command_topic",
    "cmps": "components",
    "cont_type": "content_type",
    "dev": "device",
    "dev_cla": "device_class",
    "en": "enabled_by_default",
    "ent_cat": "entity_category",
    "evt_typ": "event_types",
    "exp_aft": "expire_after",
    "ic": "icon",
    "img_e": "image_encoding",
    "img_t": "image_topic",
    "json_attr_t": "json_attributes_topic",
    "o": "origin",
    "obj_id": "object_id",
    "ops": "options",
    "p": "platform",
    "pl_off": "payload_off",
    "pl_on": "payload_on",
    "pl_prs": "payload_press",
    "stat_cla": "state_class",
    "stat_t": "state_topic",
    "t": "topic",
    "uniq_id": "unique_id",
    "unit_of_meas": "unit_of_measurement",
    "val_tpl": "value_template",
}
SHORT_OF_DEVICE = {
    "cu": "configuration_url",
    "ids": "identifiers",
    "mdl": "model",
    "mf": "manufacturer",
    "sw": "sw_version",
}
DEVICE_CLASSES = {
    "binary_sensor": {"connectivity", "problem", "sound"},
    "sensor": {"enum"},
}


def written_out(message: dict[str, Any]) -> dict[str, Any]:
    """As Home Assistant reads it."""
    full: dict[str, Any] = {}
    for name, value in message.items():
        name = SHORT.get(name, name)
        assert name not in full
        if name == "device":
            value = {SHORT_OF_DEVICE.get(key, key): one for key, one in value.items()}
        elif name == "origin":
            value = {{"sw": "sw_version", "url": "support_url"}.get(key, key): one for key, one in value.items()}
        elif name == "availability":
            value = [{SHORT.get(key, key): one for key, one in entry.items()} for entry in value]
        elif name == "components":
            value = {key: written_out(one) for key, one in value.items()}
        full[name] = value
    return full


def messages(layout: Any, **more: Any) -> dict[str, dict[str, Any]]:
    home = Home("homeassistant", layout, "nano 0.1", "http://hall.local:8490")
    found = discovery(home, TOPICS, SOURCES, **more)
    return {topic: written_out(json.loads(payload)) for topic, payload in found.items()}


def entities(layout: str) -> Iterator[dict[str, Any]]:
    """Each with what Home Assistant takes for it from the message of its device."""
    for topic, message in messages(layout).items():
        if layout == "entities":
            yield {"platform": topic.split("/")[1], **message}
            continue
        shared = {key: message[key] for key in ("device", "origin")}
        inherited = {key: message[key] for key in ("availability", "availability_mode") if key in message}
        yield from ({**inherited, **component, **shared} for component in message["components"].values())


def test_short_names_are_the_documented_ones() -> None:
    assert {short: name for name, short in FIELDS.items()} == SHORT
    assert {short: name for name, short in DEVICE.items()} == SHORT_OF_DEVICE
    assert {short: name for name, short in ORIGIN.items()} == {"sw": "sw_version", "url": "support_url"}


def test_a_device_is_one_message_as_documented() -> None:
    found = messages("device")
    assert list(found) == [
        "homeassistant/device/asit_edge_hall-box/config",
        "homeassistant/device/asit_edge_hall-source-mic/config",
        "homeassistant/device/asit_edge_hall-source-yard/config",
    ]
    for topic, message in found.items():
        assert re.fullmatch(r"homeassistant/device/[a-zA-Z0-9_-]+/config", topic)
        assert {"device", "origin", "components"} <= set(message) <= OF_MESSAGE
        for key, component in message["components"].items():
            assert re.fullmatch(r"[a-zA-Z0-9_-]+", key)
            assert component["platform"] in PLATFORMS
            assert "unique_id" in component
    assert found["homeassistant/device/asit_edge_hall-source-mic/config"]["device"]["via_device"] == "asit_edge_hall"


@pytest.mark.parametrize("layout", ["device", "entities"])
def test_only_documented_fields_are_used_and_all_required_ones_are_there(layout: str) -> None:
    found = list(entities(layout))
    assert len(found) == 2 + (2 * (11 + 2) + 2), "the box; both sources; a threshold and a picture of one"
    for fields in found:
        platform = fields["platform"]
        required, optional = PLATFORMS[platform]
        assert required <= set(fields), fields
        assert set(fields) <= required | optional | COMMON | {"device", "origin"}, fields
        assert {"unique_id", "name", "device", "origin", "default_entity_id", "object_id"} <= set(fields)
        assert set(fields["device"]) <= OF_DEVICE
        assert fields["device"]["configuration_url"] == "http://hall.local:8490"
        assert set(fields["origin"]) <= {"name", "sw_version", "support_url"}
        assert fields["origin"]["name"]
        for one in fields.get("availability", []):
            assert {"topic"} <= set(one) <= {"topic", "payload_available", "payload_not_available", "value_template"}
        assert fields.get("entity_category", "diagnostic") in ("diagnostic", "config")
        if platform in ("binary_sensor", "sensor"):
            assert fields.get("entity_category") != "config", "it can be read only"
        if "device_class" in fields:
            assert fields["device_class"] in DEVICE_CLASSES[platform]
        assert re.fullmatch(rf"{platform}\.[a-z0-9_]+", fields["default_entity_id"])
        assert fields["object_id"] == fields["default_entity_id"].partition(".")[2], "the same before 2025.10"
        if fields.get("device_class") == "enum":
            assert not {"state_class", "unit_of_measurement"} & set(fields), "an enumeration has options, no unit"
            assert "listening" in fields["options"]
        if platform == "image":
            assert fields["image_encoding"] in ("b64", "raw")
            assert "url_topic" not in fields


def test_both_layouts_announce_the_same_entities() -> None:
    def told(layout: str) -> dict[str, dict[str, Any]]:
        return {one["unique_id"]: {**one, "availability_mode": ""} for one in entities(layout)}

    assert told("device") == told("entities")
    several = [one for one in entities("entities") if len(one.get("availability", ())) > 1]
    assert {one["availability_mode"] for one in several} == {"all"}


@pytest.mark.parametrize("layout", ["device", "entities"])
def test_two_sources_never_share_a_topic_or_an_entity(layout: str) -> None:
    found = list(entities(layout))
    for key in ("unique_id", "default_entity_id"):
        assert len({one[key] for one in found}) == len(found)
    used = {
        source: {
            one["state_topic"] for one in found if one["device"]["name"] == f"hall {source}" and "state_topic" in one
        }
        for source in SOURCES
    }
    assert used["mic"]
    assert not used["mic"] & used["yard"]


def one_of(kind: str, layout: str = "device") -> dict[str, Any]:
    return next(one for one in entities(layout) if one["unique_id"] == f"asit_edge-{kind}@hall")


def test_only_chosen_sounds_are_switched_on_and_have_a_threshold() -> None:
    assert "enabled_by_default" not in one_of("sound-dog-mic")
    assert one_of("sound-baby_cry_infant_cry-mic")["enabled_by_default"] is False
    assert one_of("threshold-dog-mic")["command_topic"] == "asit/hall/mic/set/threshold/dog"
    assert [one["unique_id"] for one in entities("device") if one["platform"] == "number"] == [
        "asit_edge-threshold-dog-mic@hall"
    ]


def test_a_sound_is_a_binary_sensor_on_its_own_topic() -> None:
    dog = one_of("sound-dog-mic")
    assert dog["name"] == "Dog"
    assert (dog["state_topic"], dog["device_class"]) == ("asit/hall/mic/sound/dog", "sound")
    assert dog["default_entity_id"] == "binary_sensor.hall_mic_dog"


@pytest.mark.parametrize(
    ("changes", "fires"),
    [
        ({"type": "new"}, True),
        ({"type": "new", "replayed": True}, False),
        ({"type": "new", "continues": "the one before"}, False),
        ({"type": "update"}, False),
        ({"type": "end"}, False),
    ],
)
def test_an_event_fires_once_as_it_happens(changes: dict[str, Any], fires: bool) -> None:
    told = event().model_copy(update={"label": CAT, "also": ['A "quoted" one'], **changes})
    sound = one_of("event-mic")
    assert told.label in sound["event_types"]
    rendered = render(sound["value_template"], told.to_json())
    if not fires:
        assert rendered == ""
        return
    fields = json.loads(rendered)
    assert fields.pop("event_type") == CAT
    assert fields == {
        **{key: getattr(told, key) for key in ("id", "score", "onset", "also")},
        "clip_topic": "asit/hall/mic/clip",
    }
    assert "clip_topic" not in json.loads(render(one_of("event-yard")["value_template"], told.to_json()))


def available(fields: dict[str, Any], kept: dict[str, str]) -> bool:
    """As Home Assistant decides it from what the broker keeps: a topic that is not there says no."""
    said = []
    for one in fields.get("availability", []):
        payload = kept.get(one["topic"])
        if payload is None:
            said.append(False)
            continue
        if "value_template" in one:
            payload = render(one["value_template"], payload)
        said.append(payload == one.get("payload_available", "online"))
    return all(said) if fields.get("availability_mode") == "all" or len(said) < 2 else said[-1]


def render(template: str, payload: str) -> str:
    value = {}
    with contextlib.suppress(ValueError):
        value = {"value_json": json.loads(payload)}
    return str(jinja2.Environment().from_string(template).render(value=payload, **value))


@pytest.mark.parametrize("layout", ["device", "entities"])
@pytest.mark.parametrize("state", get_args(State))
def test_a_sound_is_unavailable_and_never_clear_while_its_source_does_not_listen(layout: str, state: str) -> None:
    listening = {"schema": 1, "device": "hall", "source": "yard", "state": "listening", "since": "", "detail": ""}
    kept = {
        "asit/hall/available": "online",
        "asit/hall/yard/status": json.dumps(listening),
        "asit/hall/mic/status": json.dumps(listening | {"source": "mic", "state": state}),
    }
    for fields in entities(layout):
        what = fields["unique_id"].removeprefix("asit_edge-")
        of_sounds = what.startswith(("sound-", "event-", "level-"))
        assert available(fields, kept) == (not of_sounds or "-yard@" in what or state == "listening"), what
        away = kept | {"asit/hall/available": "offline"}
        assert available(fields, away) == (what == "connection@hall"), what


@pytest.mark.parametrize("payload", ["", "listening", "[]", "null", '"listening"', "{}"])
def test_a_status_that_is_gone_or_none_makes_its_sounds_unavailable(payload: str) -> None:
    sound = one_of("sound-dog-mic")
    assert not available(sound, {"asit/hall/available": "online", "asit/hall/mic/status": payload})
    assert not available(sound, {"asit/hall/available": "online"})


@pytest.mark.parametrize("state", get_args(State))
def test_a_source_in_trouble_is_a_problem_and_one_that_is_away_is_not_connected(state: str) -> None:
    told = json.dumps({"state": state})
    lost = state in ("stalled", "lost", "recovering", "failed")
    assert render(one_of("problem-mic")["value_template"], told) == (
        "ON" if lost or state == "silent_device" else "OFF"
    )
    connected = state in ("listening", "silent_device", "muted")
    assert render(one_of("connection-mic")["value_template"], told) == ("ON" if connected else "OFF")


def test_what_is_announced_no_more_is_said_to_be_gone() -> None:
    topic = "homeassistant/device/asit_edge_hall-source-mic/config"
    gone = {topic: {"sound-cow": "binary_sensor", "sound-dog": "binary_sensor"}, "elsewhere": {"x": "sensor"}}
    found = messages("device", gone=gone)
    assert found[topic]["components"]["sound-cow"] == {"platform": "binary_sensor"}
    assert found[topic]["components"]["sound-dog"]["name"] == "Dog", "it is there again"
    assert "elsewhere" not in found
    home = Home("homeassistant", "device", "nano 0.1")
    assert announced(home, TOPICS, SOURCES)[topic]["sound-dog"] == "binary_sensor"
    assert announced(Home("homeassistant", "entities", "nano 0.1"), TOPICS, SOURCES) == {}


def test_topics_of_the_other_layout_are_found_and_nobody_elses() -> None:
    device, single = list(messages("device")), list(messages("entities"))
    others = [
        *(
            "homeassistant/device/asit_edge_hall--2-box/config",
            "homeassistant/sensor/asit_edge_hall-2/level-mic/config",
        ),
        *("elsewhere/device/asit_edge_hall-box/config", "asit/hall/mic/status"),
    ]
    kept = [*device, *single, *others]
    assert of_other_layout(Home("homeassistant", "device", ""), TOPICS, kept) == sorted(single)
    assert of_other_layout(Home("homeassistant", "entities", ""), TOPICS, kept) == sorted(device)


def test_a_message_that_announces_nothing_is_one_of_a_device() -> None:
    message = written_out(json.loads(nothing(TOPICS)))
    assert set(message) == {"device", "origin", "components"}
    assert message["components"] == {}


def test_the_dashboard_of_the_documents_shows_entities_that_there_are() -> None:
    text = (ROOT / "docs" / "home-assistant" / "dashboard.yaml").read_text(encoding="utf-8")
    yaml.safe_load(text)
    facts = SourceFacts("microphone", LABELS, set(LABELS))
    found = discovery(Home("homeassistant", "entities", ""), TOPICS, {"microphone": facts})
    there = {json.loads(payload)["default_entity_id"] for payload in found.values()}
    shown = set(re.findall(r"\b(?:binary_sensor|sensor|event|switch|button|number)\.hall_\w+", text))
    assert len(shown) > 10
    assert shown <= there

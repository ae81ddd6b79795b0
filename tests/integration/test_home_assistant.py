"""Real Home Assistants as the other end: what they show of a device and ask of it, and what stays over a move."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile

from asit_edge.deliver.delivery import Delivery
from asit_edge.messages.report import ClipReport
from asit_edge.model.bundle import Manifest
from asit_edge.mqtt.commands import Command
from asit_edge.store.store import Store
from tests.conftest import RATE, tones
from tests.integration.feeder import heard
from tests.integration.home_assistant import NEW, OLD, Core
from tests.integration.mosquitto import Mosquitto, wait_for
from tests.integration.test_contract import configured, model, publish, retained, status

__all__ = ["model"]

LAYOUTS = {OLD: "entities", NEW: "device"}

SETTINGS: dict[str, Any] = {
    "clips": {"enabled": True, "base_url": "http://hall.local:8490/clips"},
    "home_assistant": {"labels": ["Low tone"], "pictures": True},
    "web": {"host": "192.0.2.7", "token_file": "token"},
}


@pytest.fixture(scope="module", params=LAYOUTS)
def core(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    """One of each, with a broker of its own, for all tests: each of those has a device of its own."""
    broker = Mosquitto(tmp_path_factory.mktemp("broker"))
    broker.start()
    core = Core(request.param, tmp_path_factory.mktemp("home"), broker)
    core.automate(sound_event="event.hall_mic_event", sounds=["Low tone"], notify="notify.test", pause={"seconds": 0})
    core.start()
    yield core
    core.stop()
    broker.kill()


def delivering(folder: Path, broker: Mosquitto, model: Manifest, layout: str, device: str, **more: Any) -> Delivery:
    clips = SETTINGS["clips"] | {"folder": str(folder / "clips")}
    settings = (
        SETTINGS | {"clips": clips} | {"home_assistant": SETTINGS["home_assistant"] | {"discovery": layout}} | more
    )
    delivery = Delivery(configured(folder, broker, **settings).model_copy(update={"device": device}), model)
    delivery.start()
    for source in ("mic", "yard"):
        delivery.status(status(source, "listening"))
    return delivery


def test_a_device_as_home_assistant_shows_and_uses_it(core: Core, tmp_path: Path, model: Manifest) -> None:
    delivery = delivering(tmp_path, core.broker, model, LAYOUTS[core.version], "hall")
    try:
        core.shows("binary_sensor.hall_mic_low_tone", "off")
        core.shows("sensor.hall_yard_status", "listening")
        check_what_there_is(core)
        check_what_is_heard(core, delivery, tmp_path / "clips")
        check_what_is_asked(core, delivery)
        check_what_is_unavailable(core, delivery)
        assert core.complaints() == []
    finally:
        delivery.stop(5)
    core.shows("binary_sensor.hall_connection", "off")
    core.shows("switch.hall_mic_listen", "unavailable")


def check_what_there_is(core: Core) -> None:
    page, shown = "http://192.0.2.7:8490", core.tell()
    assert {name: device for name, device in shown["devices"].items() if name.startswith("hall")} == {
        "hall": {"model": "tones 1.0", "via": None, "url": page, "identifiers": ["asit_edge_hall"]},
        "hall mic": {"model": "file", "via": "hall", "url": page, "identifiers": ["asit_edge_hall/mic"]},
        "hall yard": {"model": "file", "via": "hall", "url": page, "identifiers": ["asit_edge_hall/yard"]},
    }
    entities = core.entities("hall")
    of_a_source = {one.partition("_mic")[0] + one.partition("_mic")[2] for one in entities if "hall_mic_" in one}
    assert of_a_source == {
        *("binary_sensor.hall_low_tone", "binary_sensor.hall_high_tone", "number.hall_low_tone_threshold"),
        *("event.hall_event", "sensor.hall_last", "sensor.hall_confidence", "image.hall_picture"),
        *("sensor.hall_level", "sensor.hall_status", "binary_sensor.hall_connection", "binary_sensor.hall_problem"),
        *("switch.hall_listen", "button.hall_snooze", "button.hall_wake", "binary_sensor.hall_snoozed"),
    }
    assert len(entities) == 2 * 15 + 2
    assert [one for one, entity in entities.items() if not entity["enabled"]] == [
        "binary_sensor.hall_mic_high_tone",
        "binary_sensor.hall_yard_high_tone",
    ]
    assert entities["binary_sensor.hall_mic_low_tone"]["device"] == "hall mic"
    assert entities["binary_sensor.hall_problem"]["device"] == "hall"
    types = shown["states"]["event.hall_mic_event"]["attributes"]["event_types"]
    assert types == ["High tone", "Low tone"]


def check_what_is_heard(core: Core, delivery: Delivery, clips: Path) -> None:
    new = heard(0, "mic").model_copy(update={"score": 0.7, "peak": 0.9})
    [told] = delivery.events("mic", [new])
    core.shows("binary_sensor.hall_mic_low_tone", "on")
    wait_for(lambda: core.state("event.hall_mic_event") != "unknown", 10, "the event fires")
    fired = core.tell()["states"]["event.hall_mic_event"]
    assert {key: fired["attributes"][key] for key in ("event_type", "id", "score", "onset", "also", "clip_topic")} == {
        "event_type": "Low tone",
        "id": told.id,
        "score": 0.7,
        "onset": told.onset,
        "also": [],
        "clip_topic": "asit/hall/mic/clip",
    }
    core.shows("sensor.hall_mic_last", "Low tone")
    core.shows("sensor.hall_mic_confidence", "90.0")
    wait_for(lambda: core.tell()["notified"], 10, "the blueprint notifies")
    clips.mkdir()
    soundfile.write(clips / "a.flac", tones((500, 1)), RATE)
    time.sleep(1.5)  # a recording ends two seconds after its sound: by then the blueprint waits for it
    report = {"event": told.id, "label": "Low tone", "kept": True, "path": "a.flac", "seconds": 8.2, "reason": ""}
    url = "http://hall.local:8490/clips/a.flac"
    delivery.clip(ClipReport.model_validate({"schema": 1, "device": "hall", "source": "mic", "url": url, **report}))
    first, second = wait_for(lambda: len(found := core.tell()["notified"]) == 2 and found, 10, "and with the recording")
    assert first == {"title": "Low tone", "message": "hall mic, score 0.7", "data": {"tag": told.id}}
    assert second["message"] == "hall mic, recorded: 8 s"
    assert second["data"] == {"tag": told.id, "url": url, "clickAction": url}
    wait_for(lambda: core.state("image.hall_mic_picture") not in (None, "unknown"), 10, "a picture of it is there")
    delivery.events("mic", [heard(1, "mic")])
    core.shows("binary_sensor.hall_mic_low_tone", "off")
    late = heard(2, "mic").model_copy(update={"replayed": True})
    delivery.events("mic", [late, heard(3, "mic").model_copy(update={"replayed": True})])
    delivery.events("yard", [heard(4, "yard")])
    wait_for(lambda: core.state("event.hall_yard_event") != "unknown", 10, "what came after it has arrived")
    assert core.tell()["states"]["event.hall_mic_event"] == fired, "what is told late does not fire, nor does an end"
    assert core.state("sensor.hall_mic_last") == "Low tone"
    assert len(core.tell()["notified"]) == 2


def check_what_is_asked(core: Core, delivery: Delivery) -> None:
    for action, entity, more, command in (
        ("switch.turn_off", "switch.hall_mic_listen", {}, Command("mic", "listen", None, False)),
        ("button.press", "button.hall_mic_snooze", {}, Command("mic", "snooze", None, 1800.0)),
        ("button.press", "button.hall_mic_wake", {}, Command("mic", "snooze", None, 0.0)),
        (
            "number.set_value",
            "number.hall_mic_low_tone_threshold",
            {"value": 0.8},
            Command("mic", "threshold", "Low tone", 0.8),
        ),
    ):
        core.call(action, entity_id=entity, **more)
        assert delivery.commands.get(timeout=5) == command
    delivery.threshold("mic", "Low tone", 0.8)
    core.shows("number.hall_mic_low_tone_threshold", "0.8")


def check_what_is_unavailable(core: Core, delivery: Delivery) -> None:
    delivery.status(status("mic", "lost"))
    core.shows("binary_sensor.hall_mic_low_tone", "unavailable")
    core.shows("event.hall_mic_event", "unavailable")
    core.shows("binary_sensor.hall_mic_problem", "on")
    core.shows("binary_sensor.hall_mic_connection", "off")
    assert core.state("binary_sensor.hall_yard_low_tone") == "on"
    delivery.status(status("mic", "listening"))
    core.shows("binary_sensor.hall_mic_low_tone", "off")
    core.shows("binary_sensor.hall_mic_problem", "off")
    time.sleep(0.5)
    assert len(core.tell()["notified"]) == 2, "an entity that is there again notifies nobody"


def as_it_was(component: str, platform: str, name: str, **fields: Any) -> tuple[str, str]:
    """Topic and payload of an entity as 0.1.0 of November 2026 announced it: all of one device, a topic each."""
    shared = {
        "name": name,
        "unique_id": f"asit_edge-{component}@attic",
        "device": {"identifiers": ["asit_edge_attic"], "name": "attic", "model": "tones 1.0"},
        "origin": {"name": "ASiT Edge"},
    }
    return f"homeassistant/{platform}/asit_edge_attic/{component}/config", json.dumps(shared | fields)


BEFORE = [
    as_it_was("sound-low_tone-mic", "binary_sensor", "Low tone (mic)", state_topic="asit/attic/mic/sound/low_tone"),
    as_it_was("sound-high_tone-mic", "binary_sensor", "High tone (mic)", state_topic="asit/attic/mic/sound/high_tone"),
    as_it_was("listen-mic", "switch", "Listen (mic)", command_topic="asit/attic/mic/set/listen"),
    as_it_was("problem", "binary_sensor", "Problem", state_topic="asit/attic/health"),
    as_it_was(
        *("event-mic", "event", "Event (mic)"), state_topic="asit/attic/mic/event", event_types=["new", "update", "end"]
    ),
]


@pytest.mark.parametrize("core", [NEW], indirect=True)
def test_entities_of_before_are_kept_when_they_move_to_messages_of_devices_and_back(
    core: Core, tmp_path: Path, model: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asit_edge.deliver.home_assistant.LET_GO_SECONDS", 2.0)
    store = Store(tmp_path / "events.db", 100, None, 100.0, sinks={})
    store.remember_retained([topic for topic, _ in BEFORE])
    store.close()
    for topic, payload in BEFORE:
        publish(core.broker, topic, payload, retain=True)
    listening = "binary_sensor.attic_low_tone_mic"
    wait_for(lambda: len(core.entities("attic")) == len(BEFORE), 10, "what was there before")
    core.rename(listening, "The fridge")
    known = {one["unique_id"]: entity for entity, one in core.entities("attic").items()}
    for layout in ("device", "entities"):
        delivery = delivering(tmp_path, core.broker, model, layout, "attic")
        core.shows(listening, "off")
        wait_for(lambda: len(core.entities("attic")) == 2 * 15 + 2, 10, f"all are there: {layout}")
        wait_for(lambda layout=layout: not others(layout, core.broker), 10, "the old topics are empty")
        entities = core.entities("attic")
        assert {entities[entity]["unique_id"] for entity in known.values()} == set(known), "each is the same"
        assert entities[listening]["name"] == "The fridge"
        assert entities[listening]["device"] == "attic mic"
        assert entities["binary_sensor.attic_high_tone_mic"]["enabled"], "what was on stays on"
        delivery.stop(5)
    assert core.complaints() == []


def others(layout: str, broker: Mosquitto) -> list[str]:
    """Topics of discovery in the layout that is not used."""
    found = [topic for topic in retained(broker) if topic.startswith("homeassistant/") and "_attic/" in topic]
    return [topic for topic in found if topic.startswith("homeassistant/device/") != (layout == "device")]


def test_a_sound_that_is_not_reported_any_more_is_gone_from_home_assistant(
    core: Core, tmp_path: Path, model: Manifest
) -> None:
    low, high = "binary_sensor.shed_mic_low_tone", "binary_sensor.shed_mic_high_tone"
    for only, there in ((None, True), (["High tone"], False)):
        delivery = delivering(tmp_path, core.broker, model, LAYOUTS[core.version], "shed", events={"only": only})
        wait_for(lambda: high in core.entities("shed"), 10, "the device is there")
        wait_for(lambda there=there: (low in core.entities("shed")) is there, 10, f"{low}: {there}")
        delivery.stop(5)
    assert "number.shed_mic_low_tone_threshold" not in core.entities("shed")
    assert core.complaints() == []

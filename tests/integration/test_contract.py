"""The MQTT contract as a consumer meets it: states, discovery, commands, Home Assistant's restarts, the client."""

import json
import logging
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from asit_edge.config.delivery import Mqtt
from asit_edge.config.root import Config
from asit_edge.deliver.delivery import Delivery
from asit_edge.messages.event import Event
from asit_edge.messages.report import Gap, Level, Status
from asit_edge.model.backends.serving import Serving
from asit_edge.model.bundle import Manifest, load_bundle
from asit_edge.mqtt.client import Availability, Client
from asit_edge.mqtt.commands import Command
from asit_edge.mqtt.embedded_broker import embedded_broker
from tests.integration.feeder import heard
from tests.integration.mosquitto import Mosquitto, Subscriber, free_port, wait_for
from tests.integration.proxy import Proxy
from tests.store.samples import gap


@pytest.fixture
def model(tone_bundle: Path) -> Manifest:
    return load_bundle(tone_bundle).manifest


def configured(folder: Path, broker: Mosquitto, sources: tuple[str, ...] = ("mic", "yard"), **more: Any) -> Config:
    return Config.model_validate(
        {
            "device": "hall",
            "sources": [{"type": "file", "name": name, "path": "never-opened.wav"} for name in sources],
            "mqtt": {"host": "127.0.0.1", "port": broker.port, **more.pop("mqtt", {})},
            "store": {"path": str(folder / "events.db")},
            **more,
        }
    )


def status(source: str, state: str) -> Status:
    return Status.model_validate(
        {"schema": 1, "device": "hall", "source": source, "state": state, "since": "2026-01-01T00:00:00.000Z"}
    )


def retained(broker: Mosquitto) -> dict[str, str]:
    """All that the broker keeps."""
    with Subscriber(broker) as subscriber:
        time.sleep(0.3)
        return {topic: payload for topic, payload, kept in subscriber.messages if kept and not topic.startswith("$")}


def publish(broker: Mosquitto, topic: str, payload: str, *, retain: bool = False) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(5)
    client.disconnect()
    client.loop_stop()


def test_states_are_kept_by_the_broker_and_follow_the_events(
    tmp_path: Path, model: Manifest, broker: Mosquitto
) -> None:
    delivery = Delivery(configured(tmp_path, broker), model)
    with Subscriber(broker, topic="asit/#") as subscriber:
        delivery.start()
        sound = "asit/hall/mic/sound/low_tone"
        wait_for(lambda: subscriber.payloads(sound) == ["OFF"], 10, "nothing sounds")
        delivery.status(status("mic", "listening"))
        delivery.events("mic", [heard(0, "mic"), heard(1, "mic"), heard(2, "mic")])
        wait_for(lambda: subscriber.payloads(sound) == ["OFF", "ON", "OFF", "ON"], 10, "every change is told")
        delivery.level(Level(schema=1, device="hall", source="mic", dbfs=-40.0, peak_dbfs=-30.0, rms=0.01))
        delivery.gap(gap())
        wait_for(lambda: subscriber.payloads("asit/hall/mic/level"), 10, "the level")
        wait_for(lambda: subscriber.payloads("asit/hall/mic/gap") == [gap().to_json()], 10, "the gap")
    kept = retained(broker)
    assert kept["asit/hall/available"] == "online"
    assert kept[sound] == "ON"
    assert kept["asit/hall/yard/sound/low_tone"] == "OFF"
    assert json.loads(kept["asit/hall/mic/status"])["state"] == "listening"
    assert kept["asit/hall/mic/threshold/high_tone"] == "0.5"
    assert json.loads(kept["asit/hall/health"]) == {
        "schema": 1,
        "device": "hall",
        "problem": "",
        "dropped": 0,
        "refused": 0,
        "backend": "",
        "precision": "",
        "why": "",
        "fallback": "",
    }
    assert not [topic for topic in kept if topic.endswith(("/event", "/gap", "/level"))]
    assert {topic for topic in kept if topic.startswith("homeassistant/")} == {
        *("homeassistant/device/asit_edge_hall-box/config", "homeassistant/device/asit_edge_hall-source-mic/config"),
        "homeassistant/device/asit_edge_hall-source-yard/config",
    }
    assert json.loads(kept["asit/hall/mic/last"])["type"] == "new"
    assert "asit/hall/yard/last" not in kept, "it has heard nothing"

    # A crash leaves ON behind; the next start knows that nothing sounds.
    second = Delivery(configured(tmp_path / "second", broker), model)
    second.start()
    wait_for(lambda: retained(broker)[sound] == "OFF", 10, "nothing sounds any more")
    assert second.stop(5).waiting == 0
    delivery.stop(5)
    assert retained(broker)["asit/hall/available"] == "offline"


def test_what_runs_the_model_and_why_is_told_and_told_again_when_it_changes(
    tmp_path: Path, broker: Mosquitto, model: Manifest
) -> None:
    serving = Serving()
    serving.tell("tensorrt", "fp16", "timed here, a step: onnxruntime cpu fp32 9 ms, tensorrt fp16 1 ms")
    delivery = Delivery(configured(tmp_path, broker), model, serving)

    def told() -> dict[str, str]:
        health = json.loads(retained(broker)["asit/hall/health"])
        return {key: health[key] for key in ("backend", "precision", "why", "fallback")}

    delivery.start()
    wait_for(lambda: "asit/hall/health" in retained(broker), 10, "health")
    assert told()["backend"] == "tensorrt"
    serving.tell("onnxruntime cpu", "fp32", "tensorrt failed", "CUDA: cuGraphLaunch failed in /home/me/x/y.plan")
    wait_for(lambda: told()["backend"] == "onnxruntime cpu", 10, "the change")
    assert told()["fallback"] == "CUDA: cuGraphLaunch failed in y.plan"
    delivery.stop(5)


def test_what_a_source_or_label_left_at_the_broker_is_removed_with_it(
    tmp_path: Path, model: Manifest, broker: Mosquitto
) -> None:
    first = Delivery(configured(tmp_path, broker), model)
    first.start()
    first.status(status("yard", "listening"))
    assert first.stop(10).waiting == 0
    before = retained(broker)
    assert "asit/hall/yard/status" in before
    second = Delivery(configured(tmp_path, broker, sources=("mic",), events={"only": ["Low tone"]}), model)
    second.start()
    second.stop(10)
    kept = retained(broker)
    assert not [topic for topic in kept if "yard" in topic or "high_tone" in topic]
    assert "asit/hall/mic/sound/low_tone" in kept
    assert "homeassistant/device/asit_edge_hall-source-mic/config" in kept
    third = Delivery(configured(tmp_path, broker, home_assistant={"discovery": False}), model)
    third.start()
    third.stop(10)
    assert not [topic for topic in retained(broker) if topic.startswith("homeassistant/")]


def test_a_source_of_its_own_settings_shows_its_own_labels_and_thresholds(
    tmp_path: Path, model: Manifest, broker: Mosquitto
) -> None:
    low = {"labels": {"Low tone": {"on_threshold": 0.9}}, "only": ["Low tone"]}
    sources = [
        {"type": "file", "name": "mic", "path": "never-opened.wav", "events": low},
        {"type": "file", "name": "yard", "path": "never-opened.wav"},
    ]
    config = configured(tmp_path, broker).model_dump() | {"sources": sources}
    delivery = Delivery(Config.model_validate(config), model)
    delivery.start()
    delivery.stop(10)
    kept = retained(broker)
    assert kept["asit/hall/mic/threshold/low_tone"] == "0.9"
    assert kept["asit/hall/yard/threshold/low_tone"] == "0.5"
    assert "asit/hall/yard/sound/high_tone" in kept
    assert not [topic for topic in kept if "mic" in topic and "high_tone" in topic]


def test_home_assistant_is_told_again_when_it_is_born_and_the_broker_when_it_forgot(
    tmp_path: Path, model: Manifest, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asit_edge.deliver.home_assistant.BIRTH_DELAY", 0.1)
    monkeypatch.setattr("asit_edge.mqtt.connection.FIRST_PAUSE", 0.1)
    delivery = Delivery(configured(tmp_path, broker), model)
    topic = "homeassistant/device/asit_edge_hall-source-mic/config"
    with Subscriber(broker) as subscriber:
        delivery.start()
        wait_for(lambda: len(subscriber.payloads(topic)) == 1, 10, "discovery")
        publish(broker, "homeassistant/status", "online")
        wait_for(lambda: len(subscriber.payloads(topic)) == 2, 10, "discovery again")
        assert len(set(subscriber.payloads(topic))) == 1
    broker.kill()  # it has no memory of its own: all that it kept is gone
    broker.start()
    wait_for(lambda: topic in retained(broker), 10, "discovery once more")
    assert retained(broker)["asit/hall/mic/sound/low_tone"] == "OFF"
    delivery.stop(5)


def test_commands_are_obeyed_or_answered(tmp_path: Path, model: Manifest, broker: Mosquitto) -> None:
    delivery = Delivery(configured(tmp_path, broker), model)
    delivery.start()
    with Subscriber(broker, topic="asit/hall/#") as subscriber:
        wait_for(lambda: subscriber.payloads("asit/hall/available") == ["online"], 10, "online")
        publish(broker, "asit/hall/mic/set/listen", "OFF")
        assert delivery.commands.get(timeout=5) == Command("mic", "listen", None, False)
        publish(broker, "asit/hall/yard/set/threshold/low_tone", "0.8")
        assert delivery.commands.get(timeout=5) == Command("yard", "threshold", "Low tone", 0.8)
        topic = "asit/hall/yard/threshold/low_tone"
        assert subscriber.payloads(topic)[-1:] != ["0.8"], "nothing is announced that was not applied"
        delivery.threshold("yard", "Low tone", 0.8)  # what the loop says once it has
        wait_for(lambda: subscriber.payloads(topic)[-1:] == ["0.8"], 10, "the new threshold is shown")
        publish(broker, "asit/hall/yard/set/threshold/low_tone", "loud")
        publish(broker, "asit/hall/mic/set/listen", "OFF", retain=True)
        publish(broker, "asit/hall/mic/set/listen", "", retain=True)
        errors = wait_for(lambda: subscriber.payloads("asit/hall/yard/error"), 10, "an answer")
        assert json.loads(errors[0]) == {
            "schema": 1,
            "device": "hall",
            "source": "yard",
            "command": "threshold/low_tone",
            "payload": "loud",
            "error": "a threshold must be a number between 0 and 1, not 'loud'",
        }
    # One that was retained reaches us again as such at the next connection, and is not obeyed then.
    publish(broker, "asit/hall/mic/set/listen", "OFF", retain=True)
    delivery.commands.get(timeout=5)
    delivery.stop(5)
    again = Delivery(configured(tmp_path, broker), model)
    with Subscriber(broker, topic="asit/hall/mic/error") as subscriber:
        again.start()
        [error] = wait_for(lambda: subscriber.payloads("asit/hall/mic/error"), 10, "an answer")
    assert "must not be retained" in json.loads(error)["error"]
    with pytest.raises(queue.Empty):
        again.commands.get_nowait()
    again.stop(5)


def test_messages_have_the_properties_of_mqtt_5(tmp_path: Path, model: Manifest, broker: Mosquitto) -> None:
    got: list[paho.MQTTMessage] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.on_message = lambda _client, _data, message: got.append(message)
    client.connect("127.0.0.1", broker.port)
    client.subscribe("asit/hall/mic/event", qos=1)
    client.loop_start()
    delivery = Delivery(configured(tmp_path, broker, mqtt={"expiry": 3600}), model)
    delivery.start()
    time.sleep(0.2)
    delivery.events("mic", [heard(0, "mic")])
    wait_for(lambda: got, 10, "the event")
    properties = got[0].properties
    assert properties is not None
    assert properties.ContentType == "application/json"
    assert properties.PayloadFormatIndicator == 1
    assert 3_590 <= properties.MessageExpiryInterval <= 3_600
    delivery.stop(5)
    client.disconnect()
    client.loop_stop()


def test_a_broker_that_acknowledges_nothing_is_left_and_found_again(
    tmp_path: Path, model: Manifest, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asit_edge.deliver.sinks.sender.ACK_SECONDS", 0.5)
    monkeypatch.setattr("asit_edge.mqtt.connection.FIRST_PAUSE", 0.1)
    with Proxy(broker.port) as proxy, Subscriber(broker, topic="asit/hall/mic/event") as subscriber:
        delivery = Delivery(configured(tmp_path, broker, mqtt={"port": proxy.port}), model)
        delivery.start()
        delivery.events("mic", [heard(0, "mic")])
        wait_for(lambda: len(subscriber.messages) == 1, 10, "the first event")
        proxy.swallow()
        delivery.events("mic", [heard(1, "mic")])
        time.sleep(1.0)
        proxy.open()
        wait_for(lambda: len(subscriber.messages) >= 2, 20, "the second event")
        assert delivery.stop(10).waiting == 0


def test_two_devices_of_one_name_are_told_so_and_do_not_fight(
    tmp_path: Path,
    model: Manifest,
    broker: Mosquitto,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("asit_edge.mqtt.connection.FIRST_PAUSE", 0.1)
    first, second = (Delivery(configured(tmp_path / name, broker), model) for name in ("a", "b"))
    with caplog.at_level(logging.ERROR):
        first.start()
        second.start()
        wait_for(lambda: "has taken the id 'asit-edge-hall'" in caplog.text, 20, "the conflict is told")
    first.stop(0)
    second.stop(0)
    welcomes = (tmp_path / "broker" / "log").read_text().count("as asit-edge-hall")
    assert welcomes < 20, "the pauses grow though every attempt succeeds"


def test_a_client_gets_each_event_once_and_knows_who_is_away(
    tmp_path: Path, model: Manifest, broker: Mosquitto
) -> None:
    events: list[Event] = []
    gaps: list[Gap] = []
    statuses: list[Status] = []
    seen: list[Availability] = []
    client = Client(
        host="127.0.0.1",
        port=broker.port,
        on_event=events.append,
        on_gap=gaps.append,
        on_status=statuses.append,
        on_availability=seen.append,
    )
    with client:
        assert client.subscribed(10)
        delivery = Delivery(configured(tmp_path, broker), model)
        delivery.start()
        delivery.status(status("mic", "listening"))
        written = delivery.events("mic", [heard(number, "mic") for number in range(4)])
        delivery.gap(gap())
        wait_for(lambda: len(events) == 4 and gaps and len(statuses) >= 2, 10, "everything")
        assert client.online == {"hall"}
        publish(broker, "asit/hall/mic/event", written[1].to_json())
        publish(broker, "asit/hall/mic/event", "nonsense")
        delivery.stop(5)
        wait_for(lambda: client.online == frozenset(), 10, "it is away")
    assert events == written
    assert client.repetitions == 1
    assert seen == [Availability("hall", True), Availability("hall", False)]


def test_a_clients_own_errors_reach_whoever_waits(broker: Mosquitto) -> None:
    def fails(_: Event) -> None:
        raise RuntimeError("my own mistake")

    with Client(host="127.0.0.1", port=broker.port, on_event=fails) as client:
        assert client.subscribed(10)
        threading.Timer(0.3, publish, [broker, "asit/hall/mic/event", heard(0, "mic").to_json()]).start()
        with pytest.raises(RuntimeError, match="my own mistake"):
            client.wait(10)


def test_the_commands_subscribe_and_events(tmp_path: Path, model: Manifest, broker: Mosquitto) -> None:
    config = tmp_path / "config.yaml"
    settings = configured(tmp_path, broker)
    config.write_text(
        f"device: hall\nmqtt: {{host: 127.0.0.1, port: {broker.port}}}\nstore: {{path: {tmp_path / 'events.db'}}}\n"
    )
    ran = tmp_path / "ran"
    arguments = ["--label", "low tone", "--source", "mic", "--min-score", "0.5", "--count", "3", "--json"]
    command = ["--exec", f"sh -c 'cat >> {ran}'"]
    process = subprocess.Popen(
        [sys.executable, "-m", "asit_edge", "subscribe", "--config", config, *arguments, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "connected" in process.stderr.readline()
    time.sleep(0.2)
    delivery = Delivery(settings, model)
    delivery.start()
    faint = heard(8, "mic").model_copy(update={"peak": 0.3})
    delivery.events("yard", [heard(6, "yard")])
    written = delivery.events("mic", [faint, heard(0, "mic"), heard(1, "mic"), heard(2, "mic")])[1:]
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert out.splitlines() == [one.to_json() for one in written]
    assert ran.read_text().splitlines() == out.splitlines()
    assert "hall: online" in err

    def events(*options: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-m", "asit_edge", "events", "--config", config, *options], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    assert len(events()) == 5, "while it is written to"
    assert events("--json", "--source", "yard")[0].startswith('{"schema":1')
    assert len(events("--source", "mic", "--label", "LOW tone")) == 4
    assert events("--since", "2026-06-01T00:00:00Z") == []
    follower = subprocess.Popen(
        [sys.executable, "-m", "asit_edge", "events", "--config", config, "--follow", "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert follower.stdout is not None
    for _ in range(5):
        follower.stdout.readline()
    [late] = delivery.events("mic", [heard(9, "mic")])
    assert follower.stdout.readline() == late.to_json() + "\n"
    follower.terminate()
    assert follower.wait(timeout=10) == 0
    delivery.stop(5)


def test_the_command_subscribe_gives_only_messages_of_the_types_that_are_asked_for(broker: Mosquitto) -> None:
    options = ["--host", "127.0.0.1", "--port", str(broker.port), "--json", "--type", "new", "--type", "end"]
    process = subprocess.Popen(
        [sys.executable, "-m", "asit_edge", "subscribe", *options, "--count", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "connected" in process.stderr.readline()
    time.sleep(0.2)
    for number, kind in enumerate(("new", "update", "end")):
        publish(broker, "asit/hall/mic/event", heard(number, "mic").model_copy(update={"type": kind}).to_json())
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert [json.loads(line)["type"] for line in out.splitlines()] == ["new", "end"]


def test_a_client_certificate_is_shown_where_the_broker_wants_one(tmp_path: Path, model: Manifest) -> None:
    broker = Mosquitto(tmp_path / "secured", tls=True)
    broker.configure("require_certificate true", f"cafile {broker.ca_file}")
    broker.start()
    authority = {"ca_file": str(broker.ca_file)}
    own = {"cert_file": str(broker.folder / "client.pem"), "key_file": str(broker.folder / "client.key")}
    try:
        for tls, welcome in ((authority, False), (authority | own, True), ({}, False)):
            settings = Mqtt.model_validate({"host": "127.0.0.1", "port": broker.port, "tls": tls})
            with Client(settings) as client:
                assert client.subscribed(10 if welcome else 1.5) is welcome, client.problem
                assert (client.problem is None) is welcome
    finally:
        broker.kill()


def test_websockets(tmp_path: Path, model: Manifest) -> None:
    """mosquitto of Debian has none: the embedded broker has."""
    port = free_port()
    with embedded_broker(port, "ws"):
        settings = Mqtt(host="127.0.0.1", port=port, transport="websockets", path="/", protocol="3.1.1")
        got: list[Event] = []
        with Client(settings, on_event=got.append) as client:
            assert client.subscribed(10), client.problem
            config = Config.model_validate(
                {"device": "hall", "mqtt": settings.model_dump(), "store": {"path": str(tmp_path / "events.db")}}
            )
            delivery = Delivery(config, model)
            delivery.start()
            written = delivery.events("microphone", [heard(0, "microphone")])
            wait_for(lambda: got == written, 10, "the event")
            assert delivery.stop(10).waiting == 0

"""The whole path to a real mosquitto: TLS, password and access rules; a broker that is late, killed, or refuses."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
import yaml

from asit_edge.config.delivery import Mqtt
from asit_edge.deliver.sinks.mqtt import MqttSink
from asit_edge.mqtt.embedded_broker import embedded_broker
from asit_edge.mqtt.topics import Topics
from asit_edge.store.store import Store
from tests.conftest import RATE, tones
from tests.integration.mosquitto import PASSWORD, Mosquitto, Subscriber, free_port, wait_for
from tests.store.samples import TO_MQTT, event

ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("ASIT_EDGE")}


def asit_edge(*arguments: str | Path, password: str | None = None) -> "subprocess.Popen[str]":
    environment = ENVIRONMENT | ({"ASIT_EDGE_MQTT_PASSWORD": password} if password else {})
    command = [sys.executable, "-m", "asit_edge", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A low tone from 0.5 s to 1.2 s and a high one from 1.8 s to 2.3 s; 3 s in all."""
    path = tmp_path / "sound.wav"
    soundfile.write(path, tones((0, 0.5), (500, 0.7), (0, 0.6), (3000, 0.5), (0, 0.7)), RATE)
    return path


def write_config(tmp_path: Path, tone_bundle: Path, sound: Path, mqtt: dict[str, object]) -> Path:
    config = {
        "device": "hall",
        "model": str(tone_bundle),
        "sources": [{"type": "file", "name": "mic", "path": str(sound)}],
        "events": {"merge_gap": 0.3},
        "mqtt": {"host": "127.0.0.1", **mqtt},
        "store": {"path": str(tmp_path / "events.db")},
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def story(events: list[str]) -> list[tuple[str, str]]:
    return [(event["type"], event["label"]) for event in map(json.loads, events)]


EXPECTED = [("new", "Low tone"), ("end", "Low tone"), ("new", "High tone"), ("end", "High tone")]


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker with TLS; `device` may write below asit/hall, `reader` may read, `narrow` may not write events."""
    broker = Mosquitto(
        tmp_path / "broker",
        {
            "device": "topic readwrite asit/hall/#",
            "reader": "topic read #",
            "narrow": "topic write asit/hall/available",
        },
        tls=True,
    )
    broker.start()
    yield broker
    broker.kill()


def test_events_arrive_through_tls_password_and_access_rules(
    tmp_path: Path, tone_bundle: Path, sound: Path, secured: Mosquitto
) -> None:
    mqtt = {"port": secured.port, "username": "device", "tls": {"ca_file": str(secured.ca_file)}}
    config = write_config(tmp_path, tone_bundle, sound, mqtt)
    with Subscriber(secured, "reader", tls=True) as subscriber:
        process = asit_edge("listen", "--config", config, password=PASSWORD)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        events = wait_for(
            lambda: (found := subscriber.payloads("asit/hall/mic/event")) and len(found) >= 4 and found, 10, "4 events"
        )
        assert story(events) == EXPECTED
        assert events == out.splitlines(), "stdout and MQTT tell the same"
        wait_for(lambda: len(subscriber.payloads("asit/hall/available")) == 2, 10, "online and offline")
        assert subscriber.payloads("asit/hall/available") == ["online", "offline"]
    parsed = [json.loads(event) for event in events]
    assert [event["seq"] for event in parsed] == [1, 2, 3, 4]
    assert all(0 <= event["latency_ms"] < 5_000 for event in parsed)
    assert all(event["replayed"] is False for event in parsed)
    store = Store(tmp_path / "events.db")
    assert store.count_waiting() == 0


def test_a_wrong_password_is_said_in_one_line(
    tmp_path: Path, tone_bundle: Path, sound: Path, secured: Mosquitto
) -> None:
    mqtt = {"port": secured.port, "username": "device", "tls": {"ca_file": str(secured.ca_file)}}
    config = write_config(tmp_path, tone_bundle, sound, mqtt)
    process = asit_edge("replay", sound, "--config", config, "--publish", password="wrong")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "refuses user 'device' (Not authorized); check mqtt.username and mqtt.password_file" in err
    assert out == ""
    assert "Traceback" not in err
    assert "wrong" not in err, "a password is never shown"


def test_an_untrusted_certificate_is_refused(
    tmp_path: Path, tone_bundle: Path, sound: Path, secured: Mosquitto
) -> None:
    config = write_config(
        tmp_path, tone_bundle, sound, {"port": secured.port, "username": "device", "tls": {"enabled": True}}
    )
    process = asit_edge("replay", sound, "--config", config, "--publish", password=PASSWORD)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "certificate is not trusted" in err
    assert "mqtt.tls.ca_file" in err


def test_what_the_access_rules_deny_is_reported_and_kept(
    tmp_path: Path, tone_bundle: Path, sound: Path, secured: Mosquitto
) -> None:
    mqtt = {"port": secured.port, "username": "narrow", "tls": {"ca_file": str(secured.ca_file)}}
    config = write_config(tmp_path, tone_bundle, sound, mqtt)
    process = asit_edge("listen", "--config", config, password=PASSWORD)
    _, err = process.communicate(timeout=60)
    assert "refuses a message for good (Not authorized); check its access rules" in err
    assert "Traceback" not in err
    refusals = Store(tmp_path / "events.db").refusals()
    assert [one for one in refusals if one[1] == "mic/event"] == [("mqtt", "mic/event", "Not authorized")] * 4


def test_without_a_broker_events_wait_and_the_exit_code_says_so(tmp_path: Path, tone_bundle: Path, sound: Path) -> None:
    broker = Mosquitto(tmp_path / "broker")
    config = write_config(tmp_path, tone_bundle, sound, {"port": broker.port})
    process = asit_edge("listen", "--config", config)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "connection refused; is a broker running there?" in err
    assert err.count("connection refused") == 2, "once when it happens, once at the end"
    assert "message(s) not delivered yet, kept in" in err
    assert story(out.splitlines()) == EXPECTED

    # The next run delivers what the first one could not, oldest first, then its own.
    broker.start()
    try:
        with Subscriber(broker, topic="asit/hall/mic/event") as subscriber:
            process = asit_edge("listen", "--config", config)
            assert process.wait(timeout=60) == 0
            wait_for(lambda: len(subscriber.messages) == 8, 10, "8 events")
            events = [json.loads(payload) for _, payload, _ in subscriber.messages]
    finally:
        broker.kill()
    assert [event["seq"] for event in events] == list(range(1, 9))
    assert len({event["id"] for event in events}) == 4


def test_a_killed_broker_gets_everything_when_it_is_back(tmp_path: Path, tone_bundle: Path) -> None:
    sound = tmp_path / "long.wav"
    soundfile.write(sound, tones(*[(500, 0.4), (0, 0.6)] * 10), RATE)
    broker = Mosquitto(tmp_path / "broker")
    broker.start()
    config = write_config(tmp_path, tone_bundle, sound, {"port": broker.port})
    process = asit_edge("listen", "--config", config)
    try:
        with Subscriber(broker, topic="asit/hall/mic/event") as subscriber:
            wait_for(lambda: len(subscriber.messages) >= 4, 30, "the first events")
            broker.kill()
        with sqlite3.connect(f"file:{tmp_path / 'events.db'}?mode=ro", uri=True) as reader:
            count = "SELECT count(*) FROM outbox"
            wait_for(lambda: reader.execute(count).fetchone()[0] >= 2, 30, "events pile up in the outbox")
        reader.close()
        with_events = Subscriber(broker, topic="asit/hall/mic/event")
        broker.start()
        with with_events as subscriber:
            out, err = process.communicate(timeout=60)
            assert process.returncode == 0, err
            assert "connection lost" in err
            last = json.loads(out.splitlines()[-1])["seq"]
            wait_for(lambda: last in [json.loads(p)["seq"] for _, p, _ in subscriber.messages], 10, "the last event")
        assert Store(tmp_path / "events.db").count_waiting() == 0
    finally:
        process.kill()
        broker.kill()


def test_a_listener_that_is_killed_is_declared_offline(tmp_path: Path, tone_bundle: Path) -> None:
    sound = tmp_path / "long.wav"
    soundfile.write(sound, tones((0, 30)), RATE)
    broker = Mosquitto(tmp_path / "broker")
    broker.start()
    config = write_config(tmp_path, tone_bundle, sound, {"port": broker.port})
    process = asit_edge("listen", "--config", config)
    try:
        with Subscriber(broker, topic="asit/hall/available") as subscriber:
            wait_for(lambda: "online" in subscriber.payloads("asit/hall/available"), 20, "online")
            os.kill(process.pid, signal.SIGKILL)
            wait_for(lambda: subscriber.payloads("asit/hall/available")[-1] == "offline", 20, "the last will")
        with Subscriber(broker, topic="asit/hall/available") as late:
            wait_for(lambda: late.messages == [("asit/hall/available", "offline", True)], 10, "a retained offline")
    finally:
        process.kill()
        process.communicate()
        broker.kill()


def test_sigterm_ends_events_and_exits_cleanly(tmp_path: Path, tone_bundle: Path) -> None:
    sound = tmp_path / "long.wav"
    soundfile.write(sound, tones((500, 30)), RATE)
    broker = Mosquitto(tmp_path / "broker")
    broker.start()
    config = write_config(tmp_path, tone_bundle, sound, {"port": broker.port})
    process = asit_edge("listen", "--config", config)
    try:
        with Subscriber(broker) as subscriber:
            wait_for(lambda: subscriber.payloads("asit/hall/mic/event"), 20, "the first event")
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=20)
            assert process.returncode == 0, err
            wait_for(lambda: subscriber.payloads("asit/hall/available")[-1] == "offline", 10, "offline")
            assert story(subscriber.payloads("asit/hall/mic/event")) == [("new", "Low tone"), ("end", "Low tone")]
            assert story(out.splitlines())[-1] == ("end", "Low tone")
    finally:
        process.kill()
        broker.kill()


def test_a_broker_without_mqtt_5_is_spoken_to_in_3_1_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asit_edge.mqtt.connection.ANSWER_SECONDS", 1.0)
    port = free_port()
    with embedded_broker(port):
        for protocol, connects in (("auto", True), ("3.1.1", True), ("5", False)):
            settings = Mqtt.model_validate({"host": "127.0.0.1", "port": port, "protocol": protocol})
            sink = MqttSink(settings, Topics("asit", "hall"), Store(None))
            sink.start()
            assert sink.first_attempt(10) is connects
            assert connects or "check mqtt.port and mqtt.protocol" in str(sink.problem)
            sink.stop()


@pytest.fixture
def delivery(tmp_path: Path) -> Iterator[tuple[Mosquitto, Store, MqttSink]]:
    """A running broker, a store, and a sink between them that has not been started yet."""
    broker = Mosquitto(tmp_path / "broker")
    broker.start()
    store = Store(tmp_path / "events.db", sinks=TO_MQTT)
    sink = MqttSink(Mqtt.model_validate({"host": "127.0.0.1", "port": broker.port}), Topics("asit", "hall"), store)
    yield broker, store, sink
    sink.stop()
    broker.kill()


def test_a_broker_that_hangs_does_not_lose_what_is_in_flight(
    delivery: tuple[Mosquitto, Store, MqttSink], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped for longer than an answer may take, with messages on their way; then it goes on."""
    monkeypatch.setattr("asit_edge.mqtt.connection.ANSWER_SECONDS", 0.5)
    broker, store, sink = delivery
    sink.start()
    assert sink.first_attempt(10)
    broker.pause()
    store.commit([event(number) for number in range(50)], "mic/event")
    sink.wake()
    time.sleep(0.5)
    broker.kill()
    broker.start()
    broker.pause()
    time.sleep(3.0)  # it takes connections and answers none
    broker.resume()
    assert sink.drain(30)


def test_a_connection_that_broke_off_is_worth_waiting_for_until_the_next_attempt_fails(
    delivery: tuple[Mosquitto, Store, MqttSink],
) -> None:
    """Who stops in that moment waits for what is still to be sent, and does not where no broker is left."""
    broker, _, sink = delivery
    sink.start()
    assert sink.first_attempt(10)
    broker.kill()
    wait_for(lambda: not sink.connection.up, 10, "the connection is lost")
    assert sink.first_attempt(0)
    wait_for(lambda: not sink.first_attempt(0), 10, "the next attempt fails")


def test_what_access_rules_denied_arrives_once_they_allow_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asit_edge.deliver.sinks.denials.FIRST_PATIENCE", 0.2)
    monkeypatch.setenv("ASIT_EDGE_MQTT_PASSWORD", PASSWORD)
    broker = Mosquitto(tmp_path / "broker", {"device": "topic write asit/hall/available", "reader": "topic read #"})
    broker.start()
    store = Store(tmp_path / "events.db", sinks=TO_MQTT)
    sink = MqttSink(Mqtt(host="127.0.0.1", port=broker.port, username="device"), Topics("asit", "hall"), store)
    sink.start()
    with Subscriber(broker, "reader", topic="asit/hall/mic/event") as reader:
        store.commit([event(number) for number in range(3)], "mic/event")
        sink.wake()
        wait_for(lambda: store.refused == 3, 10, "refusals")
        assert "its access rules deny mic/event" in sink.refusal
        broker.rule("device", "topic readwrite asit/hall/#")
        time.sleep(0.5)
        store.commit([event(3)], "mic/event")
        sink.wake()
        wait_for(lambda: len(reader.messages) == 4, 10, "all four")
        wait_for(lambda: store.count_waiting() == 0, 10, "the outbox is empty")
    assert [json.loads(payload)["id"] for _, payload, _ in reader.messages] == ["id-3", "id-0", "id-1", "id-2"]
    assert (store.refused, sink.refusal) == (0, "")
    sink.stop()
    store.close()
    broker.kill()

"""`asit-edge refused`: what a sink refused for good is shown, and delivered after all when the operator asks for it."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asit_edge.config.root import Config
from asit_edge.deliver.delivery import Delivery
from asit_edge.model.bundle import load_bundle
from asit_edge.store.store import Store
from tests.integration.mosquitto import PASSWORD, Mosquitto, Subscriber, wait_for
from tests.integration.test_mqtt import ENVIRONMENT
from tests.store.samples import TO_MQTT, event


def refused(config: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "asit_edge", "refused", "--config", str(config), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=60, check=False)


def test_without_a_listener_the_command_queues_them_itself(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"store:\n  path: {tmp_path / 'events.db'}\n", encoding="utf-8")
    store = Store(tmp_path / "events.db", sinks=TO_MQTT | {"siren": lambda _: True})
    store.commit([event(0), event(1)], "mic/event")
    store.commit([event(2)], "yard/event")
    for sink, reason in (("mqtt", "Not authorized"), ("siren", "ended with 1")):
        for waiting in store.waiting(sink, 0, 10):
            store.refuse(waiting.row, reason)
    store.close()

    shown = refused(config)
    assert shown.returncode == 0, shown.stderr
    assert [line.split(maxsplit=3) for line in shown.stdout.splitlines()] == [
        ["2", "mqtt", "mic/event", "Not authorized"],
        ["1", "mqtt", "yard/event", "Not authorized"],
        ["2", "siren", "mic/event", "ended with 1"],
        ["1", "siren", "yard/event", "ended with 1"],
    ]
    queued = refused(config, "--requeue", "--sink", "mqtt", "--topic", "mic/event")
    assert queued.returncode == 0, queued.stderr
    assert "2 message(s) are queued once more" in queued.stderr
    again = Store(tmp_path / "events.db")
    assert [json.loads(one.payload)["id"] for one in again.waiting("mqtt", 0, 10)] == ["id-0", "id-1"]
    assert (again.refused, again.count_waiting()) == (4, 2)
    again.close()
    assert [json.loads(line)["messages"] for line in refused(config, "--json").stdout.splitlines()] == [1, 2, 1]
    assert "nothing was refused" in refused(config, "--requeue", "--sink", "siran").stderr


def test_a_listener_that_runs_is_asked_and_delivers_them(
    tmp_path: Path, tone_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASIT_EDGE_MQTT_PASSWORD", PASSWORD)
    broker = Mosquitto(tmp_path / "broker", {"device": "topic write asit/hall/available", "reader": "topic read #"})
    broker.start()
    config = Config.model_validate(
        {
            "device": "hall",
            "sources": [{"type": "file", "name": "mic", "path": "never-opened.wav"}],
            "mqtt": {"host": "127.0.0.1", "port": broker.port, "username": "device"},
            "store": {"path": str(tmp_path / "events.db")},
        }
    )
    path = tmp_path / "config.yaml"
    path.write_text(f"store:\n  path: {tmp_path / 'events.db'}\n", encoding="utf-8")
    delivery = Delivery(config, load_bundle(tone_bundle).manifest)
    delivery.start()
    try:
        with Subscriber(broker, "reader", topic="asit/hall/mic/event") as reader:
            delivery.events("mic", [event(0), event(1)])
            wait_for(lambda: len(refused(path).stdout.splitlines()) == 1, 20, "refusals")
            broker.rule("device", "topic readwrite asit/hall/#\ntopic write homeassistant/#")
            time.sleep(0.5)
            queued = refused(path, "--requeue")
            assert queued.returncode == 0, queued.stderr
            assert "2 message(s) are queued once more" in queued.stderr
            wait_for(lambda: len(reader.messages) == 2, 10, "both")
            assert [json.loads(payload)["id"] for _, payload, _ in reader.messages] == ["id-0", "id-1"]
            assert not refused(path).stdout
    finally:
        delivery.stop(1)
        broker.kill()

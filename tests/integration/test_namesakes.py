"""Cloned cards and devices of one name at a real broker."""

import json
import shutil
import time
from pathlib import Path

import pytest

from asit_edge.deliver.delivery import Delivery
from asit_edge.model.bundle import Manifest
from tests.integration.mosquitto import Mosquitto, Subscriber, wait_for
from tests.integration.test_contract import configured, model, retained, status

__all__ = ["model"]


def test_a_clone_under_another_name_leaves_the_originals_topics_alone(
    tmp_path: Path, model: Manifest, broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    first = Delivery(configured(tmp_path / "original", broker), model)
    first.start()
    first.status(status("mic", "listening"))
    assert first.stop(10).waiting == 0
    shutil.copytree(tmp_path / "original", tmp_path / "clone")
    original = Delivery(configured(tmp_path / "original", broker), model)
    original.start()
    original.status(status("mic", "listening"))
    wait_for(lambda: "asit/hall/available" in retained(broker), 10, "the original is there")
    before = {topic for topic in retained(broker) if "hall" in topic}
    clone = Delivery(configured(tmp_path / "clone", broker).model_copy(update={"device": "yard"}), model)
    clone.start()
    wait_for(lambda: "asit/hall are left as they are" in caplog.text, 10, "the clone says so")
    clone.stop(10)
    kept = retained(broker)
    assert {topic for topic in kept if "hall" in topic} == before
    assert "asit/yard/mic/status" in kept
    original.stop(10)
    assert json.loads(retained(broker)["asit/hall/mic/status"])["state"] == "listening"
    again = Delivery(configured(tmp_path / "clone", broker).model_copy(update={"device": "yard"}), model)
    again.start()
    again.stop(10)
    assert {topic for topic in retained(broker) if "hall" in topic} == before, "now and later"


def test_a_device_that_was_renamed_takes_its_topics_with_it(tmp_path: Path, model: Manifest, broker: Mosquitto) -> None:
    first = Delivery(configured(tmp_path, broker), model)
    first.start()
    assert first.stop(10).waiting == 0
    renamed = Delivery(configured(tmp_path, broker).model_copy(update={"device": "yard"}), model)
    renamed.start()
    wait_for(lambda: not [topic for topic in retained(broker) if "hall" in topic], 10, "the old name is gone")
    renamed.stop(10)
    assert "asit/yard/mic/status" in retained(broker)


def test_two_devices_of_one_name_notice_each_other(
    tmp_path: Path, model: Manifest, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asit_edge.mqtt.connection.FIRST_PAUSE", 0.2)
    monkeypatch.setattr("asit_edge.mqtt.connection.LONGEST_PAUSE", 0.5)
    both = [Delivery(configured(tmp_path / folder, broker), model) for folder in ("one", "two")]
    with Subscriber(broker, topic="asit/hall/health") as subscriber:
        for delivery in both:
            delivery.start()
            time.sleep(1.0)

        def problems() -> list[str]:
            return [json.loads(payload)["problem"] for payload in subscriber.payloads("asit/hall/health")]

        wait_for(lambda: all(one._namesakes.problem(time.monotonic()) for one in both), 20, "both notice")
        told = wait_for(lambda: [one for one in problems() if "another device on host" in one], 20, "it is said")
        assert "give one of them another name (device in config.yaml)" in told[0]
    for delivery in both:
        delivery.stop(1)

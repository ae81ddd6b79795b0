"""A slow link that drops every 3.5 s, and a state that takes longer than that: both alarms and state arrive."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from asit_edge.config.root import Config
from asit_edge.deliver.delivery import Delivery
from asit_edge.messages.report import Status
from asit_edge.model.bundle import load_bundle
from tests.integration.mosquitto import Mosquitto, Subscriber, wait_for
from tests.integration.proxy import Proxy
from tests.store.samples import event

DROPS_EVERY = 3.5
SOURCES = [f"room{number}" for number in range(12)]


@contextmanager
def flapping(proxy: Proxy) -> Iterator[None]:
    over = threading.Event()

    def flap() -> None:
        while not over.wait(DROPS_EVERY):
            proxy.cut()
            proxy.open()

    thread = threading.Thread(target=flap)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def delivering(folder: Path, bundle: Path, port: int) -> Delivery:
    config = Config.model_validate(
        {
            "device": "hall",
            "sources": [{"type": "file", "name": name, "path": "never-opened.wav"} for name in SOURCES],
            "mqtt": {"host": "127.0.0.1", "port": port},
            "store": {"path": str(folder / "events.db")},
        }
    )
    return Delivery(config, load_bundle(bundle).manifest)


def test_alarms_arrive_and_the_state_goes_on_where_it_broke_off(
    tmp_path: Path, tone_bundle: Path, broker: Mosquitto
) -> None:
    with Proxy(broker.port, bytes_a_second=9_000) as proxy, Subscriber(broker, topic="#") as subscriber:
        delivery = delivering(tmp_path, tone_bundle, proxy.port)
        with flapping(proxy):
            delivery.start()
            for number in range(10):
                delivery.events("room0", [event(number, "room0")])
                time.sleep(1.0)
            arrived = {json.loads(payload)["id"] for payload in subscriber.payloads("asit/hall/room0/event")}
            assert len(arrived) >= 7, "alarms arrive while the link goes on flapping"

            def told() -> Counter[str]:
                return Counter(
                    topic
                    for topic, payload, _ in subscriber.messages
                    if payload and topic.endswith(("/config", "/status")) and "available" not in topic
                )

            def complete() -> bool:
                return len(told()) == 1 + 2 * len(SOURCES)

            wait_for(complete, 60, "all of the state, over however many connections")
            # Only what was on its way when the link broke is said twice.
            assert sum(told().values()) < 1.5 * len(told())
        delivery.stop(1)


def test_a_broker_that_remembers_is_told_only_what_is_new(
    tmp_path: Path, tone_bundle: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asit_edge.mqtt.connection.FIRST_PAUSE", 0.1)
    with Proxy(broker.port) as proxy, Subscriber(broker, topic="#") as subscriber:
        delivery = delivering(tmp_path, tone_bundle, proxy.port)
        delivery.start()
        last = "homeassistant/device/asit_edge_hall-box/config"
        wait_for(lambda: subscriber.payloads(last), 20, "the whole state")
        time.sleep(0.5)
        subscriber.messages.clear()
        proxy.cut()
        wait_for(lambda: subscriber.payloads("asit/hall/available"), 10, "offline")
        delivery.status(Status(schema=1, device="hall", source="room3", state="lost", since="2026-01-01T00:00:00.000Z"))
        proxy.open()
        wait_for(lambda: subscriber.payloads("asit/hall/room3/status"), 10, "what is new")
        time.sleep(0.5)
        assert Counter(topic for topic, _, _ in subscriber.messages) == {
            "asit/hall/available": 2,
            "asit/hall/room3/status": 1,
        }
        subscriber.messages.clear()
        broker.kill()
        broker.start()  # it keeps nothing on a disk
        wait_for(lambda: subscriber.payloads(last), 30, "a broker that has forgotten everything is told everything")
        delivery.stop(1)

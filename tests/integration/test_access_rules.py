"""The access rules in docs/security.md, in a real mosquitto: each account can do what it is for, and nothing else."""

import queue
import re
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from asit_edge.config.root import Config
from asit_edge.deliver.delivery import Delivery
from asit_edge.deliver.reported import reported, starting_state
from asit_edge.model.bundle import load_bundle
from asit_edge.mqtt.discovery import Home, Layout, discovery
from asit_edge.mqtt.entities import SourceFacts
from asit_edge.mqtt.topics import Topics
from tests.conftest import ROOT
from tests.integration.mosquitto import PASSWORD, Mosquitto, Subscriber, wait_for

DEVICE, DASHBOARD, OPERATOR, HOME = "hall", "dashboard", "operator", "homeassistant"
MINE, OTHERS = Topics("asit", "hall"), Topics("asit", "attic")
RENAMED = "hall formerly attic"
DENIED = 135


def recipes() -> dict[str, str]:
    """The rules of each user as the page has them."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^```\nuser ([\w ]+)\n(.*?)\n```$", text, flags=re.MULTILINE | re.DOTALL))


class Account:
    """A client with one of the accounts: what it may publish, and what reaches it."""

    def __init__(self, broker: Mosquitto, user: str, *filters: str) -> None:
        self._answers: queue.Queue[int] = queue.Queue()
        self._subscribed: queue.Queue[bool] = queue.Queue()
        self.topics: list[str] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.username_pw_set(user, PASSWORD)
        self._client.on_publish = lambda _client, _data, _mid, reason, _properties: self._answers.put(reason.value)
        self._client.on_subscribe = lambda *_: self._subscribed.put(True)
        self._client.on_message = lambda _client, _data, message: self.topics.append(message.topic)
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        for one in filters:
            self._client.subscribe(one, qos=1)
            assert self._subscribed.get(timeout=10)

    def may_publish(self, topic: str) -> bool:
        self._client.publish(topic, "x", qos=1)
        return self._answers.get(timeout=10) != DENIED

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    users = {user: rules for user, rules in recipes().items() if user != RENAMED}
    broker = Mosquitto(tmp_path / "broker", users)
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def of_a_device(tone_bundle: Path) -> list[str]:
    """Every topic that a device writes."""
    config = Config.model_validate({"device": "hall", "mqtt": {"host": "x"}, "model": tone_bundle})
    manifest = load_bundle(tone_bundle).manifest
    known = reported(config, manifest)
    sources = {"microphone": SourceFacts("microphone", known.names, known.names)}
    layouts: list[Layout] = ["device", "entities"]
    return [
        *(topic for topic, _ in starting_state(MINE, known, "now")),
        *(topic for layout in layouts for topic in discovery(Home("homeassistant", layout, "model 1"), MINE, sources)),
        MINE.available,
        MINE.health,
        MINE.identity,
        *(kind("microphone") for kind in (MINE.event, MINE.gap, MINE.level, MINE.last)),
    ]


def test_access_rules_give_each_what_it_needs(broker: Mosquitto, of_a_device: list[str]) -> None:
    device = Account(broker, DEVICE, MINE.commands, "homeassistant/status", "#")
    dashboard = Account(broker, DASHBOARD, "#")
    operator = Account(broker, OPERATOR, "#")
    home = Account(broker, HOME, "#")
    names = ("listen", "snooze", "threshold/dog", "report/dog", "snooze/dog")
    commands = [MINE.command("microphone", name) for name in names]
    try:
        assert [topic for topic in of_a_device if not device.may_publish(topic)] == []
        assert device.may_publish(MINE.error("microphone"))
        assert [operator.may_publish(topic) for topic in commands] == [True] * len(commands)
        assert [home.may_publish(topic) for topic in commands[:3]] == [True] * 3
        assert home.may_publish("homeassistant/status")
        wait_for(
            lambda: {*commands, "homeassistant/status", MINE.identity} <= set(device.topics),
            10,
            "commands, the birth and whoever has its name reach the device",
        )
        heard = {topic for topic in of_a_device if topic.startswith("asit/")} - {MINE.identity}
        wait_for(lambda: heard <= set(dashboard.topics), 10, "a subscriber reads all that was heard")
        wait_for(lambda: MINE.error("microphone") in operator.topics, 10, "an operator reads answers")
        wait_for(lambda: set(of_a_device) <= set(home.topics), 10, "Home Assistant reads the discovery")
        for account in (device, dashboard, operator, home):
            assert not account.may_publish(OTHERS.event("microphone")), "nobody speaks for another device"
            assert not account.may_publish(OTHERS.identity)
            assert not account.may_publish("elsewhere")
        for account in (dashboard, operator, home):
            assert not account.may_publish(MINE.event("microphone"))
            assert not account.may_publish(MINE.available)
        assert not dashboard.may_publish(commands[0])
        assert not device.may_publish(OTHERS.command("microphone", "listen"))
        assert not operator.may_publish(MINE.command("microphone", "threshold/dog/more"))
        known = {*commands, "homeassistant/status", MINE.identity}
        assert set(device.topics) == known, "it reads nobody's events"
        assert not any("/set/" in topic or topic.startswith("homeassistant") for topic in dashboard.topics)
    finally:
        for account in (device, dashboard, operator, home):
            account.close()


def test_a_device_that_was_renamed_may_take_its_topics_with_it(
    tmp_path: Path, tone_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = recipes()
    broker = Mosquitto(tmp_path / "broker", {DEVICE: f"{rules[DEVICE]}\n{rules[RENAMED]}", HOME: rules[HOME]})
    broker.start()
    monkeypatch.setenv("ASIT_EDGE_MQTT_PASSWORD", PASSWORD)

    def delivering(device: str) -> Delivery:
        settings = {
            "device": device,
            "mqtt": {"host": "127.0.0.1", "port": broker.port, "username": DEVICE},
            "store": {"path": tmp_path / "events.db"},
        }
        return Delivery(Config.model_validate(settings), load_bundle(tone_bundle).manifest)

    def kept(*names: str) -> bool:
        """Whether the broker keeps these, and nothing else of a device."""
        with Subscriber(broker, HOME) as subscriber:
            time.sleep(0.3)
            own = {topic for topic, _, retained in subscriber.messages if retained}
        devices = {re.sub(r"^asit/(\w+)/.*|.*/asit_edge_(\w+)(-[\w-]+)?/.*", r"\1\2", topic) for topic in own}
        return devices == set(names)

    try:
        before = delivering("attic")
        before.start()
        before.stop(20)
        assert kept("attic")
        renamed = delivering("hall")
        renamed.start()
        wait_for(lambda: kept("hall"), 30, "what lay under the old name has gone")
        renamed.stop(20)
    finally:
        broker.kill()

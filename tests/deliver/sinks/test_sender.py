"""What goes to a broker in which order, and what its answers lead to; the broker is a list here."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from asit_edge.config.delivery import Mqtt
from asit_edge.deliver.sinks.sender import IN_FLIGHT, Sender
from asit_edge.mqtt.connection import Limits
from asit_edge.store.store import Store
from tests.store.samples import TO_MQTT, event

SUCCESS, NOT_AUTHORISED, QUOTA = (
    ReasonCode(PacketTypes.PUBACK, name) for name in ("Success", "Not authorized", "Quota exceeded")
)


class Broker:
    """A `Connection` that notes what is published."""

    where = "broker:1883"

    def __init__(self) -> None:
        self.up = True
        self.sent: list[tuple[str, str, bool]] = []
        self.properties_of: list[dict[str, Any]] = []
        self.given_up: list[str] = []

    def properties(self, **properties: Any) -> dict[str, Any]:
        return properties

    def publish(
        self, topic: str, payload: str, qos: int = 1, *, retain: bool = False, properties: dict[str, Any]
    ) -> int:
        self.sent.append((topic, payload, retain))
        self.properties_of.append(properties)
        return len(self.sent)

    def renew(self, problem: str) -> None:
        self.given_up.append(problem)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "events.db", sinks=TO_MQTT)


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def sender(store: Store, broker: Broker) -> Sender:
    return Sender(Mqtt(host="broker", backlog_rate=20), "asit/hall", store, broker)  # type: ignore[arg-type]


def ids(broker: Broker) -> list[str]:
    return [json.loads(payload)["id"] for topic, payload, _ in broker.sent if topic.endswith("/event")]


def test_nothing_is_sent_without_a_connection(store: Store, broker: Broker, sender: Sender) -> None:
    store.commit([event(0)], "mic/event")
    sender.send_level("asit/hall/mic/level", "{}")
    assert not sender.send()
    assert broker.sent == []


def test_events_go_first_in_order_until_enough_is_on_its_way_and_state_follows(
    store: Store, broker: Broker, sender: Sender
) -> None:
    store.commit([event(number) for number in range(30)], "mic/event")
    sender.state.update("asit/hall/mic/status", "listening")
    sender.up(Limits(IN_FLIGHT, None))
    assert not sender.send()
    assert ids(broker) == [f"id-{number}" for number in range(IN_FLIGHT)]
    assert len(broker.sent) == IN_FLIGHT
    for number in range(1, IN_FLIGHT + 1):
        sender.acknowledged(number, SUCCESS)
    assert not sender.send()
    for number in range(IN_FLIGHT + 1, len(broker.sent) + 1):
        sender.acknowledged(number, SUCCESS)
    sender.settle()
    assert sender.send(), "the broker has everything"
    assert ids(broker) == [f"id-{number}" for number in range(30)]
    assert broker.sent[30] == ("asit/hall/mic/status", "listening", True)
    assert store.count_waiting() == 0


def test_an_alarm_does_not_wait_behind_state(store: Store, broker: Broker, sender: Sender) -> None:
    for number in range(300):
        sender.state.update(f"asit/hall/mic/sound/{number}", "OFF")
    sender.up(Limits(IN_FLIGHT, None))
    sender.send()
    store.commit([event(0)], "mic/event")
    sender.acknowledged(1, SUCCESS)
    sender.send()
    assert broker.sent[IN_FLIGHT][0] == "asit/hall/mic/event"


def test_what_was_not_acknowledged_is_sent_again_over_the_next_connection(
    store: Store, broker: Broker, sender: Sender
) -> None:
    store.commit([event(0), event(1)], "mic/event")
    sender.up(Limits(IN_FLIGHT, None))
    sender.send()
    sender.acknowledged(1, SUCCESS)
    sender.down()
    sender.acknowledged(2, SUCCESS)  # of a connection that is gone: no proof of anything
    sender.up(Limits(IN_FLIGHT, None))
    sender.send()
    assert ids(broker) == ["id-0", "id-1", "id-1"]


def test_what_is_refused_for_good_is_kept_and_blocks_nothing(
    store: Store, broker: Broker, sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    store.commit([event(number) for number in range(3)], "mic/event")
    sender.up(Limits(IN_FLIGHT, None))
    sender.send()
    with caplog.at_level(logging.ERROR):
        for number, reason in ((1, NOT_AUTHORISED), (2, NOT_AUTHORISED), (3, SUCCESS)):
            sender.acknowledged(number, reason)
    sender.settle()
    assert sender.send()
    assert store.refusals() == [("mqtt", "mic/event", "Not authorized")] * 2
    assert caplog.text.count("refuses a message for good") == 1, "logged once"


def test_what_is_too_large_is_not_sent(store: Store, broker: Broker, sender: Sender) -> None:
    store.commit([event(0), event(1).model_copy(update={"label": "x" * 600}), event(2)], "mic/event")
    sender.up(Limits(IN_FLIGHT, 900))
    sender.send()
    assert ids(broker) == ["id-0", "id-2"]
    assert store.refusals() == [("mqtt", "mic/event", "larger than the broker takes (900 bytes)")]


def test_what_is_not_taken_now_is_tried_again_with_all_that_follows(
    store: Store, broker: Broker, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asit_edge.deliver.sinks.sender.RETRY_AFTER", 0.0)
    store.commit([event(0), event(1)], "mic/event")
    sender.up(Limits(IN_FLIGHT, None))
    sender.send()
    sender.acknowledged(1, QUOTA)
    assert not sender.send()
    assert len(broker.sent) == 2, "the other one has to be answered first"
    sender.acknowledged(2, QUOTA)
    sender.send()
    assert ids(broker) == ["id-0", "id-1"] * 2


def test_a_broker_that_answers_nothing_is_given_up(
    store: Store, broker: Broker, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.commit([event(0)], "mic/event")
    sender.up(Limits(IN_FLIGHT, None))
    sender.send()
    assert broker.given_up == []
    monkeypatch.setattr("asit_edge.deliver.sinks.sender.ACK_SECONDS", -1.0)
    sender.send()
    assert broker.given_up == ["acknowledges nothing; connecting anew"]


def test_a_backlog_waits_for_its_rate_and_new_messages_do_not(
    store: Store, broker: Broker, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asit_edge.deliver.sinks.sender.FRESH_SECONDS", -1.0)
    store.commit([event(number) for number in range(30)], "mic/event")
    sender.up(Limits(IN_FLIGHT, None))
    store.commit([event(30)], "mic/event")
    sender.send()
    assert ids(broker) == ["id-30"]
    assert broker.properties_of[0]["user"] == []
    sender.acknowledged(1, SUCCESS)
    assert sender.waits_for_rate
    monkeypatch.setattr("asit_edge.deliver.sinks.sender.time.monotonic", lambda: 1e9)
    assert not sender.send()
    assert ids(broker)[1:] == [f"id-{number}" for number in range(5)], "a quarter of a second's worth"
    assert all(json.loads(payload)["replayed"] for _, payload, _ in broker.sent[1:])
    assert broker.properties_of[1]["user"] == [("replayed", "true")]


def test_a_message_on_which_connections_break_is_found_and_refused(
    store: Store, broker: Broker, sender: Sender
) -> None:
    store.commit([event(number) for number in range(3)], "mic/event")
    for _ in range(20):
        sender.up(Limits(IN_FLIGHT, None))
        before = len(broker.sent)
        for number in range(before, before + 9):
            sender.send()
            if number >= len(broker.sent) or ids(broker)[number] == "id-1":
                break
            sender.acknowledged(number + 1, SUCCESS)
            sender.settle()
        sender.down()
    [refusal] = store.refusals()
    assert "closed the connection on it" in refusal.reason
    assert store.count_waiting() == 0


def test_topics_of_earlier_runs_are_emptied_and_then_forgotten(store: Store, broker: Broker, sender: Sender) -> None:
    store.remember_retained({"asit/hall/old/status"})
    sender.state.update("asit/hall/mic/status", "listening")
    sender.clear_old_topics()
    assert store.retained() == {"asit/hall/old/status", "asit/hall/mic/status"}
    sender.up(Limits(IN_FLIGHT, None))
    sender.send()
    assert broker.sent == [("asit/hall/old/status", "", True), ("asit/hall/mic/status", "listening", True)]
    sender.acknowledged(1, SUCCESS)
    assert store.retained() == {"asit/hall/mic/status"}


def acknowledge_all(broker: Broker, sender: Sender, reasons: dict[str, ReasonCode], done: int) -> int:
    for number in range(done + 1, len(broker.sent) + 1):
        sender.acknowledged(number, reasons.get(broker.sent[number - 1][0], SUCCESS))
    return len(broker.sent)


def test_what_access_rules_denied_follows_when_they_allow_it(
    store: Store,
    broker: Broker,
    sender: Sender,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("asit_edge.deliver.sinks.denials.FIRST_PATIENCE", 0.0)
    denied = {"asit/hall/mic/event": NOT_AUTHORISED}
    store.commit([event(number) for number in range(5)], "mic/event")
    sender.up(Limits(IN_FLIGHT, None))
    sender.send()
    done = acknowledge_all(broker, sender, denied, 0)
    assert sender.send()
    assert store.refused == 5
    assert "its access rules deny mic/event" in sender.problem
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1

    sender.down()
    sender.up(Limits(IN_FLIGHT, None))  # still denied: one is tried, and kept
    sender.send()
    assert len(broker.sent) == done + 1
    done = acknowledge_all(broker, sender, denied, done)
    assert (sender.send(), store.refused) == (True, 5)

    store.commit([event(5)], "mic/event")  # the rules have changed
    sender.send()
    done = acknowledge_all(broker, sender, {}, done)
    sender.send()
    acknowledge_all(broker, sender, {}, done)
    sender.settle()
    assert sender.send()
    assert sorted(ids(broker)[-5:]) == [f"id-{number}" for number in range(5)]
    assert (store.refused, store.count_waiting(), sender.problem) == (0, 0, "")


def test_a_new_run_knows_what_was_denied(store: Store, broker: Broker, sender: Sender) -> None:
    store.commit([event(0), event(1)], "mic/event")
    for row in store.waiting("mqtt", 0, 10):
        store.refuse(row.row, "Not authorized")
    again = Sender(Mqtt(host="broker"), "asit/hall", store, broker)  # type: ignore[arg-type]
    assert "deny mic/event" in again.problem
    again.up(Limits(IN_FLIGHT, None))
    again.send()
    assert ids(broker) == ["id-0"]
    again.acknowledged(1, SUCCESS)
    again.send()
    again.acknowledged(2, SUCCESS)
    again.settle()
    assert ids(broker) == ["id-0", "id-1"]
    assert (store.refused, store.count_waiting()) == (0, 0)

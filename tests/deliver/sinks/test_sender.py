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
from tests.deliver.stopped import Clock
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
        self.qos: list[int] = []
        self.given_up: list[str] = []

    def properties(self, **properties: Any) -> dict[str, Any]:
        return properties

    def publish(
        self, topic: str, payload: str, qos: int = 1, *, retain: bool = False, properties: dict[str, Any]
    ) -> int:
        self.sent.append((topic, payload, retain))
        self.properties_of.append(properties)
        self.qos.append(qos)
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


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("asit_edge.deliver.sinks.sender.time", clock)
    monkeypatch.setattr("asit_edge.store.store.time", clock)
    monkeypatch.setattr("asit_edge.deliver.sinks.sender.random.uniform", lambda low, _high: low)
    return clock


@pytest.fixture
def timed(clock: Clock, store: Store, broker: Broker) -> Sender:
    """A sender on that clock."""
    return Sender(Mqtt(host="broker", backlog_rate=20, expiry=77), "asit/hall", store, broker)  # type: ignore[arg-type]


def test_a_level_is_sent_at_once_or_never_and_soon_expires(store: Store, broker: Broker, sender: Sender) -> None:
    sender.up(Limits(IN_FLIGHT, None))
    sender.send_level("asit/hall/mic/level", "{}")
    assert broker.sent == [("asit/hall/mic/level", "{}", False)]
    assert broker.properties_of == [{"expiry": 10, "json": True}]
    assert broker.qos == [0]
    assert sender.send(), "nobody waits for an answer"
    sender.down()
    sender.send_level("asit/hall/mic/level", "{}")
    assert len(broker.sent) == 1


def test_events_expire_as_configured_and_states_never(store: Store, broker: Broker, timed: Sender) -> None:
    store.commit([event(0)], "mic/event")
    timed.state.update("asit/hall/mic/status", '{"state": "listening"}')
    timed.state.update("asit/hall/mic/sound/dog", "OFF")
    timed.up(Limits(IN_FLIGHT, None))
    timed.send()
    assert broker.properties_of == [{"expiry": 77, "json": True, "user": []}, {"json": True}, {"json": False}]
    assert broker.qos == [1, 1, 1]
    assert [retain for _, _, retain in broker.sent] == [False, True, True]


def test_a_connection_that_has_just_gone_is_not_sent_to(store: Store, broker: Broker, sender: Sender) -> None:
    store.commit([event(0)], "mic/event")
    sender.up(Limits(IN_FLIGHT, None))
    broker.up = False
    assert not sender.send()
    assert broker.sent == []


def test_a_message_is_too_large_only_beyond_what_the_broker_takes(store: Store, broker: Broker, sender: Sender) -> None:
    [written] = store.commit([event(0).model_copy(update={"label": "Klänge"})], "mic/event")
    size = len(b"asit/hall/mic/event") + len(written.to_json().encode()) + 256
    sender.up(Limits(IN_FLIGHT, size))
    sender.send()
    assert ids(broker) == ["id-0"]
    sender.down()
    sender.up(Limits(IN_FLIGHT, size - 1))
    sender.send()
    assert [one.reason for one in store.refusals()] == [f"larger than the broker takes ({size - 1} bytes)"]
    assert sender.send(), "nothing is left"


def test_no_more_is_on_its_way_than_the_broker_takes(store: Store, broker: Broker, sender: Sender) -> None:
    store.commit([event(0), event(1)], "mic/event")
    for number in range(4):
        sender.state.update(f"asit/hall/mic/sound/{number}", "OFF")
    sender.up(Limits(3, None))
    for number, on_their_way in ((1, 3), (2, 4), (3, 5), (4, 6)):
        sender.send()
        assert len(broker.sent) == on_their_way
        sender.acknowledged(number, SUCCESS)


def test_after_a_refusal_for_now_all_begins_anew_a_few_seconds_later(
    clock: Clock, store: Store, broker: Broker, timed: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    store.commit([event(0)], "mic/event")
    timed.state.update("asit/hall/mic/status", "listening")
    timed.up(Limits(IN_FLIGHT, None))
    timed.send()
    timed.acknowledged(1, QUOTA)
    timed.acknowledged(2, QUOTA)
    clock.now += 3.7
    assert not timed.send()
    assert len(broker.sent) == 2
    clock.now += 0.1  # three quarters of five seconds, at least
    timed.send()
    assert broker.sent[2:] == broker.sent[:2]
    store.commit([event(1)], "mic/event")
    timed.send()
    assert ids(broker)[2:] == ["id-1"], "what comes now does not wait for the answers"
    assert caplog.text.count("did not take a message (Quota exceeded); trying again") == 2


def test_a_broker_has_twenty_seconds_to_answer(clock: Clock, store: Store, broker: Broker, timed: Sender) -> None:
    store.commit([event(0)], "mic/event")
    timed.up(Limits(IN_FLIGHT, None))
    timed.send()
    for clock.now, given_up in ((1020.0, 0), (1020.1, 1)):
        assert not timed.send()
        assert len(broker.given_up) == given_up


def test_what_has_waited_for_a_minute_goes_behind_what_has_not(
    clock: Clock, store: Store, broker: Broker, timed: Sender
) -> None:
    store.commit([event(number) for number in range(30)], "mic/event")
    clock.now += 0.1
    store.commit([event(30)], "mic/event")
    clock.now += 59.95
    assert not timed.waits_for_rate, "not even a connection"
    timed.up(Limits(IN_FLIGHT, None))
    timed.send()
    assert ids(broker) == ["id-30"]
    assert not timed.waits_for_rate, "an answer comes first"
    timed.acknowledged(1, SUCCESS)
    assert timed.waits_for_rate
    done = 1
    while not timed.send():
        clock.now += 0.05  # a twentieth of a second for each
        done = acknowledge_all(broker, timed, {}, done)
        timed.settle()
    assert ids(broker)[1:] == [f"id-{number}" for number in range(30)]
    assert clock.now - 1060.05 == pytest.approx(31 / 20, abs=0.11), "at its rate"
    assert not timed.waits_for_rate
    assert store.count_waiting() == 0


def test_a_backlog_leaves_room_for_new_messages(clock: Clock, store: Store, broker: Broker, timed: Sender) -> None:
    store.commit([event(number) for number in range(50)], "mic/event")
    clock.now += 61.0
    timed.up(Limits(7, None))
    clock.now += 10.0
    timed.send()
    assert ids(broker) == ["id-0", "id-1"], "of seven, five are left to what is new"
    store.commit([event(50 + number) for number in range(9)], "mic/event")
    timed.send()
    assert ids(broker)[2:] == [f"id-{50 + number}" for number in range(5)]


def test_what_was_overlooked_while_the_disk_could_not_be_read_is_sent_in_the_end(
    store: Store, broker: Broker, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender.up(Limits(IN_FLIGHT, None))
    store.commit([event(0), event(1)], "mic/event")
    waiting = store.waiting
    with monkeypatch.context() as patch:
        patch.setattr(store, "waiting", lambda *which: waiting(*which)[1:])  # memory alone
        sender.send()
    assert ids(broker) == ["id-1"]
    sender.acknowledged(1, SUCCESS)
    sender.settle()
    assert not sender.send()
    sender.send()
    assert ids(broker) == ["id-1", "id-0"]


def test_what_is_suspected_to_break_connections_goes_alone_and_is_refused_in_the_end(
    clock: Clock, store: Store, broker: Broker, timed: Sender
) -> None:
    store.commit([event(number) for number in range(40)], "mic/event")
    clock.now += 100.0  # a backlog, even
    for attempt in range(7):
        timed.up(Limits(IN_FLIGHT, None))
        clock.now += 10.0
        before = len(broker.sent)
        timed.send()
        assert len(broker.sent) - before == (1 if attempt else 5)
        clock.now += 2.0
        timed.down()
        assert len(store.refusals()) == (attempt == 6)
    assert store.refusals()[0].reason == "the broker closed the connection on it, 6 times"
    done = len(broker.sent)
    timed.up(Limits(IN_FLIGHT, None))
    clock.now += 10.0
    timed.send()
    timed.acknowledged(done + 1, SUCCESS)
    timed.send()
    assert len(broker.sent) == done + 2, "still one by one, for a while"
    assert ids(broker)[done:] == ["id-1", "id-2"]


def test_a_connection_that_ends_long_after_the_last_message_is_no_messages_fault(
    clock: Clock, store: Store, broker: Broker, timed: Sender
) -> None:
    store.commit([event(0)], "mic/event")
    for _ in range(9):
        timed.up(Limits(IN_FLIGHT, None))
        timed.send()
        clock.now += 2.1
        timed.down()
    assert store.refusals() == []


def test_a_broker_that_remembers_is_told_only_what_is_new_and_after_a_minute_all_of_it(
    clock: Clock, store: Store, broker: Broker, timed: Sender
) -> None:
    topics = [f"asit/hall/mic/sound/{number}" for number in range(3)]
    for topic in topics:
        timed.state.update(topic, "OFF")
    timed.up(Limits(IN_FLIGHT, None))
    timed.send()
    done = acknowledge_all(broker, timed, {}, 0)
    clock.now += 100.0
    assert timed.send()
    assert len(broker.sent) == 3, "of itself, a broker that forgot has just been told everything"
    timed.down()
    timed.state.update(topics[1], "ON")
    timed.up(Limits(IN_FLIGHT, None, remembers=True))
    timed.send()
    assert [topic for topic, _, _ in broker.sent[3:]] == [topics[1]]
    done = acknowledge_all(broker, timed, {}, done)
    clock.now += 59.9
    assert timed.send()
    assert len(broker.sent) == 4
    clock.now += 0.1
    for number in (5, 6, 7):
        timed.send()
        assert len(broker.sent) == number, "one at a time, behind everything else"
        timed.send()
        assert len(broker.sent) == number
        done = acknowledge_all(broker, timed, {}, done)
    assert {topic: payload for topic, payload, _ in broker.sent[4:]} == dict(
        zip(topics, ("OFF", "ON", "OFF"), strict=True)
    )
    clock.now += 1000.0
    assert timed.send()
    assert len(broker.sent) == 7, "once"


def test_a_state_that_was_on_its_way_is_sent_again_and_counts_once_it_is_answered(
    store: Store, broker: Broker, sender: Sender
) -> None:
    sender.state.update("asit/hall/mic/status", "listening")
    for remembers, sent in ((False, 1), (True, 2), (True, 2)):
        sender.up(Limits(IN_FLIGHT, None, remembers=remembers))
        sender.send()
        assert len(broker.sent) == sent
        if remembers:
            sender.acknowledged(sent, SUCCESS)
        sender.down()


def test_what_was_denied_for_long_is_marked_when_it_follows(
    clock: Clock, store: Store, broker: Broker, timed: Sender
) -> None:
    store.commit([event(0), event(1)], "mic/event")
    timed.up(Limits(IN_FLIGHT, None))
    timed.send()
    done = acknowledge_all(broker, timed, {"asit/hall/mic/event": NOT_AUTHORISED}, 0)
    clock.now += 300.0
    store.commit([event(2)], "mic/event")
    while not timed.send():
        clock.now += 0.1
        done = acknowledge_all(broker, timed, {}, done)
        timed.settle()
    assert ids(broker)[2:] == ["id-2", "id-0", "id-1"]
    assert [json.loads(payload)["replayed"] for _, payload, _ in broker.sent[2:]] == [False, True, True]


def test_a_state_that_is_refused_is_said_once_for_all_labels_and_sent_again_when_it_changes(
    store: Store, broker: Broker, sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    topics = [f"asit/hall/{where}" for where in ("mic/sound/cat", "mic/sound/dog", "yard/sound/dog", "mic/status")]
    for topic in topics:
        sender.state.update(topic, "OFF")
    sender.up(Limits(IN_FLIGHT, None))
    sender.send()
    for number in (1, 2, 3, 4):
        sender.acknowledged(number, NOT_AUTHORISED)
    assert sender.send()
    assert [message.rsplit(" ", 1)[1] for message in caplog.messages] == [topics[0], topics[2], topics[3]]
    assert (sender.problem, store.refusals()) == ("", []), "it is no message that is kept"
    sender.state.update(topics[0], "ON")
    sender.send()
    assert broker.sent[4:] == [(topics[0], "ON", True)]


def test_a_denial_is_said_again_when_it_comes_back(
    clock: Clock, store: Store, broker: Broker, timed: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    timed.up(Limits(IN_FLIGHT, None))
    done = 0
    for reasons in ({"asit/hall/mic/event": NOT_AUTHORISED}, {}, {"asit/hall/mic/event": NOT_AUTHORISED}):
        store.commit([event(0)], "mic/event")
        clock.now += 30.0
        while not timed.send():
            done = acknowledge_all(broker, timed, reasons, done)
            timed.settle()
    assert [record.levelno for record in caplog.records].count(logging.ERROR) == 2


def test_old_topics_that_are_this_devices_are_emptied_and_others_stay(
    store: Store, broker: Broker, sender: Sender
) -> None:
    store.remember_retained({"asit/hall/old/status", "asit/yard/old/status"})
    sender.clear_old_topics({"asit/hall/old/status"})
    assert store.retained() == {"asit/hall/old/status"}
    sender.up(Limits(IN_FLIGHT, None))
    sender.send()
    assert broker.sent == [("asit/hall/old/status", "", True)]


def test_whoever_asks_is_told_what_the_broker_has_taken_and_nothing_else(store: Store, broker: Broker) -> None:
    taken: list[str] = []
    sender = Sender(Mqtt(host="broker"), "asit/hall", store, broker, (), taken.append)  # type: ignore[arg-type]
    store.commit([event(number) for number in range(3)], "mic/event")
    sender.state.update("asit/hall/mic/status", "listening")
    sender.up(Limits(IN_FLIGHT, None))
    sender.send()
    assert taken == []
    for number, reason in ((1, SUCCESS), (2, NOT_AUTHORISED), (3, QUOTA), (4, SUCCESS), (1, SUCCESS)):
        sender.acknowledged(number, reason)
    assert [json.loads(payload)["id"] for payload in taken] == ["id-0"]

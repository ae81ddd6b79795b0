"""What the listening loop's words lead to: states, messages, health; the broker's connection is a list here."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asit_edge.adjust.adjustments import AS_CONFIGURED
from asit_edge.adjust.effect import report
from asit_edge.config.root import Config
from asit_edge.deliver.delivery import Delivery, Remains
from asit_edge.messages.event import Event
from asit_edge.messages.report import DeviceIdentity, Level, Status
from asit_edge.model.bundle import Manifest, load_bundle
from asit_edge.mqtt.connection import Message
from asit_edge.store.store import Store
from asit_edge.store.wishes import leave
from tests.deliver.stopped import Clock
from tests.integration.mosquitto import wait_for
from tests.store.samples import event, gap

SOURCES = [{"type": "file", "name": name, "path": "never-opened.wav"} for name in ("mic", "yard")]
SOUND = "asit/hall/mic/sound/low_tone"


class Sink:
    """Stands for `MqttSink`: notes what it is told, in order, and takes its time to stop."""

    problem: str | None = None
    refusal = ""
    up = True

    def __init__(self, _settings: object, _topics: object, _store: object, **more: Any) -> None:
        self.subscriptions, self.on_message = more["subscriptions"], more["on_message"]
        self.told: list[tuple[Any, ...]] = []
        self.reached = True
        self.attempt_takes = 0.0
        self.clock: Clock | None = None

    def start(self) -> None:
        self.told.append(("start",))

    def wake(self) -> None:
        self.told.append(("wake",))

    def set_state(self, topic: str, payload: str) -> None:
        self.told.append(("state", topic, payload))

    def publish(self, topic: str, payload: str, *, qos: int = 1) -> None:
        self.told.append(("publish", topic, payload, qos))

    def resend_state(self) -> None:
        self.told.append(("resend",))

    def begin_anew(self) -> None:
        self.told.append(("anew",))

    def clear_old_topics(self, kept: set[str]) -> None:
        self.told.append(("clear", kept))

    def retire(self, topics: set[str]) -> None:
        self.told.append(("retire", topics))

    def first_attempt(self, seconds: float) -> bool:
        self.told.append(("attempt", seconds))
        if self.clock:
            self.clock.now += self.attempt_takes
        return self.reached

    def drain(self, seconds: float) -> bool:
        self.told.append(("drain", seconds))
        return True

    def stop(self) -> None:
        self.problem = None
        self.told.append(("stop",))

    def states(self, topic: str) -> list[str]:
        return [one[2] for one in self.told if one[:2] == ("state", topic)]

    def kinds(self) -> list[str]:
        return [one[0] for one in self.told]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("asit_edge.deliver.delivery.time", clock)
    return clock


@pytest.fixture(autouse=True)
def a_broker_that_is_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asit_edge.deliver.changing.MqttSink", Sink)


@pytest.fixture
def model(tone_bundle: Path) -> Manifest:
    return load_bundle(tone_bundle).manifest


class Device:
    """A delivery, its broker, and its store's file."""

    def __init__(self, folder: Path, model: Manifest, **more: Any) -> None:
        self.path = folder / "events.db"
        config = {"device": "hall", "sources": SOURCES, "mqtt": {"host": "broker"}, "store": {"path": str(self.path)}}
        self.delivery = Delivery(Config.model_validate(config | more), model)
        self.broker: Sink = self.delivery._mqtt  # type: ignore[assignment]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.path) as database:
            return database.execute(query).fetchall()

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.broker.states("asit/hall/health")[-1])
        return found


@pytest.fixture
def hall(tmp_path: Path, model: Manifest) -> Iterator[Device]:
    device = Device(tmp_path, model)
    yield device
    device.delivery._stopping.set()


def heard(kind: str, label: str = "low_tone") -> Event:
    return event().model_copy(update={"type": kind, "label": "Low tone", "label_id": label})


def status(source: str, state: str) -> Status:
    return Status.model_validate(
        {"schema": 1, "device": "hall", "source": source, "state": state, "since": "2026-01-01T00:00:00.000Z"}
    )


def test_a_device_is_online_once_it_is_known_what_its_sources_do(hall: Device) -> None:
    hall.delivery.start()
    topics = [one[1] for one in hall.broker.told if one[0] == "state"]
    assert topics[:3] == ["asit/hall/mic/status", "asit/hall/yard/status", "asit/hall/available"]
    assert topics[-2:] == ["asit/hall/identity", "asit/hall/health"]
    assert json.loads(hall.broker.states("asit/hall/mic/status")[0])["state"] == "starting"
    assert hall.broker.states(SOUND) == ["OFF"]
    assert hall.broker.states("asit/hall/available") == ["online"]
    assert hall.broker.kinds()[-2:] == ["clear", "start"], "nothing is sent before all of it is set"
    runs = {"backend": "", "precision": "", "why": "", "fallback": ""}
    assert hall.health() == {"schema": 1, "device": "hall", "problem": "", "dropped": 0, "refused": 0, **runs}
    assert hall.delivery.stop(0) == Remains(0, None)


def test_an_event_is_committed_shown_and_on_its_way_at_once(hall: Device) -> None:
    assert hall.delivery.events("mic", []) == []
    assert hall.broker.told == []
    written = hall.delivery.events("mic", [heard("new"), heard("update"), heard("end")])
    assert [one.seq for one in written] == [1, 2, 3]
    assert hall.broker.states(SOUND) == ["ON", "ON", "OFF"]
    assert hall.broker.states("asit/hall/mic/last") == [written[0].to_json(), written[2].to_json()]
    assert [kind for kind in hall.broker.kinds() if kind != "state"] == ["wake"]
    assert hall.rows("SELECT topic FROM outbox") == [("mic/event",)] * 3


def test_what_an_earlier_run_knew_and_this_one_does_not_is_committed_and_not_shown(hall: Device) -> None:
    hall.delivery.events("mic", [heard("end", label="/m/0bt9lr")])
    hall.delivery.events("cellar", [heard("end")])
    assert hall.broker.told == [("wake",), ("wake",)]
    assert hall.rows("SELECT topic FROM outbox") == [("mic/event",), ("cellar/event",)]
    assert hall.delivery.unfinished() == []
    [begun] = hall.delivery.events("mic", [heard("new").model_copy(update={"id": "begun"})])
    assert hall.delivery.unfinished() == [begun]


def test_gaps_states_levels_and_thresholds_go_where_they_belong(hall: Device) -> None:
    hall.delivery.gap(gap())
    assert hall.rows("SELECT topic, payload FROM outbox") == [("mic/gap", gap().to_json())]
    assert hall.broker.told == [("wake",)]
    hall.broker.told.clear()
    level = Level(schema=1, device="hall", source="yard", dbfs=-40.0, peak_dbfs=-30.0, rms=0.01)
    hall.delivery.level(level)
    hall.delivery.status(status("yard", "lost"))
    hall.delivery.threshold("yard", "High tone", 0.25)
    hall.delivery.threshold("yard", "Tuba", 0.25)
    adjusted = report("hall", "yard", AS_CONFIGURED, [])
    hall.delivery.adjusted(adjusted)
    assert hall.broker.told == [
        ("publish", "asit/hall/yard/level", level.to_json(), 0),
        ("state", "asit/hall/yard/status", status("yard", "lost").to_json()),
        ("state", "asit/hall/yard/threshold/high_tone", "0.25"),
        ("state", "asit/hall/yard/adjusted", adjusted.to_json()),
    ]


def test_without_a_broker_sinks_get_all_of_it_at_once(
    tmp_path: Path, model: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "events.jsonl"
    device = Device(tmp_path, model, mqtt={}, sinks=[{"type": "file", "path": str(file)}])
    delivery = device.delivery
    assert device.broker is None
    delivery.start()
    [worker] = delivery._workers
    woken = threading.Event()
    monkeypatch.setattr(worker, "wake", woken.set)
    delivery.status(status("mic", "listening"))
    delivery.threshold("mic", "Low tone", 0.5)
    delivery.adjusted(report("hall", "mic", AS_CONFIGURED, []))
    delivery.level(Level(schema=1, device="hall", source="mic", dbfs=-40.0, peak_dbfs=-30.0, rms=0.01))
    delivery.gap(gap())
    assert woken.is_set()
    woken.clear()
    delivery.events("mic", [heard("new"), heard("end")])
    assert woken.is_set()
    assert delivery.stop(10) == Remains(0, None)
    assert [json.loads(line)["type"] for line in file.read_text().splitlines()] == ["new", "end"]
    assert not worker._thread.is_alive()
    assert not delivery._tending.is_alive()
    Store(device.path).close()  # it is free


@pytest.mark.parametrize(("takes", "reached", "expected"), [(3.0, True, [7.0]), (12.0, True, [0.0]), (3.0, False, [])])
def test_at_the_end_the_broker_has_what_is_left_of_the_time(
    hall: Device, clock: Clock, takes: float, reached: bool, expected: list[float]
) -> None:
    hall.broker.clock, hall.broker.attempt_takes, hall.broker.reached = clock, takes, reached
    hall.broker.problem = "it is away"
    hall.delivery.events("mic", [heard("new")])
    hall.broker.told.clear()
    assert hall.delivery.stop(10.0) == Remains(1, "it is away"), "as it was before the connection was closed"
    assert hall.broker.told == [("attempt", 10.0), *(("drain", seconds) for seconds in expected), ("stop",)]


@pytest.mark.parametrize(("takes", "left"), [(4.0, 6.0), (11.0, 0.0)])
def test_at_the_end_sinks_have_what_the_broker_has_left(
    tmp_path: Path, model: Manifest, clock: Clock, monkeypatch: pytest.MonkeyPatch, takes: float, left: float
) -> None:
    sinks = [{"type": "file", "path": str(tmp_path / "away" / "events.jsonl")}]
    device = Device(tmp_path, model, sinks=sinks)
    device.broker.clock, device.broker.attempt_takes = clock, takes
    [worker] = device.delivery._workers
    given = []
    monkeypatch.setattr(worker, "drain", given.append)
    device.delivery.start()
    device.delivery.events("mic", [heard("new")])
    wait_for(lambda: worker.problem, 10, "the folder is not there")
    remains = device.delivery.stop(10.0)
    assert given == [left]
    assert remains.waiting == 2, "for the broker and for the file"
    assert "No such file" in str(remains.problem)


def test_health_is_told_when_it_changes_and_not_otherwise(hall: Device) -> None:
    told = []
    for _ in range(2):
        hall.delivery._show_health()
        told.append(len(hall.broker.states("asit/hall/health")))
    hall.delivery.events("mic", [heard("new")])
    hall.delivery._store.refuse(1, "Not authorized")
    hall.broker.refusal = "its rules deny mic/event"
    hall.delivery._store._disk.database.execute("PRAGMA query_only=ON")  # type: ignore[union-attr]
    hall.delivery.events("mic", [heard("end")])
    for _ in range(2):
        hall.delivery._show_health()
        told.append(len(hall.broker.states("asit/hall/health")))
    assert told == [1, 1, 2, 2]
    first, _, second = hall.health()["problem"].partition("; ")
    assert first.startswith("store.path")
    assert second == "its rules deny mic/event"
    assert hall.health()["refused"] == 1


def test_what_the_disk_did_not_take_is_written_and_told_once_it_does(
    hall: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asit_edge.deliver.delivery.TEND_SECONDS", 0.01)
    monkeypatch.setattr("asit_edge.store.disk.RETRY_DISK", 0.0)
    database = hall.delivery._store._disk.database
    assert database is not None
    database.execute("PRAGMA query_only=ON")
    hall.delivery.events("mic", [heard("new")])
    hall.delivery.start()
    assert "readonly" in hall.health()["problem"]
    assert "readonly" in str(hall.delivery._condition.undelivered)
    database.execute("PRAGMA query_only=OFF")
    wait_for(lambda: not hall.health()["problem"], 10, "it is well again")
    assert hall.rows("SELECT topic FROM outbox") == [("mic/event",)]
    assert hall.delivery.stop(0) == Remains(1, None)


def test_it_is_tended_once_a_second_until_the_end(hall: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = []

    class Stopping(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout)
            return super().wait(60)

    hall.delivery._stopping = Stopping()
    hall.delivery.start()
    hall.delivery.stop(0)
    assert waits == [1.0]
    assert not hall.delivery._tending.is_alive()


def test_what_is_asked_for_once_more_begins_anew_where_it_is_the_brokers(
    tmp_path: Path, model: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asit_edge.deliver.delivery.TEND_SECONDS", 0.01)
    device = Device(tmp_path, model, sinks=[{"type": "file", "path": str(tmp_path / "events.jsonl")}])
    store = device.delivery._store
    device.delivery.start()
    for sink, anew in (("file", 0), ("mqtt", 1)):
        store.commit([heard("new")], "mic/event")
        for one in store.waiting(sink, 0, 9):
            store.refuse(one.row, "no")
        leave(device.path, sink, None)
        wait_for(lambda: store.refused == 0, 10, "it is queued once more")
        wait_for(lambda anew=anew: device.broker.kinds().count("anew") >= anew, 10, "and sent")
    device.delivery.stop(0)
    assert device.broker.kinds().count("anew") == 1


def test_when_home_assistant_is_born_it_is_told_everything_soon(hall: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = "homeassistant/status"
    assert topic in hall.broker.subscriptions
    spread = []
    monkeypatch.setattr(
        "asit_edge.deliver.home_assistant.random.uniform", lambda low, high: spread.append((low, high)) or low
    )
    for payload, retained, told in ((b"online", True, 0), (b"offline", False, 0), (b"online", False, 1)):
        hall.broker.on_message(Message(topic, payload, retained))
        assert len(spread) == told
    wait_for(lambda: hall.broker.told, 10, "it is told")
    assert spread == [(0, 2.0)], "not by all devices at once"
    assert hall.broker.told == [("resend",)]


def test_without_discovery_nobody_asks_for_home_assistant(tmp_path: Path, model: Manifest) -> None:
    device = Device(tmp_path, model, home_assistant={"discovery": False})
    assert device.broker.subscriptions == ["asit/hall/+/set/#", "asit/hall/identity"]


def test_commands_are_obeyed_or_answered_at_once(hall: Device) -> None:
    hall.broker.on_message(Message("asit/hall/mic/set/listen", b"OFF", False))
    assert hall.broker.told == [("clear", set())], "nothing is left of earlier runs"
    command = hall.delivery.commands.get_nowait()
    assert (command.source, command.name, command.value) == ("mic", "listen", False)
    hall.broker.on_message(Message("asit/hall/mic/set/listen", b"perhaps", False))
    [(_, topic, payload, qos)] = hall.broker.told[1:]
    assert (topic, qos) == ("asit/hall/mic/error", 1)
    assert json.loads(payload)["payload"] == "perhaps"
    assert hall.delivery.commands.empty()


def test_another_device_of_the_same_name_is_answered_and_told_in_health(hall: Device) -> None:
    own = hall.delivery._namesakes.own  # type: ignore[union-attr]
    other = DeviceIdentity(
        schema=1, device="hall", identity="x", run="y", host="attic", since="2026-01-01T00:00:00.000Z"
    )
    for identity in (own, other.to_json()):
        assert hall.broker.states("asit/hall/identity") == []
        hall.broker.on_message(Message("asit/hall/identity", identity.encode(), False))
    assert hall.broker.states("asit/hall/identity") == [own], "so that it knows of us"
    hall.delivery._show_health()
    assert "another device on host 'attic'" in hall.health()["problem"]

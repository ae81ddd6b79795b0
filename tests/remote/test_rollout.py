"""What is wanted from afar is checked, tried, kept or rolled back; nothing else is ever in force."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from asit_edge.config.file import load_with
from asit_edge.config.remote import Record, Wanted, read_record, write_record
from asit_edge.config.root import Config
from asit_edge.errors import WrongUse
from asit_edge.remote import rollout as module
from asit_edge.remote.rollout import Listener, Rollout
from asit_edge.remote.trial import begin_run, roll_back
from tests.integration.mosquitto import wait_for


class Device:
    """A listener that does what it is told, and whose sources are as the test says."""

    def __init__(self, folder: Path) -> None:
        self.file, self.record = folder / "config.yaml", folder / "pushed.json"
        self.file.write_text(
            f"device: hall\nstore: {{path: {folder}/events.db}}\nmqtt: {{host: broker}}\n"
            "sources: [{type: stream, name: yard, url: 'rtsp://x/'}, {type: stdin, name: pipe}]\n"
            "remote: {enabled: true, allow: [events, sources.stall_after, mqtt.expiry], trial_seconds: 5}\n"
        )
        self.states = {"yard": "listening", "pipe": "lost"}
        self.after = self.states
        self.connected = True
        self.problem: str | None = None
        self.restarts = 0
        self.said: list[dict[str, object]] = []
        self.config = self.read(None)
        self.rollout = Rollout(
            self.config.model_copy(update={"remote": self.config.remote.model_copy(update={"trial_seconds": 0.4})}),
            Listener(
                self.read,
                lambda: self.config,
                lambda: self.problem,
                lambda: self.states,
                lambda: self.connected,
                self.reload,
                self.restart,
                lambda text: self.said.append(json.loads(text)),
            ),
        )

    def read(self, wanted: Wanted | None) -> Config:
        return load_with(wanted, self.file, os.environ).config

    def reload(self) -> None:
        wanted = read_record(self.record).wanted
        if not (wanted and wanted.serial == 99):
            self.config = self.read(wanted)
        self.states = self.after if wanted else {"yard": "listening", "pipe": "lost"}

    def restart(self) -> None:
        self.restarts += 1

    def push(self, serial: int, **values: object) -> None:
        self.rollout.offer(json.dumps({"schema": 1, "serial": serial, **values}).encode())

    def becomes(self, serial: int, state: str, reason: str = "") -> None:
        def there() -> bool:
            last = self.said[-1]
            return (last["serial"], last["state"]) == (serial, state) and reason in str(last["reason"])

        wait_for(there, 5, f"{serial} becomes {state}")


@pytest.fixture
def hall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    monkeypatch.setattr(module, "LOOK_EVERY", 0.02)
    device = Device(tmp_path)
    device.rollout.start()
    yield device
    device.rollout.stop()


EXPIRY: dict[str, object] = {"config": {"mqtt": {"expiry": 60}}}


def test_what_is_well_is_kept_and_stays(hall: Device) -> None:
    hall.push(1, **EXPIRY)
    hall.becomes(1, "applied")
    assert hall.config.mqtt.expiry == 60
    assert [one["state"] for one in hall.said] == ["none", "trial", "applied"]
    hall.push(1, **EXPIRY)  # as the broker tells it at every connection
    hall.push(2, config={"sources": {"yard": {"stall_after": 5}}})
    hall.becomes(2, "applied")
    assert (hall.config.mqtt.expiry, hall.config.sources[0].model_dump()["stall_after"]) == (604_800, 5)
    assert len(hall.said) == 5
    hall.push(2, **EXPIRY)
    hall.becomes(2, "refused", "must be higher than 2")
    assert hall.said[-1]["in_force"] == 2
    assert hall.rollout.problem() is not None
    assert oct(hall.record.stat().st_mode & 0o777) == "0o600"


def broken(hall: Device) -> None:
    hall.connected = False


def lost(hall: Device) -> None:
    hall.after = {"yard": "lost", "pipe": "lost"}


@pytest.mark.parametrize(("harm", "why"), [(broken, "the broker is not there"), (lost, "source yard: lost")])
def test_what_does_not_come_back_is_rolled_back(hall: Device, harm: Callable[[Device], None], why: str) -> None:
    hall.push(1, config={"events": {"merge_gap": 2}})
    hall.becomes(1, "applied")
    harm(hall)
    hall.push(2, **EXPIRY)
    hall.becomes(2, "rolled_back", why)
    wait_for(lambda: hall.config.mqtt.expiry == 604_800, 5, "it is as before")
    assert hall.config.events.merge_gap == 2
    assert hall.said[-1]["in_force"] == 1
    assert why in (hall.rollout.problem() or "")


def test_what_the_listener_does_not_take_is_rolled_back_with_its_words(hall: Device) -> None:
    hall.problem = "configuration: not taken: the disk is full"
    hall.push(99, **EXPIRY)
    hall.becomes(99, "rolled_back", "the disk is full")


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"mqtt": {"host": "elsewhere"}}, "mqtt.host: cannot be set from afar here"),
        ({"mqtt": None}, "mqtt: cannot be set from afar here"),
        ({"sources": {"yard": {"options": ["-f", "lavfi"]}}}, "sources.options: cannot be set from afar here"),
        ({"sources": {"yard": {"url": "file:///etc/passwd"}}}, "sources.url: cannot be set from afar here"),
        ({"sources": [{"type": "stream"}]}, "sources: cannot be set from afar here"),
        ({"sources": {"attic": {"stall_after": 5}}}, "there is no source 'attic'"),
        ({"sinks": [{"type": "command", "run": ["sh", "-c", "true"]}]}, "sinks: cannot be set from afar here"),
        ({"remote": {"allow": ["sinks"]}}, "remote.allow: cannot be set from afar here"),
        ({"model": "/tmp/x"}, "model: cannot be set from afar here"),
        ({"store": {"keep": 100}}, "store.keep: cannot be set from afar here"),
        ({"events": {"mergegap": 1}}, "did you mean 'merge_gap'"),
        ({"events": {"only": ["Dgo"]}}, "the model has no label 'Dgo'"),
    ],
)
def test_what_may_not_come_is_refused_and_nothing_changes(hall: Device, config: object, why: str) -> None:
    hall.push(1, config=config)
    hall.becomes(1, "refused", why)
    assert hall.config == hall.read(None)
    assert read_record(hall.record).wanted is None


def test_what_needs_a_restart_gets_one_and_has_one_start(hall: Device) -> None:
    hall.push(1, config={"events": {"interval": 1}})
    hall.becomes(1, "trial")
    wait_for(lambda: hall.restarts == 1, 5, "it is started anew")
    begin_run(hall.record)
    assert read_record(hall.record).wanted is not None, "its one start"
    begin_run(hall.record)
    record = read_record(hall.record)
    assert (record.wanted, record.state) == (None, "rolled_back")
    assert "ended while it was on trial" in record.reason
    assert not roll_back(hall.record, "again")


def test_a_start_that_fails_is_rolled_back(tmp_path: Path) -> None:
    file = tmp_path / "pushed.json"
    assert not roll_back(file, "nothing is on trial")
    trial = {"wanted": {"schema": 1, "serial": 4}, "starts": 1, "listened": []}
    write_record(file, Record.model_validate({"serial": 4, "trial": trial, "state": "trial"}))
    assert roll_back(file, "the model cannot be read")
    assert read_record(file).reason == "the model cannot be read"


def test_a_full_disk_changes_nothing(hall: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise WrongUse("pushed.json: cannot be written (No space left on device)")

    monkeypatch.setattr(module, "write_record", full)
    hall.push(1, **EXPIRY)
    hall.push(2, **EXPIRY)
    wait_for(lambda: hall.rollout._offers.empty(), 5, "both were looked at")
    assert hall.config == hall.read(None)
    assert hall.said == [hall.said[0]]

"""Disk and store: room, permissions, what waits, what was refused, what is damaged."""

import os
import time
from collections import namedtuple
from pathlib import Path

import pytest

from asit_edge.config.root import Config
from asit_edge.doctor.checks import storage
from asit_edge.doctor.finding import Finding
from asit_edge.doctor.patient import Patient
from asit_edge.errors import AsitEdgeError
from asit_edge.store.store import Store
from tests.store.samples import TO_MQTT, damaged_store, event

Usage = namedtuple("Usage", "total used free")


def patient(path: Path) -> Patient:
    return Patient(Config.model_validate({"store": {"path": path}}), Path("/etc/asit-edge/config.yaml"))


def of_store(path: Path) -> list[Finding]:
    return list(storage.store(patient(path)))


def test_a_folder_that_can_be_written_is_left_as_it_is(tmp_path: Path) -> None:
    found = list(storage.disk(patient(tmp_path / "deep" / "er" / "events.db")))
    assert {one.grade for one in found} == {"ok"}
    assert f"{tmp_path}/deep/er: can be written" in found[0].found
    assert list(tmp_path.iterdir()) == [], "nothing was made"


def test_a_folder_in_which_nothing_can_be_made(tmp_path: Path) -> None:
    """Not even by root."""
    found = storage.folder_finding("disk", Path("/proc/asit-edge"), "all is lost")
    assert (found.grade, found.means) == ("wrong", "all is lost")
    assert "cannot be written by this user" in found.found
    file = tmp_path / "file"
    file.touch()
    assert storage.folder_finding("disk", file / "below", "all is lost").found == f"{file}: is no folder"


@pytest.mark.parametrize(("free", "grade"), [(10 << 20, "wrong"), (100 << 20, "warning"), (5 << 30, "ok")])
def test_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, grade: str) -> None:
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda path: Usage(1 << 40, 0, free))
    found = storage.folder_finding("disk", tmp_path, "all is lost")
    assert found.grade == grade
    assert found.remedy.startswith("df -h") == (grade != "ok")


def test_there_is_no_store_yet(tmp_path: Path) -> None:
    for path in (tmp_path / "events.db", tmp_path / "none" / "events.db"):
        [found] = of_store(path)
        assert (found.grade, "is made by the first" in found.found) == ("ok", True)
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_whole_while_a_listener_writes_to_it(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    store = Store(path, sinks=TO_MQTT)
    store.commit([event(number) for number in range(3)], "mic/event")
    whole, waiting = of_store(path)
    assert whole.grade == "ok"
    assert f"3 message(s) about events, 0.0 MB; process {os.getpid()} listens with it" in whole.found
    assert (waiting.grade, waiting.found) == ("ok", "3 message(s) wait for mqtt, the oldest for 0 s")
    store.commit([event(9)], "mic/event")  # nothing was locked
    assert store.problem is None
    store.close()


def test_what_waits_for_long_and_what_was_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.db"
    store = Store(path, sinks=TO_MQTT)
    store.commit([event(0), event(1)], "mic/event")
    store.refuse(store.waiting("mqtt", 0, 1)[0].row, "Not authorized")
    store.close()
    now = time.time()
    monkeypatch.setattr(storage.time, "time", lambda: now + 7_200)
    whole, waiting, refused = of_store(path)
    assert "no listener runs with it" in whole.found
    assert (waiting.grade, waiting.found) == ("warning", "1 message(s) wait for mqtt, the oldest for 2 h")
    assert waiting.remedy == "asit-edge listen --config /etc/asit-edge/config.yaml"
    assert (refused.grade, refused.found) == (
        "warning",
        "1 message(s) were refused by mqtt for good (Not authorized)",
    )
    assert refused.remedy.startswith("asit-edge refused --requeue --config /etc/asit-edge/config.yaml")


def test_a_damaged_store_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    damaged_store(path, 400, spoil_at=None)
    before = path.read_bytes()
    [found] = of_store(path)
    assert found.grade == "wrong"
    assert f"{path}: is damaged (" in found.found
    assert found.remedy.startswith("sudo systemctl restart asit-edge")
    assert path.read_bytes() == before


def test_what_is_no_store_is_told(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    path.write_text("my diary")
    with pytest.raises(AsitEdgeError, match="not a database"):
        of_store(path)


def test_another_users_store_is_not_called_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", denied)
    found = next(storage.store(patient(tmp_path / "events.db")))
    assert (found.grade, "cannot be read by this user" in found.found) == ("warning", True)
    assert found.remedy.startswith("sudo STATE_DIRECTORY=/var/lib/asit-edge asit-edge doctor")


@pytest.mark.parametrize(("seconds", "words"), [(3.4, "3 s"), (119, "2 min"), (7_300, "2 h"), (200_000, "2 d")])
def test_durations_in_words(seconds: float, words: str) -> None:
    assert storage._duration(seconds) == words


def test_a_large_store_is_not_read_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.db"
    store = Store(path, sinks=TO_MQTT)
    for _ in range(20):
        store.commit([event(number) for number in range(1_000)], "mic/event")
    store.close()
    monkeypatch.setattr(storage, "LOOK_SECONDS", 0.0)
    assert of_store(path)[0].grade == "ok"

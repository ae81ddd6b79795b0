"""Disks that are full, read-only, away or damaged, and come back."""

import contextlib
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from asit_edge.messages.event import Event
from asit_edge.store.database import NotAStore
from asit_edge.store.disk import Disk
from asit_edge.store.notes import HELD
from asit_edge.store.store import Store
from tests.store.samples import TO_MQTT, event, ids, spoil


def fill(store: Store) -> None:
    """From now on the database cannot grow by a page: what a full disk does."""
    pages = store._disk.database.execute("PRAGMA page_count").fetchone()[0]  # type: ignore[union-attr]
    store._disk.database.execute(f"PRAGMA max_page_count={pages}")  # type: ignore[union-attr]


def free(store: Store) -> None:
    store._disk.database.execute("PRAGMA max_page_count=1073741823")  # type: ignore[union-attr]


def test_with_a_full_disk_events_are_numbered_held_and_delivered_and_written_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("asit_edge.store.disk.RETRY_DISK", 0.0)
    path = tmp_path / "events.db"
    store = Store(path, sinks=TO_MQTT)
    store.commit([event(number) for number in range(100)], "t")
    fill(store)
    with caplog.at_level(logging.WARNING):
        written = [store.commit([event(number)], "t")[0] for number in range(100, 200)]
        assert [one.seq for one in written] == list(range(101, 201))
        assert "database or disk is full" in str(store.problem)
        assert caplog.text.count("listening goes on") == 1, "said once"
        assert ids(store) == [f"id-{number}" for number in range(200)], "sinks see disk and memory as one"
        rows = [one.row for one in store.waiting("mqtt", 0, 200)]
        store.delivered([*rows[:50], *rows[150:]])
        assert store.count_waiting() == 100
        assert ids(store) == [f"id-{number}" for number in range(50, 150)]
        free(store)
        store.tend()
    assert store.problem is None
    assert "can be written again" in caplog.text
    assert store.count_waiting() == 100
    store.close()
    again = Store(path, sinks=TO_MQTT)
    assert ids(again) == [f"id-{number}" for number in range(50, 150)]
    assert again.commit([event()], "t")[0].seq == 201


def test_with_a_disk_that_takes_nothing_any_number_of_messages_may_be_delivered_from_it(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    Store(path, sinks=TO_MQTT).close()
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        rows = ((row, "mqtt", "t", "{}", 0.0) for row in range(1, 34_001))
        database.executemany("INSERT INTO outbox (row, sink, topic, payload, queued) VALUES (?, ?, ?, ?, ?)", rows)
    store = Store(path, sinks=TO_MQTT)
    store._disk.database.execute("PRAGMA query_only=ON")  # type: ignore[union-attr]
    store.delivered(range(1, 33_991))
    assert store.problem is not None
    assert [one.row for one in store.waiting("mqtt", 0, 20)] == list(range(33_991, 34_001))
    assert store.count_waiting() == store.count_waiting("mqtt") == 10


def test_with_a_full_disk_memory_is_bounded_and_keeps_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "events.db", sinks=TO_MQTT)
    fill(store)
    for number in range(HELD + 500):
        store.commit([event(number)], "t")
    waiting = ids(store)
    assert waiting[-1] == f"id-{HELD + 499}"
    assert HELD <= len(waiting) < HELD + 50  # the file had room for a few
    assert store.dropped == HELD + 500 - len(waiting)
    free(store)
    monkeypatch.setattr("asit_edge.store.disk.RETRY_DISK", 0.0)
    store.tend()
    assert ids(store) == waiting


def test_a_read_only_disk_is_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asit_edge.store.disk.RETRY_DISK", 0.0)
    store = Store(tmp_path / "events.db", sinks=TO_MQTT)
    store._disk.database.execute("PRAGMA query_only=ON")  # type: ignore[union-attr]
    store.commit([event()], "t")
    assert "readonly" in str(store.problem)
    assert ids(store) == ["id-0"]
    store._disk.database.execute("PRAGMA query_only=OFF")  # type: ignore[union-attr]
    store.tend()
    assert store.problem is None
    store.close()
    assert ids(Store(tmp_path / "events.db", sinks=TO_MQTT)) == ["id-0"]


def test_a_store_that_cannot_be_opened_at_first_takes_over_what_was_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asit_edge.store.disk.RETRY_DISK", 0.0)
    path = tmp_path / "disk" / "events.db"
    first = Store(path, sinks=TO_MQTT)
    first.commit([event(0), event(1)], "t")
    first.close()
    (tmp_path / "disk").rename(tmp_path / "unplugged")
    (tmp_path / "disk").write_text("a file where the folder should be", encoding="utf-8")
    store = Store(path, sinks=TO_MQTT)
    assert store.problem is not None
    store.commit([event(2)], "t")
    [told] = store.waiting("mqtt", 0, 10)
    (tmp_path / "disk").unlink()
    (tmp_path / "unplugged").rename(tmp_path / "disk")
    store.tend()
    assert store.problem is None
    assert ids(store) == ["id-0", "id-1", "id-2"]
    store.delivered([told.row])
    assert ids(store) == ["id-0", "id-1"]
    with sqlite3.connect(path) as database:
        numbers = [seq for (seq,) in database.execute("SELECT seq FROM event ORDER BY seq")]
    assert numbers == [1, 2, Event.model_validate_json(told.payload).seq], "as it was told"
    assert store.commit([event(3)], "t")[0].seq == numbers[-1] + 1


def test_damage_that_shows_while_listening_costs_no_event_that_can_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "events.db"
    store = Store(path, sinks=TO_MQTT)
    store.commit([event(number) for number in range(1000)], "t")
    store._disk.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
    store._disk.database.execute("PRAGMA cache_size=0")  # type: ignore[union-attr]
    store._disk.database.execute("PRAGMA shrink_memory")  # type: ignore[union-attr]
    spoil(path, path.stat().st_size * 3 // 4 // 4096 * 4096, 8192)
    with caplog.at_level(logging.ERROR):
        assert len(store.waiting("mqtt", 0, 2000)) >= 960
        assert store.commit([event(1000)], "t")[0].seq == 1001
    assert "is damaged" in caplog.text
    assert ids(store)[-1] == "id-1000"


def test_what_fails_half_way_leaves_nothing_behind_and_rests_before_it_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(tmp_path / "events.db")

    def note(topic: str) -> Callable[[sqlite3.Connection], str]:
        def change(database: sqlite3.Connection) -> str:
            database.execute("INSERT INTO retained (topic) VALUES (?)", (topic,))
            if topic == "bad":
                raise sqlite3.OperationalError("disk I/O error")
            return topic

        return change

    assert disk.write(note("a"), durable=True) == "a"
    assert disk.write(note("bad"), durable=True) is None
    assert disk.problem == f"store.path {tmp_path / 'events.db'}: cannot be written (disk I/O error)"
    assert disk.write(note("b"), durable=True) is None, "it rests"
    assert disk.read("SELECT topic FROM retained") == [("a",)], "reading goes on"
    assert disk.write(note("b"), durable=True, at_once=True) == "b"
    assert disk.problem is None
    disk.close()
    assert disk.write(note("c"), durable=True, at_once=True) is None
    assert disk.read("SELECT topic FROM retained") == []


def note(topic: str) -> Callable[[sqlite3.Connection], str]:
    """A change of the database that shows whether it was made."""

    def change(database: sqlite3.Connection) -> str:
        database.execute("INSERT INTO retained (topic) VALUES (?)", (topic,))
        return topic

    return change


def test_a_disk_that_failed_is_tried_again_after_five_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("asit_edge.store.disk.time.monotonic", lambda: clock[0])
    disk = Disk(tmp_path / "events.db")
    assert disk.database is not None
    disk.database.execute("PRAGMA query_only=ON")
    assert disk.write(note("a"), durable=True) is None
    disk.database.execute("PRAGMA query_only=OFF")
    for clock[0] in (1000.0, 1004.9):
        assert disk.write(note("a"), durable=True) is None
    clock[0] = 1005.0
    assert disk.write(note("a"), durable=True) == "a"
    clock[0] = 1000.0
    assert disk.write(note("b"), durable=True) == "b", "once it has recovered nothing rests"


def test_what_must_outlive_a_power_cut_is_synced_and_the_rest_is_not(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "events.db")

    def synchronous(database: sqlite3.Connection) -> object:
        assert database.in_transaction
        return database.execute("PRAGMA synchronous").fetchone()[0]

    found = [disk.write(synchronous, durable=durable) for durable in (True, False, True)]
    assert found == [2, 1, 2], "FULL and NORMAL"
    assert disk.database is not None
    assert not disk.database.in_transaction


def test_a_failure_is_said_once_for_each_reason_and_so_is_its_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Disk(tmp_path / "events.db")

    def fails(reason: str) -> Callable[[sqlite3.Connection], str]:
        def change(_: sqlite3.Connection) -> str:
            raise sqlite3.OperationalError(reason)

        return change

    with caplog.at_level(logging.INFO):
        for reason in ("disk I/O error", "disk I/O error", "database or disk is full"):
            assert disk.write(fails(reason), durable=True, at_once=True) is None
        for _ in range(2):
            assert disk.write(lambda _: "good", durable=True, at_once=True) == "good"
    [first, second, third] = caplog.messages
    assert "disk I/O error" in first
    assert "disk is full" in second
    assert "can be written again" in third


def test_a_file_is_free_for_others_once_it_is_closed_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    disk = Disk(path)
    with pytest.raises(NotAStore):
        Disk(path)
    disk.close()
    with contextlib.closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT value FROM state").fetchall() == [("closed",)], "the next start need not look"
    Disk(path).close()
    disk.close()  # once more does no harm


def test_what_is_written_last_waits_for_other_programs(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "events.db")
    assert disk.read("PRAGMA busy_timeout") == [(250,)]
    disk.be_patient()
    assert disk.read("PRAGMA busy_timeout") == [(5000,)]
    disk.close()
    disk.be_patient()  # nothing is left to wait for
    Disk(None).be_patient()


def test_a_place_that_comes_back_with_another_programs_file_is_told_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "stick"
    folder.write_text("not a folder", encoding="utf-8")
    disk = Disk(folder / "events.db")
    assert disk.problem is not None
    assert disk.read("SELECT topic FROM retained") == []
    folder.unlink()
    folder.mkdir()
    with contextlib.closing(sqlite3.connect(folder / "events.db")) as other, other:
        other.execute("CREATE TABLE photos (name TEXT)")
    assert disk.write(note("a"), durable=True, at_once=True) is None
    assert "is a database of another program" in str(disk.problem)
    (folder / "events.db").unlink()
    assert disk.write(note("a"), durable=True, at_once=True) == "a"
    assert disk.problem is None


def damage(path: Path, disk: Disk) -> None:
    """Of the file only the head is left, and SQLite has forgotten what it had read of the rest."""
    assert disk.database is not None
    disk.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    disk.database.execute("PRAGMA cache_size=0")
    disk.database.execute("PRAGMA shrink_memory")
    spoil(path, 4096, path.stat().st_size - 4096)


def test_damage_that_a_write_meets_is_put_aside_and_the_write_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asit_edge.store.database._HOPELESS", 100)
    path = tmp_path / "events.db"
    disk = Disk(path)
    assert disk.write(note("a"), durable=True) == "a"
    damage(path, disk)
    assert disk.write(note("b"), durable=True) == "b"
    assert disk.problem is None
    assert len(list(tmp_path.glob("events.db.damaged-*Z"))) == 1
    assert disk.read("SELECT topic FROM retained") == [("b",)]


def test_damage_on_a_disk_that_allows_no_new_file_is_told_and_mended_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asit_edge.store.database._HOPELESS", 100)
    path = tmp_path / "events.db"
    disk = Disk(path)
    damage(path, disk)

    def full(*_: object) -> sqlite3.Connection:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("asit_edge.store.disk.salvage", full)
        assert disk.write(note("a"), durable=True) is None
        assert "No space left on device" in str(disk.problem)
        assert disk.read("SELECT topic FROM retained") == []
    assert disk.write(note("a"), durable=True) is None, "it rests"
    assert disk.write(note("a"), durable=True, at_once=True) == "a"
    assert disk.problem is None
